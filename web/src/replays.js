// <onair-replays>: recordings as a list, newest first; of one's own also what becomes of each (files, visibility, end).
import { LitElement, css, html } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { follow } from "./router.js";
import { sheet } from "./style.js";
import { clock, day, moment, short, size, t } from "./strings.js";
import { refused, toast } from "./toast.js";
import "./replay_files.js";
import "./sheet.js";

const PAGE = 12;
/** A recording that is still put together is looked for again after this long, and no more than so often. */
const LOOK_MS = 10_000;
const LOOKS_MAX = 30;
/** From this long before its end a recording says until when it is kept. */
const SOON_MS = 7 * 86_400_000;
const AUDIENCES = ["public", "followers", "off"];
const AUDIENCE_ICONS = { public: "eye", followers: "following", off: "lock" };

export class OnairReplays extends LitElement {
  static properties = {
    /** The list's route: `/me/replays` or `/accounts/{handle}/replays`. */
    path: {},
    /** Whether they are one's own. */
    own: { type: Boolean },
    items: { state: true },
    cursor: { state: true },
    failure: { state: true },
    busy: { state: true },
    /** The recording whose sheet is open. */
    shown: { state: true },
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
        grid-template-columns: repeat(auto-fill, minmax(min(148px, 100%), 1fr));
        gap: 14px 10px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        position: relative;
        min-width: 0;
      }
      a {
        display: grid;
        gap: 2px;
        border-radius: 18px;
        text-decoration: none;
      }
      .picture {
        position: relative;
        aspect-ratio: 4 / 5;
        margin-bottom: 5px;
        border-radius: 18px;
        background: linear-gradient(160deg, var(--raised), var(--surface));
        overflow: hidden;
      }
      .picture img {
        position: relative; /* over the icon that stands for a picture */
        width: 100%;
        height: 100%;
        object-fit: cover;
      }
      .picture > .icon {
        position: absolute;
        inset: 0;
        width: 30px;
        height: 30px;
        margin: auto;
        color: var(--muted);
      }
      .tag {
        position: absolute;
        bottom: 8px;
        left: 8px;
        display: flex;
        align-items: center;
        gap: 4px;
        padding: 3px 8px;
        border-radius: 11px;
        background: #08050dbf;
        color: #fff;
        font-size: 0.78rem;
        font-weight: 650;
        font-variant-numeric: tabular-nums;
      }
      .tag.to {
        top: 8px;
        bottom: auto;
      }
      .tag .icon {
        width: 14px;
        height: 14px;
      }
      b {
        display: -webkit-box;
        font-size: 0.94rem;
        line-height: 1.25;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 2;
        overflow: hidden;
        overflow-wrap: anywhere;
      }
      small,
      p {
        color: var(--muted);
        font-size: 0.84rem;
      }
      .manage {
        position: absolute;
        top: 2px;
        right: 2px;
        display: grid;
        place-items: center;
        width: var(--touch);
        height: var(--touch);
        padding: 0;
        border: 0;
        border-radius: 50%;
        background: none;
        color: #fff;
      }
      .manage .icon {
        padding: 7px;
        width: 34px;
        height: 34px;
        border-radius: 50%;
        background: #08050dbf;
      }
      .skeleton {
        aspect-ratio: 4 / 5;
        border-radius: 18px;
      }
      .more {
        margin-top: 14px;
      }
      .facts {
        margin-bottom: 16px;
      }
      fieldset {
        display: grid;
        gap: 4px;
        margin: 0 0 16px;
        padding: 0;
        border: 0;
      }
      legend {
        margin-bottom: 6px;
        padding: 0;
        font-weight: 650;
      }
      label {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 50px;
        padding: 0 14px;
        border-radius: 16px;
        background: var(--surface);
        cursor: pointer;
      }
      label:has(:focus-visible) {
        outline: 3px solid var(--sun-1);
        outline-offset: 2px;
      }
      label input {
        margin: 0 0 0 auto;
        width: 20px;
        height: 20px;
        accent-color: var(--sun-1);
        outline: none;
      }
      label .icon {
        width: 20px;
        height: 20px;
        color: var(--muted);
      }
    `,
  ];

  /** To whom each recording is shown by what the server answered, and the change that it is still to answer. */
  #stored = new Map();
  #turn = Promise.resolve();

  willUpdate(changed) {
    if (!changed.has("path") && !changed.has("own")) return;
    this.items = this.cursor = this.failure = this.shown = undefined;
    clearTimeout(this.looking);
    this.looks = 0;
    if (this.path) this.#load();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.looking);
  }

  #load = async (after) => {
    const { path } = this;
    this.failure = undefined;
    this.busy = true;
    try {
      const page = await api.get(`${path}?limit=${PAGE}${after ? `&cursor=${encodeURIComponent(after)}` : ""}`);
      if (path !== this.path) return;
      this.items = [...(after ? this.items : []), ...page.items];
      this.cursor = page.cursor;
      this.#lookAgain();
    } catch (error) {
      if (path === this.path) this.failure = error;
    } finally {
      if (path === this.path) this.busy = false;
    }
  };

  #lookAgain() {
    clearTimeout(this.looking);
    if (this.looks >= LOOKS_MAX || !this.isConnected || !this.items.some(({ state }) => state === "processing")) return;
    this.looks += 1;
    this.looking = setTimeout(this.#look, LOOK_MS);
  }

  /** What is put together by now stands in its place; the rest of the list and the page stay as they are. */
  #look = async () => {
    const { path } = this;
    const news = await api.get(`${path}?limit=${PAGE}`).catch(() => ({ items: [] }));
    if (path !== this.path) return;
    const byId = new Map(news.items.map((one) => [one.stream.id, one]));
    this.items = this.items.map((one) => byId.get(one.stream.id) ?? one);
    this.#lookAgain();
  };

  /** One change is sent after the other, so that the choice made last is the one that stays. */
  #show = async ({ stream: { id, replay: before } }, replay) => {
    if (!this.#stored.has(id)) this.#stored.set(id, before);
    this.#put(id, replay);
    const change = () => api.request("PATCH", `/streams/${id}`, { body: { replay } });
    const turn = this.#turn.then(change, change);
    this.#turn = turn;
    try {
      await turn;
      this.#stored.set(id, replay);
      toast(t("replays.shown", { whom: t(`replays.to.${replay}`) }));
    } catch (error) {
      const now = this.items.find(({ stream }) => stream.id === id);
      if (now?.stream.replay === replay) this.#put(id, this.#stored.get(id));
      refused(error);
    }
  };

  #put(id, replay) {
    const after = (one) => (one.stream.id === id ? { ...one, stream: { ...one.stream, replay } } : one);
    this.items = this.items.map(after);
    this.shown &&= after(this.shown);
  }

  /** The sheet may be closed by then, or show another one. */
  #deleted(event, id) {
    event.preventDefault(); // it stays here: the screen of the recording would leave
    this.items = this.items.filter(({ stream }) => stream.id !== id);
    if (this.shown?.stream.id !== id) return;
    this.shown = undefined;
    this.leftBehind = true;
  }

  /** What opened the sheet is gone with the recording: the list's heading has the focus instead. */
  #closed = (event) => {
    if (event.target !== event.currentTarget) return;
    this.shown = undefined;
    if (this.leftBehind) this.renderRoot.querySelector("h2").focus();
    this.leftBehind = false;
  };

  #kept({ expires_at: at }) {
    return t("replays.kept", { day: day(at.slice(0, 10)) });
  }

  #item = (one) => {
    const { stream, state, viewers, duration_s: seconds, picture_url: picture } = one;
    const soon = Date.parse(one.expires_at) - Date.now() < SOON_MS;
    return html`<li>
      <a href="/replay/${stream.id}" @click=${follow}>
        <span class="picture">
          ${icon("play")}
          ${picture ? html`<img src=${picture} alt="" loading="lazy" @error=${({ target }) => (target.hidden = true)} />` : ""}
          ${this.own && stream.replay !== "public"
            ? html`<span class="tag to">${icon(AUDIENCE_ICONS[stream.replay])}${t(`replays.to.${stream.replay}`)}</span>`
            : ""}
          <span class="tag">${state === "ready" ? clock(seconds) : html`${icon("clock")}${t("replays.processing")}`}</span>
        </span>
        <b>${stream.title}</b>
        <small>${moment(stream.started_at)} · ${t("replays.viewers", { n: viewers })}</small>
        ${soon ? html`<small>${this.#kept(one)}</small>` : ""}
      </a>
      ${this.own
        ? html`<button class="manage" aria-label=${t("replays.manage", { title: stream.title })} @click=${() => (this.shown = one)}>
            ${icon("tune")}
          </button>`
        : ""}
    </li>`;
  };

  #facts(one) {
    const { state, bytes, duration_s: seconds, viewers } = one;
    const facts = [t("replays.viewers", { n: viewers }), this.#kept(one)];
    if (state === "ready") facts.unshift(clock(seconds), size(bytes));
    return html`<p class="facts">${facts.join(" · ")}</p>`;
  }

  #audience(one) {
    return html`<fieldset>
      <legend>${t("replays.to")}</legend>
      ${AUDIENCES.map(
        (replay) => html`<label
          >${icon(AUDIENCE_ICONS[replay])}${t(`replays.to.${replay}`)}<input
            type="radio"
            name="replay"
            .checked=${one.stream.replay === replay}
            @change=${() => this.#show(one, replay)}
        /></label>`,
      )}
    </fieldset>`;
  }

  #sheet(one) {
    if (one.state !== "ready") return html`${this.#facts(one)}<p>${t("replays.processing_what")}</p>`;
    return html`${this.#facts(one)} ${this.#audience(one)}
      <onair-replay-files .streamId=${one.stream.id} @deleted=${(event) => this.#deleted(event, one.stream.id)}></onair-replay-files>`;
  }

