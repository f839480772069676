// <onair-host-card>: a person's public profile in a sheet, with follow.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { follow } from "./router.js";
import { session } from "./session.js";
import { avatar, sheet } from "./style.js";
import { short, t } from "./strings.js";
import { refused, toast } from "./toast.js";
import "./gift_gallery.js";

/** @fires followed - detail {following} */
export class OnairHostCard extends LitElement {
  static properties = {
    account: { attribute: false },
    following: { type: Boolean },
    profile: { state: true },
    busy: { state: true },
    asking: { state: true },
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
      p a {
        display: inline-grid;
        place-items: center;
        min-height: var(--touch);
        padding: 0 12px;
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
      .sure {
        display: grid;
        gap: 8px;
        justify-items: center;
        padding-top: 8px;
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

  /** What the button says: the profile knows best, before it is there the screen's own word counts. */
  get #standing() {
    const { relation, private: closed } = this.profile ?? {};
    if (relation?.requested) return "requested";
    if (relation ? relation.following : this.following) return "following";
    return closed ? "ask" : "follow";
  }

  #toggle = () =>
    needAccount(this, "follow", async () => {
      const standing = this.#standing;
      this.busy = true;
      try {
        await toggleFollow(this, this.account, standing === "following" || standing === "requested", standing !== "ask" && standing !== "requested");
        this.profile = await api.get(`/accounts/${this.account.handle}`).catch(() => this.profile);
      } finally {
        this.busy = false;
      }
    });

  #block = () =>
    needAccount(this, "me", async () => {
      const blocked = this.profile?.relation?.blocked;
      this.busy = true;
      try {
        await (blocked ? api.delete(`/accounts/${this.account.handle}/block`) : api.put(`/accounts/${this.account.handle}/block`));
        this.asking = false;
        toast(t(blocked ? "unblocked" : "blocked", { name: this.account.display_name ?? this.account.name }));
        this.profile = await api.get(`/accounts/${this.account.handle}`);
      } catch (error) {
        refused(error);
      } finally {
        this.busy = false;
      }
    });

  #blocking() {
    if (this.profile?.relation?.blocked) {
      return html`<button class="button plain small" ?disabled=${this.busy} @click=${this.#block}>${t("unblock")}</button>`;
    }
    if (!this.asking) {
      return html`<button class="button plain small" @click=${() => (this.asking = true)}>${icon("ban")}${t("block")}</button>`;
    }
    return html`<div class="sure" role="alertdialog" aria-label=${t("block")}>
      <p>${t("block.what")}</p>
      <button class="button danger small" ?disabled=${this.busy} @click=${this.#block}>${t("block.sure")}</button>
      <button class="button small" @click=${() => (this.asking = false)}>${t("cancel")}</button>
    </div>`;
  }

  render() {
    const { account, profile } = this;
    if (!account) return "";
    const own = session.me?.handle === account.handle;
    return html`
      ${avatar(profile ?? account, 92)}
      <h2>${profile?.display_name ?? account.display_name ?? account.name}</h2>
      <p><a href="/@${account.handle}" aria-label=${`${t("profile.open")} @${account.handle}`} @click=${follow}>@${account.handle}</a></p>
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
        : html`${profile?.relation?.blocked
              ? html`<p>${t("block.on")}</p>`
              : html`<button
                  class="button wide ${["follow", "ask"].includes(this.#standing) ? "act" : ""}"
                  ?disabled=${this.busy}
                  @click=${this.#toggle}
                >
                  ${t(this.#standing)}
                </button>`}
            ${this.#blocking()}`}
      <onair-gift-gallery .handle=${account.handle}></onair-gift-gallery>
    `;
  }
}

/** Follows or unfollows, and tells it on `element` as a `followed` event. */
export async function toggleFollow(element, account, following, told = true) {
  const path = `/accounts/${account.handle}/follow`;
  try {
    await (following ? api.delete(path) : api.put(path));
    // Asking to follow is no follow yet.
    if (told) element.dispatchEvent(new CustomEvent("followed", { detail: { following: !following }, bubbles: true, composed: true }));
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
