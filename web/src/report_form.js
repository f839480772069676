// <onair-report>: why something is reported: a reason, and words if one likes. What becomes of it stands in the settings.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";

const REASONS = [
  "spam", "harassment", "hate", "sexual_content", "violence", "self_harm", "minor_safety", "extremism", "illegal_goods",
  "fraud", "impersonation", "copyright", "other",
];
const TEXT_MAX = 500;

/**
 * `path` is what is reported (`/streams/{id}` or `/accounts/{handle}`), `eventId` a comment in the stream's room.
 * @fires done - when the report is filed
 */
export class OnairReport extends LitElement {
  static properties = {
    path: {},
    eventId: {},
    reason: { state: true },
    failed: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    css`
      fieldset {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(150px, 1fr));
        gap: 4px;
        margin: 0 0 12px;
        padding: 0;
        border: 0;
      }
      label {
        display: flex;
        align-items: center;
        gap: 10px;
        min-height: var(--touch);
        padding: 0 8px;
        border-radius: 14px;
        font-weight: 600;
      }
      label:hover,
      label:has(:checked) {
        background: var(--raised);
      }
      label input {
        width: 20px;
        height: 20px;
        accent-color: var(--sun-2);
      }
      textarea {
        width: 100%;
        min-height: 76px;
        margin: 0 0 12px;
        padding: 10px 14px;
        border: 1.5px solid var(--line);
        border-radius: 16px;
        background: none;
        font-size: 16px;
        resize: vertical;
      }
    `,
  ];

  #send = async (event) => {
    event.preventDefault();
    if (!this.reason) return;
    this.busy = true;
    this.failed = undefined;
    const text = this.renderRoot.querySelector("textarea").value.trim();
    try {
      await api.post(`${this.path}/report`, {
        reason: this.reason,
        ...(text ? { text } : {}),
        ...(this.eventId ? { event_id: this.eventId } : {}),
      });
      toast(t("report.done"));
      this.dispatchEvent(new Event("done"));
    } catch (error) {
      this.failed = error;
    } finally {
      this.busy = false;
    }
  };

  render() {
    return html`<form @submit=${this.#send}>
      <fieldset>
        <legend class="unseen">${t("report.why")}</legend>
        ${REASONS.map(
          (reason) => html`<label
            ><input type="radio" name="reason" value=${reason} .checked=${this.reason === reason} @change=${() => (this.reason = reason)} />${t(
              `report.reason.${reason}`,
            )}</label
          >`,
        )}
      </fieldset>
      <textarea maxlength=${TEXT_MAX} placeholder=${t("report.text")} aria-label=${t("report.text")}></textarea>
      ${this.failed ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failed.message}</span></div>` : ""}
      <button class="button wide" ?disabled=${this.busy || !this.reason}>${t("report.send")}</button>
    </form>`;
  }
}

customElements.define("onair-report", OnairReport);
