// The operators' page is a row of sections; each is an element of its own and is listed here, and nowhere else.
import "./operator_accounts.js";
import "./operator_appeals.js";
import "./operator_payouts.js";
import "./operator_reports.js";
import "./operator_trail.js";

/** Key (its name is the string `operator.{key}`) → the element's tag, in the order of the tabs. */
export const sections = new Map([
  ["accounts", "onair-operator-accounts"],
  ["reports", "onair-operator-reports"],
  ["appeals", "onair-operator-appeals"],
  ["payouts", "onair-operator-payouts"],
  ["audit", "onair-operator-trail"],
]);
