// Acting needs an account: asks the app for sign-in and goes on with the act after it.
import { session } from "./session.js";

/** Runs `then` now for someone signed in, else after they signed in. `act` is a key of "act.*". */
export function needAccount(element, act, then) {
  if (session.signedIn) return then();
  element.dispatchEvent(new CustomEvent("need-account", { detail: { act, then }, bubbles: true, composed: true }));
  return undefined;
}
