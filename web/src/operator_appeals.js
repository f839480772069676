// <onair-operator-appeals>: appeals that wait, the oldest first, and their one review.
import { html } from "lit";
import { api } from "./api.js";
import { OperatorList } from "./operator_list.js";
import { operatorStyle } from "./operator_style.js";
import { badge, entry, recordStyle } from "./record.js";
import { session } from "./session.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";

export class OnairOperatorAppeals extends OperatorList {
  static styles = [sheet, recordStyle, operatorStyle];

  path = "/operator/appeals";
  emptyKey = "operator.appeals_empty";

  #review = async (event, id) => {
    event.preventDefault();
    const decision = event.submitter.value;
    const reason = new FormData(event.target).get("reason");
    this.busy = true;
    this.failure = undefined;
    try {
      await api.put(`/operator/appeals/${encodeURIComponent(id)}`, { decision, reason });
      this.items = this.items.filter((each) => each.id !== id);
      toast(t("operator.done"));
    } catch (error) {
      this.failure = error;
    } finally {
      this.busy = false;
    }
  };

  item({ id, handle, standing, entry: about }) {
    return html`<div class="who"><div><b>@${handle}</b></div>${badge(standing)}</div>
      ${entry(about)}
      ${about.decided_by === session.me?.handle ? html`<p>${t("operator.same")}</p>` : ""}
      <form @submit=${(event) => this.#review(event, id)}>
        <label class="field">${t("operator.reason")}<input name="reason" maxlength="500" required autocomplete="off" /></label>
        <div class="row">
          <button class="button" value="upheld" ?disabled=${this.busy}>${t("operator.uphold")}</button>
          <button class="button act" value="overturned" ?disabled=${this.busy}>${t("operator.overturn")}</button>
        </div>
      </form>`;
  }
}

customElements.define("onair-operator-appeals", OnairOperatorAppeals);
