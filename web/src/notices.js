// <onair-notices>: the inbox, pushes to this browser, and what one wants to hear of and when.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import * as pushes from "./pushes.js";
import { follow } from "./router.js";
import { SessionController, session } from "./session.js";
import { settingsStyle } from "./settings_style.js";
import { scrollingPage, sheet } from "./style.js";
import { moment, t } from "./strings.js";
import { refused } from "./toast.js";

const PAGE = 30;
const KINDS = ["go_live", "reminder", "follow", "mention", "reply", "seat", "gift", "payout", "report", "standing"];
/** What is decided about oneself is always kept here (functions/accounts/notice_choice.py). */
const ALWAYS = new Set(["standing"]);
// Those that notices are written in (functions/messages), the first of them that the person reads.
const LANGUAGES = ["en", "es", "de", "pt", "ja", "ko"];
const language = () => navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => LANGUAGES.includes(tag)) ?? "en";
const NIGHT = { from: "22:00", until: "07:00" };

export class OnairNotices extends LitElement {
  static properties = {
    items: { state: true },
    cursor: { state: true },
    failure: { state: true },
    chosen: { state: true },
    push: { state: true },
    pushFailure: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    scrollingPage,
    settingsStyle,
    css`
      .inbox {
        display: grid;
        gap: 4px;
        width: 100%;
        padding: 0;
        margin: 0;
        list-style: none;
      }
      .inbox li {
        display: block;
        padding: 0;
      }
      .inbox a {
        display: grid;
        grid-template-columns: 10px minmax(0, 1fr) auto;
        gap: 10px;
        align-items: center;
        min-height: 56px;
        padding: 6px 8px;
        border-radius: 14px;
        color: inherit;
        text-decoration: none;
      }
      .inbox a:hover {
        background: var(--ground);
      }
      .inbox i {
        width: 8px;
        height: 8px;
        border-radius: 50%;
      }
      .inbox .new i {
        background: var(--sun);
      }
      .inbox .new b {
        font-weight: 800;
      }
      .inbox b {
        font-weight: 500;
        overflow-wrap: anywhere;
      }
      .inbox time {
        color: var(--muted);
        font-size: 0.8rem;
      }
      table {
        width: 100%;
        border-collapse: collapse;
      }
      th {
        padding: 4px 0;
        font-weight: 500;
        text-align: start;
      }
      thead th {
        color: var(--muted);
        font-size: 0.82rem;
      }
      td,
      thead th + th {
        width: 76px;
        text-align: center;
      }
      td label {
        display: grid;
        place-items: center;
        min-height: 44px;
      }
      td input {
        width: 22px;
        height: 22px;
      }
      .hours {
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
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
    this.items = this.chosen = this.push = undefined;
    if (this.who) this.#load();
  }

  #load = async () => {
    this.failure = undefined;
    try {
      const [inbox, chosen] = await Promise.all([api.get(`/me/notifications?limit=${PAGE}`), api.get("/me/notifications/preferences")]);
      this.items = inbox.items;
      this.cursor = inbox.cursor;
      this.chosen = chosen;
      this.push = await pushes.state();
      // Seen is read; the list goes on showing what was new.
      if (inbox.items.some((one) => !one.read)) await api.put("/me/notifications", { until: inbox.items[0].id });
    } catch (error) {
      this.failure = error;
    }
  };

  #more = () =>
    this.#act(async () => {
      const page = await api.get(`/me/notifications?limit=${PAGE}&cursor=${encodeURIComponent(this.cursor)}`);
      this.items = [...this.items, ...page.items];
      this.cursor = page.cursor;
    });

  async #act(act) {
    if (this.busy) return;
    this.busy = true;
    try {
      await act();
    } catch (error) {
      refused(error);
    } finally {
      this.busy = false;
    }
  }

  #choose(change) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const before = this.chosen;
    // Shown at once; what the API refuses goes back.
    this.chosen = { ...before, ...change, time_zone: zone, language: language() };
    this.#act(async () => {
      try {
        this.chosen = await api.put("/me/notifications/preferences", this.chosen);
      } catch (error) {
        this.chosen = before;
        throw error;
      }
    });
  }

  #turn = (on) =>
    this.#act(async () => {
      this.pushFailure = false;
      try {
        this.push = await (on ? pushes.turnOn() : pushes.turnOff());
      } catch (error) {
        if (!(error instanceof DOMException)) throw error;
        this.pushFailure = true;
      }
    });

  #inbox() {
    if (this.failure) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failure.message}</span></div>
        <button class="button small" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.items) return [1, 2, 3].map(() => html`<div class="skeleton"></div>`);
    if (this.items.length === 0) return html`<p class="empty">${t("notices.empty")}</p>`;
    return html`<ul class="inbox">
        ${this.items.map(
          (one) => html`<li class=${one.read ? "" : "new"}>
            <a href=${one.url} @click=${follow}>
              <i></i>
              <span><b>${one.title}</b>${one.body ? html`<small>${one.body}</small>` : ""}${one.read ? "" : html`<span class="unseen">${t("notices.new")}</span>`}</span>
              <time datetime=${one.at}>${moment(one.at)}</time>
            </a>
          </li>`,
        )}
      </ul>
      ${this.cursor ? html`<button class="button small" ?disabled=${this.busy} @click=${this.#more}>${t("me.statement_more")}</button>` : ""}`;
  }

  #pushes() {
    if (this.push === "unsupported") return html`<p>${t("notices.push_unsupported")}</p>`;
    if (this.push === "refused") return html`<p role="status">${t("notices.push_refused")}</p>`;
    return html`<p>${t(this.push === "on" ? "notices.push_on" : "notices.push_off")}</p>
      ${this.pushFailure ? html`<div class="refusal" role="alert">${icon("alert")}<span>${t("notices.push_failed")}</span></div>` : ""}
      <button class="button small ${this.push === "on" ? "" : "act"}" ?disabled=${this.busy || !this.push} @click=${() => this.#turn(this.push !== "on")}>
        ${t(this.push === "on" ? "notices.turn_off" : "notices.turn_on")}
      </button>`;
  }

  #preferences() {
    if (!this.chosen) return html`<div class="skeleton"></div>`;
    const { kinds, quiet } = this.chosen;
    const set = (kind, change) => this.#choose({ kinds: { ...kinds, [kind]: { ...kinds[kind], ...change } } });
    const box = (kind, way, off, always) => html`<td>
      <label
        ><input
          type="checkbox"
          aria-label=${`${t(`notices.kind.${kind}`)}: ${t(`notices.way.${way}`)}`}
          .checked=${kinds[kind][way] && !off}
          ?disabled=${this.busy || off || always}
          @change=${(event) => set(kind, { [way]: event.target.checked })}
      /></label>
    </td>`;
    return html`<table>
        <thead>
          <tr><th>${t("notices.about")}</th><th>${t("notices.way.inbox")}</th><th>${t("notices.way.push")}</th></tr>
        </thead>
        <tbody>
          ${KINDS.map((kind) => html`<tr><th scope="row">${t(`notices.kind.${kind}`)}</th>${box(kind, "inbox", false, ALWAYS.has(kind))}${box(kind, "push", !kinds[kind].inbox)}</tr>`)}
        </tbody>
      </table>
      <label class="row switch">
        <span class="grow">${t("notices.quiet")}<small>${t("notices.quiet_hint")}</small></span>
        <input
          type="checkbox"
          role="switch"
          .checked=${Boolean(quiet)}
          ?disabled=${this.busy}
          @change=${(event) => this.#choose({ quiet: event.target.checked ? NIGHT : null })}
        />
      </label>
      ${quiet
        ? html`<div class="hours">
            ${["from", "until"].map(
              (end) => html`<label class="field"
                >${t(`notices.${end}`)}<input
                  type="time"
                  required
                  .value=${quiet[end]}
                  ?disabled=${this.busy}
                  @change=${(event) => event.target.value && this.#choose({ quiet: { ...quiet, [end]: event.target.value } })}
              /></label>`,
            )}
          </div>`
        : ""}`;
  }

  render() {
    if (!session.me) {
      return html`<div class="visitor">
        <h1>${t("notices.title")}</h1>
        <button class="button act" @click=${() => needAccount(this, "me", () => undefined)}>${t("sign_in.title")}</button>
      </div>`;
    }
    return html`<div class="page" aria-busy=${Boolean(this.busy)}>
      <h1>${t("notices.title")}</h1>
      <section aria-label=${t("notices.title")}>${this.#inbox()}</section>
      ${this.failure
        ? ""
        : html`<section aria-label=${t("notices.pushes")}><h2>${t("notices.pushes")}</h2>${this.#pushes()}</section>
            <section aria-label=${t("notices.choice")}><h2>${t("notices.choice")}</h2>${this.#preferences()}</section>`}
    </div>`;
  }
}

customElements.define("onair-notices", OnairNotices);
