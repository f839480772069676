// <onair-me>: one's own profile, wallet and statement, and the way out.
import "./bell.js";
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { follow } from "./router.js";
import { SessionController, session } from "./session.js";
import { avatar, scrollingPage, sheet } from "./style.js";
import { exact, moment, short, t } from "./strings.js";
import "./spending_limit.js";
import "./statement_copy.js";

const PAGE = 30;

export class OnairMe extends LitElement {
  static properties = {
    items: { state: true },
    cursor: { state: true },
    failure: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    scrollingPage,
    css`
      .page {
        padding-top: calc(26px + var(--safe-top));
      }
      .who {
        display: flex;
        align-items: center;
        gap: 16px;
      }
      .who div {
        flex: 1;
        min-width: 0;
      }
      h1 {
        overflow: hidden;
        text-overflow: ellipsis;
        font-size: 1.5rem;
        font-weight: 800;
      }
      .handle {
        color: var(--muted);
      }
      .handle a {
        display: inline-grid;
        place-items: center;
        min-height: var(--touch);
      }
      .counts {
        display: flex;
        gap: 16px;
        margin-top: 6px;
        color: var(--muted);
        font-size: 0.9rem;
      }
      .counts b {
        color: var(--text);
      }
      .wallet {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 10px;
        margin: 24px 0 14px;
      }
      .earnings {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 58px;
        margin: 10px 0;
        padding: 0 18px;
        border-radius: 22px;
        background: var(--surface);
        font-weight: 650;
        text-decoration: none;
      }
      .earnings span {
        flex: 1;
      }
      .wallet div {
        display: grid;
        gap: 4px;
        padding: 16px 18px;
        border-radius: 22px;
        background: var(--surface);
      }
      .wallet span {
        color: var(--muted);
        font-size: 0.88rem;
      }
      .wallet b {
        display: flex;
        align-items: center;
        gap: 7px;
        font-size: 1.55rem;
        font-weight: 800;
        font-variant-numeric: tabular-nums;
      }
      section:not(.wallet) {
        margin: 28px 0;
      }
      h2 {
        margin-bottom: 8px;
        font-size: 1.1rem;
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 62px;
        border-bottom: 1px solid var(--line);
      }
      li > span:first-child {
        flex: 1;
        min-width: 0;
      }
      li small {
        display: block;
        color: var(--muted);
        font-size: 0.82rem;
      }
      .amount {
        display: inline-flex;
        align-items: center;
        gap: 5px;
        font-weight: 700;
        font-variant-numeric: tabular-nums;
      }
      .amount .icon {
        width: 17px;
        height: 17px;
      }
      .amount.in {
        color: var(--good);
      }
      .empty {
        padding: 26px 0;
        color: var(--muted);
        text-align: center;
      }
      .skeleton {
        height: 62px;
        margin-bottom: 6px;
        border-radius: 16px;
      }
      .more,
      .out {
        margin-top: 18px;
      }
      .visitor {
        display: grid;
        place-content: center;
        justify-items: center;
        gap: 14px;
        height: 100%;
        padding: 24px 32px;
        text-align: center;
      }
      .visitor p {
        color: var(--muted);
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
    this.items = this.cursor = this.failure = undefined;
    if (this.who) this.#load();
  }

  #load = async () => {
    this.failure = undefined;
    try {
      const [page] = await Promise.all([api.get(`/wallet/statement?limit=${PAGE}`), session.refreshWallet(), session.refreshMe()]);
      this.items = page.items;
      this.cursor = page.cursor;
    } catch (error) {
      this.failure = error;
    }
  };

  #more = async () => {
    this.busy = true;
    try {
      const page = await api.get(`/wallet/statement?limit=${PAGE}&cursor=${encodeURIComponent(this.cursor)}`);
      this.items = [...this.items, ...page.items];
      this.cursor = page.cursor;
    } catch (error) {
      this.failure = error;
    } finally {
      this.busy = false;
    }
  };

  #entry({ at, unit, amount, reason, balance_after }) {
    const diamonds = unit.startsWith("diamond");
    return html`<li>
      <span>${t(`reason.${reason}`, {}, reason)}<small>${moment(at)} · ${t("coins.balance")}: ${exact(balance_after)}</small></span>
      <span class="amount ${amount > 0 ? "in" : ""}">${icon(diamonds ? "diamond" : "coin")}${amount > 0 ? "+" : "−"}${exact(Math.abs(amount))}</span>
    </li>`;
  }

  #statement() {
    if (this.failure && !this.items) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${t("me.statement_failed")}. ${this.failure.message}</span></div>
        <button class="button wide more" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.items) return [1, 2, 3].map(() => html`<div class="skeleton"></div>`);
    if (this.items.length === 0) return html`<p class="empty">${t("me.statement_empty")}</p>`;
    return html`<ul>
        ${this.items.map((entry) => this.#entry(entry))}
      </ul>
      ${this.cursor
        ? html`<button class="button wide more" ?disabled=${this.busy} @click=${this.#more}>${t("me.statement_more")}</button>`
        : ""}`;
  }

  render() {
    const { me, wallet } = session;
    if (!me) {
      return html`<div class="visitor">
        <h1>${t("app.tagline")}</h1>
        <p>${t("sign_in.hint")}</p>
        <button class="button act" @click=${() => needAccount(this, undefined, () => undefined)}>${t("sign_in.title")}</button>
      </div>`;
    }
    return html`<div class="page">
      <div class="who">
        ${avatar(me, 84)}
        <div>
          <h1>${me.display_name}</h1>
          <p class="handle"><a href="/@${me.handle}" aria-label=${`${t("profile.open")} @${me.handle}`} @click=${follow}>@${me.handle}</a></p>
          <p class="counts">
            <span><b>${short(me.followers)}</b> ${t("followers", { n: me.followers })}</span>
            <span><b>${short(me.following)}</b> ${t("following_count")}</span>
          </p>
        </div>
      </div>
      <section class="wallet" aria-label=${t("me.wallet")}>
        <div><span>${t("me.coins")}</span><b>${icon("coin")}${wallet ? exact(wallet.coins) : "…"}</b></div>
        <div><span>${t("me.diamonds")}</span><b>${icon("diamond")}${wallet ? exact(wallet.diamonds) : "…"}</b></div>
      </section>
      <onair-bell></onair-bell>
      <a class="earnings" href="/earnings" @click=${follow}
        >${icon("diamond")}<span>${t("earnings.open")}</span>${icon("chevron")}</a
      >
      <a class="earnings" href="/@${me.handle}" @click=${follow}
        >${icon("play")}<span>${t("replays.own")}</span>${icon("chevron")}</a
      >
      <section><onair-spending-limit></onair-spending-limit></section>
      <section>
        <h2>${t("me.statement")}</h2>
        ${this.#statement()} ${this.items?.length ? html`<onair-statement-copy></onair-statement-copy>` : ""}
      </section>
      <a class="earnings" href="/me/standing" data-standing @click=${follow}
        >${icon("check")}<span>${t("standing.title")}</span>${icon("chevron")}</a
      >
      ${session.operator
        ? html`<a class="earnings" href="/operator" @click=${follow}
            >${icon("ban")}<span>${t("operator.title")}</span>${icon("chevron")}</a
          >`
        : ""}
      <a class="earnings" href="/settings" @click=${follow}
        >${icon("shield")}<span>${t("settings.title")}</span>${icon("chevron")}</a
      >
      <button class="button wide out" @click=${() => session.signOut()}>${icon("sign_out")}${t("sign_in.out")}</button>
    </div>`;
  }
}

customElements.define("onair-me", OnairMe);
