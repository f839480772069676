// <onair-moderation>: the room's rules for hosts and moderators: slow mode, who may comment, gifts, what is held or refused.
import { LitElement, css, html } from "lit";
import { live } from "lit/directives/live.js";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";

const SLOW_S = [0, 5, 15, 30, 60];
const KEYWORDS_MAX = 200;
const SWITCHES = ["comments_on", "followers_only", "gifts_on", "repeats_on"];
const RULES = ["personal_data", "links", "profanity"];
const ANSWERS = ["allowed", "held", "refused"];

/** @fires held - to see the comments that wait */
export class OnairModeration extends LitElement {
  static properties = {
    streamId: {},
    /** Comments that wait for a decision. */
    waiting: { type: Number },
    controls: { state: true },
    refusal: { state: true },
  };

  static styles = [
    sheet,
    css`
      .row {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 52px;
        border-bottom: 1px solid var(--line);
        font-weight: 600;
      }
      .row span {
        flex: 1;
      }
      .row input {
        appearance: none;
        position: relative;
        width: 56px;
        height: 44px;
        margin: 0;
        background: none;
      }
      .row input::before,
      .row input::after {
        content: "";
        position: absolute;
        border-radius: 16px;
        transition: 0.2s;
      }
      .row input::before {
        inset: 7px 2px;
        background: var(--line);
      }
      .row input::after {
        top: 10px;
        left: 5px;
        width: 24px;
        height: 24px;
        border-radius: 50%;
        background: #fff;
        box-shadow: 0 1px 4px #0006;
      }
      .row input:checked::before {
        background: var(--sun-2);
      }
      .row input:checked::after {
        left: 27px;
      }
      .row input:focus-visible {
        outline: 2px solid var(--accent);
        border-radius: 12px;
      }
      .slow {
        display: flex;
        gap: 6px;
        margin: 8px 0 6px;
      }
      .slow button {
        flex: 1;
        min-width: 44px;
        min-height: var(--touch);
        padding: 0;
        border: 0;
        border-radius: 22px;
        background: var(--raised);
        font-weight: 600;
      }
      .slow [aria-pressed="true"] {
        background: var(--sun);
        color: var(--on-sun);
      }
      h3 {
        margin: 8px 0 0;
        font-size: 0.94rem;
      }
      textarea {
        width: 100%;
        min-height: 88px;
        margin: 8px 0;
        padding: 10px 14px;
        border: 1.5px solid var(--line);
        border-radius: 16px;
        background: none;
        color: inherit;
        font: inherit;
        font-size: 16px;
        resize: vertical;
      }
      .hint {
        color: var(--muted);
        font-size: 0.84rem;
      }
    `,
  ];

  firstUpdated() {
    this.#change({}); // a change of nothing answers what stands, the words too
  }

  /**
   * Sends what differs, one change after the other. Controls stay enabled meanwhile: one that is disabled under the
   * focus takes Escape from the sheet.
   */
  #change(change) {
    this.sending = (this.sending ?? Promise.resolve()).then(() => this.#send(change));
    return this.sending;
  }

  /** The answer is what is shown, so that two moderators see the same. */
  async #send(change) {
    this.refusal = undefined;
    try {
      this.controls = await api.request("PATCH", `/streams/${this.streamId}/room`, { body: change });
      return true;
    } catch (error) {
      this.refusal = error;
      return false;
    } finally {
      this.requestUpdate();
    }
  }

  #keywords = async () => {
    const text = this.renderRoot.querySelector("textarea").value;
    const keywords = text.split(/[\n,]/).map((word) => word.trim()).filter(Boolean).slice(0, KEYWORDS_MAX);
    if (await this.#change({ keywords })) toast(t("moderation.saved"));
  };

  render() {
    const { settings, keywords } = this.controls ?? {};
    return html`
      ${this.refusal ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.refusal.message}</span></div>` : ""}
      ${settings
        ? html`${SWITCHES.map(
              (name) => html`<label class="row"
                ><span>${t(`moderation.${name}`)}</span
                ><input type="checkbox" role="switch" name=${name} .checked=${live(settings[name])}
                  @change=${(event) => this.#change({ [name]: event.target.checked })}
              /></label>`,
            )}
            <h3 id="slow">${t("moderation.slow_mode")}</h3>
            <div class="slow" role="group" aria-labelledby="slow">
              ${SLOW_S.map(
                (seconds) => html`<button aria-pressed=${settings.slow_mode_s === seconds ? "true" : "false"}
                  data-seconds=${seconds} @click=${() => this.#change({ slow_mode_s: seconds })}>
                  ${seconds === 0 ? t("moderation.off") : `${seconds} s`}
                </button>`,
              )}
            </div>
            ${RULES.map(
              (name) => html`<h3 id=${name}>${t(`moderation.${name}`)}</h3>
                <div class="slow" role="group" aria-labelledby=${name}>
                  ${ANSWERS.map(
                    (answer) => html`<button aria-pressed=${settings[name] === answer ? "true" : "false"}
                      data-rule="${name}-${answer}" @click=${() => this.#change({ [name]: answer })}>
                      ${t(`moderation.rule.${answer}`)}
                    </button>`,
                  )}
                </div>`,
            )}
            <button class="button plain wide" data-act="held" @click=${() => this.dispatchEvent(new Event("held"))}>
              ${t(this.waiting ? "held.open" : "held.title", { n: this.waiting })}
            </button>
            <h3 id="words">${t("moderation.keywords")}</h3>
            <textarea aria-labelledby="words" .value=${(keywords ?? []).join("\n")}></textarea>
            <p class="hint">${t("moderation.keywords_hint")}</p>
            <button class="button wide" @click=${this.#keywords}>${t("moderation.save")}</button>`
        : this.refusal
          ? ""
          : html`<span class="spinner"></span>`}
    `;
  }
}

customElements.define("onair-moderation", OnairModeration);
