// <onair-operator-reports>: cases that viewers reported, due first first, each with what was said, a clock, and what an
// operator does about it.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { moment, t } from "./strings.js";
import { toast } from "./toast.js";
import "./sheet.js";

const PAGE = 20;
const CLOCK_MS = 30_000;
const MINUTE_MS = 60_000;

/** Time until a case is due, in words: minutes below two hours, else hours; negative when it is over. */
export function untilDue(due, now) {
  const minutes = Math.round((Date.parse(due) - now) / MINUTE_MS);
  const size = Math.abs(minutes);
  return size < 120 ? { key: "minutes", n: size, over: minutes < 0 } : { key: "hours", n: Math.round(size / 60), over: minutes < 0 };
}

/** @fires strike - detail: the case, for a strike with it as evidence */
export class OnairOperatorReports extends LitElement {
  static properties = {
    items: { state: true },
    cursor: { state: true },
    failure: { state: true },
    refusal: { state: true },
    busy: { state: true },
    /** The case and the decision that a reason is asked for. */
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
      ul {
        display: grid;
        gap: 12px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        padding: 14px 16px;
        border-radius: 20px;
        background: var(--raised);
      }
      header {
        display: flex;
        flex-wrap: wrap;
        gap: 6px 10px;
        align-items: baseline;
      }
      header b {
        flex: 1;
      }
      .clock {
        padding: 2px 10px;
        border-radius: 11px;
        background: var(--surface);
        font-size: 0.8rem;
        font-weight: 700;
      }
      .clock.over {
        background: #8c1d3a;
        color: #fff;
      }
      .why {
        display: flex;
        flex-wrap: wrap;
        gap: 6px;
        margin: 8px 0;
      }
      .why span {
        padding: 2px 9px;
        border-radius: 10px;
        background: var(--surface);
        font-size: 0.8rem;
      }
      blockquote {
        margin: 8px 0;
        padding: 8px 12px;
        border-left: 3px solid var(--sun-2);
        overflow-wrap: anywhere;
      }
      small {
        color: var(--muted);
      }
      .acts {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
        margin-top: 10px;
      }
      .acts button {
        flex: 1 0 96px;
        min-height: var(--touch);
        border: 0;
        border-radius: 22px;
        background: var(--surface);
        font-weight: 650;
      }
      textarea {
        width: 100%;
        min-height: 76px;
        margin: 10px 0;
        padding: 10px 14px;
        border: 1.5px solid var(--line);
        border-radius: 16px;
        background: none;
        font-size: 16px;
      }
      .empty {
        padding: 24px 0;
        color: var(--muted);
        text-align: center;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.timer = setInterval(() => this.requestUpdate(), CLOCK_MS);
    this.#load();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    super.disconnectedCallback();
  }

  #load = async () => {
    this.failure = undefined;
    try {
      const page = await api.get(`/operator/reports?limit=${PAGE}`);
      [this.items, this.cursor] = [page.items, page.cursor];
    } catch (error) {
      this.failure = error;
    }
  };

  #more = async () => {
    this.busy = true;
    try {
      const page = await api.get(`/operator/reports?limit=${PAGE}&cursor=${encodeURIComponent(this.cursor)}`);
      [this.items, this.cursor] = [[...this.items, ...page.items], page.cursor];
    } catch (error) {
      this.failure = error;
    } finally {
      this.busy = false;
    }
  };

  async #send(one, state, reason) {
    this.busy = true;
    this.refusal = undefined;
    try {
      const after = await api.request("PUT", `/operator/reports/${one.id}`, { body: { state, reason } });
      const open = after.state === "taken" || after.state === "open";
      this.items = open ? this.items.map((each) => (each.id === one.id ? after : each)) : this.items.filter((each) => each.id !== one.id);
      this.deciding = undefined;
      if (!open) toast(t(`reports.told.${state}`));
    } catch (error) {
      if (this.deciding) this.refusal = error;
      else toast(error.message);
    } finally {
      this.busy = false;
    }
  }

  #case(one) {
    const due = untilDue(one.due_at, Date.now());
    return html`<li data-case=${one.id}>
      <header>
        <b>@${one.handle}</b><small>${t(`reports.kind.${one.kind}`)}</small>
        <span class="clock ${due.over ? "over" : ""}">${t(`reports.${due.over ? "over" : "due"}_${due.key}`, { n: due.n })}</span>
      </header>
      <div class="why">
        ${Object.entries(one.reasons).map(([reason, n]) => html`<span>${t(`report.reason.${reason}`)} ${n > 1 ? `× ${n}` : ""}</span>`)}
      </div>
      ${one.text ? html`<blockquote>${one.text}<br /><small>${moment(one.said_at)}</small></blockquote>` : ""}
      ${(one.texts ?? []).map((text) => html`<p><small>${t("reports.reporter")}</small> ${text}</p>`)}
      ${one.taken_by ? html`<small>${t("reports.taken_by", { name: one.taken_by })}</small>` : ""}
      <div class="acts">
        ${one.state === "open" ? html`<button data-act="taken" ?disabled=${this.busy} @click=${() => this.#send(one, "taken", t("reports.reason_taken"))}>${t("reports.take")}</button>` : ""}
        <button data-act="strike" @click=${() => this.dispatchEvent(new CustomEvent("strike", { detail: one, bubbles: true, composed: true }))}>${t("reports.strike")}</button>
        ${["acted", "dismissed"].map(
          (state) => html`<button data-act=${state} ?disabled=${this.busy} @click=${() => (this.deciding = { one, state })}>${t(`reports.${state}`)}</button>`,
        )}
      </div>
    </li>`;
  }

  #decide = (event) => {
    event.preventDefault();
    const { one, state } = this.deciding;
    const reason = this.renderRoot.querySelector("textarea").value.trim();
    if (reason) this.#send(one, state, reason);
  };

  render() {
    return html`<h2>${t("reports.title")}</h2>
      ${this.failure
        ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failure.message}</span></div>
            <button class="button wide" @click=${this.#load}>${t("retry")}</button>`
        : !this.items
          ? html`<p role="status"><span class="spinner"></span></p>`
          : this.items.length === 0
            ? html`<p class="empty">${t("reports.empty")}</p>`
            : html`<ul>
                  ${this.items.map((one) => this.#case(one))}
                </ul>
                ${this.cursor ? html`<button class="button plain wide" ?disabled=${this.busy} @click=${this.#more}>${t("reports.more")}</button>` : ""}`}
      <onair-sheet
        heading=${this.deciding ? t(`reports.${this.deciding.state}`) : ""}
        .open=${this.deciding !== undefined}
        @close=${(event) => event.target === event.currentTarget && (this.deciding = undefined)}
      >
        ${this.deciding
          ? html`<form @submit=${this.#decide}>
              <label>${t("reports.reason")}<textarea required maxlength="500"></textarea></label>
              ${this.refusal ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>` : ""}
              <button class="button wide" ?disabled=${this.busy}>${t("done")}</button>
            </form>`
          : ""}
      </onair-sheet>`;
  }
}

customElements.define("onair-operator-reports", OnairOperatorReports);
