// <onair-feed>: who is live: preview pictures, viewers, host, and why it is shown. Pull down or come back to refresh.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon, logo } from "./icons.js";
import { needAccount } from "./need_account.js";
import { follow } from "./router.js";
import { SessionController, session } from "./session.js";
import { avatar, hues, scrollingPage, sheet } from "./style.js";
import { short, t } from "./strings.js";
import "./upcoming.js";

const REFRESH_MS = 15_000;
const PULL_PX = 72;
const PULL_MAX_PX = 110;

export class OnairFeed extends LitElement {
  static properties = {
    /** "for-you" | "following" */
    kind: {},
    streams: { state: true },
    failed: { state: true },
    pull: { state: true },
    refreshing: { state: true },
  };

  static styles = [
    sheet,
    scrollingPage,
    css`
      :host {
        -webkit-overflow-scrolling: touch;
      }
      header {
        position: sticky;
        top: 0;
        z-index: 2;
        display: flex;
        align-items: center;
        gap: 10px;
        padding: calc(10px + var(--safe-top)) max(16px, var(--safe-right)) 10px max(16px, var(--safe-left));
        background: linear-gradient(var(--ground) 70%, transparent);
      }
      header h1 {
        flex: 1;
        font-size: 1.6rem;
        font-weight: 800;
        letter-spacing: -0.04em;
      }
      header .round {
        color: var(--muted);
      }
      .pull {
        display: grid;
        place-content: center;
        grid-auto-flow: column;
        align-items: center;
        gap: 10px;
        height: var(--pulled, 0);
        overflow: hidden;
        color: var(--muted);
        font-size: 0.9rem;
      }
      .pull .spinner {
        width: 22px;
        height: 22px;
      }
      ul {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(164px, 44vw), 1fr));
        gap: 10px;
        margin: 0;
        padding: 4px max(12px, var(--safe-right)) 24px max(12px, var(--safe-left));
        list-style: none;
      }
      li {
        min-width: 0;
        animation: in 0.45s var(--ease) backwards;
        animation-delay: calc(min(var(--nth), 8) * 45ms);
      }
      @keyframes in {
        from {
          opacity: 0;
          transform: translateY(14px);
        }
      }
      .card {
        position: relative;
        display: block;
        aspect-ratio: 3 / 4.4;
        overflow: hidden;
        border-radius: var(--radius);
        color: #fff;
        text-decoration: none;
        isolation: isolate;
        transition: transform 0.25s var(--ease);
      }
      .card:active {
        transform: scale(0.975);
      }
      .card img.preview {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
        object-fit: cover;
        transition: transform 0.6s var(--ease);
      }
      .card:hover img.preview {
        transform: scale(1.04);
      }
      .card .initial {
        position: absolute;
        inset: 0;
        display: grid;
        place-items: center;
        padding-bottom: 24%;
        font-size: 4.6rem;
        font-weight: 800;
        color: #ffffff66;
        text-transform: uppercase;
      }
      .card::after {
        content: "";
        position: absolute;
        inset: 0;
        background: linear-gradient(#08050d73, transparent 26%, transparent 42%, #08050de6);
      }
      .top,
      .about {
        position: absolute;
        z-index: 1;
        left: 10px;
        right: 10px;
      }
      .top {
        top: 10px;
        display: flex;
        justify-content: space-between;
        gap: 6px;
      }
      .viewers {
        display: inline-flex;
        align-items: center;
        gap: 4px;
        height: 22px;
        padding: 0 8px;
        border-radius: 7px;
        background: #08050d99;
        font-size: 0.74rem;
        font-weight: 700;
        font-variant-numeric: tabular-nums;
      }
      .viewers .icon {
        width: 15px;
        height: 15px;
      }
      .about {
        bottom: 11px;
        display: grid;
        gap: 7px;
      }
      .about h2 {
        display: -webkit-box;
        overflow: hidden;
        font-size: 0.98rem;
        font-weight: 700;
        line-height: 1.22;
        letter-spacing: -0.01em;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 2;
        text-shadow: 0 1px 8px #000a;
        overflow-wrap: anywhere;
      }
      .host {
        display: flex;
        align-items: center;
        gap: 7px;
        min-width: 0;
        font-size: 0.82rem;
        font-weight: 600;
      }
      .host span:last-child {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .why {
        width: fit-content;
        max-width: 100%;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
        font-size: 0.72rem;
        font-weight: 600;
        color: #ffd9a8;
      }
      .ghost {
        aspect-ratio: 3 / 4.4;
        border-radius: var(--radius);
      }
      .nobody {
        display: grid;
        justify-items: center;
        align-content: center;
        gap: 14px;
        min-height: 66%;
        padding: 24px 32px;
        text-align: center;
      }
      .nobody p {
        max-width: 300px;
        color: var(--muted);
      }
      .nobody .button {
        margin-top: 10px;
      }
      .art {
        position: relative;
        display: grid;
        place-items: center;
        width: 128px;
        height: 128px;
        border-radius: 50%;
        background: radial-gradient(circle, var(--raised), transparent 70%);
        color: var(--accent);
      }
      .art .icon {
        width: 52px;
        height: 52px;
      }
      .art svg[viewBox="0 0 48 48"] {
        width: 68px;
        height: 68px;
        animation: float 3.5s ease-in-out infinite;
      }
      @keyframes float {
        50% {
          transform: translateY(-7px);
        }
      }
      @media (min-width: 900px) {
        header {
          padding-inline: 28px;
        }
        ul {
          grid-template-columns: repeat(auto-fill, minmax(214px, 1fr));
          gap: 18px;
          padding-inline: 28px;
        }
      }
    `,
  ];

