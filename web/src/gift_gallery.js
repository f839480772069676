// <onair-gift-gallery>: all gifts that a person ever received, dearest first; part of their card.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { giftsById } from "./catalogue.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { exact, short, t } from "./strings.js";

/** Two rows of four: what more there is comes on request, so that the card's buttons stay within reach. */
const FEW = 8;
const HIDDEN = ["blocked", "forbidden", "not_found", "unauthenticated"];

export class OnairGiftGallery extends LitElement {
  static properties = {
    handle: {},
    received: { state: true },
    gifts: { state: true },
    failed: { state: true },
    whole: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        display: block;
        width: 100%;
        margin-top: 16px;
        padding-top: 14px;
        border-top: 1px solid var(--line);
        text-align: start;
      }
      :host([hidden]) {
        display: none;
      }
      h3 {
        display: flex;
        justify-content: space-between;
        gap: 12px;
        margin-bottom: 8px;
        font-size: 1rem;
      }
      h3 small,
      p {
        color: var(--muted);
        font-size: 0.86rem;
        font-weight: 500;
      }
      ul {
        display: grid;
        grid-template-columns: repeat(4, 1fr);
        gap: 6px;
        max-height: min(44dvh, 380px);
        margin: 0 -6px;
        padding: 0 6px;
        list-style: none;
        overflow-y: auto;
        overscroll-behavior: contain;
      }
      li {
        display: grid;
        justify-items: center;
        align-content: center;
        gap: 2px;
        height: 92px;
        border-radius: 18px;
        background: var(--raised);
      }
      li .emoji {
        height: 40px;
        font-size: 34px;
        line-height: 40px;
      }
      li b {
        font-size: 0.86rem;
        font-variant-numeric: tabular-nums;
      }
      li.skeleton {
        background-color: var(--raised);
      }
      button {
        margin-top: 10px;
      }
      .again {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 12px;
      }
      .again button {
        margin: 0;
      }
    `,
  ];

  willUpdate(changed) {
    if (changed.has("handle") && this.handle) this.#load();
  }

  #load = async () => {
    const { handle } = this;
    this.received = this.failed = this.whole = undefined;
    try {
      const [{ items }, gifts] = await Promise.all([api.get(`/accounts/${handle}/gifts`), giftsById()]);
      if (handle === this.handle) [this.received, this.gifts] = [items, gifts];
    } catch (error) {
      // What a private account or one that blocks does not show, its card does not speak of.
      if (handle === this.handle) this.failed = HIDDEN.includes(error.code) ? "hidden" : error;
    }
  };

  #showAll = async () => {
    this.whole = true;
    await this.updateComplete;
    // The button is gone: whoever used a keyboard goes on in the list, which scrolls.
    this.renderRoot.querySelector("ul").focus();
  };

  #gift({ gift_id, count }) {
    const gift = this.gifts.get(gift_id);
    const words = t("gallery.gift", { gift: gift?.name ?? gift_id, count });
    return html`<li data-gift=${gift_id} title=${words} aria-label=${words}>
      <span class="emoji" aria-hidden="true">${gift?.emoji ?? "🎁"}</span>
      <b aria-hidden="true">×${short(count)}</b>
    </li>`;
  }

  #list() {
    if (this.failed) {
      return html`<div class="again" role="alert">
        <p>${t("gallery.failed")}</p>
        <button class="button small" @click=${this.#load}>${icon("refresh")}${t("retry")}</button>
      </div>`;
    }
    if (!this.received) {
      return html`<ul aria-busy="true" aria-label=${t("gallery.title")}>
        ${Array.from({ length: 4 }, () => html`<li class="skeleton" aria-hidden="true"></li>`)}
      </ul>`;
    }
    if (this.received.length === 0) return html`<p class="empty">${t("gallery.empty")}</p>`;
    const shown = this.whole ? this.received : this.received.slice(0, FEW);
    return html`<ul tabindex=${this.whole ? 0 : -1} aria-label=${t("gallery.title")}>
        ${shown.map((each) => this.#gift(each))}
      </ul>
      ${shown.length < this.received.length
        ? html`<button class="button plain small" @click=${this.#showAll}>${t("gallery.all", { kinds: this.received.length })}</button>`
        : ""}`;
  }

  render() {
    this.hidden = this.failed === "hidden";
    const total = this.received?.reduce((sum, { count }) => sum + count, 0);
    return html`<h3>${t("gallery.title")}${total ? html`<small>${t("gallery.total", { count: exact(total) })}</small>` : ""}</h3>
      ${this.#list()}`;
  }
}

customElements.define("onair-gift-gallery", OnairGiftGallery);
