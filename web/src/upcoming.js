// <onair-upcoming>: what is announced, soonest first, each with a reminder. Nothing where nothing is announced.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { follow } from "./router.js";
import { session } from "./session.js";
import { avatar, sheet } from "./style.js";
import { moment, t } from "./strings.js";
import "./reminder.js";

const SHOWN_MAX = 20;

export class OnairUpcoming extends LitElement {
  static properties = { items: { state: true } };

  static styles = [
    sheet,
    css`
      section {
        padding: 4px max(12px, var(--safe-right)) 30px max(12px, var(--safe-left));
      }
      h2 {
        margin: 0 4px 8px;
        font-size: 1.1rem;
      }
      ul {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr));
        gap: 8px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 12px;
        min-width: 0;
        padding: 12px 14px;
        border-radius: 22px;
        background: var(--surface);
      }
      a {
        display: flex;
        flex: 1;
        align-items: center;
        gap: 12px;
        min-width: 0;
        min-height: var(--touch);
        text-decoration: none;
      }
      a > span:last-child {
        min-width: 0;
      }
      b,
      small {
        display: block;
        overflow-wrap: anywhere;
      }
      b {
        display: -webkit-box;
        overflow: hidden;
        font-weight: 700;
        line-height: 1.25;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 2;
      }
      small {
        color: var(--muted);
        font-size: 0.82rem;
      }
      @media (min-width: 900px) {
        section {
          padding-inline: 28px;
        }
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.load();
  }

  /** Reads anew; a list that does not come leaves what is shown, for the feed above it says what is wrong. */
  load = async () => {
    if (!session.signedIn) return;
    try {
      this.items = (await api.get(`/feed/upcoming?limit=${SHOWN_MAX}`)).items;
    } catch {
      this.items ??= [];
    }
  };

  render() {
    if (!this.items?.length) return "";
    return html`<section aria-label=${t("upcoming.title")}>
      <h2>${t("upcoming.title")}</h2>
      <ul>
        ${this.items.map(
          (stream) => html`<li>
            <a href="/@${stream.host.handle}" @click=${follow}
              >${avatar(stream.host, 44)}<span
                ><b>${stream.title}</b><small>${stream.host.display_name}</small
                ><small><time datetime=${stream.scheduled_for}>${moment(stream.scheduled_for)}</time></small></span
              ></a
            >
            ${stream.host.handle === session.me?.handle ? "" : html`<onair-reminder .stream=${stream}></onair-reminder>`}
          </li>`,
        )}
      </ul>
    </section>`;
  }
}

customElements.define("onair-upcoming", OnairUpcoming);
