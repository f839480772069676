// <onair-app>: reads config.json, resumes the session, shows the screen of the address, the tab bar, and sign-in over
// whatever asked for it.
import { LitElement, css, html, nothing } from "lit";
import { api } from "./api.js";
import { icon, logo } from "./icons.js";
import { follow, router } from "./router.js";
import { SessionController, session } from "./session.js";
import { avatar, sheet } from "./style.js";
import { t } from "./strings.js";
import { refused } from "./toast.js";
import { watchKeyboard } from "./viewport.js";
import "./feed.js";
import "./live.js";
import "./me.js";
import "./notices.js";
import "./operator.js";
import "./payouts.js";
import "./profile.js";
import "./replay.js";
import "./settings.js";
import "./sheet.js";
import "./sign_in.js";
import "./standing.js";
import "./watch.js";

/** Screens that take the whole glass: no tab bar on them. */
const FULL = new Set(["watch", "replay", "live"]);

export class OnairApp extends LitElement {
  static properties = {
    ready: { state: true },
    failed: { state: true },
    route: { state: true },
    wanted: { state: true },
    creating: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        position: fixed;
        inset: 0;
        display: grid;
        grid-template: minmax(0, 1fr) auto / minmax(0, 1fr);
        background: var(--ground);
        color: var(--text);
      }
      main {
        position: relative;
        min-height: 0;
        overflow: hidden;
      }
      main > * {
        position: absolute;
        inset: 0;
      }
      nav {
        position: relative;
        z-index: 2;
        display: grid;
        grid-template-columns: repeat(4, 1fr);
        align-items: center;
        padding: 0 var(--safe-right) var(--safe-bottom) var(--safe-left);
        border-top: 1px solid var(--line);
        background: var(--ground);
      }
      nav .brand {
        display: none;
      }
      nav a {
        display: grid;
        justify-items: center;
        align-content: center;
        gap: 3px;
        min-height: 60px;
        color: var(--muted);
        font-size: 0.72rem;
        font-weight: 600;
        text-decoration: none;
      }
      nav a[aria-current] {
        color: var(--text);
      }
      nav a[aria-current] .icon {
        stroke-width: 2.4;
      }
      nav a.create .plus {
        display: grid;
        place-items: center;
        width: 48px;
        height: 30px;
        border-radius: 11px;
        background: var(--sun);
        color: var(--on-sun);
      }
      nav a.create .plus .icon {
        stroke-width: 2.6;
      }
      .cover {
        position: fixed;
        inset: 0;
        display: grid;
        place-content: center;
        justify-items: center;
        gap: 18px;
        padding: 32px;
        text-align: center;
      }
      .cover svg[viewBox="0 0 48 48"] {
        width: 74px;
        height: 74px;
      }
      .cover p {
        max-width: 300px;
        color: var(--muted);
      }
      @media (min-width: 900px) {
        :host {
          grid-template: minmax(0, 1fr) / 232px minmax(0, 1fr);
        }
        :host([full]) {
          grid-template-columns: minmax(0, 1fr);
        }
        nav {
          grid-area: 1 / 1;
          grid-template: auto / 1fr;
          align-content: start;
          gap: 4px;
          padding: 22px 14px;
          border: 0;
          border-right: 1px solid var(--line);
        }
        nav .brand {
          display: flex;
          align-items: center;
          gap: 10px;
          padding: 0 10px 22px;
          font-size: 1.5rem;
          font-weight: 800;
          letter-spacing: -0.04em;
        }
        nav a {
          grid-template-columns: 40px 1fr;
          justify-items: start;
          align-items: center;
          min-height: 52px;
          padding: 0 12px;
          border-radius: 16px;
          font-size: 1rem;
        }
        nav a:hover,
        nav a[aria-current] {
          background: var(--surface);
        }
        nav a.create {
          order: 9;
          grid-template-columns: auto auto;
          justify-content: center;
          gap: 6px;
          margin-top: 14px;
          background: var(--sun);
          color: var(--on-sun);
          font-weight: 700;
        }
        nav a.create .plus {
          width: auto;
          background: none;
        }
        main {
          grid-area: 1 / 2;
        }
        :host([full]) main {
          grid-area: 1 / 1;
        }
      }
    `,
  ];

  constructor() {
    super();
    new SessionController(this);
    this.ready = false;
    this.route = router.current;
  }

  connectedCallback() {
    super.connectedCallback();
    watchKeyboard();
    router.addEventListener("change", () => {
      this.route = router.current;
      this.wanted = undefined;
    });
    // Any component may ask for an account: `detail` names the act and goes on with it after signing in.
    this.addEventListener("need-account", (event) => {
      this.creating = false;
      this.wanted = event.detail;
    });
    this.#start();
  }

  async #start() {
    this.failed = undefined;
    try {
      await api.start();
      await session.resume();
      this.ready = true;
    } catch (error) {
      this.failed = error;
    }
  }

  #signedIn = () => {
    const then = this.wanted?.then;
    this.wanted = undefined;
    Promise.resolve(then?.()).catch(refused);
  };

  #screen() {
    const { screen, id } = this.route;
    switch (screen) {
      case "feed":
      case "following":
        return html`<onair-feed .kind=${screen === "feed" ? "for-you" : "following"}></onair-feed>`;
      case "watch":
        return html`<onair-watch .streamId=${id}></onair-watch>`;
      case "replay":
        return html`<onair-replay .streamId=${id}></onair-replay>`;
      case "live":
        return html`<onair-live></onair-live>`;
      case "earnings":
        return html`<onair-payouts></onair-payouts>`;
      case "settings":
        return html`<onair-settings></onair-settings>`;
      case "notices":
        return html`<onair-notices></onair-notices>`;
      case "standing":
        return html`<onair-standing></onair-standing>`;
      case "operator":
        return html`<onair-operator></onair-operator>`;
      case "profile":
        return html`<onair-profile .handle=${id}></onair-profile>`;
      case "me":
        return html`<onair-me></onair-me>`;
      default:
        return html`<div class="cover">
          ${logo}
          <h1>${t("not_found.title")}</h1>
          <p>${t("not_found.hint")}</p>
          <a class="button act" href="/" @click=${follow}>${t("tab.feed")}</a>
        </div>`;
    }
  }

  #tab(screen, href, name, symbol) {
    return html`<a href=${href} @click=${follow} aria-current=${this.route.screen === screen ? "page" : nothing}
      >${symbol ?? icon(name)}<span>${t(`tab.${name}`)}</span></a
    >`;
  }

  willUpdate() {
    this.toggleAttribute("full", !this.ready || FULL.has(this.route.screen));
  }

  render() {
    if (this.failed) {
      return html`<div class="cover" role="alert">
        ${logo}
        <p>${this.failed.code === "network" ? t("app.start_failed") : this.failed.message}</p>
        <button class="button act" @click=${this.#start}>${t("retry")}</button>
      </div>`;
    }
    if (!this.ready) {
      return html`<div class="cover" role="status">${logo}<span class="unseen">${t("app.starting")}</span></div>`;
    }
    const bare = FULL.has(this.route.screen);
    return html`
      <main>${this.#screen()}</main>
      ${bare
        ? ""
        : html`<nav aria-label=${t("tab.navigation")}>
            <span class="brand">${logo}${t("app.name")}</span>
            ${this.#tab("feed", "/", "feed", icon("home"))}
            ${this.#tab("following", "/following", "following")}
            <a class="create" href="/go-live" @click=${follow}
              ><span class="plus">${icon("plus")}</span><span>${t("tab.create")}</span></a
            >
            ${this.#tab("me", "/me", "me", session.me ? avatar(session.me, 24) : undefined)}
          </nav>`}
      <onair-sheet
        .open=${this.wanted !== undefined}
        .heading=${this.creating ? t("sign_up.title") : this.wanted?.act ? t("sign_in.to_act", { act: t(`act.${this.wanted.act}`) }) : t("sign_in.title")}
        @close=${(event) => event.target === event.currentTarget && this.wanted && (this.wanted = undefined)}
      >
        ${this.wanted ? html`<onair-sign-in
              @signed-in=${this.#signedIn}
              @creating=${({ detail }) => (this.creating = detail)}
            ></onair-sign-in>` : ""}
      </onair-sheet>
    `;
  }
}

customElements.define("onair-app", OnairApp);
