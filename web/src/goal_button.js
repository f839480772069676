// <onair-goal-button>: opens the board; with a goal it shows that gift in a ring that fills as it is given.
import { LitElement, css, html } from "lit";
import { giftsById } from "./catalogue.js";
import { readGoals } from "./gift_board.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { short, t } from "./strings.js";

/** Settlement takes a second or two; a burst of gifts is asked about once. */
const REFRESH_MS = 2_500;
/** A room's event that was lost, or a settlement that took longer, is noticed by then. */
const EVERY_MS = 30_000;

export class OnairGoalButton extends LitElement {
  static properties = { room: { attribute: false }, goals: { state: true }, gifts: { state: true } };

  static styles = [
    sheet,
    css`
      :host {
        display: grid;
        justify-items: center;
        width: 44px;
        color: #fff;
      }
      .round {
        position: relative;
      }
      .goal {
        background: conic-gradient(var(--sun-2) calc(var(--part) * 360deg), #ffffff40 0);
      }
      .goal .emoji {
        display: grid;
        place-items: center;
        width: 36px;
        height: 36px;
        border-radius: 50%;
        background: #1c1226e6;
        font-size: 19px;
      }
      small {
        margin-top: 3px;
        font-size: 0.72rem;
        font-weight: 700;
        font-variant-numeric: tabular-nums;
        text-shadow: 0 1px 4px #000c;
      }
    `,
  ];

  willUpdate(changed) {
    if (!changed.has("room") || this.room === this.heard) return;
    this.#unhear();
    this.heard = this.room;
    this.goals = undefined;
    if (!this.room) return;
    this.room.addEventListener("line", this.#line);
    this.room.addEventListener("goals", this.#told);
    this.room.addEventListener("gift-sent", this.#soon);
    this.every = setInterval(() => document.hidden || this.read(), EVERY_MS);
    this.read();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#unhear();
    clearTimeout(this.later);
    this.later = undefined;
  }

  #unhear() {
    this.heard?.removeEventListener("line", this.#line);
    this.heard?.removeEventListener("goals", this.#told);
    this.heard?.removeEventListener("gift-sent", this.#soon);
    clearInterval(this.every);
    this.heard = undefined;
  }

  #told = ({ detail }) => (this.goals = detail);

  #line = ({ detail: { event } }) => {
    if (event.type === "gift") this.#soon();
    if (event.type === "settings" && event.goals) this.read();
  };

  #soon = () => {
    this.more = this.later !== undefined; // came too late for the reading that is due
    this.later ??= setTimeout(() => {
      this.later = undefined;
      this.read();
      if (this.more) this.#soon();
    }, REFRESH_MS);
  };

  /** Without an answer the picture stands without the ring. */
  read = async () => {
    const room = this.room;
    const [goals, gifts] = await Promise.all([readGoals(room.streamId).catch(() => this.goals), giftsById()]);
    if (room === this.room) [this.goals, this.gifts] = [goals, gifts];
  };

  render() {
    const goal = this.goals?.find(({ given, count }) => given < count) ?? this.goals?.at(-1);
    if (!goal) return html`<button class="round glass" data-sheet="board" aria-label=${t("board.title")}>${icon("trophy")}</button>`;
    const gift = this.gifts?.get(goal.gift_id);
    const { given, count } = goal;
    const words = `${t("board.goal", { gift: gift?.name ?? goal.gift_id, given, count })}${given >= count ? `. ${t("board.reached")}` : ""}`;
    return html`<button class="round goal" data-sheet="board" style="--part:${Math.min(1, given / count)}" aria-label="${t("board.title")}. ${words}">
        <span class="emoji" aria-hidden="true">${gift?.emoji ?? "🎁"}</span>
      </button>
      <small aria-hidden="true">${given >= count ? "✓" : `${short(given)}/${short(count)}`}</small>`;
  }
}

customElements.define("onair-goal-button", OnairGoalButton);
