// <onair-operator-trail>: what operators did, newest first. It can only be read.
import { html } from "lit";
import { OperatorList } from "./operator_list.js";
import { operatorStyle } from "./operator_style.js";
import { recordStyle } from "./record.js";
import { sheet } from "./style.js";
import { moment, t } from "./strings.js";

export class OnairOperatorTrail extends OperatorList {
  static styles = [sheet, recordStyle, operatorStyle];

  path = "/operator/audit";
  emptyKey = "operator.audit_empty";

  item({ at, operator, action, target, reason, details }) {
    const told = Object.entries(details)
      .filter(([, value]) => value !== null && typeof value !== "object")
      .map(([name, value]) => `${name}: ${value}`);
    return html`<div class="entry">
      <b>${t(`trail.${action}`, {}, action)} · ${target}</b>
      <span>${reason}</span>
      ${told.length ? html`<small>${told.join(" · ")}</small>` : ""}
      <span class="by">${moment(at)} · ${operator}</span>
    </div>`;
  }
}

customElements.define("onair-operator-trail", OnairOperatorTrail);
