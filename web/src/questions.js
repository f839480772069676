// <onair-questions>: the question sheet: ask, say "me too", and, for those who moderate, show and put aside.
import { LitElement, css, html } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { canReadAloud, readsAloud, setReadAloud } from "./read_aloud.js";
import { byInterest, questionsAfter } from "./room_state.js";
import { sheet } from "./style.js";
import { exact, t } from "./strings.js";
import { refused } from "./toast.js";

const TEXT_MAX = 200;

export class OnairQuestions extends LitElement {
  static properties = {
    room: { attribute: false },
    moderates: { type: Boolean },
    items: { state: true },
    failed: { state: true },
    text: { state: true },
    upvoted: { state: true },
  };

  static styles = [
    sheet,
    css`
      form {
        display: flex;
        gap: 8px;
        margin-bottom: 12px;
      }
      form input {
        flex: 1;
        min-width: 0;
        height: 48px;
        padding: 0 16px;
        border: 1.5px solid var(--line);
        border-radius: 24px;
        background: none;
        color: inherit;
        font-size: 16px;
      }
      .aloud {
        display: flex;
        align-items: center;
        gap: 10px;
        min-height: 44px;
        margin-bottom: 8px;
        color: var(--muted);
      }
      .aloud input {
        flex: none;
        width: 22px;
        height: 22px;
        accent-color: var(--sun-2);
      }
      ul {
        display: grid;
        gap: 8px;
        max-height: min(50dvh, 460px);
        margin: 0;
        padding: 0;
        overflow-y: auto;
        list-style: none;
      }
      li {
        padding: 10px 10px 10px 14px;
        border-radius: 18px;
        background: var(--surface);
      }
      li.showing {
        box-shadow: inset 0 0 0 2px var(--sun-2);
      }
      .top {
        display: flex;
        align-items: center;
        gap: 8px;
      }
      .top div {
        flex: 1;
        min-width: 0;
        overflow-wrap: anywhere;
      }
      small {
        display: block;
        color: var(--muted);
        font-size: 0.82rem;
      }
      .up {
        display: grid;
        justify-items: center;
        align-content: center;
        min-width: 52px;
        min-height: 52px;
        border: 0;
        border-radius: 16px;
        background: var(--raised);
        font-weight: 700;
        font-variant-numeric: tabular-nums;
      }
      .up .icon {
        width: 20px;
        height: 20px;
      }
      .up[aria-pressed="true"] {
        color: var(--accent);
        opacity: 1;
      }
      .acts {
        display: flex;
        gap: 8px;
        margin-top: 8px;
      }
      .acts .button {
        flex: 1;
        padding: 0 6px;
      }
      .empty {
        padding: 26px 0;
        color: var(--muted);
        text-align: center;
      }
    `,
  ];

  constructor() {
    super();
    this.text = "";
    this.upvoted = new Set();
  }

  connectedCallback() {
    super.connectedCallback();
    this.room.addEventListener("line", this.#heard);
    this.#load();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.room.removeEventListener("line", this.#heard);
  }

  #heard = ({ detail: { event } }) => {
    if (this.items) this.items = questionsAfter(this.items, event);
    else if (event.type === "question") this.missed = [...(this.missed ?? []), event];
  };

  #load = async () => {
    this.failed = undefined;
    try {
      const { items } = await api.get(`/streams/${this.room.streamId}/questions`);
      // What the room told while the list was on its way is newer than the list.
      this.items = (this.missed ?? []).reduce(questionsAfter, byInterest(items));
      this.missed = undefined;
    } catch (error) {
      this.failed = error;
    }
  };

  #ask = (event) => {
    event.preventDefault();
    const text = this.text.trim();
    if (!text) return;
    needAccount(this, "ask", async () => {
      this.text = "";
      if (!(await this.#tried(() => this.room.ask(text))) && !this.text) this.text = text;
    });
  };

  #upvote(question) {
    needAccount(this, "ask", async () => {
      const before = this.upvoted;
      this.upvoted = new Set(before).add(question.question_id);
      if (!(await this.#tried(() => this.room.upvote(question.question_id)))) this.upvoted = before;
    });
  }

  async #tried(act) {
    try {
      await act();
      return true;
    } catch (error) {
      if (error.code !== "closed") refused(error);
      return false;
    }
  }

  #question(question) {
    const up = this.upvoted.has(question.question_id);
    const act = (state, key) => html`<button
      class="button small"
      data-state=${state}
      @click=${() => this.#tried(() => this.room.answer(question.question_id, state))}
    >
      ${t(key)}
    </button>`;
    return html`<li class=${question.state} data-question=${question.question_id}>
      <div class="top">
        <div>${question.text}<small>${question.from?.name ?? ""}${question.state === "showing" ? ` · ${t("questions.shown")}` : ""}</small></div>
        <button
          class="up"
          aria-pressed=${up ? "true" : "false"}
          ?disabled=${up}
          aria-label=${t("questions.upvote", { text: question.text, n: question.upvotes })}
          @click=${() => this.#upvote(question)}
        >
          ${icon("up")}${exact(question.upvotes)}
        </button>
      </div>
      ${this.moderates
        ? html`<div class="acts">
            ${question.state === "showing" ? "" : act("showing", "questions.show")} ${act("answered", "questions.answered")}
            ${act("dismissed", "questions.dismiss")}
          </div>`
        : ""}
    </li>`;
  }

  /** Only the host is on air and may want to keep the eyes on the camera. */
  #aloud() {
    if (this.room.me?.role !== "host" || !canReadAloud()) return "";
    return html`<label class="aloud"
      ><input type="checkbox" name="read_aloud" .checked=${readsAloud()} @change=${(event) => setReadAloud(event.target.checked)} />${t(
        "questions.read_aloud",
      )}</label
    >`;
  }

  #list() {
    if (this.failed) {
      return html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failed.message}</span></div>
        <button class="button wide" @click=${this.#load}>${t("retry")}</button>`;
    }
    if (!this.items) return html`<p class="empty"><span class="spinner"></span></p>`;
    if (this.items.length === 0) return html`<p class="empty">${t("questions.empty")}</p>`;
    return html`<ul>
      ${repeat(this.items, (each) => each.question_id, (each) => this.#question(each))}
    </ul>`;
  }

  render() {
    return html`${this.moderates
        ? this.#aloud()
        : html`<form @submit=${this.#ask} autocomplete="off">
            <input
              aria-label=${t("questions.ask_label")}
              placeholder=${t("questions.ask_label")}
              maxlength=${TEXT_MAX}
              enterkeyhint="send"
              .value=${this.text}
              @input=${(event) => (this.text = event.target.value)}
            />
            <button class="button act" ?disabled=${!this.text.trim()}>${t("questions.ask")}</button>
          </form>`}
      ${this.#list()}`;
  }
}

customElements.define("onair-questions", OnairQuestions);
