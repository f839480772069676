// What sections that show a list have in common: loading a page of it, more of it, and what keeps it from showing.
import { LitElement, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { t } from "./strings.js";

const PAGE = 20;

/** A section whose subclasses say `path`, `emptyKey` and how an item looks (`item`). */
export class OperatorList extends LitElement {
  static properties = {
    items: { state: true },
    cursor: { state: true },
    failure: { state: true },
    busy: { state: true },
  };

  connectedCallback() {
    super.connectedCallback();
    this.load();
  }

  load = async () => {
    this.items = this.cursor = undefined;
    await this.more();
  };

  more = async () => {
    this.busy = true;
    this.failure = undefined;
    try {
      const after = this.cursor ? `&cursor=${encodeURIComponent(this.cursor)}` : "";
      const page = await api.get(`${this.path}?limit=${PAGE}${after}`);
      this.items = [...(this.items ?? []), ...page.items];
      this.cursor = page.cursor;
    } catch (error) {
      this.failure = error;
    } finally {
      this.busy = false;
    }
  };

  render() {
    return html`<div class="stack">
      ${this.failure
        ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failure.message}</span></div>
            <button class="button wide" @click=${this.items ? this.more : this.load}>${t("retry")}</button>`
        : ""}
      ${this.items
        ? this.items.length
          ? html`<ol class="record">
              ${this.items.map((each) => html`<li>${this.item(each)}</li>`)}
            </ol>`
          : html`<p class="empty">${t(this.emptyKey)}</p>`
        : this.failure
          ? ""
          : html`<div class="skeleton block" role="status"><span class="unseen">${t("operator.loading")}</span></div>`}
      ${this.cursor && !this.failure
        ? html`<button class="button wide" ?disabled=${this.busy} @click=${this.more}>${t("me.statement_more")}</button>`
        : ""}
    </div>`;
  }
}
