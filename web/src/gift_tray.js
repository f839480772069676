// <onair-gift-tray>: the catalogue with the balance; one tap picks a gift, a second sends it, more taps make a combo.
// Getting coins is a second page of the same sheet.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { readGifts, readPacks } from "./catalogue.js";
import { icon } from "./icons.js";
import { SessionController, session } from "./session.js";
import { sheet } from "./style.js";
import { dollars, exact, t } from "./strings.js";
import { refused, toast } from "./toast.js";

/** Taps closer together than this are one run. */
const COMBO_MS = 3_000;

/** @fires sent - detail {gift, ack, combo, times} after the room acknowledged */
export class OnairGiftTray extends LitElement {
  static properties = {
    room: { attribute: false },
    gifts: { state: true },
    failed: { state: true },
    picked: { state: true },
    combo: { state: true },
    page: { state: true },
    packs: { state: true },
    buying: { state: true },
    refusal: { state: true },
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
      .packs {
        display: grid;
        grid-template-columns: repeat(2, 1fr);
        gap: 10px;
      }
      .pack {
        display: grid;
        justify-items: center;
        gap: 7px;
        padding: 16px 8px 12px;
        border: 1.5px solid var(--line);
        border-radius: 18px;
        background: none;
        transition: border-color 0.2s;
      }
      .pack:hover {
        border-color: var(--sun-2);
      }
      .pack b {
        display: inline-flex;
        align-items: center;
        gap: 6px;
        font-size: 1.1rem;
        font-variant-numeric: tabular-nums;
      }
      .pack small {
        display: grid;
        place-items: center;
        min-width: 84px;
        height: 30px;
        border-radius: 15px;
        background: var(--raised);
        font-size: 0.86rem;
        font-weight: 650;
      }
      .pack .spinner {
        width: 18px;
        height: 18px;
      }
      .note {
        margin-bottom: 14px;
        color: var(--muted);
        font-size: 0.88rem;
      }
      .refusal {
        margin-bottom: 12px;
      }
    `,
  ];

  constructor() {
    super();
    new SessionController(this);
    this.page = "gifts";
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
      this.dispatchEvent(new CustomEvent("sent", { detail: { gift, ack, combo, times } }));
    } catch (error) {
      this.combo = undefined;
      await session.refreshWallet().catch(() => undefined);
      if (error.code === "insufficient_coins") this.#getCoins();
      else refused(error);
    }
    return undefined;
  }

  #getCoins = async () => {
    this.page = "coins";
    this.refusal = undefined;
    try {
      this.packs = await readPacks();
    } catch (error) {
      this.refusal = error;
    }
  };

  async #buy(pack) {
    if (this.buying) return;
    this.buying = pack.id;
    this.refusal = undefined;
    // The proof makes the purchase safe to send again: it stays the same until this one is through.
    this.proof ??= crypto.randomUUID();
    try {
      const answer = await api.post("/purchases", { provider: "sandbox", pack: pack.id, proof: this.proof }, { idempotencyKey: this.proof });
      this.proof = undefined;
      session.setWallet(answer.wallet ?? answer);
      toast(t("coins.bought", { n: pack.coins }));
      this.page = "gifts";
    } catch (error) {
      if (error.status !== 0 && error.status < 500) this.proof = undefined;
      this.refusal = error;
    } finally {
      this.buying = undefined;
    }
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

  #refusal() {
    return this.refusal
      ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>`
      : "";
  }

  render() {
    if (this.failed) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failed.message}</span></div>
        <button class="button act wide" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (this.page === "coins") {
      return html`<div class="bar">
          <button class="button small" @click=${() => (this.page = "gifts")}>${icon("back")}${t("gifts.title")}</button>
          ${this.#balance()}
        </div>
        ${this.#refusal()}
        <p class="note">${t("coins.sandbox")}</p>
        <div class="packs">
          ${(this.packs ?? []).map(
            (pack) => html`<button
              class="pack"
              data-pack=${pack.id}
              ?disabled=${this.buying !== undefined}
              aria-label=${t("coins.buy", { n: pack.coins, price: dollars(pack.usd_cents) })}
              @click=${() => this.#buy(pack)}
            >
              <b>${icon("coin")}${exact(pack.coins)}</b>
              <small>${this.buying === pack.id ? html`<span class="spinner"></span>` : dollars(pack.usd_cents)}</small>
            </button>`,
          )}
        </div>`;
    }
    return html`<div class="bar">
        ${this.#balance()}
        <button class="button plain small get" @click=${this.#getCoins}>${t("gifts.get_coins")}${icon("chevron")}</button>
      </div>
      <div class="grid" role="group" aria-label=${t("gifts.title")}>
        ${this.gifts
          ? this.gifts.map((gift) => this.#gift(gift))
          : Array.from({ length: 8 }, () => html`<div class="loading skeleton"></div>`)}
      </div>`;
  }
}

customElements.define("onair-gift-tray", OnairGiftTray);
