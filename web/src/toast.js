// <onair-toast>: one short sentence at a time, for what needs no decision; `toast(text)` shows it.
import { LitElement, css, html } from "lit";
import { sheet } from "./style.js";

const SHOWN_MS = 3_200;
const LONGEST_MS = 7_000;

class OnairToast extends LitElement {
  static properties = { text: { state: true }, bad: { state: true } };

  static styles = [
    sheet,
    css`
      :host {
        position: fixed;
        inset: calc(var(--safe-top) + 64px) 16px auto;
        margin: 0;
        padding: 0;
        width: auto;
        height: auto;
        border: 0;
        background: none;
        overflow: visible;
        pointer-events: none;
        justify-items: center;
      }
      :host(:popover-open) {
        display: grid;
      }
      p {
        max-width: 420px;
        padding: 12px 18px;
        border-radius: 22px;
        background: #f7f3fb;
        color: #1c1322;
        font-size: 0.94rem;
        font-weight: 600;
        box-shadow: 0 8px 30px #0007;
        animation: drop 0.3s var(--spring);
      }
      p.bad {
        background: #ffd9df;
        color: #5c0a20;
      }
      @keyframes drop {
        from {
          transform: translateY(-24px) scale(0.92);
          opacity: 0;
        }
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    // A popover stands in the top layer, above open dialogs too.
    this.setAttribute("popover", "manual");
  }

  show(text, bad) {
    if (!text) return;
    this.text = text;
    this.bad = bad;
    if (this.matches(":popover-open")) this.hidePopover?.();
    this.showPopover?.();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.text = undefined;
      this.hidePopover?.();
    }, Math.min(SHOWN_MS + text.length * 25, LONGEST_MS));
  }

  render() {
    return html`<div role="status" aria-live="polite">
      ${this.text ? html`<p class=${this.bad ? "bad" : ""}>${this.text}</p>` : ""}
    </div>`;
  }
}

customElements.define("onair-toast", OnairToast);

/** Says something; `refused` for what did not work. */
export const toast = (text) => document.querySelector("onair-toast")?.show(text, false);
export const refused = (error) => document.querySelector("onair-toast")?.show(error.message, true);
