// <onair-reminder>: be reminded of a broadcast that is announced, or no more. The stream says what holds now.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { refused, toast } from "./toast.js";

export class OnairReminder extends LitElement {
  static properties = {
    stream: { attribute: false },
    /** What holds; the stream's word until the button is used. */
    on: { state: true },
    busy: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        flex: none;
      }
      button[aria-pressed="true"] {
        background: none;
        box-shadow: inset 0 0 0 1.5px var(--line);
      }
    `,
  ];

  willUpdate(changed) {
    if (changed.has("stream") && !this.busy) this.on = this.stream?.reminder ?? false;
  }

  #toggle = () =>
    needAccount(this, "remind", async () => {
      if (this.busy) return;
      const wanted = !this.on;
      this.busy = true;
      this.on = wanted; // shown at once; what the API refuses goes back
      try {
        const path = `/streams/${this.stream.id}/reminder`;
        await (wanted ? api.put(path) : api.delete(path));
        if (wanted) toast(t("reminder.done"));
      } catch (error) {
        this.on = !wanted;
        refused(error);
      } finally {
        this.busy = false;
      }
    });

  render() {
    const { host, title } = this.stream ?? {};
    return html`<button
      class="button small ${this.on ? "" : "act"}"
      aria-pressed=${this.on ? "true" : "false"}
      aria-label=${t("reminder.label", { name: host?.display_name, title })}
      ?disabled=${this.busy}
      @click=${this.#toggle}
    >
      ${icon(this.on ? "check" : "bell")}${t(this.on ? "reminder.on" : "reminder.off")}
    </button>`;
  }
}

customElements.define("onair-reminder", OnairReminder);
