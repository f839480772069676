// <onair-room-cards>: what lies over the picture while it stands: the question or comment that is shown, and the poll.
import { LitElement, css, html } from "lit";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { shares } from "./room_state.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { refused } from "./toast.js";

/** A result stays this long, then leaves the picture. */
const RESULT_MS = 12_000;

export class OnairRoomCards extends LitElement {
  static properties = {
    room: { attribute: false },
    /** The room as it stands (`room.room`): a new object whenever something in it changed. */
    standing: { attribute: false },
    /** Hosts and moderators do not vote, and take questions off the glass. */
    moderates: { type: Boolean },
    now: { state: true },
    voted: { state: true },
    hidden: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        position: absolute;
        top: calc(72px + var(--match, 0px) + var(--safe-top));
        left: max(12px, var(--safe-left));
        right: calc(64px + var(--safe-right));
        display: grid;
        gap: 8px;
        justify-items: start;
        pointer-events: none;
        color: #fff;
      }
      section {
        width: 100%;
        max-width: 340px;
        padding: 12px 14px;
        border-radius: 20px;
        background: #120b1fd1;
        backdrop-filter: blur(14px);
        -webkit-backdrop-filter: blur(14px);
        box-shadow: 0 8px 30px #0006;
        pointer-events: auto;
        animation: come 0.3s var(--ease);
      }
      @keyframes come {
        from {
          transform: translateY(-10px);
          opacity: 0;
        }
      }
      .title {
        display: flex;
        align-items: center;
        gap: 6px;
        color: #ffd08a;
        font-size: 0.78rem;
        font-weight: 700;
      }
      .title span {
        flex: 1;
      }
      .title .icon {
        width: 17px;
        height: 17px;
      }
      .text {
        margin-top: 4px;
        font-size: 1.06rem;
        font-weight: 650;
        line-height: 1.3;
        overflow-wrap: anywhere;
      }
      .by {
        color: #ffffffc7;
        font-size: 0.82rem;
      }
      .acts {
        display: flex;
        gap: 8px;
        margin-top: 8px;
      }
      .acts .button {
        flex: 1;
        background: #ffffff24;
        color: #fff;
      }
      .option {
        position: relative;
        display: flex;
        align-items: center;
        gap: 8px;
        width: 100%;
        min-height: var(--touch);
        margin-top: 6px;
        padding: 6px 14px;
        border: 1.5px solid #ffffff3d;
        border-radius: 14px;
        background: none;
        color: #fff;
        text-align: left;
        overflow: hidden;
      }
      .option:disabled {
        opacity: 1;
      }
      .option i {
        position: absolute;
        inset: 0;
        background: #ffffff24;
        transform-origin: left;
        transform: scaleX(var(--share));
        transition: transform 0.5s var(--ease);
      }
      .option.mine {
        border-color: #ffb59c;
      }
      .option.best i {
        background: linear-gradient(90deg, #ff7a5c94, #ff4f8b94);
      }
      .option span,
      .option b {
        position: relative;
      }
      .option span {
        flex: 1;
        min-width: 0;
        overflow-wrap: anywhere;
        font-size: 0.94rem;
        font-weight: 600;
      }
      .option b {
        font-variant-numeric: tabular-nums;
      }
      .option .icon {
        position: relative;
        width: 18px;
        height: 18px;
      }
      .close {
        margin: -10px -12px -8px 0;
      }
      .title .close .icon {
        width: 20px;
        height: 20px;
      }
      @media (prefers-reduced-motion: reduce) {
        section,
        .option i {
          animation: none;
          transition: none;
        }
      }
    `,
  ];

  constructor() {
    super();
    this.voted = new Map();
    this.now = Date.now();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.ticker);
    this.ticker = undefined;
  }

  get #poll() {
    const poll = this.standing?.poll;
    return poll && poll.poll_id !== this.hidden ? poll : undefined;
  }

  willUpdate() {
    const poll = this.standing?.poll;
    if (poll?.state === "closed" && poll.poll_id !== this.closing) {
      this.closing = poll.poll_id;
      setTimeout(() => (this.hidden = poll.poll_id), RESULT_MS);
    }
    const counts = this.#poll?.state === "open" && this.isConnected;
    if (counts && !this.ticker) {
      this.now = Date.now(); // it stood still since the last poll
      this.ticker = setInterval(() => (this.now = Date.now()), 1_000);
    }
    if (!counts) {
      clearInterval(this.ticker);
      this.ticker = undefined;
    }
  }

  #vote(poll, option) {
    needAccount(this, "vote", async () => {
      const before = this.voted;
      this.voted = new Map(before).set(poll.poll_id, option); // the bar fills under the finger
      try {
        await this.room.vote(poll.poll_id, option);
      } catch (error) {
        this.voted = before;
        if (error.code !== "closed") refused(error);
      }
    });
  }

  async #answer(question, state) {
    try {
      await this.room.answer(question.question_id, state);
    } catch (error) {
      refused(error);
    }
  }

  #question(question) {
    const from = question.from?.name ?? question.from?.handle;
    return html`<section class="question" role="status" aria-label=${t("questions.shown")}>
      <p class="title">${icon("question")}<span>${t("questions.shown")}</span></p>
      <p class="text">${question.text}</p>
      ${from ? html`<p class="by">${from}</p>` : ""}
      ${this.moderates
        ? html`<div class="acts">
            <button class="button small" @click=${() => this.#answer(question, "answered")}>${t("questions.answered")}</button>
            <button class="button small" @click=${() => this.#answer(question, "dismissed")}>${t("questions.dismiss")}</button>
          </div>`
        : ""}
    </section>`;
  }

  #pollCard(poll) {
    const open = poll.state === "open";
    const mine = this.voted.get(poll.poll_id);
    const result = !open || mine !== undefined || this.moderates;
    const parts = shares(poll.tallies);
    const best = Math.max(...poll.tallies);
    const left = Math.max(0, Math.ceil((new Date(poll.ends_at) - this.now) / 1_000));
    const votes = poll.tallies.reduce((sum, each) => sum + each, 0);
    return html`<section class="poll" aria-label=${t("poll.title")} data-state=${poll.state}>
      <p class="title">
        ${icon("poll")}<span>${open ? t("poll.open", { n: left }) : t("poll.closed")} · ${t("poll.votes", { n: votes })}</span>
        <button class="round close" aria-label=${t("close")} @click=${() => (this.hidden = poll.poll_id)}>${icon("close")}</button>
      </p>
      <p class="text">${poll.question}</p>
      ${poll.options.map(
        (option, n) => html`<button
          class="option ${mine === n ? "mine" : ""} ${result && best > 0 && poll.tallies[n] === best ? "best" : ""}"
          style="--share:${result ? parts[n] / 100 : 0}"
          aria-label=${result ? t("poll.share", { option, n: parts[n] }) : t("poll.vote", { option })}
          ?disabled=${result}
          @click=${() => this.#vote(poll, n)}
        >
          <i></i><span>${option}</span>${mine === n ? icon("check") : ""}${result ? html`<b>${parts[n]} %</b>` : ""}
        </button>`,
      )}
      <span class="unseen" role="status">${open ? t("poll.title") : t("poll.closed")}: ${poll.question}</span>
    </section>`;
  }

  render() {
    const showing = this.standing?.showing;
    const poll = this.#poll;
    return html`${showing ? this.#question(showing) : ""} ${poll ? this.#pollCard(poll) : ""}`;
  }
}

customElements.define("onair-room-cards", OnairRoomCards);
