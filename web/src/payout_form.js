// <onair-payout-form>: how many diamonds, what they bring after tax as one types, and the button that asks for it.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { dollars, exact, moment, t } from "./strings.js";

/** A quote is asked for once typing pauses for this long. */
const PAUSE_MS = 250;

/** @fires asked - detail: the payout */
export class OnairPayoutForm extends LitElement {
  static properties = {
    diamonds: { type: Number },
    terms: { attribute: false },
    amount: { state: true },
    quote: { state: true },
    refusal: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    css`
      form {
        display: grid;
        gap: 14px;
      }
      .amount input {
        font-size: 1.6rem;
        font-weight: 800;
        min-height: 64px;
        font-variant-numeric: tabular-nums;
      }
      .chips {
        display: flex;
        gap: 8px;
      }
      .chips button {
        flex: 1;
        min-height: 44px;
        border: 1.5px solid var(--line);
        border-radius: 22px;
        background: none;
        font-weight: 650;
      }
      dl {
        display: grid;
        grid-template-columns: 1fr auto;
        gap: 8px 0;
        margin: 0;
        padding: 16px 18px;
        border-radius: 20px;
        background: var(--surface);
        font-variant-numeric: tabular-nums;
      }
      dt {
        color: var(--muted);
      }
      dd {
        margin: 0;
        text-align: end;
      }
      .net {
        padding-top: 8px;
        border-top: 1px solid var(--line);
        color: var(--text);
        font-size: 1.15rem;
        font-weight: 800;
      }
      dl.stale {
        opacity: 0.45;
      }
      .note {
        display: flex;
        gap: 8px;
        color: var(--muted);
        font-size: 0.9rem;
      }
      .note .icon {
        width: 19px;
        height: 19px;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.#set(Math.min(this.#most, Math.max(this.terms.diamonds_min, this.#even(this.diamonds))));
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.timer);
  }

  get #most() {
    return Math.min(this.#even(this.diamonds), this.terms.diamonds_a_day_max);
  }

  #even(number) {
    return number - (number % this.terms.diamonds_a_cent);
  }

  #set(amount) {
    this.amount = amount;
    this.refusal = undefined;
    // Another amount is another payout: it gets a key of its own.
    this.key = undefined;
    clearTimeout(this.timer);
    this.timer = setTimeout(this.#ask, PAUSE_MS);
  }

  #ask = async () => {
    const { amount } = this;
    if (!Number.isInteger(amount) || amount < 1) {
      this.quote = undefined;
      return;
    }
    try {
      const quote = await api.get(`/payouts/quote?diamonds=${amount}`);
      if (amount === this.amount) [this.quote, this.refusal] = [quote, undefined];
    } catch (error) {
      if (amount === this.amount) [this.quote, this.refusal] = [undefined, error];
    }
  };

  async #submit(event) {
    event.preventDefault();
    if (this.busy || this.quote?.diamonds !== this.amount) return;
    this.busy = true;
    this.refusal = undefined;
    // The key makes it safe to send again: it stays until this payout is through.
    this.key ??= crypto.randomUUID();
    try {
      const payout = await api.post("/payouts", { diamonds: this.amount }, { idempotencyKey: this.key });
      this.dispatchEvent(new CustomEvent("asked", { detail: payout }));
    } catch (error) {
      this.refusal = error;
    } finally {
      this.busy = false;
    }
  }

  #sums() {
    const { quote } = this;
    const fresh = quote?.diamonds === this.amount;
    const cents = (value) => (quote ? dollars(value) : "–");
    return html`<dl class=${fresh ? "" : "stale"} aria-live="polite">
        <dt>${t("payouts.worth")}</dt><dd>${cents(quote?.usd_cents)}</dd>
        <dt>${t("payouts.fee")}</dt><dd>${quote && !quote.fee_usd_cents ? t("payouts.no_fee") : cents(-quote?.fee_usd_cents)}</dd>
        <dt>${quote ? t("payouts.withheld_rate", { percent: quote.withheld_permille / 10 }) : t("payouts.withheld")}</dt>
        <dd>${quote?.withheld_usd_cents ? dollars(-quote.withheld_usd_cents) : cents(0)}</dd>
        <dt class="net">${t("payouts.net")}</dt><dd class="net">${cents(quote?.net_usd_cents)}</dd>
      </dl>
      ${quote?.held_until ? html`<p class="note">${icon("clock")}<span>${t("payouts.held_until", { at: moment(quote.held_until) })}</span></p>` : ""}
      ${quote?.review ? html`<p class="note">${icon("eye")}<span>${t("payouts.review_note")}</span></p>` : ""}`;
  }

  render() {
    const min = this.terms.diamonds_min;
    const fresh = this.quote?.diamonds === this.amount;
    return html`<form @submit=${this.#submit}>
      <label class="field amount"
        >${t("payouts.how_many")}<input
          type="number"
          inputmode="numeric"
          name="diamonds"
          min=${min}
          step=${this.terms.diamonds_a_cent}
          .value=${String(this.amount)}
          @input=${({ target }) => this.#set(target.valueAsNumber)}
        /><small>${t("payouts.have", { n: this.diamonds })}</small></label
      >
      <div class="chips">
        <button type="button" @click=${() => this.#set(min)}>${exact(min)}</button>
        <button type="button" @click=${() => this.#set(Math.max(min, this.#even(Math.floor(this.#most / 2))))}>${t("payouts.half")}</button>
        <button type="button" @click=${() => this.#set(this.#most)}>${t("payouts.all")}</button>
      </div>
      ${this.#sums()}
      ${this.refusal ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>` : ""}
      <button class="button act wide" ?disabled=${this.busy || !fresh}>
        ${this.busy ? t("payouts.asking") : fresh ? t("payouts.ask_for", { sum: dollars(this.quote.net_usd_cents) }) : t("payouts.ask")}
      </button>
    </form>`;
  }
}

customElements.define("onair-payout-form", OnairPayoutForm);
