// <onair-sheet>: a panel from the bottom (a dialog in the middle on wide screens). The <dialog> keeps the focus in and
// gives it back, Esc and a tap beside it close it.
import { LitElement, css, html } from "lit";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";

/** @fires close - after it was closed, by the person or by `open = false` */
export class OnairSheet extends LitElement {
  static properties = {
    open: { type: Boolean, reflect: true },
    heading: {},
    /** Clear backdrop, for sheets over video. */
    clear: { type: Boolean, reflect: true },
  };

  static styles = [
    sheet,
    css`
      dialog {
        position: fixed;
        inset: auto 0 0;
        width: 100%;
        max-width: 100%;
        max-height: calc(92dvh - var(--keyboard));
        margin: 0;
        padding: 8px max(18px, var(--safe-right)) calc(18px + var(--safe-bottom)) max(18px, var(--safe-left));
        border: 0;
        border-radius: 26px 26px 0 0;
        background: var(--ground);
        color: var(--text);
        overflow-y: auto;
        overscroll-behavior: contain;
        transform: translateY(calc(-1 * var(--keyboard)));
        box-shadow: 0 -10px 60px #0008;
      }
      dialog[open] {
        animation: rise 0.32s var(--ease);
      }
      dialog::backdrop {
        background: var(--shade);
        animation: fade 0.25s;
      }
      :host([clear]) dialog::backdrop {
        background: #08050d40;
      }
      @keyframes rise {
        from {
          transform: translateY(60%);
          opacity: 0;
        }
      }
      @keyframes fade {
        from {
          opacity: 0;
        }
      }
      .grip {
        width: 40px;
        height: 4px;
        margin: 0 auto 4px;
        border-radius: 2px;
        background: var(--line);
      }
      header {
        display: flex;
        align-items: center;
        justify-content: space-between;
        min-height: 48px;
      }
      h2 {
        font-size: 1.2rem;
      }
      header .round {
        margin-right: -10px;
        color: var(--muted);
      }
      @media (min-width: 720px) {
        dialog {
          inset: 0;
          width: 440px;
          height: fit-content;
          margin: auto;
          padding: 14px 24px 24px;
          border-radius: 26px;
        }
        .grip {
          display: none;
        }
      }
    `,
  ];

  get dialog() {
    return this.renderRoot.querySelector("dialog");
  }

  updated(changed) {
    if (!changed.has("open")) return;
    if (this.open && !this.dialog.open) this.dialog.showModal();
    else if (!this.open && this.dialog.open) this.dialog.close();
  }

  #closed() {
    // The event comes a moment after the dialog closed: it may have been opened again meanwhile.
    if (this.dialog.open) return;
    this.open = false;
    this.dispatchEvent(new Event("close"));
  }

  /** A press that begins and ends on the backdrop closes; one that drags out of a field does not. */
  #pressed = (event) => {
    this.outside = event.target === this.dialog && !within(this.dialog.getBoundingClientRect(), event);
  };

  #released = (event) => {
    if (this.outside && !within(this.dialog.getBoundingClientRect(), event)) this.dialog.close();
  };

  render() {
    return html`<dialog
      aria-label=${this.heading ?? ""}
      @close=${this.#closed}
      @pointerdown=${this.#pressed}
      @pointerup=${this.#released}
    >
      <div class="grip" aria-hidden="true"></div>
      <header>
        <slot name="heading"><h2>${this.heading}</h2></slot>
        <button class="round" aria-label=${t("close")} @click=${() => this.dialog.close()}>${icon("close")}</button>
      </header>
      <slot></slot>
    </dialog>`;
  }
}

const within = (box, { clientX: x, clientY: y }) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;

customElements.define("onair-sheet", OnairSheet);
