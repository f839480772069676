// <onair-operator-payouts>: payouts that wait for a person, each with what speaks against it; and the ledger's audit.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { dollars, exact, moment, t } from "./strings.js";
import { toast } from "./toast.js";
import "./sheet.js";

const PAGE = 20;
const STEPS = ["review", "held", "ready", "paying"];

export class OnairOperatorPayouts extends LitElement {
  static properties = {
    step: { state: true },
    items: { state: true },
    cursor: { state: true },
    audit: { state: true },
    failure: { state: true },
    refusal: { state: true },
    busy: { state: true },
    /** The payout and the decision that a reason is asked for. */
    deciding: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        display: block;
      }
      h2 {
        margin-bottom: 10px;
        font-size: 1.1rem;
      }
      section {
        margin-bottom: 26px;
      }
      .audit {
        display: flex;
        gap: 14px;
        align-items: center;
        padding: 16px 18px;
        border-radius: 20px;
        background: var(--surface);
      }
      .audit > span {
        flex: 1;
      }
      .audit > .icon {
        width: 28px;
        height: 28px;
        color: var(--good);
      }
      .audit.wrong > .icon {
        color: var(--bad);
      }
      small {
        display: block;
        color: var(--muted);
        font-size: 0.85rem;
      }
      .steps {
        display: flex;
        gap: 6px;
        margin-bottom: 12px;
        flex-wrap: wrap;
      }
      .steps button {
        flex: none;
        min-height: 44px;
        padding: 0 16px;
        border: 1.5px solid var(--line);
        border-radius: 22px;
        background: none;
        font-weight: 600;
      }
      .steps [aria-pressed="true"] {
        border-color: var(--sun-2);
        background: var(--raised);
      }
      ul {
        display: grid;
        gap: 10px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: grid;
        gap: 10px;
        padding: 16px;
        border-radius: 20px;
        background: var(--surface);
      }
      .row {
        display: flex;
        flex-wrap: wrap;
        align-items: baseline;
        justify-content: space-between;
        gap: 4px 14px;
      }
      .row b {
        font-size: 1.1rem;
        font-variant-numeric: tabular-nums;
      }
      .why {
        display: flex;
        gap: 8px;
        align-items: flex-start;
        color: var(--warn);
        font-size: 0.92rem;
      }
      .why .icon {
        width: 20px;
        height: 20px;
      }
      .acts {
        display: flex;
        gap: 8px;
      }
      .acts .button {
        flex: 1;
      }
      .empty {
        padding: 24px;
        color: var(--muted);
        text-align: center;
      }
      .skeleton {
        height: 130px;
        margin-bottom: 10px;
        border-radius: 20px;
      }
      form {
        display: grid;
        gap: 14px;
      }
      textarea {
        width: 100%;
        min-height: 110px;
        padding: 12px 16px;
        border: 1.5px solid var(--line);
        border-radius: 16px;
        background: var(--surface);
        resize: vertical;
      }
      .refusal {
        margin-bottom: 12px;
      }
    `,
  ];

  constructor() {
    super();
    this.step = "review";
  }

  connectedCallback() {
    super.connectedCallback();
    this.#load();
    this.#readAudit();
  }

  #load = async () => {
    this.failure = this.items = undefined;
    const step = this.step;
    try {
      const page = await api.get(`/operator/payouts?step=${step}&limit=${PAGE}`);
      if (step !== this.step) return;
      this.items = page.items;
      this.cursor = page.cursor;
    } catch (error) {
      this.failure = error;
    }
  };

  async #readAudit() {
    try {
      this.audit = await api.get("/operator/ledger");
    } catch (error) {
      // Before the first night there is none: the card says so.
      this.audit = { missing: error };
    }
  }

  #more = async () => {
    this.busy = true;
    try {
      const page = await api.get(`/operator/payouts?step=${this.step}&limit=${PAGE}&cursor=${encodeURIComponent(this.cursor)}`);
      this.items = [...this.items, ...page.items];
      this.cursor = page.cursor;
    } catch (error) {
      this.refusal = error;
    } finally {
      this.busy = false;
    }
  };

  #show(step) {
    if (step === this.step) return;
    this.step = step;
    this.#load();
  }

  async #decide(event) {
    event.preventDefault();
    const { waiting, decision } = this.deciding;
    const reason = new FormData(event.target).get("reason");
    this.busy = true;
    this.refusal = undefined;
    try {
      await api.put(`/operator/payouts/${encodeURIComponent(waiting.account)}/${waiting.payout.id}`, { decision, reason });
      this.items = this.items.filter((each) => each !== waiting);
      this.deciding = undefined;
      toast(t(`review.done.${decision}`));
    } catch (error) {
      this.refusal = error;
    } finally {
      this.busy = false;
    }
  }

  #audit() {
    if (!this.audit) return html`<div class="skeleton"></div>`;
    const { missing, report, more } = this.audit;
    if (missing) return html`<p class="empty">${missing.code === "not_found" ? t("review.not_audited") : missing.message}</p>`;
    const wrong = report.differences.length + more;
    return html`<div class="audit ${wrong ? "wrong" : ""}">
      ${icon(wrong ? "alert" : "shield")}
      <span
        ><b>${wrong ? t("review.differences", { n: wrong }) : t("review.proved")}</b>
        <small>${t("review.as_of", { at: moment(report.as_of), n: report.transfers })}</small>
        ${report.differences.slice(0, 5).map((each) => html`<small>${each.name} · ${each.account} · ${each.transfer}</small>`)}
      </span>
    </div>`;
  }

  #waiting(each) {
    const { payout, handle, account, why, earlier_paid } = each;
    return html`<li>
      <div class="row">
        <span><b>${dollars(payout.net_usd_cents)}</b><small>${t("earnings.diamonds", { n: payout.diamonds })}</small></span>
        <span>${handle ? `@${handle}` : account}<small>${t("review.earlier", { n: earlier_paid })}</small></span>
      </div>
      <small>${moment(payout.at)} · ${payout.country} · ${payout.form} · ${t("payouts.withheld_rate", { percent: payout.withheld_permille / 10 })}</small>
      ${this.step === "review"
        ? html`<p class="why">${icon("alert")}<span>${t(`review.why.${why ?? "large"}`, {}, why)}</span></p>
            <div class="acts">
              <button class="button act" @click=${() => (this.deciding = { waiting: each, decision: "approve" })}>${t("review.approve")}</button>
              <button class="button" @click=${() => (this.deciding = { waiting: each, decision: "refuse" })}>${t("review.refuse")}</button>
            </div>`
        : payout.held_until
          ? html`<small>${t("payouts.held_until", { at: moment(payout.held_until) })}</small>`
          : ""}
    </li>`;
  }

  #list() {
    if (this.failure) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failure.message}</span></div>
        <button class="button wide" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.items) return html`<div class="skeleton"></div><div class="skeleton"></div>`;
    if (!this.items.length) return html`<p class="empty">${t("review.none")}</p>`;
    return html`<ul>${this.items.map((each) => this.#waiting(each))}</ul>
      ${this.cursor ? html`<button class="button wide" ?disabled=${this.busy} @click=${this.#more}>${t("me.statement_more")}</button>` : ""}`;
  }

  render() {
    const { waiting, decision } = this.deciding ?? {};
    return html`<section>
        <h2>${t("review.ledger")}</h2>
        ${this.#audit()}
      </section>
      <section>
        <h2>${t("review.title")}</h2>
        <div class="steps" role="group" aria-label=${t("review.step")}>
          ${STEPS.map((step) => html`<button aria-pressed=${step === this.step} @click=${() => this.#show(step)}>${t(`payouts.step.${step}`)}</button>`)}
        </div>
        ${this.#list()}
      </section>
      <onair-sheet
        .open=${waiting !== undefined}
        .heading=${waiting ? t(`review.${decision}`) : ""}
        @close=${(event) => event.target === event.currentTarget && (this.deciding = this.refusal = undefined)}
      >
        ${waiting
          ? html`<form @submit=${this.#decide}>
              <p>${exact(waiting.payout.diamonds)} ${t("me.diamonds")} · ${dollars(waiting.payout.net_usd_cents)} · ${waiting.handle ? `@${waiting.handle}` : waiting.account}</p>
              <p>${t(`review.means.${decision}`)}</p>
              <label class="field">${t("review.reason")}<textarea name="reason" maxlength="500" required></textarea></label>
              ${this.refusal ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>` : ""}
              <button class="button wide ${decision === "approve" ? "act" : "danger"}" ?disabled=${this.busy}>${t(`review.${decision}`)}</button>
            </form>`
          : ""}
      </onair-sheet>`;
  }
}

customElements.define("onair-operator-payouts", OnairOperatorPayouts);
