// <onair-settings>: one's picture and name, who may follow, contact, password, second step, sessions, data, the way out.
import { LitElement, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { router } from "./router.js";
import { SessionController, session } from "./session.js";
import { settingsStyle } from "./settings_style.js";
import { avatar, scrollingPage, sheet } from "./style.js";
import { moment, t } from "./strings.js";
import { refused, toast } from "./toast.js";
import { pictureState, upload } from "./upload.js";

const PAGE = 50;

export class OnairSettings extends LitElement {
  static properties = {
    busy: { state: true },
    failure: { state: true },
    codeSent: { state: true },
    secret: { state: true },
    recovery: { state: true },
    people: { state: true },
    leaving: { state: true },
  };

  static styles = [sheet, scrollingPage, settingsStyle];

  constructor() {
    super();
    new SessionController(this);
    this.people = {};
  }

  willUpdate() {
    if (session.me?.id === this.who) return;
    this.who = session.me?.id;
    this.people = {};
    if (this.who) this.#load();
  }

  #load = async () => {
    this.failure = undefined;
    try {
      const [blocked, asking] = await Promise.all([
        api.get(`/me/blocks?limit=${PAGE}`),
        api.get(`/me/follow-requests?limit=${PAGE}`),
        session.refreshMe(),
      ]);
      this.people = { blocked: blocked.items, asking: asking.items };
    } catch (error) {
      this.failure = error;
    }
  };

  /** Runs one act at a time; what is refused is said in a toast, and the form stays as it is. */
  async #act(name, act) {
    if (this.busy) return false;
    this.busy = name;
    try {
      await act();
      return true;
    } catch (error) {
      refused(error);
      return false;
    } finally {
      this.busy = undefined;
    }
  }

  /** Handles a form: its fields go to `act`, and it is emptied when that went well. */
  #form(name, act) {
    return async (event) => {
      event.preventDefault();
      const form = event.target;
      if (await this.#act(name, () => act(Object.fromEntries(new FormData(form))))) form.reset();
    };
  }

  #chosen = (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    this.#act("avatar", async () => {
      await upload("/me/avatar", file);
      const found = await pictureState("/me/avatar");
      if (found.state !== "ready") throw new Error(t(`settings.picture.${found.problem ?? "late"}`));
      await session.refreshMe();
      toast(t("settings.picture.done"));
    });
  };

  #change = (change, done) =>
    this.#act(Object.keys(change)[0], async () => {
      await api.request("PATCH", "/me", { body: change });
      await session.refreshMe();
      if (done) toast(done);
    });

  #answer = (account, accept) =>
    this.#act(`ask-${account.handle}`, async () => {
      const path = `/me/follow-requests/${account.handle}`;
      await (accept ? api.put(path) : api.delete(path));
      this.people = { ...this.people, asking: this.people.asking.filter((one) => one.id !== account.id) };
      await session.refreshMe();
    });

  #unblock = (account) =>
    this.#act(`unblock-${account.handle}`, async () => {
      await api.delete(`/accounts/${account.handle}/block`);
      this.people = { ...this.people, blocked: this.people.blocked.filter((one) => one.id !== account.id) };
    });

  #export = () =>
    this.#act("export", async () => {
      const items = [];
      let page;
      do {
        const cursor = page?.cursor ? `&cursor=${encodeURIComponent(page.cursor)}` : "";
        page = await api.get(`/me/export?limit=100${cursor}`);
        items.push(...page.items);
      } while (page.cursor);
      const file = new Blob([JSON.stringify({ at: page.at, items }, undefined, 2)], { type: "application/json" });
      const link = Object.assign(document.createElement("a"), {
        href: URL.createObjectURL(file),
        download: `onair-${session.me.handle}.json`,
      });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });

  #erase = this.#form("erase", async ({ handle }) => {
    if (handle.trim().replace(/^@/, "") !== session.me.handle) throw new Error(t("settings.erase.mismatch"));
    await api.delete("/me");
    session.signOut();
    toast(t("settings.erase.done"));
    router.go("/");
  });

  #signOutEverywhere = () =>
    this.#act("out", async () => {
      await api.delete("/sessions");
      session.signOut();
      router.go("/");
    });

  // --- sections

  #profile(me) {
    return html`<section aria-label=${t("settings.profile")}>
      <h2>${t("settings.profile")}</h2>
      <div class="row">
        ${avatar(me, 72)}
        <div class="grow">
          <label class="button small ${this.busy === "avatar" ? "waiting" : ""}">
            ${this.busy === "avatar" ? html`<span class="spinner"></span>` : t("settings.picture.choose")}
            <input class="unseen" type="file" accept="image/jpeg,image/png,image/webp" @change=${this.#chosen} ?disabled=${Boolean(this.busy)} />
          </label>
          ${me.avatar_url
            ? html`<button
                class="button plain small"
                ?disabled=${Boolean(this.busy)}
                @click=${() => this.#act("avatar", async () => (await api.delete("/me/avatar"), session.refreshMe()))}
              >
                ${t("settings.picture.remove")}
              </button>`
            : ""}
          <small>${t("settings.picture.hint")}</small>
        </div>
      </div>
      <form
        @submit=${(event) => {
          event.preventDefault();
          this.#change({ display_name: new FormData(event.target).get("display_name") }, t("settings.saved"));
        }}
      >
        <label class="field">${t("sign_up.display_name")}<input name="display_name" required maxlength="50" .value=${me.display_name} /></label>
        <button class="button small" ?disabled=${Boolean(this.busy)}>${t("settings.save")}</button>
      </form>
    </section>`;
  }

  #privacy(me) {
    const asking = this.people.asking ?? [];
    return html`<section aria-label=${t("settings.privacy")}>
      <h2>${t("settings.privacy")}</h2>
      <label class="row switch">
        <span class="grow">${t("settings.private")}<small>${t("settings.private_hint")}</small></span>
        <input
          type="checkbox"
          role="switch"
          .checked=${me.private}
          ?disabled=${Boolean(this.busy)}
          @change=${(event) => this.#change({ private: event.target.checked })}
        />
      </label>
      ${asking.length > 0 ? html`<h3>${t("settings.asking")}</h3>` : ""}
      <ul>
        ${asking.map(
          (one) => html`<li>
            ${avatar(one, 40)}<span class="grow"><b>${one.display_name}</b><small>@${one.handle}</small></span>
            <button class="button small act" ?disabled=${Boolean(this.busy)} @click=${() => this.#answer(one, true)}>${t("settings.accept")}</button>
            <button class="button small" ?disabled=${Boolean(this.busy)} @click=${() => this.#answer(one, false)}>${t("settings.refuse")}</button>
          </li>`,
        )}
      </ul>
      <h3>${t("settings.blocked")}</h3>
      ${this.#blocked()}
    </section>`;
  }

  #blocked() {
    const { blocked } = this.people;
    if (this.failure) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failure.message}</span></div>
        <button class="button small" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!blocked) return html`<div class="skeleton"></div>`;
    if (blocked.length === 0) return html`<p class="empty">${t("settings.blocked_nobody")}</p>`;
    return html`<ul>
      ${blocked.map(
        (one) => html`<li>
          ${avatar(one, 40)}<span class="grow"><b>${one.display_name}</b><small>@${one.handle}</small></span>
          <button class="button small" ?disabled=${Boolean(this.busy)} @click=${() => this.#unblock(one)}>${t("unblock")}</button>
        </li>`,
      )}
    </ul>`;
  }

  #contact(me) {
    return html`<section aria-label=${t("settings.contact")}>
      <h2>${t("settings.contact")}</h2>
      <p>
        ${me.contact
          ? html`<b>${me.contact}</b> · ${me.contact_verified ? t("settings.contact_good") : t("settings.contact_open")}`
          : t("settings.contact_none")}
      </p>
      <form
        @submit=${this.#form("contact", async ({ contact }) => {
          await api.put("/me/contact", { contact: contact.trim() });
          this.codeSent = contact.trim();
        })}
      >
        <label class="field">${t("settings.contact_new")}<input name="contact" required maxlength="254" autocomplete="email" /></label>
        <button class="button small" ?disabled=${Boolean(this.busy)}>${t("settings.send_code")}</button>
      </form>
      ${this.codeSent
        ? html`<form
            @submit=${this.#form("verify", async ({ code }) => {
              await api.post("/me/contact/verify", { code });
              this.codeSent = undefined;
              await session.refreshMe();
              toast(t("settings.contact_good"));
            })}
          >
            <label class="field"
              >${t("settings.code_from", { contact: this.codeSent })}<input
                name="code"
                required
                inputmode="numeric"
                autocomplete="one-time-code"
                pattern="[0-9]{6}"
                maxlength="6"
            /></label>
            <button class="button act small" ?disabled=${Boolean(this.busy)}>${t("settings.confirm")}</button>
          </form>`
        : ""}
    </section>`;
  }

  #password() {
    return html`<section aria-label=${t("sign_in.password")}>
      <h2>${t("sign_in.password")}</h2>
      <form
        @submit=${this.#form("password", async (fields) => {
          const { handle } = session.me;
          await api.put("/me/password", fields);
          // Every session ended with the old password, this one too.
          await session.signIn(handle, fields.new_password).catch(() => session.signOut());
          toast(t("settings.password_done"));
        })}
      >
        <label class="field">${t("settings.password_old")}<input name="password" type="password" required autocomplete="current-password" /></label>
        <label class="field"
          >${t("settings.password_new")}<input name="new_password" type="password" required minlength="10" autocomplete="new-password" /><small
            >${t("sign_up.password_hint")}</small
          ></label
        >
        <button class="button small" ?disabled=${Boolean(this.busy)}>${t("settings.password_change")}</button>
      </form>
    </section>`;
  }

  #secondStep(me) {
    return html`<section aria-label=${t("settings.totp")}>
      <h2>${t("settings.totp")}</h2>
      <p>${me.totp ? t("settings.totp_on") : t("settings.totp_off")}</p>
      ${this.recovery
        ? html`<p>${t("settings.recovery")}</p>
            <pre>${this.recovery.join("\n")}</pre>`
        : ""}
      ${me.totp ? this.#totpOff() : this.secret ? this.#totpConfirm() : this.#totpBegin()}
    </section>`;
  }

  #totpBegin = () =>
    html`<button
      class="button small"
      ?disabled=${Boolean(this.busy)}
      @click=${() => this.#act("totp", async () => (this.secret = await api.post("/me/totp")))}
    >
      ${t("settings.totp_begin")}
    </button>`;

  #totpConfirm = () =>
    html`<p>${t("settings.totp_how")}</p>
      <pre>${this.secret.secret}</pre>
      <a class="button small" href=${this.secret.uri}>${t("settings.totp_open")}</a>
      <form
        @submit=${this.#form("totp", async ({ code }) => {
          this.recovery = (await api.post("/me/totp/confirm", { code })).recovery_codes;
          this.secret = undefined;
          await session.refreshMe();
        })}
      >
        <label class="field"
          >${t("settings.totp_code")}<input name="code" required inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{6}" maxlength="6"
        /></label>
        <button class="button act small" ?disabled=${Boolean(this.busy)}>${t("settings.confirm")}</button>
      </form>`;

  #totpOff = () =>
    html`<form
      @submit=${this.#form("totp", async ({ password }) => {
        await api.post("/me/totp/disable", { password });
        this.recovery = undefined;
        await session.refreshMe();
      })}
    >
      <label class="field">${t("sign_in.password")}<input name="password" type="password" required autocomplete="current-password" /></label>
      <button class="button small" ?disabled=${Boolean(this.busy)}>${t("settings.totp_end")}</button>
    </form>`;

  #data(me) {
    return html`<section aria-label=${t("settings.data")}>
        <h2>${t("settings.data")}</h2>
        <p>${t("settings.export_hint")} ${t("settings.since", { day: moment(me.created_at) })}</p>
        <button class="button small" ?disabled=${Boolean(this.busy)} @click=${this.#export}>
          ${this.busy === "export" ? html`<span class="spinner"></span>` : t("settings.export")}
        </button>
      </section>
      <section aria-label=${t("settings.leave")}>
        <h2>${t("settings.leave")}</h2>
        <button class="button small" ?disabled=${Boolean(this.busy)} @click=${this.#signOutEverywhere}>${icon("sign_out")}${t("settings.out_everywhere")}</button>
        <button class="button danger small" ?disabled=${Boolean(this.busy)} @click=${() => (this.leaving = true)}>${t("settings.erase")}</button>
      </section>
      <onair-sheet heading=${t("settings.erase")} .open=${Boolean(this.leaving)} @close=${() => (this.leaving = false)}>
        ${this.leaving
          ? html`<form @submit=${this.#erase}>
              <p>${t("settings.erase.what")}</p>
              <label class="field"
                >${t("settings.erase.type", { handle: me.handle })}<input name="handle" required autocomplete="off" autocapitalize="none" spellcheck="false"
              /></label>
              <button class="button danger wide" ?disabled=${Boolean(this.busy)}>${t("settings.erase.for_good")}</button>
            </form>`
          : ""}
      </onair-sheet>`;
  }

  render() {
    const { me } = session;
    if (!me) {
      return html`<div class="visitor">
        <h1>${t("settings.title")}</h1>
        <button class="button act" @click=${() => needAccount(this, "me", () => undefined)}>${t("sign_in.title")}</button>
      </div>`;
    }
    return html`<div class="page" aria-busy=${Boolean(this.busy)}>
      <h1>${t("settings.title")}</h1>
      ${this.#profile(me)} ${this.#privacy(me)} ${this.#contact(me)} ${this.#password()} ${this.#secondStep(me)} ${this.#data(me)}
    </div>`;
  }
}

customElements.define("onair-settings", OnairSettings);
