// <onair-profile>: an account at an address of its own (/@handle): who it is, live or next, follow, lists, report, block.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { toggleFollow } from "./host_card.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { follow } from "./router.js";
import { SessionController, session } from "./session.js";
import { avatar, hues, scrollingPage, sheet } from "./style.js";
import { moment, short, t } from "./strings.js";
import { refused, toast } from "./toast.js";
import { pictureState, upload } from "./upload.js";
import "./gift_gallery.js";
import "./people.js";
import "./reminder.js";
import "./replays.js";
import "./report_form.js";
import "./sheet.js";

const REFRESH_MS = 30_000;

export class OnairProfile extends LitElement {
  static properties = {
    handle: {},
    profile: { state: true },
    live: { state: true },
    next: { state: true },
    failure: { state: true },
    busy: { state: true },
    /** "followers" | "following" | "report" | "block": what the sheet shows. */
    shown: { state: true },
  };

  static styles = [
    sheet,
    scrollingPage,
    css`
      .page {
        max-width: 680px;
        padding: 0 0 40px;
      }
      .cover {
        position: relative;
        height: clamp(132px, 24vh, 216px);
        overflow: hidden;
        background: var(--raised);
      }
      .cover img {
        width: 100%;
        height: 100%;
        object-fit: cover;
      }
      .cover::after {
        content: "";
        position: absolute;
        inset: 40% 0 0;
        background: linear-gradient(transparent, #08050d73);
      }
      .about {
        display: grid;
        justify-items: center;
        gap: 4px;
        margin-top: -54px;
        padding: 0 18px;
        text-align: center;
      }
      .face {
        position: relative;
        z-index: 1;
        padding: 5px;
        border-radius: 50%;
        background: var(--ground);
      }
      .face.live {
        background: linear-gradient(135deg, var(--sun-1), var(--sun-2));
      }
      .face .live-badge {
        position: absolute;
        bottom: -6px;
        left: 50%;
        translate: -50%;
      }
      h1 {
        max-width: 100%;
        margin-top: 12px;
        font-size: 1.6rem;
        font-weight: 800;
        overflow-wrap: anywhere;
      }
      .handle {
        color: var(--muted);
      }
      .counts {
        display: flex;
        gap: 8px;
        margin: 10px 0 14px;
      }
      .counts button {
        display: grid;
        justify-items: center;
        min-width: 108px;
        min-height: 58px;
        padding: 6px 14px;
        border: 0;
        border-radius: 18px;
        background: none;
        color: var(--muted);
        font-size: 0.86rem;
      }
      .counts button:hover:not(:disabled) {
        background: var(--surface);
      }
      .counts b {
        color: var(--text);
        font-size: 1.2rem;
        font-variant-numeric: tabular-nums;
      }
      .acts {
        display: grid;
        grid-auto-flow: column;
        grid-auto-columns: minmax(0, 1fr);
        gap: 8px;
        width: min(100%, 440px);
      }
      section {
        margin: 22px 18px 0;
        padding: 16px 18px;
        border-radius: 22px;
        background: var(--surface);
      }
      .next {
        display: flex;
        align-items: center;
        gap: 14px;
      }
      .next div {
        flex: 1;
        min-width: 0;
      }
      .next h2 {
        margin-bottom: 4px;
        color: var(--muted);
        font-size: 0.86rem;
        font-weight: 600;
        letter-spacing: 0;
      }
      .next b {
        display: block;
        overflow-wrap: anywhere;
      }
      .next time {
        color: var(--muted);
        font-size: 0.88rem;
      }
      onair-gift-gallery {
        display: block;
        width: auto;
        margin: 22px 18px 0;
      }
      .quiet {
        display: flex;
        justify-content: center;
        gap: 8px;
        margin-top: 22px;
      }
      label:focus-within {
        outline: 3px solid var(--sun-1);
        outline-offset: 2px;
      }
      .ghost {
        width: 108px;
        height: 108px;
        border-radius: 50%;
      }
      .line {
        width: 180px;
        height: 26px;
        margin-top: 14px;
        border-radius: 13px;
      }
      .nobody {
        display: grid;
        place-content: center;
        justify-items: center;
        gap: 14px;
        height: 100%;
        padding: 24px 32px;
        text-align: center;
      }
      .nobody p,
      .private {
        max-width: 320px;
        color: var(--muted);
      }
      .sure {
        display: grid;
        gap: 10px;
        justify-items: stretch;
      }
      @media (min-width: 900px) {
        .cover {
          margin-top: 22px;
          border-radius: 28px;
        }
      }
    `,
  ];

