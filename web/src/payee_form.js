// <onair-payee-form>: where a creator is paid and taxed: country, form, tax number (never shown again), declaration.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { locale, t } from "./strings.js";

const names = new Intl.DisplayNames([locale], { type: "region" });

/** @fires saved - detail: the new account of payouts */
export class OnairPayeeForm extends LitElement {
  static properties = {
    account: { attribute: false },
    /** The market of the creator's own account, to begin with. */
    market: {},
    country: { state: true },
    busy: { state: true },
    refusal: { state: true },
  };

  static styles = [
    sheet,
    css`
      form {
        display: grid;
        gap: 16px;
      }
      p,
      .agree {
        color: var(--muted);
        font-size: 0.9rem;
      }
      .agree {
        display: flex;
        gap: 6px;
        align-items: flex-start;
      }
      .agree {
        align-items: center;
      }
      .agree input {
        flex: none;
        width: 44px;
        height: 44px;
        margin: -6px -4px -6px -11px;
        border-radius: 12px;
        appearance: none;
      }
      .agree input::before {
        content: "";
        display: block;
        width: 24px;
        height: 24px;
        margin: 10px;
        border: 2px solid var(--muted);
        border-radius: 8px;
        background: center / 18px no-repeat;
      }
      .agree input:checked::before {
        border-color: transparent;
        background-color: var(--sun-2);
        background-image: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%2322060f' stroke-width='4' stroke-linecap='round' stroke-linejoin='round'%3E%3Cpath d='m5 12.6 4.6 4.6L19.2 7'/%3E%3C/svg%3E");
      }
      .safe {
        display: flex;
        gap: 8px;
        align-items: center;
      }
      .safe .icon {
        width: 18px;
        height: 18px;
      }
    `,
  ];

  get #countries() {
    const named = this.account.countries.map((code) => [code, names.of(code)]);
    return named.sort(([, a], [, b]) => a.localeCompare(b, locale));
  }

  get #forms() {
    const { forms } = this.account;
    return forms[this.country] ?? forms["*"];
  }

  willUpdate() {
    // Only where diamonds are paid out to: what is not in the list would be refused.
    const { countries } = this.account;
    const known = this.account.payee?.country ?? this.market;
    this.country ??= [known, "US", countries[0]].find((code) => countries.includes(code));
  }

  async #save(event) {
    event.preventDefault();
    const given = new FormData(event.target);
    this.busy = true;
    this.refusal = undefined;
    try {
      const saved = await api.put("/payouts/account", {
        country: this.country,
        form: given.get("form"),
        certified: given.get("certified") === "on",
        identifier: given.get("identifier").trim(),
      });
      this.dispatchEvent(new CustomEvent("saved", { detail: saved }));
    } catch (error) {
      this.refusal = error;
      await this.updateComplete;
      this.renderRoot.querySelector(`[name=${error.details?.field ?? "none"}]`)?.focus();
    } finally {
      this.busy = false;
    }
  }

  render() {
    const { payee } = this.account;
    const kept = payee?.identifier_ending;
    return html`<form @submit=${this.#save}>
      <p>${t("payee.why")}</p>
      <label class="field"
        >${t("payee.country")}<select name="country" .value=${this.country} @change=${({ target }) => (this.country = target.value)}>
          ${this.#countries.map(([code, name]) => html`<option value=${code} ?selected=${code === this.country}>${name}</option>`)}
        </select></label
      >
      <label class="field"
        >${t("payee.form")}<select name="form">
          ${this.#forms.map((form) => html`<option ?selected=${form === payee?.form}>${form}</option>`)}
        </select></label
      >
      <label class="field"
        >${t(this.country === "US" ? "payee.number_us" : "payee.number")}<input
          name="identifier"
          autocomplete="off"
          spellcheck="false"
          autocapitalize="characters"
          maxlength="60"
          ?required=${!kept}
          placeholder=${kept ? `•••• ${kept}` : ""}
        /><small>${kept ? t("payee.number_kept") : t("payee.number_hint")}</small></label
      >
      <label class="agree"
        ><input type="checkbox" name="certified" .checked=${payee?.certified ?? false} /><span>${t("payee.certify")}</span></label
      >
      <p class="safe">${icon("lock")}<span>${t("payee.safe")}</span></p>
      ${this.refusal ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>` : ""}
      <button class="button act wide" ?disabled=${this.busy}>${this.busy ? t("payouts.saving") : t("payee.save")}</button>
    </form>`;
  }
}

customElements.define("onair-payee-form", OnairPayeeForm);