  constructor() {
    super();
    new SessionController(this);
    this.pull = 0;
    this.refreshing = false;
  }

  connectedCallback() {
    super.connectedCallback();
    this.timer = setInterval(() => document.hidden || this.#load(), REFRESH_MS);
    document.addEventListener("visibilitychange", this.#shown);
    this.addEventListener("touchstart", this.#touched, { passive: true });
    this.addEventListener("touchmove", this.#dragged, { passive: true });
    this.addEventListener("touchend", this.#released);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.#shown);
  }

  willUpdate(changed) {
    const who = `${this.kind} ${session.me?.id ?? ""}`;
    if (who !== this.who) {
      this.who = who;
      this.streams = this.failed = undefined;
      this.#load();
    }
    if (changed.has("pull")) this.style.setProperty("--pulled", `${this.pull}px`);
  }

  #load = async () => {
    const { who } = this;
    if (!session.signedIn) return; // the feed is for accounts: a visitor comes by a link
    try {
      const { items } = await api.get(`/feed/${this.kind}`);
      if (who !== this.who) return;
      this.streams = items;
      this.failed = undefined;
    } catch (error) {
      // What is shown stays shown while a refresh fails: an old list is better than none.
      if (who === this.who) this.failed = error;
    }
  };

  #refresh = async () => {
    this.refreshing = true;
    await Promise.all([this.#load(), this.renderRoot.querySelector("onair-upcoming")?.load()]);
    this.refreshing = false;
  };

  #shown = () => document.hidden || this.#load();

  #touched = (event) => {
    this.from = this.scrollTop <= 0 ? event.touches[0].clientY : undefined;
  };

  #dragged = (event) => {
    if (this.from === undefined) return;
    this.pull = Math.max(0, Math.min((event.touches[0].clientY - this.from) * 0.5, PULL_MAX_PX));
  };

  #released = async () => {
    const far = this.pull >= PULL_PX;
    this.from = undefined;
    if (far) {
      this.pull = PULL_PX * 0.8;
      await this.#refresh();
    }
    this.pull = 0;
  };

  #why(stream) {
    const { why } = stream;
    if (!why) return "";
    return html`<span class="why">${t(`why.${why}`)}</span>`;
  }

  #card(stream, nth) {
    const { host } = stream;
    const [from, to] = hues(host.handle);
    return html`<li style="--nth:${nth}">
      <a
        class="card"
        href="/watch/${stream.id}"
        style="background:linear-gradient(160deg,${from},${to})"
        aria-label=${t("feed.open", { name: host.display_name, title: stream.title })}
        @click=${follow}
      >
        <span class="initial" aria-hidden="true">${[...host.display_name][0]}</span>
        ${stream.preview_url
          ? html`<img class="preview" src=${this.#preview(stream)} alt="" @error=${(event) => (event.target.hidden = true)}
              @load=${(event) => (event.target.hidden = false)} />`
          : ""}
        <div class="top">
          <span class="live-badge">${t("live")}</span>
          <span class="viewers" aria-label=${t("watch.viewers_label", { n: stream.viewers ?? 0 })}
            >${icon("eye")}${short(stream.viewers)}</span
          >
        </div>
        <div class="about">
          ${this.#why(stream)}
          <h2>${stream.title}</h2>
          <div class="host">${avatar(host, 24)}<span>${host.display_name}</span></div>
        </div>
      </a>
    </li>`;
  }

  /** The address stays the same while the picture changes: a number that moves with refreshes makes it load anew. */
  #preview(stream) {
    const url = new URL(stream.preview_url, location.href);
    url.searchParams.set("at", String(Math.floor(Date.now() / REFRESH_MS)));
    return url.href;
  }

