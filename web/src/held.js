// <onair-held>: comments that wait for a decision, with why; released into the room or rejected. Read when opened, and
// again when the room tells that another one waits.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { refused } from "./toast.js";

export class OnairHeld extends LitElement {
  static properties = { room: { attribute: false }, found: { state: true }, failed: { state: true }, busy: { state: true } };

  static styles = [
    sheet,
    css`
      ul {
        display: grid;
        gap: 10px;
        max-height: min(60dvh, 560px);
        margin: 0;
        padding: 0;
        overflow-y: auto;
        list-style: none;
      }
      li {
        padding: 12px 14px;
        border-radius: 18px;
        background: var(--raised);
      }
      li b {
        display: flex;
        gap: 8px;
        align-items: center;
        font-size: 0.86rem;
        color: var(--muted);
      }
      li i {
        padding: 1px 8px;
        border-radius: 9px;
        background: var(--surface);
        font-style: normal;
        font-size: 0.78rem;
      }
      li p {
        margin: 6px 0 10px;
        overflow-wrap: anywhere;
      }
      .acts {
        display: flex;
        gap: 8px;
      }
      .acts button {
        flex: 1;
        min-height: var(--touch);
        border: 0;
        border-radius: 22px;
        background: var(--surface);
        font-weight: 650;
      }
      .acts [data-state="released"] {
        background: var(--sun);
        color: var(--on-sun);
      }
      .empty {
        display: grid;
        justify-items: center;
        gap: 8px;
        padding: 22px 0 10px;
        color: var(--muted);
        text-align: center;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.room.addEventListener("held", this.#load);
    this.#load();
  }

  disconnectedCallback() {
    this.room.removeEventListener("held", this.#load);
    super.disconnectedCallback();
  }

  #load = async () => {
    this.failed = undefined;
    try {
      this.found = await api.get(`/streams/${this.room.streamId}/held`);
    } catch (error) {
      this.failed = error;
    }
  };

  async #decide(comment, state) {
    this.busy = comment.event.id;
    try {
      await api.request("PUT", `/streams/${this.room.streamId}/held/${encodeURIComponent(comment.event.id)}`, { body: { state } });
      this.#gone(comment);
    } catch (error) {
      // Someone else decided: then it is gone here too.
      if (error.code === "not_found") this.#gone(comment);
      refused(error);
    } finally {
      this.busy = undefined;
    }
  }

  #gone({ event }) {
    this.found = { ...this.found, items: this.found.items.filter((one) => one.event.id !== event.id) };
    this.room.heldWaiting = this.found.items.length;
    this.room.dispatchEvent(new Event("held-count"));
  }

  #comment(comment) {
    const { event, reasons } = comment;
    return html`<li data-event=${event.id}>
      <b>${event.from?.name ?? event.from?.handle}${reasons.map((reason) => html`<i>${t(`held.reason.${reason}`)}</i>`)}</b>
      <p>${event.text}</p>
      <div class="acts">
        ${["rejected", "released"].map(
          (state) => html`<button data-state=${state} ?disabled=${this.busy === event.id} @click=${() => this.#decide(comment, state)}>
            ${t(`held.${state}`)}
          </button>`,
        )}
      </div>
    </li>`;
  }

  render() {
    if (this.failed) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failed.message}</span></div>
        <button class="button wide" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.found) return html`<p role="status"><span class="spinner"></span></p>`;
    if (this.found.items.length === 0) {
      return html`<div class="empty">${icon("shield")}<p>${t("held.empty")}</p></div>`;
    }
    return html`<ul aria-label=${t("held.title")}>
      ${this.found.items.map((one) => this.#comment(one))}
    </ul>`;
  }
}

customElements.define("onair-held", OnairHeld);
