// <onair-gift-tray>: the catalogue with the balance; one tap picks a gift, a second sends it, more taps make a combo.
// Tabs part the catalogue by tier; getting coins is a second page of the same sheet.
import { LitElement, css, html } from "lit";
import { readGifts } from "./catalogue.js";
import { icon } from "./icons.js";
import { SessionController, session } from "./session.js";
import { sheet } from "./style.js";
import { exact, t } from "./strings.js";
import { refused } from "./toast.js";
import "./coins.js";

/** Taps closer together than this are one run. */
const COMBO_MS = 3_000;
const TIERS = ["small", "medium", "large", "epic"];

/** @fires sent - detail {gift, ack, combo, times} after the room acknowledged */
export class OnairGiftTray extends LitElement {
  static properties = {
    room: { attribute: false },
    gifts: { state: true },
    failed: { state: true },
    picked: { state: true },
    tier: { state: true },
    combo: { state: true },
    buying: { state: true },
  };

  static styles = [
    sheet,
    css`
      .bar {
        display: flex;
        align-items: center;
        justify-content: space-between;
        margin-bottom: 12px;
      }
      .balance {
        display: inline-flex;
        align-items: center;
        gap: 6px;
        font-weight: 700;
        font-variant-numeric: tabular-nums;
      }
      .get {
        gap: 6px;
        color: var(--accent);
      }
      .grid {
        display: grid;
        grid-template-columns: repeat(4, 1fr);
        gap: 6px;
        max-height: min(46dvh, 400px);
        margin: 0 -8px;
        padding: 3px 3px 10px;
        overflow-y: auto;
        overscroll-behavior: contain;
        scrollbar-width: none;
      }
      .gift {
        position: relative;
        display: grid;
        justify-items: center;
        align-content: start;
        gap: 3px;
        min-width: 0;
        height: 106px;
        padding: 9px 2px 0;
        border: 0;
        border-radius: 18px;
        background: none;
        overflow: hidden;
        transition: background 0.2s;
      }
      .gift .emoji {
        font-size: 38px;
        height: 44px;
        line-height: 44px;
        transition: transform 0.3s var(--spring);
      }
      .gift b {
        max-width: 100%;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
        font-size: 0.78rem;
        font-weight: 600;
      }
      .price {
        display: inline-flex;
        align-items: center;
        gap: 3px;
        color: var(--muted);
        font-size: 0.78rem;
        font-weight: 600;
        font-variant-numeric: tabular-nums;
      }
      .price .icon {
        width: 13px;
        height: 13px;
      }
      .gift[aria-pressed="true"] {
        background: var(--raised);
        box-shadow: 0 0 0 2px var(--sun-2);
      }
      .gift[aria-pressed="true"] .emoji {
        transform: scale(1.12) translateY(-2px);
      }
      .gift .go {
        position: absolute;
        inset: auto 0 0;
        padding: 7px 0 8px;
        background: var(--sun);
        color: var(--on-sun);
        font-size: 0.84rem;
        font-weight: 750;
        animation: up 0.2s var(--ease);
      }
      @keyframes up {
        from {
          transform: translateY(100%);
        }
      }
      .combo {
        position: absolute;
        right: 6px;
        top: 4px;
        color: var(--accent);
        font-size: 1rem;
        font-weight: 850;
        font-style: italic;
        animation: thump 0.25s var(--spring);
      }
      @keyframes thump {
        from {
          transform: scale(1.8);
        }
      }
      .loading {
        height: 106px;
        border-radius: 18px;
      }
      .tabs {
        display: flex;
        gap: 6px;
        margin-bottom: 10px;
      }
      .tabs button {
        flex: 1;
        min-width: 0;
        min-height: var(--touch);
        padding: 0 4px;
        border: 0;
        border-radius: 22px;
        background: none;
        color: var(--muted);
        font-size: 0.9rem;
        font-weight: 650;
      }
      .tabs [aria-selected="true"] {
        background: var(--raised);
        color: var(--text);
      }
      .again {
        display: flex;
        align-items: center;
        justify-content: center;
        gap: 10px;
        position: relative;
        width: 100%;
        min-height: 56px;
        margin-top: 8px;
        border: 0;
        border-radius: 28px;
        background: var(--raised);
        overflow: hidden;
        font-weight: 750;
      }
      .again > * {
        position: relative;
      }
      .again i {
        position: absolute;
        inset: 0;
        background: var(--sun);
        opacity: 0.45;
        transform-origin: left;
        animation: drain 3s linear forwards;
      }
      @keyframes drain {
        to {
          transform: scaleX(0);
        }
      }
      .again b {
        color: var(--accent);
        font-size: 1.5rem;
        font-style: italic;
        font-weight: 850;
        font-variant-numeric: tabular-nums;
      }
      .again .emoji {
        font-size: 28px;
      }
      @media (prefers-reduced-motion: reduce) {
        .again i {
          animation: none;
          opacity: 0.2;
        }
        .combo,
        .gift .go {
          animation: none;
        }
      }
    `,
  ];

  constructor() {
    super();
    new SessionController(this);
    this.tier = TIERS[0];
  }

  connectedCallback() {
    super.connectedCallback();
    this.#load();
  }

