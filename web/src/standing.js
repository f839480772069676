// <onair-standing>: one's own standing: what it is, until when, every entry of the record, and the appeal against each.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { recordStyle, badge, entry as shown, meter } from "./record.js";
import { follow } from "./router.js";
import { SessionController, session } from "./session.js";
import { scrollingPage, sheet } from "./style.js";
import { moment, t } from "./strings.js";
import { toast } from "./toast.js";

const TEXT_MAX = 1000;

export class OnairStanding extends LitElement {
  static properties = {
    record: { state: true },
    failure: { state: true },
    /** The entry that is being appealed, what kept it from being sent, and whether it is on its way. */
    appealed: { state: true },
    refusal: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    scrollingPage,
    recordStyle,
    css`
      header {
        display: flex;
        align-items: center;
        gap: 6px;
        margin: 0 0 14px -10px;
      }
      h1 {
        font-size: 1.35rem;
        font-weight: 800;
      }
      h2 {
        margin: 26px 0 8px;
        font-size: 1.1rem;
      }
      .now {
        display: grid;
        gap: 12px;
        padding: 20px;
        border-radius: 22px;
        background: var(--surface);
      }
      .now p {
        color: var(--muted);
      }
      form {
        display: grid;
        gap: 14px;
      }
    `,
  ];

  constructor() {
    super();
    new SessionController(this);
  }

  willUpdate() {
    if (session.me?.id === this.who) return;
    this.who = session.me?.id;
    this.record = this.failure = undefined;
    if (this.who) this.#load();
  }

  #load = async () => {
    this.failure = undefined;
    try {
      this.record = await api.get("/me/standing");
    } catch (error) {
      this.failure = error;
    }
  };

  #send = async (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("text");
    this.busy = true;
    this.refusal = undefined;
    try {
      await api.post("/me/standing/appeals", { entry_id: this.appealed.id, text });
      this.appealed = undefined;
      toast(t("standing.appeal_sent"));
      await this.#load();
    } catch (error) {
      this.refusal = error;
    } finally {
      this.busy = false;
    }
  };

  #content() {
    if (this.failure) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${t("standing.failed")}. ${this.failure.message}</span></div>
        <button class="button wide" style="margin-top:14px" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.record) return html`<div class="skeleton block" role="status"><span class="unseen">${t("standing.loading")}</span></div>`;
    const { standing, until, entries } = this.record;
    return html`<section class="now" aria-live="polite">
        ${badge(standing)}
        <p>${t(`standing.${standing}_means`)}${until ? html` ${t("standing.until", { at: moment(until) })}` : ""}</p>
        ${meter(this.record)}
      </section>
      <h2>${t("standing.record")}</h2>
      ${entries.length
        ? html`<ol class="record">
            ${entries.map(
              (each) => html`<li>
                ${shown(each)}
                ${each.may_appeal
                  ? html`<button class="button small" @click=${() => ((this.refusal = undefined), (this.appealed = each))}>
                      ${t("standing.appeal")}
                    </button>`
                  : ""}
              </li>`,
            )}
          </ol>`
        : html`<p class="empty">${t("standing.empty")}</p>`}`;
  }

  render() {
    if (!session.me) {
      return html`<div class="page">
        <p class="empty">${t("standing.sign_in")}</p>
        <button class="button act wide" @click=${() => needAccount(this, undefined, () => undefined)}>${t("sign_in.title")}</button>
      </div>`;
    }
    return html`<div class="page">
        <header>
          <a class="round" href="/me" aria-label=${t("back")} @click=${follow}>${icon("back")}</a>
          <h1>${t("standing.title")}</h1>
        </header>
        ${this.#content()}
      </div>
      <onair-sheet .open=${this.appealed !== undefined} .heading=${t("standing.appeal_title")} @close=${() => (this.appealed = undefined)}>
        ${this.appealed
          ? html`<form @submit=${this.#send}>
              <p>${t("standing.appeal_hint")}</p>
              <label class="field"
                >${t("standing.appeal_text")}
                <textarea name="text" rows="5" maxlength=${TEXT_MAX} required autofocus></textarea>
              </label>
              ${this.refusal ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>` : ""}
              <button class="button act wide" ?disabled=${this.busy}>${t("standing.appeal_send")}</button>
            </form>`
          : ""}
      </onair-sheet>`;
  }
}

customElements.define("onair-standing", OnairStanding);
