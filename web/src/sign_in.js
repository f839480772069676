// <onair-sign-in>: demo accounts in one tap where the stack has them, handle and password, or a new account.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { session } from "./session.js";
import { avatar, sheet } from "./style.js";
import { locale, t } from "./strings.js";

/** Markets that have rules of their own (functions/accounts/markets.json). */
const MARKETS = "US CA GB IE DE FR ES IT NL PT BR MX JP KR IN ID TH AU".split(" ");

/** @fires signed-in; @fires creating - detail: whether a new account is being made */
export class OnairSignIn extends LitElement {
  static properties = { creating: { state: true }, asksCode: { state: true }, busy: { state: true }, refusal: { state: true } };

  static styles = [
    sheet,
    css`
      :host {
        display: grid;
        gap: 16px;
      }
      form {
        display: grid;
        gap: 14px;
      }
      .demo {
        display: grid;
        gap: 8px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      .demo button {
        display: flex;
        align-items: center;
        gap: 12px;
        width: 100%;
        min-height: 58px;
        padding: 8px 14px;
        border: 0;
        border-radius: 18px;
        background: var(--raised);
        text-align: left;
        transition: transform 0.15s var(--ease);
      }
      .demo button:active {
        transform: scale(0.98);
      }
      .demo b,
      .demo small {
        display: block;
      }
      .demo b {
        font-weight: 650;
      }
      .demo small {
        color: var(--muted);
        font-size: 0.82rem;
        line-height: 1.3;
      }
      .demo div {
        flex: 1;
        min-width: 0;
      }
      .demo .icon {
        width: 20px;
        color: var(--muted);
      }
      .demo .spinner {
        width: 20px;
        height: 20px;
      }
      h3,
      .or {
        color: var(--muted);
        font-size: 0.86rem;
        font-weight: 600;
      }
      .or {
        display: flex;
        align-items: center;
        gap: 12px;
      }
      .or::before,
      .or::after {
        content: "";
        flex: 1;
        height: 1px;
        background: var(--line);
      }
    `,
  ];

  async #try(key, act) {
    if (this.busy) return;
    this.busy = key;
    this.refusal = undefined;
    try {
      await act();
      this.dispatchEvent(new Event("signed-in"));
    } catch (error) {
      // The password is right and a code is missing or wrong: ask for it beside what is filled in already.
      this.asksCode = error.details?.needs === "code";
      this.refusal = error;
    } finally {
      this.busy = undefined;
    }
  }

  #submit = (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.target));
    fields.handle = fields.handle.trim().replace(/^@/, "").toLowerCase();
    this.#try("form", () => (this.creating ? session.signUp(fields) : session.signIn(fields.handle, fields.password, fields.code?.trim())));
  };

  #demo() {
    const accounts = api.config.demo?.accounts ?? [];
    if (accounts.length === 0 || this.creating) return "";
    return html`
      <h3>${t("sign_in.demo")}</h3>
      <ul class="demo">
        ${accounts.map(
          ({ handle, password, note }) => html`<li>
            <button
              data-handle=${handle}
              ?disabled=${this.busy !== undefined}
              @click=${() => this.#try(handle, () => session.signIn(handle, password))}
            >
              ${avatar({ handle: handle, display_name: handle.replace(/^demo_/, "") }, 40)}
              <div><b>${handle}</b><small>${note}</small></div>
              ${this.busy === handle ? html`<span class="spinner"></span>` : icon("chevron")}
            </button>
          </li>`,
        )}
      </ul>
      <div class="or">${t("sign_in.or")}</div>
    `;
  }

  #newAccount() {
    const country = new Intl.DisplayNames(locale, { type: "region" });
    const here = navigator.language.split("-")[1];
    const names = MARKETS.map((code) => [code, country.of(code)]).sort((a, b) => a[1].localeCompare(b[1], locale));
    const today = new Date().toISOString().slice(0, 10);
    return html`
      <label class="field"
        >${t("sign_up.display_name")}<input name="display_name" required maxlength="50" autocomplete="name"
      /></label>
      <label class="field"
        >${t("sign_up.birth_date")}<input name="birth_date" type="date" required max=${today} autocomplete="bday" /><small
          >${t("sign_up.birth_why")}</small
        ></label
      >
      <label class="field"
        >${t("sign_up.market")}<select name="market" required autocomplete="country">
          ${names.map(([code, name]) => html`<option value=${code} ?selected=${code === here}>${name}</option>`)}
        </select></label
      >
    `;
  }

  render() {
    return html`
      ${this.refusal
        ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>`
        : ""}
      ${this.#demo()}
      <form @submit=${this.#submit}>
        <label class="field"
          >${t("sign_in.handle")}<input
            name="handle"
            required
            maxlength="25"
            autocomplete="username"
            autocapitalize="none"
            spellcheck="false"
        /></label>
        ${this.creating ? this.#newAccount() : ""}
        <label class="field"
          >${t("sign_in.password")}<input
            name="password"
            type="password"
            required
            minlength=${this.creating ? 10 : 1}
            autocomplete=${this.creating ? "new-password" : "current-password"}
          />${this.creating ? html`<small>${t("sign_up.password_hint")}</small>` : ""}</label
        >
        ${this.asksCode && !this.creating
          ? html`<label class="field"
              >${t("sign_in.code")}<input name="code" required autocomplete="one-time-code" maxlength="20" autofocus /><small
                >${t("sign_in.code_hint")}</small
              ></label
            >`
          : ""}
        <button class="button act wide" ?disabled=${this.busy !== undefined}>
          ${this.busy === "form" ? html`<span class="spinner"></span>` : this.creating ? t("sign_up.submit") : t("sign_in.submit")}
        </button>
      </form>
      <button
        class="button plain small"
        @click=${() => {
          this.creating = !this.creating;
          this.refusal = undefined;
          this.dispatchEvent(new CustomEvent("creating", { detail: this.creating }));
        }}
      >
        ${this.creating ? t("sign_in.have_account") : t("sign_in.no_account")}
      </button>
    `;
  }
}

customElements.define("onair-sign-in", OnairSignIn);
