// <onair-people>: who follows an account, or whom it follows, page by page; each leads to their profile.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { follow } from "./router.js";
import { avatar, sheet } from "./style.js";
import { t } from "./strings.js";

const PAGE = 30;

export class OnairPeople extends LitElement {
  static properties = {
    /** The list's route: `/accounts/{handle}/followers`. */
    path: {},
    items: { state: true },
    cursor: { state: true },
    failure: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    css`
      ul {
        display: grid;
        gap: 2px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      a {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 56px;
        padding: 4px;
        border-radius: 14px;
        text-decoration: none;
      }
      a:hover {
        background: var(--raised);
      }
      a > span:nth-child(2) {
        flex: 1;
        min-width: 0;
      }
      b,
      small {
        display: block;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      small,
      p {
        color: var(--muted);
      }
      p {
        padding: 26px 0;
        text-align: center;
      }
      .skeleton {
        height: 50px;
        margin-bottom: 6px;
        border-radius: 14px;
      }
    `,
  ];

  willUpdate(changed) {
    if (!changed.has("path")) return;
    this.items = this.cursor = undefined;
    if (this.path) this.#load();
  }

  #load = async () => {
    const { path, cursor } = this;
    this.failure = undefined;
    this.busy = true;
    try {
      const page = await api.get(`${path}?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      if (path !== this.path) return;
      this.items = [...(cursor ? this.items : []), ...page.items];
      this.cursor = page.cursor;
    } catch (error) {
      if (path === this.path) this.failure = error;
    } finally {
      this.busy = false;
    }
  };

  render() {
    if (this.failure) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failure.message}</span></div>
        <button class="button small" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.items) return [1, 2, 3].map(() => html`<div class="skeleton"></div>`);
    if (this.items.length === 0) return html`<p>${t("people.nobody")}</p>`;
    return html`<ul>
        ${this.items.map(
          (one) => html`<li>
            <a href="/@${one.handle}" @click=${follow}
              >${avatar(one, 42)}<span><b>${one.display_name}</b><small>@${one.handle}</small></span>${one.live_stream
                ? html`<span class="live-badge">${t("live")}</span>`
                : ""}</a
            >
          </li>`,
        )}
      </ul>
      ${this.cursor ? html`<button class="button small wide" ?disabled=${this.busy} @click=${this.#load}>${t("people.more")}</button>` : ""}`;
  }
}

customElements.define("onair-people", OnairPeople);
