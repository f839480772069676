// <onair-statement-copy>: a month of one's own statement as a file, CSV for a spreadsheet or JSON with every hash.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { refused } from "./toast.js";

const TYPES = { csv: "text/csv", json: "application/json" };

export class OnairStatementCopy extends LitElement {
  static properties = { busy: { state: true } };

  static styles = [
    sheet,
    css`
      fieldset {
        display: flex;
        align-items: end;
        gap: 10px;
        margin: 14px 0 0;
        padding: 0;
        border: 0;
      }
      .button {
        padding-inline: 16px;
        white-space: nowrap;
      }
      legend {
        margin-bottom: 8px;
        padding: 0;
        color: var(--muted);
        font-size: 0.86rem;
      }
      input {
        flex: 1;
        min-width: 0;
        width: 120px;
        min-height: var(--touch);
        padding: 0 12px;
        border: 1.5px solid var(--line);
        border-radius: 14px;
        background: var(--surface);
        color: var(--text);
        color-scheme: light dark;
        font: inherit;
      }
    `,
  ];

  /** Pages follow each other until the month is whole; of CSV only the first keeps its line of names. */
  async #save(format) {
    const month = this.renderRoot.querySelector("input").value;
    if (this.busy || !month) return;
    this.busy = format;
    try {
      const parts = [];
      let path = `/wallet/export?month=${month}&format=${format}`;
      while (path) {
        const response = await api.request("GET", path, { raw: true });
        const text = await response.text();
        path = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
        if (format === "json") parts.push(...JSON.parse(text).items);
        else parts.push(parts.length ? text.slice(text.indexOf("\n") + 1) : text);
      }
      const whole = format === "json" ? JSON.stringify({ month, items: parts }, undefined, 1) : parts.join("");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([whole], { type: TYPES[format] }));
      link.download = `onair-${month}.${format}`;
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (error) {
      refused(error);
    } finally {
      this.busy = undefined;
    }
  }

  render() {
    const now = new Date().toISOString().slice(0, 7);
    return html`<fieldset>
      <legend>${t("statement.keep")}</legend>
      <input type="month" max=${now} .value=${now} aria-label=${t("statement.month")} />
      ${Object.keys(TYPES).map(
        (format) => html`<button class="button" data-format=${format} ?disabled=${this.busy !== undefined} @click=${() => this.#save(format)}>
          ${this.busy === format ? html`<span class="spinner"></span>` : t("statement.as", { format: format.toUpperCase() })}
        </button>`,
      )}
    </fieldset>`;
  }
}

customElements.define("onair-statement-copy", OnairStatementCopy);
