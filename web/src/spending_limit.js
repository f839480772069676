// <onair-spending-limit>: how many coins one lets oneself give a day: lower holds at once, higher after a day.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { sheet } from "./style.js";
import { exact, moment, t } from "./strings.js";
import { refused, toast } from "./toast.js";

const COINS_MAX = 100_000_000;

export class OnairSpendingLimit extends LitElement {
  static properties = { limit: { state: true }, busy: { state: true } };

  static styles = [
    sheet,
    css`
      :host {
        display: block;
        margin-bottom: 28px;
      }
      form {
        display: flex;
        flex-wrap: wrap;
        gap: 10px;
      }
      input {
        flex: 1;
        min-width: 130px;
        min-height: var(--touch);
        padding: 0 12px;
        border: 1.5px solid var(--line);
        border-radius: 14px;
        background: var(--surface);
        color: var(--text);
        font: inherit;
      }
      h2 {
        margin-bottom: 4px;
        font-size: 1.1rem;
      }
      p {
        margin: 0 0 10px;
        color: var(--muted);
        font-size: 0.9rem;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    // Without an answer the wallet still stands: this part is left out.
    api.get("/wallet/limit").then((limit) => (this.limit = limit), () => undefined);
  }

  async #set(coins_a_day) {
    if (this.busy) return;
    this.busy = true;
    try {
      this.limit = await api.put("/wallet/limit", { coins_a_day });
      toast(t(this.limit.changes_at ? "limit.later" : "limit.set"));
    } catch (error) {
      refused(error);
    } finally {
      this.busy = false;
    }
  }

  #submit = (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("coins");
    if (text !== "") this.#set(Number(text));
  };

  #words() {
    const { coins_a_day: coins, spent_today, coins_next, changes_at } = this.limit;
    const now = coins === null ? t("limit.none") : t("limit.of", { spent: exact(spent_today), n: exact(coins) });
    const next = coins_next === null || coins_next === undefined ? t("limit.no_limit") : exact(coins_next);
    return html`<p>${now}${changes_at ? html`<br />${t("limit.changes", { when: moment(changes_at), n: next })}` : ""}</p>`;
  }

  render() {
    if (!this.limit) return "";
    return html`<h2>${t("limit.title")}</h2>
      ${this.#words()}
      <form @submit=${this.#submit}>
        <input name="coins" type="number" min="0" max=${COINS_MAX} step="1" inputmode="numeric" aria-label=${t("limit.coins")}
          placeholder=${t("limit.coins")} />
        <button class="button" ?disabled=${this.busy}>${t("limit.save")}</button>
        ${this.limit.coins_a_day === null
          ? ""
          : html`<button type="button" class="button plain" ?disabled=${this.busy} @click=${() => this.#set(null)}>${t("limit.remove")}</button>`}
      </form>`;
  }
}

customElements.define("onair-spending-limit", OnairSpendingLimit);
