// <onair-payouts>: the screen of what a creator earned and is paid: balance, plot, payout flow, history, year.
import { LitElement, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { payoutsStyle } from "./payouts_style.js";
import { follow, router } from "./router.js";
import { SessionController, session } from "./session.js";
import { scrollingPage, sheet } from "./style.js";
import { day, dollars, exact, moment, month, t } from "./strings.js";
import { toast } from "./toast.js";
import "./earnings_plot.js";
import "./payee_form.js";
import "./payout_form.js";
import "./sheet.js";

const PAGE = 20;
const MONTHS_SHOWN = 12;
/** While a payout is on its way the list is read again. */
const LOOK_MS = 15_000;
const STEPS = ["reserved", "checked", "paid"];

export class OnairPayouts extends LitElement {
  static properties = {
    account: { state: true },
    items: { state: true },
    cursor: { state: true },
    days: { state: true },
    months: { state: true },
    by: { state: true },
    year: { state: true },
    failure: { state: true },
    refusal: { state: true },
    busy: { state: true },
    /** Which sheet is open: "payee", "amount" or none. */
    open: { state: true },
  };

  static styles = [sheet, scrollingPage, payoutsStyle];

  constructor() {
    super();
    new SessionController(this);
    this.by = "days";
  }

  connectedCallback() {
    super.connectedCallback();
    this.looking = setInterval(() => {
      const open = this.items?.some(({ state }) => state === "reserved");
      if (open && document.visibilityState === "visible") this.#refresh().catch(() => undefined); // the next look is soon
    }, LOOK_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.looking);
  }

  willUpdate() {
    if (session.me?.id === this.who) return;
    this.who = session.me?.id;
    this.account = this.items = this.days = this.months = this.year = undefined;
    if (this.who) this.#load();
  }

  #load = async () => {
    this.failure = undefined;
    const now = new Date().toISOString();
    try {
      const [account, days, months] = await Promise.all([
        api.get("/payouts/account"),
        api.get(`/wallet/days?month=${now.slice(0, 7)}`),
        api.get("/wallet/months"),
        this.#refresh(),
      ]);
      this.account = account;
      this.days = wholeMonth(now, days.items);
      this.months = months.items.slice(0, MONTHS_SHOWN).reverse().map((each) => ({ ...each, label: month(each.month) }));
      await this.#readYear(Number(now.slice(0, 4)));
    } catch (error) {
      this.failure = error;
    }
  };

  async #refresh() {
    const [page] = await Promise.all([api.get(`/payouts?limit=${PAGE}`), session.refreshWallet()]);
    this.items = page.items;
    this.cursor = page.cursor;
  }

  async #readYear(year) {
    this.year = await api.get(`/payouts/years/${year}`);
  }

  #try = async (act) => {
    this.busy = true;
    this.refusal = undefined;
    try {
      await act();
    } catch (error) {
      this.refusal = error;
    } finally {
      this.busy = false;
    }
  };

  #more = () =>
    this.#try(async () => {
      const page = await api.get(`/payouts?limit=${PAGE}&cursor=${encodeURIComponent(this.cursor)}`);
      this.items = [...this.items, ...page.items];
      this.cursor = page.cursor;
    });

  #onboard = () =>
    this.#try(async () => {
      const { url } = await api.post("/payouts/account/link");
      const back = new URL(url, location.href);
      if (back.origin !== location.origin) location.assign(url);
      else this.account = await api.get("/payouts/account"); // a sandbox asks for nothing
    });

  #saved = async ({ detail }) => {
    this.account = detail;
    this.open = undefined;
    toast(t("payee.saved"));
  };

  #asked = async ({ detail }) => {
    this.open = undefined;
    this.items = [detail, ...this.items];
    toast(t(detail.step === "held" ? "payouts.asked_held" : "payouts.asked", { sum: dollars(detail.net_usd_cents) }));
    await this.#try(() => this.#refresh());
  };

  #balance() {
    const diamonds = session.wallet?.diamonds ?? 0;
    const { terms } = this.account;
    return html`<section class="balance">
      <span>${t("payouts.balance")}</span>
      <b>${icon("diamond")}${exact(diamonds)}</b>
      <p>${t("payouts.worth_about", { sum: dollars(Math.floor(Math.max(0, diamonds) / terms.diamonds_a_cent)) })}</p>
      ${this.#action(diamonds, terms)}
      ${this.refusal ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>` : ""}
    </section>`;
  }

  #action(diamonds, terms) {
    const { offered, why, payee, ready, needs } = this.account;
    if (!offered) return html`<p class="note">${icon("alert")}<span>${t(`payouts.why.${why}`, {}, t("payouts.why.unavailable"))}</span></p>`;
    if (!payee) return html`<button class="button act wide" @click=${() => (this.open = "payee")}>${t("payouts.set_up")}</button>`;
    if (!ready) {
      return html`<p class="note">${icon("alert")}<span>${t("payouts.provider_needs", { n: needs.length })}</span></p>
        <button class="button act wide" ?disabled=${this.busy} @click=${this.#onboard}>${t("payouts.go_on")}</button>`;
    }
    const missing = terms.diamonds_min - diamonds;
    if (missing > 0) {
      return html`<div class="meter" role="progressbar" aria-label=${t("payouts.until_min")} aria-valuemin="0" aria-valuemax=${terms.diamonds_min} aria-valuenow=${Math.max(0, diamonds)}
          ><i style="--part:${Math.max(0, diamonds) / terms.diamonds_min}"></i></div>
        <p class="note"><span>${t("payouts.missing", { n: missing, min: terms.diamonds_min })}</span></p>`;
    }
    return html`<button class="button act wide" @click=${() => (this.open = "amount")}>${t("payouts.ask")}</button>`;
  }

  #plot() {
    const bars = this[this.by] ?? [];
    return html`<section aria-label=${t("earnings.title")}>
      <div class="head">
        <h2>${t("earnings.title")}</h2>
        <div class="switch" role="group" aria-label=${t("earnings.by")}>
          ${["days", "months"].map(
            (by) => html`<button aria-pressed=${this.by === by} @click=${() => (this.by = by)}>${t(`earnings.by_${by}`)}</button>`,
          )}
        </div>
      </div>
      <div class="card">
        ${bars.some(({ diamonds }) => diamonds)
          ? html`<onair-earnings-plot .bars=${bars}></onair-earnings-plot>`
          : html`<p class="empty">${t("earnings.nothing")}</p>`}
      </div>
    </section>`;
  }

  #payee() {
    const { payee, ready, provider } = this.account;
    if (!payee) return "";
    return html`<section>
      <h2>${t("payee.title")}</h2>
      <div class="card payee">
        <span>
          <b>${new Intl.DisplayNames([], { type: "region" }).of(payee.country)} · ${payee.form}</b>
          <small>${t("payee.ending", { ending: payee.identifier_ending })} · ${t("payouts.withheld_rate", { percent: payee.withheld_permille / 10 })}</small>
          <small>${ready ? t("payee.ready", { provider: t(`payouts.provider.${provider}`, {}, provider) }) : t("payee.not_ready")}</small>
        </span>
        <button class="button small" @click=${() => (this.open = "payee")}>${t("payee.change")}</button>
      </div>
    </section>`;
  }

  #payout(each) {
    const at = each.state === "paid" ? 3 : each.state === "reversed" ? 0 : ["held", "review"].includes(each.step) ? 1 : 2;
    return html`<li data-step=${each.step}>
      <div class="row">
        <span><b>${dollars(each.net_usd_cents)}</b><small>${moment(each.at)} · ${t("earnings.diamonds", { n: each.diamonds })}</small></span>
        <span class="state ${each.state}">${icon(each.state === "paid" ? "check" : each.state === "reversed" ? "reply" : "clock")}${t(`payouts.step.${each.step}`)}</span>
      </div>
      ${each.state === "reserved"
        ? html`<ol class="steps" aria-label=${t("payouts.progress")}>
            ${STEPS.map((name, n) => html`<li class=${n < at ? "past" : ""} aria-current=${n === at ? "step" : "false"}>${t(`payouts.steps.${name}`)}</li>`)}
          </ol>`
        : ""}
      ${each.held_until ? html`<small class="why">${t("payouts.held_until", { at: moment(each.held_until) })}</small>` : ""}
      ${each.step === "review" ? html`<small class="why">${t("payouts.review_note")}</small>` : ""}
      ${each.state === "reversed" ? html`<small class="why">${t("payouts.reversed_note")} ${t(`payouts.refused.${each.why}`, {}, each.why ?? "")}</small>` : ""}
      ${each.withheld_usd_cents
        ? html`<small class="why">${t("payouts.of", { sum: dollars(each.usd_cents), withheld: dollars(each.withheld_usd_cents), percent: each.withheld_permille / 10 })}</small>`
        : ""}
    </li>`;
  }

  #history() {
    return html`<section>
      <h2>${t("payouts.history")}</h2>
      ${this.items.length
        ? html`<ul>${this.items.map((each) => this.#payout(each))}</ul>
            ${this.cursor ? html`<button class="button wide" ?disabled=${this.busy} @click=${this.#more}>${t("me.statement_more")}</button>` : ""}`
        : html`<p class="empty">${t("payouts.none")}</p>`}
    </section>`;
  }

  #summary() {
    if (!this.year) return "";
    const { year, payouts, usd_cents, withheld_usd_cents, net_usd_cents, parts } = this.year;
    const go = (by) => this.#try(() => this.#readYear(year + by));
    return html`<section>
      <div class="head">
        <h2>${t("payouts.year")}</h2>
        <div class="pager">
          <button class="round" aria-label=${t("payouts.year_before")} ?disabled=${this.busy} @click=${() => go(-1)}>${icon("back")}</button>
          <b>${year}</b>
          <button class="round" aria-label=${t("payouts.year_after")} ?disabled=${this.busy || year >= new Date().getUTCFullYear()} @click=${() => go(1)}>${icon("chevron")}</button>
        </div>
      </div>
      <dl class="card sums">
        <dt>${t("payouts.count", { n: payouts })}</dt><dd>${dollars(usd_cents)}</dd>
        ${parts.map((part) => html`<dt class="part">${part.country} · ${part.form} · ${part.withheld_permille / 10} %</dt><dd class="part">${dollars(-part.withheld_usd_cents || 0)}</dd>`)}
        <dt>${t("payouts.withheld")}</dt><dd>${dollars(-withheld_usd_cents || 0)}</dd>
        <dt class="net">${t("payouts.year_net")}</dt><dd class="net">${dollars(net_usd_cents)}</dd>
      </dl>
      <small class="why">${t("payouts.year_hint")}</small>
    </section>`;
  }

  #sheets() {
    const close = (event) => event.target === event.currentTarget && (this.open = undefined);
    return html`<onair-sheet .open=${this.open === "payee"} .heading=${t("payee.title")} @close=${close}>
        ${this.open === "payee"
          ? html`<onair-payee-form .account=${this.account} .market=${session.me.market} @saved=${this.#saved}></onair-payee-form>`
          : ""}
      </onair-sheet>
      <onair-sheet .open=${this.open === "amount"} .heading=${t("payouts.ask")} @close=${close}>
        ${this.open === "amount"
          ? html`<onair-payout-form .diamonds=${session.wallet.diamonds} .terms=${this.account.terms} @asked=${this.#asked}></onair-payout-form>`
          : ""}
      </onair-sheet>`;
  }

  #content() {
    if (this.failure) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${t("payouts.failed")} ${this.failure.message}</span></div>
        <button class="button wide" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.account || !this.items) {
      return html`<div role="status"><span class="unseen">${t("payouts.loading")}</span>
        <div class="skeleton tall"></div><div class="skeleton tall"></div><div class="skeleton"></div><div class="skeleton"></div></div>`;
    }
    return html`<div class="columns">
        <div>${this.#balance()}${this.#payee()}</div>
        <div>${this.#plot()}${this.#history()}${this.#summary()}</div>
      </div>
      ${this.#sheets()}`;
  }

  render() {
    if (!session.me) {
      return html`<div class="visitor">
        <h1>${t("payouts.title")}</h1>
        <button class="button act" @click=${() => needAccount(this, undefined, () => undefined)}>${t("sign_in.title")}</button>
      </div>`;
    }
    return html`<div class="page">
      <header>
        <a class="round" href="/me" aria-label=${t("back")} @click=${follow}>${icon("back")}</a>
        <h1>${t("payouts.title")}</h1>
      </header>
      ${this.#content()}
    </div>`;
  }
}

/** Every day of the month so far, also those on which nothing was earned. */
function wholeMonth(now, items) {
  const known = new Map(items.map((each) => [each.day, each]));
  return Array.from({ length: Number(now.slice(8, 10)) }, (_, n) => {
    const name = `${now.slice(0, 8)}${String(n + 1).padStart(2, "0")}`;
    return { diamonds: 0, gifts: 0, ...known.get(name), name, label: day(name) };
  });
}

// The provider's page leads back here with a query that has done its work once the screen is there.
if (globalThis.location?.search.startsWith("?payee=") && router.current.screen === "earnings") {
  history.replaceState(history.state, "", location.pathname);
}

customElements.define("onair-payouts", OnairPayouts);
