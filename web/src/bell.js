// <onair-bell>: the way to one's notices, with how many are new. It looks again when the page is looked at.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { follow } from "./router.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";

/** More than fit a page are "20+". */
const LOOK = 20;

export class OnairBell extends LitElement {
  static properties = { count: { state: true } };

  static styles = [
    sheet,
    css`
      :host {
        display: block;
        margin-bottom: 10px;
      }
      a {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 52px;
        padding: 0 18px;
        border-radius: 22px;
        background: var(--surface);
        color: inherit;
        font-weight: 600;
        text-decoration: none;
      }
      span {
        flex: 1;
      }
      b {
        min-width: 26px;
        padding: 2px 8px;
        border-radius: 13px;
        background: var(--sun);
        color: var(--on-sun);
        font-size: 0.86rem;
        text-align: center;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    document.addEventListener("visibilitychange", this.#look);
    this.#look();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("visibilitychange", this.#look);
  }

  #look = async () => {
    if (document.hidden) return;
    try {
      const { items } = await api.get(`/me/notifications?limit=${LOOK}`);
      this.count = items.filter((one) => !one.read).length;
    } catch {
      // The inbox itself says what is wrong; a bell without a number is still the way there.
      this.count = undefined;
    }
  };

  render() {
    const shown = this.count === LOOK ? `${LOOK}+` : this.count;
    return html`<a href="/notifications" @click=${follow} aria-label=${this.count ? t("notices.count", { n: shown }) : t("notices.title")}>
      ${icon("bell")}<span>${t("notices.title")}</span>${this.count ? html`<b>${shown}</b>` : ""}${icon("chevron")}
    </a>`;
  }
}

customElements.define("onair-bell", OnairBell);