  #body() {
    if (!session.signedIn) {
      return html`<div class="nobody">
        <div class="art">${logo}</div>
        <h2>${t("app.tagline")}</h2>
        <p>${t("sign_in.hint")}</p>
        <button class="button act" @click=${() => needAccount(this, undefined, () => this.#load())}>
          ${t("sign_in.title")}
        </button>
      </div>`;
    }
    if (!this.streams && this.failed) {
      return html`<div class="nobody" role="alert">
        <div class="art">${icon("offline")}</div>
        <h2>${t("feed.error")}</h2>
        <p>${this.failed.message}</p>
        <button class="button act" @click=${this.#refresh} ?disabled=${this.refreshing}>${t("retry")}</button>
      </div>`;
    }
    if (!this.streams) {
      return html`<ul aria-busy="true" aria-label=${t("feed.loading")}>
        ${Array.from({ length: 6 }, (_, nth) => html`<li style="--nth:${nth}"><div class="ghost skeleton"></div></li>`)}
      </ul>`;
    }
    if (this.streams.length === 0) {
      const key = this.kind === "following" ? "feed.following" : "feed";
      return html`<div class="nobody">
        <div class="art">${this.kind === "following" ? icon("following") : logo}</div>
        <h2>${t(`${key}_empty`, {}, t("feed.empty"))}</h2>
        <p>${t(`${key}_hint`, {}, t("feed.empty_hint"))}</p>
        <a class="button act" href="/go-live" @click=${follow}>${icon("plus")}${t("tab.create")}</a>
      </div>`;
    }
    return html`<ul>
      ${this.streams.map((stream, nth) => this.#card(stream, nth))}
    </ul>`;
  }

  render() {
    return html`
      <header>
        <h1>${this.kind === "following" ? t("feed.following") : t("feed.for_you")}</h1>
        <button class="round" aria-label=${t("feed.refresh")} @click=${this.#refresh} ?disabled=${this.refreshing}>
          ${icon("refresh")}
        </button>
      </header>
      <div class="pull" aria-hidden="true">
        ${this.refreshing ? html`<div class="spinner"></div>` : icon("down")}
        ${this.refreshing ? t("feed.refreshing") : this.pull >= PULL_PX ? t("feed.release") : t("feed.pull")}
      </div>
      ${this.#body()} ${this.kind === "for-you" && this.streams ? html`<onair-upcoming></onair-upcoming>` : ""}
    `;
  }
}

customElements.define("onair-feed", OnairFeed);
