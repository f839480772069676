// <onair-stage-refused>: tells a host why viewers see them alone, though guests or a rival are to be on screen.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";

/** How often it is looked, while somebody is to be on screen. */
const EVERY_MS = 5_000;

/** @fires change - what it says changed (`refused`) */
export class OnairStageRefused extends LitElement {
  static properties = {
    stream: {},
    /** Whether guests or a rival are to be on screen; else there is nothing to ask. */
    wanted: { type: Boolean },
    refused: { state: true },
  };

  static styles = [
    sheet,
    css`
      p {
        display: flex;
        align-items: center;
        gap: 8px;
        box-sizing: border-box;
        width: fit-content;
        max-width: 100%;
        min-height: var(--touch);
        margin: 0;
        padding: 6px 14px 6px 10px;
        border-radius: 18px;
        background: #120b1fcc;
        color: #fff;
        font-size: 0.84rem;
        font-weight: 650;
        line-height: 1.25;
      }
      .icon {
        flex: none;
        width: 20px;
        height: 20px;
        color: #ffc46b;
      }
    `,
  ];

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#stop();
  }

  updated(changed) {
    if (changed.has("refused")) this.dispatchEvent(new Event("change"));
    if (!changed.has("wanted") && !changed.has("stream")) return;
    this.#stop();
    if (!this.wanted || !this.stream) return;
    this.timer = setInterval(this.#look, EVERY_MS);
    this.#look();
  }

  #stop() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.refused = undefined;
  }

  #look = async () => {
    const { timer } = this;
    const shown = await api.get(`/streams/${this.stream}`).catch(() => undefined); // what was known stays
    if (shown && timer && timer === this.timer) this.refused = shown.stage_refused;
  };

  render() {
    // A reason of a newer server than this page has no words yet.
    const words = this.refused ? t(`seats.refused.${this.refused}`, {}, "") : "";
    return html`<div role="status">${words ? html`<p data-refused=${this.refused}>${icon("alert")}<span>${words}</span></p>` : ""}</div>`;
  }
}

customElements.define("onair-stage-refused", OnairStageRefused);
