// <onair-coins>: packs of coins, and who sells them here: a provider that is not offered says why.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { readPacks, readProviders } from "./catalogue.js";
import { icon } from "./icons.js";
import { session } from "./session.js";
import { sheet } from "./style.js";
import { dollars, exact, t } from "./strings.js";
import { toast } from "./toast.js";

/** Sold inside the phone's own apps only: a page cannot take their money. */
const IN_APPS = new Set(["apple", "google"]);

/** @fires bought - when the coins are there */
export class OnairCoins extends LitElement {
  static properties = {
    packs: { state: true },
    providers: { state: true },
    provider: { state: true },
    busy: { state: true },
    refusal: { state: true },
  };

  static styles = [
    sheet,
    css`
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
      .providers {
        display: grid;
        gap: 6px;
        margin: 14px 0 0;
        padding: 0;
        border: 0;
      }
      legend {
        margin-bottom: 6px;
        padding: 0;
        color: var(--muted);
        font-size: 0.86rem;
      }
      .providers label {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 52px;
        padding: 0 14px;
        border-radius: 16px;
        background: var(--surface);
        font-weight: 600;
      }
      .providers label:has(:checked) {
        box-shadow: inset 0 0 0 2px var(--sun-2);
      }
      .providers label:has(:disabled) {
        color: var(--muted);
      }
      .providers input {
        width: 44px;
        height: 44px;
        flex: none;
        appearance: none;
        margin: 0 -10px;
      }
      .providers input::before {
        content: "";
        display: block;
        width: 20px;
        height: 20px;
        box-sizing: border-box;
        margin: 12px;
        border: 2px solid var(--muted);
        border-radius: 50%;
      }
      .providers input:checked::before {
        border: 6px solid var(--sun-2);
      }
      .providers input:disabled::before {
        opacity: 0.4;
      }
      .providers small {
        display: block;
        color: var(--muted);
        font-weight: 400;
      }
      .refusal {
        margin-bottom: 12px;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.#load();
  }

  #load = async () => {
    this.refusal = undefined;
    try {
      [this.packs, this.providers] = await Promise.all([readPacks(), readProviders()]);
      this.provider ??= this.providers.find((each) => this.#why(each) === undefined)?.id;
    } catch (error) {
      this.refusal = error;
    }
  };

  /** Why one cannot pay this way here; undefined where one can. */
  #why({ id, offered, why }) {
    if (!offered) return t(`coins.why.${why}`, {}, t("coins.why.unavailable"));
    return IN_APPS.has(id) ? t("coins.why.in_app") : undefined;
  }

  async #buy(pack) {
    if (this.busy || !this.provider) return;
    this.busy = pack.id;
    this.refusal = undefined;
    // The proof makes the purchase safe to send again: it stays the same until this one is through.
    this.proof ??= crypto.randomUUID();
    const body = { provider: this.provider, pack: pack.id };
    try {
      if (this.provider !== "sandbox") {
        const { url } = await api.post("/checkouts", body, { idempotencyKey: this.proof });
        location.assign(url); // the provider's page; its webhook brings the coins
        return;
      }
      const answer = await api.post("/purchases", { ...body, proof: this.proof }, { idempotencyKey: this.proof });
      this.proof = undefined;
      session.setWallet(answer.wallet ?? answer);
      toast(t("coins.bought", { n: pack.coins }));
      this.dispatchEvent(new Event("bought"));
    } catch (error) {
      if (error.status !== 0 && error.status < 500) this.proof = undefined;
      this.refusal = error;
    } finally {
      this.busy = undefined;
    }
  }

  #providers() {
    if (!this.providers) return "";
    return html`<fieldset class="providers">
      <legend>${t("coins.providers")}</legend>
      ${this.providers.map((each) => {
        const why = this.#why(each);
        const note = why ?? (each.id === "sandbox" ? t("coins.sandbox") : undefined);
        return html`<label data-provider=${each.id}
          ><input type="radio" name="provider" .checked=${each.id === this.provider} ?disabled=${why !== undefined}
            @change=${() => ((this.provider = each.id), (this.proof = undefined))}
          /><span>${t(`coins.provider.${each.id}`, {}, each.id)}${note ? html`<small>${note}</small>` : ""}</span></label
        >`;
      })}
    </fieldset>`;
  }

  render() {
    return html`${this.refusal
        ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>
            ${this.packs ? "" : html`<button class="button wide" @click=${this.#load}>${t("retry")}</button>`}`
        : ""}
      <div class="packs">
        ${(this.packs ?? []).map(
          (pack) => html`<button
            class="pack"
            data-pack=${pack.id}
            ?disabled=${this.busy !== undefined || !this.provider}
            aria-label=${t("coins.buy", { n: pack.coins, price: dollars(pack.usd_cents) })}
            @click=${() => this.#buy(pack)}
          >
            <b>${icon("coin")}${exact(pack.coins)}</b>
            <small>${this.busy === pack.id ? html`<span class="spinner"></span>` : dollars(pack.usd_cents)}</small>
          </button>`,
        )}
      </div>
      ${this.#providers()}`;
  }
}

customElements.define("onair-coins", OnairCoins);
