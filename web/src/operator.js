// <onair-operator>: the operators' page: tabs of sections (operator_sections.js), for who is in the group of operators.
import { LitElement, css, html } from "lit";
import { operatorStyle } from "./operator_style.js";
import { sections } from "./operator_sections.js";
import { icon } from "./icons.js";
import { follow } from "./router.js";
import { SessionController, session } from "./session.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";

export class OnairOperator extends LitElement {
  static properties = { section: { state: true } };

  static styles = [
    sheet,
    operatorStyle,
    css`
      :host {
        display: block;
        overflow-y: auto;
        overscroll-behavior: contain;
      }
      .page {
        max-width: 860px;
        margin: 0 auto;
        padding: calc(14px + var(--safe-top)) 18px 30px;
      }
      header {
        display: flex;
        align-items: center;
        gap: 6px;
        margin: 0 0 10px -10px;
      }
      h1 {
        font-size: 1.35rem;
        font-weight: 800;
      }
      [role="tablist"] {
        display: flex;
        gap: 6px;
        margin-bottom: 18px;
        overflow-x: auto;
      }
      [role="tab"] {
        flex: none;
        min-height: var(--touch);
        padding: 0 18px;
        border: 0;
        border-radius: 99px;
        background: none;
        color: var(--muted);
        font: inherit;
        font-weight: 650;
      }
      [role="tab"][aria-selected="true"] {
        background: var(--surface);
        color: var(--text);
      }
    `,
  ];

  constructor() {
    super();
    new SessionController(this);
    this.section = "accounts";
  }

  #element() {
    // Kept for as long as its tab is open: what was typed there stays.
    const tag = sections.get(this.section);
    if (this.shown?.localName !== tag) this.shown = document.createElement(tag);
    return this.shown;
  }

  /** Arrow keys go from tab to tab, as tab lists do. */
  #move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const keys = [...sections.keys()];
    this.section = keys[(keys.indexOf(this.section) + step + keys.length) % keys.length];
    this.updateComplete.then(() => this.renderRoot.querySelector('[aria-selected="true"]').focus());
  };

  render() {
    if (!session.operator) {
      return html`<div class="page"><p class="empty" role="alert">${t("operator.only")}</p>
        <a class="button wide" href="/" @click=${follow}>${t("tab.feed")}</a></div>`;
    }
    return html`<div class="page">
      <header>
        <a class="round" href="/me" aria-label=${t("back")} @click=${follow}>${icon("back")}</a>
        <h1>${t("operator.title")}</h1>
      </header>
      <div role="tablist" aria-label=${t("operator.title")} @keydown=${this.#move}>
        ${[...sections.keys()].map(
          (key) => html`<button
            role="tab"
            aria-selected=${this.section === key}
            tabindex=${this.section === key ? 0 : -1}
            data-section=${key}
            @click=${() => (this.section = key)}
          >
            ${t(`operator.${key}`)}
          </button>`,
        )}
      </div>
      <div role="tabpanel" aria-label=${t(`operator.${this.section}`)}>${this.#element()}</div>
    </div>`;
  }
}

customElements.define("onair-operator", OnairOperator);
