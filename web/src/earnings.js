// <onair-earnings>: a creator's months: diamonds as bars, and the newest ones in numbers. Nothing where nothing was earned.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { exact, month, t } from "./strings.js";

const MONTHS_SHOWN = 12;

export class OnairEarnings extends LitElement {
  static properties = { months: { state: true } };

  static styles = [
    sheet,
    css`
      section {
        margin-bottom: 30px;
      }
      h2 {
        margin-bottom: 8px;
        font-size: 1.1rem;
      }
      .bars {
        display: flex;
        align-items: flex-end;
        gap: 6px;
        height: 120px;
        padding: 14px 16px 0;
        border-radius: 22px 22px 0 0;
        background: var(--surface);
      }
      .bars i {
        flex: 1;
        max-width: 46px;
        min-height: 4px;
        height: calc(var(--part) * 100%);
        border-radius: 7px 7px 0 0;
        background: var(--sun);
      }
      table {
        width: 100%;
        padding: 6px 16px 12px;
        border-radius: 0 0 22px 22px;
        background: var(--surface);
        font-variant-numeric: tabular-nums;
      }
      th {
        color: var(--muted);
        font-size: 0.82rem;
        font-weight: 600;
        text-align: right;
      }
      td {
        padding: 6px 0;
        text-align: right;
      }
      th:first-child,
      td:first-child {
        text-align: left;
      }
      td .icon {
        width: 15px;
        height: 15px;
        vertical-align: -2px;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    // Without an answer the wallet still stands: this part is left out.
    api.get("/wallet/months").then(({ items }) => (this.months = items.slice(0, MONTHS_SHOWN)), () => undefined);
  }

  render() {
    if (!this.months?.length) return "";
    const most = Math.max(1, ...this.months.map(({ diamonds }) => diamonds));
    return html`<section aria-label=${t("earnings.title")}>
      <h2>${t("earnings.title")}</h2>
      <div class="bars" aria-hidden="true">
        ${[...this.months].reverse().map((each) => html`<i style="--part:${each.diamonds / most}"></i>`)}
      </div>
      <table>
        <tr><th>${t("earnings.month")}</th><th>${t("summary.gifts")}</th><th>${t("me.diamonds")}</th><th>${t("earnings.paid")}</th></tr>
        ${this.months.map(
          (each) => html`<tr>
            <td>${month(each.month)}</td>
            <td>${exact(each.gifts)}</td>
            <td>${icon("diamond")} ${exact(each.diamonds)}</td>
            <td>${exact(each.paid)}</td>
          </tr>`,
        )}
      </table>
    </section>`;
  }
}

customElements.define("onair-earnings", OnairEarnings);
