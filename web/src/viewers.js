// <onair-viewers>: who is watching: everybody for those who moderate, for others whom they follow. Read when opened.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { avatar, sheet } from "./style.js";
import { exact, t } from "./strings.js";

const SHOWN_MAX = 100;

export class OnairViewers extends LitElement {
  static properties = { room: { attribute: false }, moderates: { type: Boolean }, found: { state: true }, failed: { state: true } };

  static styles = [
    sheet,
    css`
      ul {
        display: grid;
        gap: 2px;
        max-height: min(56dvh, 520px);
        margin: 0;
        padding: 0;
        overflow-y: auto;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 52px;
        padding: 0 4px;
      }
      li b {
        display: block;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
        font-weight: 650;
      }
      li > span {
        flex: 1;
        min-width: 0;
      }
      small,
      p {
        color: var(--muted);
      }
      p {
        margin: 12px 4px 0;
        font-size: 0.88rem;
      }
      .badge {
        flex: none;
        padding: 2px 9px;
        border-radius: 10px;
        background: var(--surface);
        color: var(--muted);
        font-size: 0.76rem;
        font-style: normal;
        font-weight: 700;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.#load();
  }

  #load = async () => {
    this.failed = undefined;
    try {
      this.found = await api.get(`/streams/${this.room.streamId}/viewers?limit=${SHOWN_MAX}`);
    } catch (error) {
      this.failed = error;
    }
  };

  #viewer(one) {
    const badge = ["host", "moderator"].includes(one.role) ? t(`badge.${one.role}`) : one.followed ? t("following") : "";
    return html`<li data-handle=${one.handle}>
      ${avatar(one, 38)}<span><b>${one.display_name}</b><small>@${one.handle}</small></span>
      ${badge ? html`<i class="badge">${badge}</i>` : ""}
    </li>`;
  }

  /** Why there are fewer names than viewers. */
  #note({ viewers, items, more }) {
    if (items.length >= viewers) return "";
    return html`<p>${t(this.moderates ? (more ? "viewers.more" : "viewers.unnamed") : "viewers.followed", { n: viewers })}</p>`;
  }

  render() {
    if (this.failed) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failed.message}</span></div>
        <button class="button wide" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.found) return html`<p role="status"><span class="spinner"></span></p>`;
    return html`<ul aria-label=${t("watch.viewers_label", { n: exact(this.found.viewers) })}>
        ${this.found.items.map((one) => this.#viewer(one))}
      </ul>
      ${this.#note(this.found)}`;
  }
}

customElements.define("onair-viewers", OnairViewers);