  constructor() {
    super();
    new SessionController(this);
  }

  connectedCallback() {
    super.connectedCallback();
    // Who looks at a profile waits, as often as not, for its owner to go live.
    this.timer = setInterval(() => document.hidden || !this.profile || this.#load(), REFRESH_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  willUpdate() {
    const about = `${this.handle} ${session.me?.id ?? ""}`;
    if (about === this.about) return;
    this.about = about;
    this.profile = this.live = this.next = this.failure = this.shown = undefined;
    if (session.me) this.#load();
  }

  #load = async () => {
    const { about, handle } = this;
    try {
      const profile = await api.get(`/accounts/${handle}`);
      const stream = (id) => (id ? api.get(`/streams/${id}`).catch(() => undefined) : undefined);
      const [live, next] = await Promise.all([stream(profile.live_stream), stream(profile.next_stream)]);
      if (about !== this.about) return;
      Object.assign(this, { profile, live, next, failure: undefined });
    } catch (error) {
      // What is shown stays shown while a refresh fails.
      if (about === this.about && !this.profile) this.failure = error;
    }
  };

  get #standing() {
    const { relation, private: closed } = this.profile;
    if (relation?.requested) return "requested";
    if (relation?.following) return "following";
    return closed ? "ask" : "follow";
  }

  async #act(act) {
    if (this.busy) return;
    this.busy = true;
    try {
      await act();
      await this.#load();
    } catch (error) {
      refused(error);
    } finally {
      this.busy = false;
    }
  }

  #toggle = () =>
    needAccount(this, "follow", () =>
      this.#act(() => toggleFollow(this, this.profile, ["following", "requested"].includes(this.#standing), false)),
    );

  #block = () =>
    this.#act(async () => {
      const path = `/accounts/${this.profile.handle}/block`;
      const blocked = this.profile.relation?.blocked;
      await (blocked ? api.delete(path) : api.put(path));
      this.shown = undefined;
      toast(t(blocked ? "unblocked" : "blocked", { name: this.profile.display_name }));
    });

  #coverChosen = (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    this.#act(async () => {
      const path = `/streams/${this.next.id}/cover`;
      await upload(path, file);
      const found = await pictureState(path);
      if (found.state !== "ready") throw new Error(t(`settings.picture.${found.problem ?? "late"}`));
      toast(t("profile.cover_done"));
    });
  };

  #acts() {
    const { profile } = this;
    const watch = profile.live_stream
      ? html`<a class="button act" href="/watch/${profile.live_stream}" @click=${follow}>${icon("play")}${t("profile.watch")}</a>`
      : "";
    if (profile.handle === session.me?.handle) {
      return html`<div class="acts">${watch}<a class="button" href="/settings" @click=${follow}>${t("profile.edit")}</a></div>`;
    }
    if (profile.relation?.blocked) {
      return html`<p class="private">${t("block.on")}</p>
        <button class="button" ?disabled=${this.busy} @click=${this.#block}>${t("unblock")}</button>`;
    }
    const standing = this.#standing;
    return html`<div class="acts">
      ${watch}
      <button class="button ${watch || !["follow", "ask"].includes(standing) ? "" : "act"}" ?disabled=${this.busy} @click=${this.#toggle}>
        ${t(standing)}
      </button>
    </div>`;
  }

  #next() {
    if (!this.next || this.next.state !== "scheduled") return "";
    const own = this.next.host.handle === session.me?.handle;
    return html`<section class="next" aria-label=${t("profile.next")}>
      <div>
        <h2>${t("profile.next")}</h2>
        <b>${this.next.title}</b>
        <time datetime=${this.next.scheduled_for}>${moment(this.next.scheduled_for)}</time>
      </div>
      ${own
        ? html`<label class="button small" aria-busy=${Boolean(this.busy)}
            >${icon("camera")}${t(this.busy ? "profile.cover_sending" : "profile.cover")}<input
              class="unseen"
              type="file"
              accept="image/jpeg,image/png,image/webp"
              ?disabled=${this.busy}
              @change=${this.#coverChosen}
          /></label>`
        : html`<onair-reminder .stream=${this.next}></onair-reminder>`}
    </section>`;
  }

  #cover(profile) {
    const picture = this.live?.preview_url ?? this.next?.preview_url;
    const [from, to] = hues(profile.handle);
    return html`<div class="cover" style="background:linear-gradient(135deg,${from},${to})">
      ${picture ? html`<img src=${picture} alt="" @error=${(event) => (event.target.hidden = true)} />` : ""}
    </div>`;
  }

  #sheet(profile) {
    switch (this.shown) {
      case "followers":
      case "following":
        return html`<onair-people .path=${`/accounts/${profile.handle}/${this.shown}`}></onair-people>`;
      case "report":
        return html`<onair-report .path=${`/accounts/${profile.handle}`} @done=${() => (this.shown = undefined)}></onair-report>`;
      case "block":
        return html`<div class="sure">
          <p>${t("block.what")}</p>
          <button class="button danger" ?disabled=${this.busy} @click=${this.#block}>${t("block.sure")}</button>
          <button class="button" @click=${() => (this.shown = undefined)}>${t("cancel")}</button>
        </div>`;
      default:
        return "";
    }
  }

  render() {
    if (!session.me) {
      return html`<div class="nobody">
        <h1>@${this.handle}</h1>
        <p>${t("profile.sign_in")}</p>
        <button class="button act" @click=${() => needAccount(this, undefined, () => undefined)}>${t("sign_in.title")}</button>
      </div>`;
    }
    if (this.failure) {
      const gone = this.failure.code === "not_found";
      return html`<div class="nobody" role="alert">
        <h1>@${this.handle}</h1>
        <p>${gone ? t("profile.nobody") : this.failure.message}</p>
        ${gone ? "" : html`<button class="button act" @click=${this.#load}>${t("retry")}</button>`}
      </div>`;
    }
    const { profile } = this;
    if (!profile) {
      return html`<div class="page" aria-busy="true" aria-label=${t("profile.loading")}>
        <div class="cover skeleton"></div>
        <div class="about"><div class="face"><div class="ghost skeleton"></div></div><div class="line skeleton"></div></div>
      </div>`;
    }
    const own = profile.handle === session.me.handle;
    const open = own || profile.relation?.following || !profile.private;
    const count = (kind, name) => html`<button ?disabled=${!open} @click=${() => (this.shown = kind)}><b>${short(profile[kind])}</b>${name}</button>`;
    return html`<div class="page">
        ${this.#cover(profile)}
        <div class="about">
          <div class="face ${profile.live_stream ? "live" : ""}">
            ${avatar(profile, 104)}${profile.live_stream ? html`<span class="live-badge">${t("live")}</span>` : ""}
          </div>
          <h1>${profile.display_name}</h1>
          <p class="handle">@${profile.handle}</p>
          <div class="counts">
            ${count("followers", t("followers", { n: profile.followers }))} ${count("following", t("following_count"))}
          </div>
          ${this.#acts()} ${open ? "" : html`<p class="private">${icon("lock")}${t("profile.private")}</p>`}
        </div>
        ${this.#next()}
        ${open && !profile.relation?.blocked
          ? html`<section aria-label=${t("replays.title")}>
              <onair-replays .path=${own ? "/me/replays" : `/accounts/${profile.handle}/replays`} .own=${own}></onair-replays>
            </section>`
          : ""}
        ${open ? html`<onair-gift-gallery .handle=${profile.handle}></onair-gift-gallery>` : ""}
        ${own
          ? ""
          : html`<div class="quiet">
              <button class="button plain small" @click=${() => (this.shown = "report")}>${icon("flag")}${t("report.title")}</button>
              ${profile.relation?.blocked
                ? ""
                : html`<button class="button plain small" @click=${() => (this.shown = "block")}>${icon("ban")}${t("block")}</button>`}
            </div>`}
      </div>
      <onair-sheet
        .open=${this.shown !== undefined}
        .heading=${this.shown ? t({ report: "report.title", block: "block" }[this.shown] ?? `profile.${this.shown}`) : ""}
        @close=${(event) => event.target === event.currentTarget && this.shown && (this.shown = undefined)}
        >${this.#sheet(profile)}</onair-sheet
      >`;
  }
}

customElements.define("onair-profile", OnairProfile);
