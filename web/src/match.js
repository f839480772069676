// <onair-match>: the match over the picture: who is beside whom; for the host also who asks, who is asked, and the end.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { MatchState } from "./match_state.js";
import { toldOf } from "./match_told.js";
import { needAccount } from "./need_account.js";
import { router } from "./router.js";
import { session } from "./session.js";
import { avatar, sheet } from "./style.js";
import { t } from "./strings.js";
import { refused, toast } from "./toast.js";
import "./match_rivals.js";
import "./sheet.js";

/** The host's button at the side of the picture; `match` gives the element at the time of the tap. */
export function matchButton(match) {
  return html`<button class="round glass" data-sheet="match" aria-label=${t("match.title")} @click=${() => match().show()}>${icon("match")}</button>`;
}

/** What a card or the banner says as well. */
const SHOWN = ["asked", "accepted"];

const shown = (host) => ({ ...host, display_name: host.display_name ?? host.name });

/** @fires change - what is shown of a match changed (`on`) */
export class OnairMatch extends LitElement {
  static properties = {
    room: { attribute: false },
    /** For the host: their stream. */
    own: { attribute: false },
    open: { state: true },
    ending: { state: true },
    followed: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        position: absolute;
        top: calc(var(--match-top, 64px) + var(--safe-top));
        left: max(12px, var(--safe-left));
        right: calc(64px + var(--safe-right));
        display: grid;
        justify-items: start;
        pointer-events: none;
        color: #fff;
      }
      section {
        max-width: 100%;
        min-width: 0;
        pointer-events: auto;
        background: #120b1fcc;
        backdrop-filter: blur(14px);
        -webkit-backdrop-filter: blur(14px);
      }
      .banner,
      .waiting {
        display: flex;
        align-items: center;
        gap: 2px;
        min-height: var(--touch);
        box-sizing: border-box;
        padding: 0 4px 0 8px;
        border-radius: 24px;
        font-size: 0.86rem;
        font-weight: 700;
      }
      .side,
      .rival {
        display: inline-flex;
        align-items: center;
        gap: 6px;
        min-width: 0;
      }
      .rival {
        min-height: var(--touch);
        padding: 0 8px;
        border: 0;
        border-radius: 22px;
        background: none;
        color: inherit;
        font: inherit;
        font-weight: 700;
      }
      .side span:not(.avatar),
      .rival span:not(.avatar) {
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .avatar {
        flex: none;
      }
      .times {
        flex: none;
        padding: 0 4px;
        color: #ffc46b;
        font-size: 1rem;
      }
      .pill {
        flex: none;
        min-height: var(--touch);
        padding: 0 14px;
        border: 4px solid transparent;
        border-radius: 22px;
        background: #f7f3fb;
        background-clip: padding-box;
        color: #1c1322;
        font: inherit;
        font-weight: 750;
      }
      .pill .icon {
        display: none;
      }
      /* A phone has room for both names, or for the words. */
      @media (max-width: 700px) {
        .banner .pill {
          width: var(--touch);
          padding: 0;
        }
        .banner .pill span {
          display: none;
        }
        .banner .pill .icon {
          display: block;
          width: 20px;
          height: 20px;
          margin: auto;
        }
        .banner {
          gap: 0;
          padding: 0 2px 0 6px;
          font-size: 0.8rem;
        }
        .banner .side,
        .banner .rival {
          gap: 4px;
          padding: 0 2px;
        }
        .times {
          padding: 0 2px;
        }
      }
      .pill:disabled {
        opacity: 0.6;
      }
      .waiting {
        gap: 10px;
        padding-left: 14px;
        line-height: 1.25;
      }
      .waiting span {
        min-width: 0;
        overflow-wrap: anywhere;
      }
      .waiting b {
        flex: none;
        font-variant-numeric: tabular-nums;
      }
      .incoming {
        width: min(100%, 340px);
        box-sizing: border-box;
        padding: 14px;
        border-radius: 20px;
        animation: appear 0.3s var(--ease);
      }
      @keyframes appear {
        from {
          opacity: 0;
          transform: translateY(-10px);
        }
      }
      .incoming .from {
        display: flex;
        align-items: center;
        gap: 12px;
        margin: 0 0 12px;
        font-weight: 700;
        overflow-wrap: anywhere;
      }
      .incoming .from span:not(.avatar) {
        flex: 1;
        min-width: 0;
      }
      .incoming small {
        display: block;
        color: #ffffffd1;
        font-weight: 500;
        font-variant-numeric: tabular-nums;
      }
      .acts {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 8px;
      }
      .acts .button {
        min-height: 48px;
      }
      onair-sheet {
        pointer-events: auto;
        color: var(--text);
      }
      .confirm {
        display: grid;
        gap: 10px;
        padding-top: 14px;
      }
      .confirm p {
        color: var(--muted);
      }
    `,
  ];

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.ticker);
    this.state?.close();
    this.state = undefined;
  }

  willUpdate(changed) {
    if (!changed.has("room") || !this.room || this.state?.room === this.room) return;
    this.state?.close();
    const state = new MatchState(this.room, Boolean(this.own));
    this.state = state;
    state.addEventListener("change", () => this.#changed());
    state.addEventListener("told", ({ detail }) => this.#told(detail));
  }

  /** The match that is shown, if any. */
  get on() {
    return this.state?.on;
  }

  show() {
    if (this.on) this.ending = true;
    else this.open = true;
  }

  #changed() {
    const { match } = this.state;
    if (match?.rival.host.id !== this.rival) {
      this.rival = match?.rival.host.id;
      this.followed = false;
    }
    if (match) this.open = false;
    if (!this.on) this.ending = false;
    const counts = this.state.incoming ?? this.state.waiting;
    if (counts && !this.ticker) this.ticker = setInterval(() => this.requestUpdate(), 500);
    if (!counts) this.ticker = clearInterval(this.ticker);
    this.dispatchEvent(new Event("change"));
    this.requestUpdate();
  }

  /** The hosts are told by word how it came out; everyone else sees the banner come and go. */
  #told({ event, was }) {
    const { id, handle } = event.rival.host;
    const told = this.room.ticket?.hidden?.includes(id) ? undefined : toldOf(event, was, this.own ? session.me?.id : undefined);
    this.said = told && t(`match.told.${told}`, { handle });
    if (this.own && told && !SHOWN.includes(told)) toast(this.said);
    this.requestUpdate();
  }

  updated() {
    const { state } = this;
    if (!this.acted || !state || state.busy || state.incoming || state.waiting) return;
    this.acted = false;
    this.#goOn();
  }

  /** What had the focus went away with its card or banner: it goes to the button beside the picture. */
  #goOn() {
    this.getRootNode().querySelector("[data-sheet=match]")?.focus();
  }

  #press = (act) => () => {
    this.acted = true;
    return act();
  };

  #endClosed = () => {
    this.ending = false;
    if (!this.on) this.#goOn();
  };

  #ask = ({ detail: handle }) => this.state.ask(handle);

  #end = async () => {
    await this.state.end();
    this.ending = false;
  };

  /** Whether one follows them already nobody asks: that would be a request of every viewer at the same moment. */
  #follow = (host) =>
    needAccount(this, "follow", async () => {
      try {
        await api.put(`/accounts/${host.handle}/follow`);
        this.followed = true;
        await this.updateComplete;
        this.renderRoot.querySelector(".rival")?.focus(); // the button is another one now, and does nothing
        toast(t("followed", { name: host.display_name }));
      } catch (error) {
        refused(error);
      }
    });

  // --- showing --------------------------------------------------------------------------------------------------

  #banner({ rival }) {
    const [mine, theirs] = [this.room.room?.host ?? {}, shown(rival.host)];
    return html`<section class="banner" aria-label=${t("match.pair", { mine: mine.handle ?? "", rival: theirs.handle })}>
      <span class="side">${avatar(shown(mine), 28)}<span>@${mine.handle}</span></span><span class="times" aria-hidden="true">×</span>
      ${this.own
        ? html`<span class="side">${avatar(theirs, 28)}<span>@${theirs.handle}</span></span>
            <button class="pill" aria-label=${t("match.end")} @click=${() => (this.ending = true)}>${icon("close")}<span>${t("match.end")}</span></button>`
        : html`<button class="rival" aria-label=${t("match.open", { handle: theirs.handle })} @click=${() => router.go(`/watch/${rival.stream_id}`)}
              >${avatar(theirs, 28)}<span>@${theirs.handle}</span></button>
            ${this.followed
              ? html`<button class="pill" disabled aria-label="${t("following")}: @${theirs.handle}">${icon("check")}<span>${t("following")}</span></button>`
              : html`<button class="pill" aria-label="${t("follow")}: @${theirs.handle}" @click=${() => this.#follow(theirs)}
                  >${icon("plus")}<span>${t("follow")}</span></button>`}`}
    </section>`;
  }

  #incoming({ rival: { host } }) {
    const { state } = this;
    return html`<section class="incoming" role="alertdialog" aria-label=${t("match.asks", { handle: host.handle })}>
      <p class="from">
        ${avatar(shown(host), 48)}<span>${t("match.asks", { handle: host.handle })}<small>${host.name} · ${this.#left()}</small></span>
      </p>
      <div class="acts">
        <button class="button act" ?disabled=${state.busy} @click=${this.#press(state.accept)}>${t("match.accept")}</button>
        <button class="button" ?disabled=${state.busy} @click=${this.#press(state.decline)}>${t("match.decline")}</button>
      </div>
    </section>`;
  }

  #waiting({ rival: { host } }) {
    return html`<section class="waiting" aria-label=${t("match.waiting", { handle: host.handle })}>
      <span>${t("match.waiting", { handle: host.handle })}</span><b>${this.#left()}</b>
      <button class="pill" ?disabled=${this.state.busy} @click=${this.#press(this.state.end)}>${t("cancel")}</button>
    </section>`;
  }

  /** The seconds left; while the room is away the answer may have come already. */
  #left() {
    return this.room.state === "reconnecting" ? t("match.reconnecting") : t("match.left", { n: this.state.left });
  }

  render() {
    const { state } = this;
    if (!state) return "";
    const { on, incoming, waiting } = state;
    const card = on ? this.#banner(on) : incoming ? this.#incoming(incoming) : waiting ? this.#waiting(waiting) : "";
    return html`${card}
      <span class="unseen" role="status">${this.said ?? ""}</span>
      ${this.own
        ? html`<onair-sheet clear heading=${t("match.title")} .open=${Boolean(this.open)} @close=${() => (this.open = false)}>
              ${this.open ? html`<onair-rivals .own=${this.own} ?busy=${state.busy} @ask=${this.#ask}></onair-rivals>` : ""}
            </onair-sheet>
            <onair-sheet heading=${t("match.end_title")} .open=${Boolean(this.ending)} @close=${this.#endClosed}>
              ${on
                ? html`<div class="confirm">
                    <p>${t("match.end_hint", { handle: on.rival.host.handle })}</p>
                    <button class="button danger wide" ?disabled=${state.busy} @click=${this.#end}>${t("match.end")}</button>
                    <button class="button wide" @click=${() => (this.ending = false)}>${t("match.end_keep")}</button>
                  </div>`
                : ""}
            </onair-sheet>`
        : ""}`;
  }
}

customElements.define("onair-match", OnairMatch);