  #list() {
    if (this.failure && !this.items) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${t("replays.failed")}. ${this.failure.message}</span></div>
        <button class="button small more" @click=${() => this.#load()}>${t("retry")}</button>`;
    }
    if (!this.items) {
      return html`<ul aria-busy="true" aria-label=${t("replays.loading")}>
        ${[1, 2, 3].map(() => html`<li><div class="skeleton"></div></li>`)}
      </ul>`;
    }
    const more = this.cursor
      ? html`<button class="button small wide more" ?disabled=${this.busy} @click=${() => this.#load(this.cursor)}>
          ${t(this.failure ? "retry" : "replays.more")}
        </button>`
      : "";
    if (this.items.length === 0 && !more) return html`<p>${t(this.own ? "replays.own_empty" : "replays.empty")}</p>`;
    return html`<ul>
        ${repeat(this.items, ({ stream }) => stream.id, this.#item)}
      </ul>
      ${this.failure ? html`<p role="alert">${this.failure.message}</p>` : ""} ${more}`;
  }

  render() {
    return html`<h2 tabindex="-1">${t("replays.title")}</h2>
      ${this.#list()}
      <onair-sheet
        .open=${this.shown !== undefined}
        .heading=${this.shown?.stream.title ?? ""}
        @close=${this.#closed}
        >${this.shown ? this.#sheet(this.shown) : ""}</onair-sheet
      >`;
  }
}

customElements.define("onair-replays", OnairReplays);
