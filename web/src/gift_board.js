// <onair-gift-board>: who gave most in this broadcast, and the gifts that its host hopes for; the host sets these here.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { readGifts } from "./catalogue.js";
import { icon } from "./icons.js";
import { session } from "./session.js";
import { avatar, sheet } from "./style.js";
import { exact, t } from "./strings.js";
import { refused } from "./toast.js";

const PLACES = 20;
const GOALS_MAX = 5;
const COUNT_MAX = 1_000_000;
const MEDALS = ["🥇", "🥈", "🥉"];
/** Settlement takes a second or two; asking again before would show the same. */
const REFRESH_MS = 2_500;

export const readGoals = (streamId) => api.get(`/streams/${streamId}/goals`).then(({ items }) => items);

export class OnairGiftBoard extends LitElement {
  static properties = {
    room: { attribute: false },
    places: { state: true },
    goals: { state: true },
    gifts: { state: true },
    failed: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    css`
      h3 {
        margin: 18px 0 8px;
        font-size: 1rem;
      }
      ol,
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 56px;
      }
      .rank {
        width: 30px;
        color: var(--muted);
        font-size: 1.05rem;
        font-weight: 700;
        text-align: center;
        font-variant-numeric: tabular-nums;
      }
      .name {
        flex: 1;
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
        font-weight: 650;
      }
      .mine .name {
        color: var(--accent);
      }
      .coins {
        display: inline-flex;
        align-items: center;
        gap: 5px;
        font-weight: 650;
        font-variant-numeric: tabular-nums;
      }
      .coins .icon {
        width: 16px;
        height: 16px;
      }
      .goal {
        display: grid;
        grid-template-columns: 40px 1fr auto auto;
      }
      .goal .emoji {
        font-size: 30px;
      }
      progress {
        width: 100%;
        height: 10px;
        border: 0;
        border-radius: 5px;
        background: var(--raised);
        appearance: none;
        overflow: hidden;
      }
      progress::-webkit-progress-bar {
        background: var(--raised);
      }
      progress::-webkit-progress-value {
        border-radius: 5px;
        background: var(--sun);
        transition: width 0.4s var(--ease);
      }
      progress::-moz-progress-bar {
        background: var(--sun-2);
      }
      .goal small {
        color: var(--muted);
        font-variant-numeric: tabular-nums;
      }
      form {
        display: grid;
        grid-template-columns: 1fr 92px auto;
        gap: 8px;
        margin-top: 10px;
      }
      select,
      input {
        min-width: 0;
        min-height: var(--touch);
        padding: 0 12px;
        border: 1.5px solid var(--line);
        border-radius: 14px;
        background: var(--surface);
        color: var(--text);
        font: inherit;
      }
      .empty {
        padding: 10px 0 16px;
        color: var(--muted);
      }
      .skeleton {
        height: 44px;
        margin: 6px 0;
        border-radius: 14px;
      }
      @media (prefers-reduced-motion: reduce) {
        progress::-webkit-progress-value {
          transition: none;
        }
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.#load();
    this.room?.addEventListener("line", this.#line);
    this.room?.addEventListener("gift-sent", this.#soon);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.room?.removeEventListener("line", this.#line);
    this.room?.removeEventListener("gift-sent", this.#soon);
    clearTimeout(this.later);
    this.later = undefined;
  }

  #line = ({ detail: { event } }) => {
    if (event.type === "gift") this.#soon();
    // Whoever set the goals has them already.
    if (event.type === "settings" && event.goals && this.room.me?.role !== "host") this.#load();
  };

  #soon = () => {
    this.more = this.later !== undefined; // came too late for the reading that is due
    this.later ??= setTimeout(() => {
      this.later = undefined;
      this.#load();
      if (this.more) this.#soon();
    }, REFRESH_MS);
  };

  #load = async () => {
    const path = `/streams/${this.room.streamId}/leaderboard?limit=${PLACES}`;
    try {
      const [board, goals, gifts] = await Promise.all([api.get(path), readGoals(this.room.streamId), readGifts()]);
      [this.places, this.goals, this.gifts] = [board.items, goals, gifts];
      this.failed = undefined;
      this.#tell();
    } catch (error) {
      this.failed = error;
    }
  };

  /** The button beside the picture shows them too. */
  #tell() {
    this.room.dispatchEvent(new CustomEvent("goals", { detail: this.goals }));
  }

  async #setGoals(goals) {
    if (this.busy) return;
    this.busy = true;
    try {
      const wanted = goals.map(({ gift_id, count }) => ({ gift_id, count }));
      this.goals = (await api.put(`/streams/${this.room.streamId}/goals`, { goals: wanted })).items;
      this.#tell();
    } catch (error) {
      refused(error);
    } finally {
      this.busy = false;
    }
  }

  #add = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const added = { gift_id: form.get("gift"), count: Number(form.get("count")) };
    this.#setGoals([...this.goals.filter((each) => each.gift_id !== added.gift_id), added]);
  };

  #goal(goal, mine) {
    const gift = this.gifts.find(({ id }) => id === goal.gift_id);
    const name = gift?.name ?? goal.gift_id;
    return html`<li class="goal" data-goal=${goal.gift_id}>
      <span class="emoji" aria-hidden="true">${gift?.emoji ?? "🎁"}</span>
      <progress aria-label=${t("board.goal_of", { gift: name })} max=${goal.count} .value=${Math.min(goal.given, goal.count)}></progress>
      <small>${exact(goal.given)} / ${exact(goal.count)}</small>
      ${mine
        ? html`<button class="round" aria-label=${t("board.remove_goal", { gift: name })} ?disabled=${this.busy}
            @click=${() => this.#setGoals(this.goals.filter((each) => each !== goal))}>${icon("close")}</button>`
        : ""}
    </li>`;
  }

  #goals() {
    const mine = this.room.me?.role === "host";
    if (!mine && this.goals.length === 0) return "";
    return html`<h3>${t("board.goals")}</h3>
      <ul>${this.goals.map((goal) => this.#goal(goal, mine))}</ul>
      ${mine && this.goals.length < GOALS_MAX
        ? html`<form @submit=${this.#add}>
            <select name="gift" aria-label=${t("board.gift")}>
              ${this.gifts.map((gift) => html`<option value=${gift.id}>${gift.emoji} ${gift.name}</option>`)}
            </select>
            <input name="count" type="number" required min="1" max=${COUNT_MAX} value="10" aria-label=${t("board.how_many")} />
            <button class="button" ?disabled=${this.busy}>${t("board.add_goal")}</button>
          </form>`
        : ""}`;
  }

  render() {
    if (this.failed && !this.places) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failed.message}</span></div>
        <button class="button act wide" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.places) return Array.from({ length: 4 }, () => html`<div class="skeleton"></div>`);
    return html`${this.#goals()}
      <h3>${t("board.givers")}</h3>
      ${this.places.length === 0
        ? html`<p class="empty">${t("board.empty")}</p>`
        : html`<ol>
            ${this.places.map(
              (each) => html`<li class=${each.id === session.me?.id ? "mine" : ""}>
                <span class="rank">${each.rank <= MEDALS.length ? html`<span class="emoji" aria-hidden="true">${MEDALS[each.rank - 1]}</span>` : each.rank}</span>
                ${avatar({ id: each.id, handle: each.handle, display_name: each.name }, 38)}
                <span class="name">${each.name}</span>
                <span class="coins" aria-label=${t("gifts.price", { n: each.coins })}>${icon("coin")}${exact(each.coins)}</span>
              </li>`,
            )}
          </ol>`}`;
  }
}

customElements.define("onair-gift-board", OnairGiftBoard);
