// <onair-rivals>: whom a host may ask for a match: live hosts, those one follows first, and anyone by handle.
import { LitElement, css, html } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { avatar, sheet } from "./style.js";
import { short, t } from "./strings.js";

const SHOWN_MAX = 30;

/** Those who can be asked: no stream twice, not one's own, and open to the same people as it. Pure. */
export function rivals(own, followed, others) {
  const seen = new Set([own.id]);
  const found = [...followed, ...others].filter(({ id, audience, min_age: age, state }) => {
    const fits = state === "live" && audience === "everyone" && age === own.min_age && !seen.has(id);
    seen.add(id);
    return fits;
  });
  return found.slice(0, SHOWN_MAX);
}

/** @fires ask - detail: the handle of who is asked */
export class OnairRivals extends LitElement {
  static properties = {
    /** One's own stream. */
    own: { attribute: false },
    busy: { type: Boolean },
    streams: { state: true },
    failure: { state: true },
    handle: { state: true },
    looking: { state: true },
    word: { state: true },
  };

  static styles = [
    sheet,
    css`
      ul {
        display: grid;
        gap: 2px;
        margin: 12px 0 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 58px;
      }
      .who {
        flex: 1;
        min-width: 0;
      }
      .who > * {
        display: block;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      small,
      p {
        color: var(--muted);
      }
      small .icon {
        display: inline;
        width: 14px;
        height: 14px;
        vertical-align: -2px;
      }
      p {
        margin: 10px 0;
      }
      .nobody {
        padding: 18px 0;
        text-align: center;
      }
      form {
        display: flex;
        gap: 8px;
        align-items: end;
      }
      .field {
        flex: 1;
      }
      .small {
        flex: none;
        min-height: var(--touch);
        padding: 0 16px;
      }
      form .small {
        min-height: 52px;
      }
      .skeleton {
        height: 52px;
        margin-top: 8px;
        border-radius: 14px;
      }
    `,
  ];

  constructor() {
    super();
    this.handle = "";
  }

  firstUpdated() {
    if (this.#open) this.#load();
  }

  get #open() {
    return this.own?.audience === "everyone";
  }

  #load = async () => {
    this.failure = undefined;
    try {
      const [followed, others] = await Promise.all(["following", "for-you"].map((kind) => api.get(`/feed/${kind}?limit=${SHOWN_MAX}`)));
      this.followed = new Set(followed.items.map(({ id }) => id));
      this.streams = rivals(this.own, followed.items, others.items);
    } catch (error) {
      this.failure = error;
    }
  };

  /** Whoever is not in the list is looked for by the whole handle. */
  #find = async (event) => {
    event.preventDefault();
    const handle = this.#sought;
    if (!handle || this.looking) return;
    if (this.#matching.some(({ host }) => host.handle === handle)) return;
    this.looking = true;
    this.word = undefined;
    try {
      const { live_stream: id } = await api.get(`/accounts/${encodeURIComponent(handle)}`);
      const stream = id && (await api.get(`/streams/${id}`));
      if (stream?.state === "live" && stream.id !== this.own.id) this.streams = [stream, ...(this.streams ?? []).filter((one) => one.id !== id)];
      else this.word = t("match.not_live", { handle });
    } catch (error) {
      this.word = error.status === 404 ? t("match.unknown", { handle }) : error.message;
    } finally {
      this.looking = false;
    }
  };

  get #sought() {
    return this.handle.trim().replace(/^@/, "").toLowerCase();
  }

  get #matching() {
    const sought = this.#sought;
    const found = this.streams ?? [];
    return sought ? found.filter(({ host }) => `${host.handle} ${host.display_name}`.toLowerCase().includes(sought)) : found;
  }

  #row({ id, title, viewers, host }) {
    return html`<li data-handle=${host.handle}>
      ${avatar(host, 44)}
      <span class="who"
        ><b>${host.display_name}</b><small>@${host.handle} · ${icon("eye")} ${short(viewers)}${this.followed?.has(id) ? ` · ${t("why.following")}` : ""}</small
        ><small>${title}</small></span
      >
      <button class="button act small" aria-label=${t("match.ask_who", { handle: host.handle })} ?disabled=${this.busy}
        @click=${() => this.dispatchEvent(new CustomEvent("ask", { detail: host.handle }))}>${t("match.ask")}</button>
    </li>`;
  }

  #list() {
    if (this.failure && !this.streams) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${t("match.failed")} ${this.failure.message}</span></div>
        <button class="button small" @click=${this.#load}>${icon("refresh")}${t("retry")}</button>`;
    }
    if (!this.streams) {
      return html`<div aria-busy="true" aria-label=${t("match.loading")}>${[1, 2, 3].map(() => html`<div class="skeleton"></div>`)}</div>`;
    }
    const found = this.#matching;
    if (found.length === 0) {
      return html`<p class="nobody" role="status">${t(this.#sought ? "match.nobody_found" : "match.nobody")}</p>
        ${this.#sought ? "" : html`<button class="button small wide" @click=${this.#load}>${icon("refresh")}${t("feed.refresh")}</button>`}`;
    }
    return html`<ul>${repeat(found, ({ id }) => id, (stream) => this.#row(stream))}</ul>`;
  }

  render() {
    if (!this.#open) return html`<p>${t("match.closed")}</p>`;
    return html`<p>${t("match.hint")}</p>
      <form role="search" autocomplete="off" @submit=${this.#find}>
        <label class="field">${t("match.search")}
          <input type="search" maxlength="25" autocapitalize="none" placeholder="@handle" enterkeyhint="search" .value=${this.handle}
            @input=${(event) => ((this.handle = event.target.value), (this.word = undefined))} /></label>
        <button class="button small" ?disabled=${this.looking || !this.#sought}>${t("match.search_send")}</button>
      </form>
      ${this.word ? html`<p role="status">${this.word}</p>` : ""} ${this.#list()}`;
  }
}

customElements.define("onair-rivals", OnairRivals);
