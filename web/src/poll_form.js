// <onair-poll-form>: the host asks the room: a question, two to five answers, and how long.
import { LitElement, css, html } from "lit";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";

const OPTIONS_MIN = 2;
const OPTIONS_MAX = 5;
const TEXT_MAX = 200;
const OPTION_MAX = 60;
const SECONDS = [30, 60, 180, 300];

/** @fires done - when the room took the poll */
export class OnairPollForm extends LitElement {
  static properties = {
    room: { attribute: false },
    options: { state: true },
    refusal: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    css`
      form,
      fieldset {
        display: grid;
        gap: 10px;
      }
      fieldset {
        margin: 0;
        padding: 0;
        border: 0;
      }
      .times {
        display: flex;
        gap: 8px;
      }
      .times label {
        position: relative;
        display: grid;
        flex: 1;
        place-items: center;
        min-height: var(--touch);
        border-radius: 22px;
        background: var(--raised);
        font-weight: 600;
      }
      .times input {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
        margin: 0;
        opacity: 0;
      }
      .times label:has(:checked) {
        background: var(--sun);
        color: var(--on-sun);
      }
      .times label:has(:focus-visible) {
        outline: 2px solid var(--accent);
        outline-offset: 2px;
      }
    `,
  ];

  constructor() {
    super();
    this.options = OPTIONS_MIN;
  }

  #start = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const options = form.getAll("option").map((each) => each.trim()).filter(Boolean);
    if (options.length < OPTIONS_MIN) return;
    this.busy = true;
    this.refusal = undefined;
    try {
      await this.room.poll(form.get("question").trim(), options, Number(form.get("seconds")));
      this.dispatchEvent(new Event("done"));
    } catch (error) {
      this.refusal = error;
    } finally {
      this.busy = false;
    }
  };

  render() {
    const running = this.room?.room?.poll?.state === "open";
    return html`<form @submit=${this.#start} autocomplete="off">
      ${this.refusal ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>` : ""}
      <label class="field">${t("poll.question")}<input name="question" required maxlength=${TEXT_MAX} /></label>
      ${Array.from(
        { length: this.options },
        (_, n) => html`<label class="field"
          >${t("poll.option", { n: n + 1 })}<input name="option" maxlength=${OPTION_MAX} ?required=${n < OPTIONS_MIN}
        /></label>`,
      )}
      ${this.options < OPTIONS_MAX
        ? html`<button type="button" class="button small" @click=${() => (this.options += 1)}>${icon("plus")}${t("poll.more")}</button>`
        : ""}
      <fieldset>
        <legend class="field">${t("poll.seconds")}</legend>
        <div class="times">
          ${SECONDS.map(
            (seconds) => html`<label
              ><input type="radio" name="seconds" value=${seconds} ?checked=${seconds === 60} aria-label=${t("poll.for", { n: seconds })} />${seconds < 60
                ? `${seconds} s`
                : `${seconds / 60} min`}</label
            >`,
          )}
        </div>
      </fieldset>
      <button class="button act wide" ?disabled=${this.busy || running}>${t(running ? "poll.running" : "poll.start")}</button>
    </form>`;
  }
}

customElements.define("onair-poll-form", OnairPollForm);