  #load = async () => {
    this.failed = undefined;
    try {
      [this.gifts] = await Promise.all([readGifts(), session.refreshWallet()]);
    } catch (error) {
      this.failed = error;
    }
  };

  #tap(gift) {
    if (this.picked !== gift.id) {
      this.picked = gift.id;
      this.combo = undefined;
      return;
    }
    this.#send(gift);
  }

  async #send(gift) {
    if ((session.wallet?.coins ?? 0) < gift.coins) return this.#getCoins();
    const now = performance.now();
    const running = this.combo && this.combo.gift === gift.id && now - this.combo.at < COMBO_MS;
    this.combo = running
      ? { ...this.combo, times: this.combo.times + 1, at: now }
      : { id: crypto.randomUUID(), gift: gift.id, times: 1, at: now };
    const { id: combo, times } = this.combo;
    clearTimeout(this.comboEnd);
    this.comboEnd = setTimeout(() => (this.combo = undefined), COMBO_MS);
    // The balance falls at once so that quick taps cannot overspend what is shown; the answer corrects it.
    session.setWallet({ coins: session.wallet.coins - gift.coins });
    try {
      const ack = await this.room.gift(gift.id, 1, combo);
      if (ack.coins !== undefined && times === this.combo?.times) session.setWallet({ coins: ack.coins });
      this.room.dispatchEvent(new Event("gift-sent"));
      this.dispatchEvent(new CustomEvent("sent", { detail: { gift, ack, combo, times } }));
    } catch (error) {
      this.combo = undefined;
      await session.refreshWallet().catch(() => undefined);
      if (error.code === "insufficient_coins") this.#getCoins();
      else refused(error);
    }
    return undefined;
  }

  #getCoins = () => {
    this.buying = true;
  };

  /** Arrows move between tabs, as tabs do. */
  #tabKey = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tiers = this.#tiers;
    this.tier = tiers[(tiers.indexOf(this.tier) + step + tiers.length) % tiers.length];
    this.updateComplete.then(() => this.renderRoot.querySelector("[aria-selected=true]").focus());
  };

  get #tiers() {
    return TIERS.filter((tier) => this.gifts?.some((gift) => gift.tier === tier));
  }

  #tabs() {
    return html`<div class="tabs" role="tablist" aria-label=${t("gifts.title")} @keydown=${this.#tabKey}>
      ${this.#tiers.map(
        (tier) => html`<button role="tab" data-tier=${tier} tabindex=${tier === this.tier ? 0 : -1}
          aria-selected=${tier === this.tier ? "true" : "false"} @click=${() => (this.tier = tier)}>${t(`gifts.tier.${tier}`)}</button>`,
      )}
    </div>`;
  }

  /** While a run goes on: one large target for more of the same, which drains with the time that is left. */
  #again() {
    const gift = this.combo && this.gifts?.find(({ id }) => id === this.combo.gift);
    if (!gift) return "";
    const { times } = this.combo;
    return html`<button class="again" aria-label=${t("gifts.again", { gift: gift.name, n: times })} @click=${() => this.#send(gift)}>
      ${[times].map(() => html`<i></i>`)}<span class="emoji" aria-hidden="true">${gift.emoji}</span><span>${t("gifts.send")}</span><b>×${times}</b>
    </button>`;
  }

  #balance() {
    const coins = session.wallet?.coins;
    return html`<span class="balance" aria-label=${t("gifts.balance", { n: coins ?? 0 })}
      >${icon("coin")}${coins === undefined ? "…" : exact(coins)}</span
    >`;
  }

  #gift(gift) {
    const picked = this.picked === gift.id;
    const combo = this.combo?.gift === gift.id ? this.combo.times : 0;
    return html`<button
      class="gift"
      data-gift=${gift.id}
      aria-pressed=${picked ? "true" : "false"}
      aria-label="${gift.name}, ${t("gifts.price", { n: gift.coins })}${picked ? `, ${t("gifts.send")}` : ""}"
      @click=${() => this.#tap(gift)}
    >
      <span class="emoji" aria-hidden="true">${gift.emoji}</span>
      <b>${gift.name}</b>
      <span class="price">${icon("coin")}${exact(gift.coins)}</span>
      ${picked ? html`<span class="go">${t("gifts.send")}</span>` : ""}
      ${combo > 1 ? [combo].map((n) => html`<span class="combo" aria-label=${t("gifts.combo", { n })}>×${n}</span>`) : ""}
    </button>`;
  }

  render() {
    if (this.failed) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failed.message}</span></div>
        <button class="button act wide" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (this.buying) {
      return html`<div class="bar">
          <button class="button small" @click=${() => (this.buying = false)}>${icon("back")}${t("gifts.title")}</button>
          ${this.#balance()}
        </div>
        <onair-coins @bought=${() => (this.buying = false)}></onair-coins>`;
    }
    return html`<div class="bar">
        ${this.#balance()}
        <button class="button plain small get" @click=${this.#getCoins}>${t("gifts.get_coins")}${icon("chevron")}</button>
      </div>
      ${this.gifts ? this.#tabs() : ""}
      <div class="grid" role="tabpanel" aria-label=${t(`gifts.tier.${this.tier}`)}>
        ${this.gifts
          ? this.gifts.filter(({ tier }) => tier === this.tier).map((gift) => this.#gift(gift))
          : Array.from({ length: 8 }, () => html`<div class="loading skeleton"></div>`)}
      </div>
      ${this.#again()}`;
  }
}

customElements.define("onair-gift-tray", OnairGiftTray);
