// <onair-operator-accounts>: look an account up by its handle; strike it, set its standing, give it live access.
import { LitElement, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { operatorStyle } from "./operator_style.js";
import { badge, entry, meter, recordStyle } from "./record.js";
import { avatar, sheet } from "./style.js";
import { exact, moment, t } from "./strings.js";
import { toast } from "./toast.js";

const RULES = [
  "spam", "harassment", "impersonation", "dangerous_acts", "self_harm", "copyright", "gambling", "other",
  "hate", "sexual_content", "violence", "illegal_goods", "fraud", "underage_host",
  "minor_safety", "extremism", "ban_evasion",
];
const STANDINGS = ["good", "limited", "suspended", "banned"];
/** Standings that end at a time; the others hold until an operator says otherwise. */
const ENDING = new Set(["limited", "suspended"]);
const REASON_MAX = 500;

/** What a person typed as local time, as RFC 3339. */
const instant = (local) => (local ? new Date(local).toISOString() : undefined);

export class OnairOperatorAccounts extends LitElement {
  static properties = {
    found: { state: true },
    failure: { state: true },
    busy: { state: true },
    wanted: { state: true },
  };

  static styles = [sheet, recordStyle, operatorStyle];

  constructor() {
    super();
    this.wanted = "limited";
  }

  #path = (rest = "") => `/operator/accounts/${encodeURIComponent(this.found.profile.handle)}${rest}`;

  /** Runs one act; a refusal stands where the person looks. */
  async #run(act) {
    this.busy = true;
    this.failure = undefined;
    try {
      await act();
    } catch (error) {
      this.failure = error;
    } finally {
      this.busy = false;
    }
  }

  #look = (event) => {
    event.preventDefault();
    const handle = new FormData(event.target).get("handle").trim().replace(/^@/, "").toLowerCase();
    if (!handle) return;
    this.found = undefined;
    this.#run(async () => {
      this.found = await api.get(`/operator/accounts/${encodeURIComponent(handle)}`);
    });
  };

  #act = (event, act) => {
    event.preventDefault();
    const form = event.target;
    const given = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim() || undefined]));
    this.#run(async () => {
      await act(given);
      this.found = await api.get(this.#path());
      form.reset();
      this.wanted = "limited";
      toast(t("operator.done"));
    });
  };

  #strike = (event) =>
    this.#act(event, ({ rule, reason, stream_id, event_id, frame_at }) =>
      api.post(this.#path("/strikes"), { rule, reason, stream_id, event_id, frame_at: instant(frame_at) }),
    );

  #set = (event) =>
    this.#act(event, ({ standing, reason, until }) =>
      api.put(this.#path("/standing"), { standing, reason, until: ENDING.has(standing) ? instant(until) : undefined }),
    );

  #access = (event) =>
    this.#act(event, ({ until, reason }) => api.put(this.#path("/live-access"), { until: instant(until) ?? null, reason }));

  #reason() {
    return html`<label class="field"
      >${t("operator.reason")}<input name="reason" maxlength=${REASON_MAX} required autocomplete="off"
    /></label>`;
  }

  #account() {
    const { profile, record, market, created_at, followers_counted, live_access_until } = this.found;
    return html`<section class="card" aria-label=${profile.handle}>
        <div class="who">
          ${avatar(profile, 56)}
          <div><b>${profile.display_name}</b><br />@${profile.handle}</div>
          ${badge(record.standing)}
        </div>
        ${record.until ? html`<p>${t("standing.until", { at: moment(record.until) })}</p>` : ""}
        ${meter(record)}
        <dl>
          <div><dt>${t("operator.market")}</dt><dd>${market}</dd></div>
          <div><dt>${t("operator.since")}</dt><dd>${moment(created_at)}</dd></div>
          <div><dt>${t("operator.followers")}</dt><dd>${exact(followers_counted)} / ${exact(profile.followers)}</dd></div>
          <div><dt>${t("operator.live")}</dt><dd>${profile.live_stream ? t("live") : "—"}</dd></div>
          <div><dt>${t("operator.live_access")}</dt><dd>${live_access_until ? moment(live_access_until) : "—"}</dd></div>
        </dl>
      </section>
      <details class="card">
        <summary>${t("operator.strike")}</summary>
        <form @submit=${this.#strike}>
          <label class="field"
            >${t("operator.rule")}<select name="rule">
              ${RULES.map((rule) => html`<option value=${rule}>${t(`rule.${rule}`)}</option>`)}
            </select></label
          >
          ${this.#reason()}
          <div class="row">
            <label class="field">${t("standing.stream")}<input name="stream_id" maxlength="128" autocomplete="off" /></label>
            <label class="field">${t("standing.event")}<input name="event_id" maxlength="128" autocomplete="off" /></label>
            <label class="field">${t("standing.frame")}<input name="frame_at" type="datetime-local" step="1" /></label>
          </div>
          <button class="button act" ?disabled=${this.busy}>${t("operator.strike_do")}</button>
        </form>
      </details>
      <details class="card">
        <summary>${t("operator.set")}</summary>
        <form @submit=${this.#set}>
          <div class="row">
            <label class="field"
              >${t("operator.standing")}<select name="standing" @change=${(event) => (this.wanted = event.target.value)}>
                ${STANDINGS.map((each) => html`<option value=${each} ?selected=${each === this.wanted}>${t(`standing.${each}`)}</option>`)}
              </select></label
            >
            ${ENDING.has(this.wanted)
              ? html`<label class="field">${t("operator.until")}<input name="until" type="datetime-local" /></label>`
              : ""}
          </div>
          ${this.#reason()}
          <button class="button act" ?disabled=${this.busy}>${t("operator.set_do")}</button>
        </form>
      </details>
      <details class="card">
        <summary>${t("operator.access")}</summary>
        <form @submit=${this.#access}>
          <p>${t("operator.access_hint")}</p>
          <label class="field">${t("operator.until")}<input name="until" type="datetime-local" /></label>
          ${this.#reason()}
          <button class="button act" ?disabled=${this.busy}>${t("operator.access_do")}</button>
        </form>
      </details>
      <h2>${t("standing.record")}</h2>
      ${record.entries.length
        ? html`<ol class="record">
            ${record.entries.map((each) => html`<li>${entry(each)}</li>`)}
          </ol>`
        : html`<p class="empty">${t("operator.record_empty")}</p>`}`;
  }

  render() {
    return html`<div class="stack">
      <form class="row" role="search" @submit=${this.#look}>
        <label class="field">${t("operator.handle")}<input name="handle" maxlength="25" autocapitalize="none" autocomplete="off" spellcheck="false" required /></label>
        <button class="button act" ?disabled=${this.busy}>${t("operator.look")}</button>
      </form>
      ${this.failure ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failure.message}</span></div>` : ""}
      ${this.found
        ? this.#account()
        : this.busy
          ? html`<div class="skeleton block" role="status"><span class="unseen">${t("operator.loading")}</span></div>`
          : this.failure
            ? ""
            : html`<p class="empty">${t("operator.accounts_hint")}</p>`}
    </div>`;
  }
}

customElements.define("onair-operator-accounts", OnairOperatorAccounts);
