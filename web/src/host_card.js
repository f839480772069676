// <onair-host-card>: a person's public profile in a sheet, with follow.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { needAccount } from "./need_account.js";
import { session } from "./session.js";
import { avatar, sheet } from "./style.js";
import { short, t } from "./strings.js";
import { refused } from "./toast.js";

/** @fires followed - detail {following} */
export class OnairHostCard extends LitElement {
  static properties = {
    account: { attribute: false },
    following: { type: Boolean },
    profile: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        display: grid;
        justify-items: center;
        gap: 6px;
        text-align: center;
      }
      h2 {
        margin-top: 8px;
        font-size: 1.35rem;
      }
      p {
        color: var(--muted);
      }
      dl {
        display: flex;
        gap: 34px;
        min-height: 48px;
        margin: 12px 0 18px;
      }
      dl div {
        display: grid;
        justify-items: center;
      }
      dd {
        order: -1;
        margin: 0;
        font-size: 1.2rem;
        font-weight: 750;
        font-variant-numeric: tabular-nums;
      }
      dt {
        color: var(--muted);
        font-size: 0.84rem;
      }
    `,
  ];

  async willUpdate(changed) {
    if (!changed.has("account") || !this.account) return;
    this.profile = undefined;
    try {
      this.profile = await api.get(`/accounts/${this.account.handle}`);
    } catch (error) {
      refused(error);
    }
  }

  #follow = () => needAccount(this, "follow", () => toggleFollow(this, this.account, this.following));

  render() {
    const { account, profile } = this;
    if (!account) return "";
    const own = session.me?.handle === account.handle;
    return html`
      ${avatar(profile ?? account, 92)}
      <h2>${profile?.display_name ?? account.display_name ?? account.name}</h2>
      <p>@${account.handle}</p>
      <dl>
        <div>
          <dt>${t("followers", { n: profile?.followers ?? 0 })}</dt>
          <dd>${profile ? short(profile.followers) : "…"}</dd>
        </div>
        <div>
          <dt>${t("following_count")}</dt>
          <dd>${profile ? short(profile.following) : "…"}</dd>
        </div>
      </dl>
      ${own
        ? ""
        : html`<button class="button wide ${this.following ? "" : "act"}" @click=${this.#follow}>
            ${this.following ? t("following") : t("follow")}
          </button>`}
    `;
  }
}

/** Follows or unfollows, and tells it on `element` as a `followed` event. */
export async function toggleFollow(element, account, following) {
  const path = `/accounts/${account.handle}/follow`;
  try {
    await (following ? api.delete(path) : api.put(path));
    element.dispatchEvent(new CustomEvent("followed", { detail: { following: !following }, bubbles: true, composed: true }));
  } catch (error) {
    refused(error);
  }
}

/** Does the person who is signed in follow `handle`? The first pages of who they follow tell; beyond them it is unknown. */
export async function readFollowing(handle) {
  if (!session.me || session.me.handle === handle) return false;
  let cursor;
  for (let page = 0; page < 3; page += 1) {
    const query = cursor ? `?limit=100&cursor=${encodeURIComponent(cursor)}` : "?limit=100";
    const answer = await api.get(`/accounts/${session.me.handle}/following${query}`);
    if (answer.items.some((account) => account.handle === handle)) return true;
    cursor = answer.cursor;
    if (!cursor) break;
  }
  return false;
}

customElements.define("onair-host-card", OnairHostCard);
