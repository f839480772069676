// <onair-comment-menu>: what can be done with one comment: reply to it, and, for those who moderate, everything else.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { session } from "./session.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { refused, toast } from "./toast.js";

const MUTE_S = 300;

/** @fires reply - detail: the comment; @fires report - to be asked why; @fires done - when the menu has served */
export class OnairCommentMenu extends LitElement {
  static properties = {
    comment: { attribute: false },
    room: { attribute: false },
    sure: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    css`
      blockquote {
        margin: 0 0 12px;
        padding: 10px 14px;
        border-radius: 16px;
        background: var(--raised);
        overflow-wrap: anywhere;
      }
      blockquote b {
        display: block;
        color: var(--muted);
        font-size: 0.84rem;
      }
      .acts {
        display: grid;
      }
      .act {
        display: flex;
        align-items: center;
        gap: 14px;
        min-height: 52px;
        padding: 0 8px;
        border: 0;
        border-radius: 14px;
        background: none;
        text-align: left;
        font-weight: 600;
      }
      .act:hover,
      .act:focus-visible {
        background: var(--raised);
      }
      .act.bad {
        color: var(--bad, #ff8096);
      }
    `,
  ];

  firstUpdated() {
    this.renderRoot.querySelector(".act")?.focus();
  }

  get #role() {
    return this.room?.me?.role;
  }

  /** What this person may do with this comment, in the order of the menu. */
  get acts() {
    const { comment } = this;
    const moderates = this.#role === "host" || this.#role === "moderator";
    const own = comment.from?.id !== undefined && comment.from.id === session.me?.id;
    const others = moderates && !own && !comment.from?.badges?.includes("host");
    const pinned = this.room?.room?.pinned?.id === comment.id;
    const member = `/members/${encodeURIComponent(comment.from?.handle ?? "")}`;
    return [
      { id: "reply", icon: "reply", run: () => this.#reply() },
      ...(moderates
        ? [
            { id: "spotlight", icon: "question", run: () => this.room.answer(comment.id, "showing") },
            pinned
              ? { id: "unpin", icon: "pin", run: () => this.#send("PATCH", "/room", { pinned: null }) }
              : { id: "pin", icon: "pin", run: () => this.#send("PATCH", "/room", { pinned: comment.id }) },
          ]
        : []),
      ...(!own && session.me && comment.from ? [{ id: "report", icon: "flag", stays: true, run: () => this.dispatchEvent(new Event("report")) }] : []),
      ...(moderates || own
        ? [{ id: "remove", icon: "trash", bad: true, run: () => this.#send("DELETE", `/events/${encodeURIComponent(comment.id)}`) }]
        : []),
      ...(others && this.#role === "host" ? [this.#appoint()] : []),
      ...(others
        ? [
            { id: "mute", icon: "muted", bad: true, told: true, run: () => this.#send("PUT", member, { mute_s: MUTE_S }) },
            { id: "ban", icon: "ban", bad: true, told: true, ask: true, run: () => this.#send("PUT", member, { banned: true }) },
          ]
        : []),
    ];
  }

  /** A host's moderators are so in every broadcast, and in this one at once. */
  #appoint() {
    const { handle, badges } = this.comment.from;
    const path = `/me/moderators/${encodeURIComponent(handle)}`;
    return badges?.includes("moderator")
      ? { id: "dismiss", icon: "shield", told: true, run: () => api.request("DELETE", path) }
      : { id: "appoint", icon: "shield", told: true, run: () => api.request("PUT", path) };
  }

  #reply() {
    this.dispatchEvent(new CustomEvent("reply", { detail: this.comment }));
  }

  #send(method, path, body) {
    return api.request(method, `/streams/${this.room.streamId}${path}`, { body });
  }

  async #run(act) {
    if (act.ask && this.sure !== act.id) {
      this.sure = act.id; // what cannot be undone by the next comment is asked for twice
      return;
    }
    this.busy = true;
    try {
      await act.run();
      if (act.told) toast(t(`comment.${act.id}_done`, { name: this.comment.from?.name ?? "" }));
      if (!act.stays) this.dispatchEvent(new Event("done"));
    } catch (error) {
      if (error.code !== "closed") refused(error);
    } finally {
      this.busy = false;
    }
  }

  render() {
    const name = this.comment.from?.name ?? this.comment.from?.handle ?? "";
    return html`<blockquote><b>${name}</b>${this.comment.text}</blockquote>
      <div class="acts">
        ${this.acts.map(
          (act) => html`<button class="act ${act.bad ? "bad" : ""}" data-act=${act.id} ?disabled=${this.busy} @click=${() => this.#run(act)}>
            ${icon(act.icon)}${t(this.sure === act.id ? `comment.${act.id}_sure` : `comment.${act.id}`, { name })}
          </button>`,
        )}
      </div>`;
  }
}

customElements.define("onair-comment-menu", OnairCommentMenu);
