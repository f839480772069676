// The session store: who is signed in, their tokens, wallet and whom they were seen to follow. Screens subscribe to it.
import { api } from "./api.js";

const STORE_KEY = "onair.session";

class Session extends EventTarget {
  #tokens = read();
  /** One renewal serves all requests that found the token expired. */
  #renewal = undefined;
  /** @type {object | undefined} the account as GET /me answers it */
  me = undefined;
  /** @type {{ coins: number, diamonds: number, version: number } | undefined} */
  wallet = undefined;

  get signedIn() {
    return this.#tokens !== undefined;
  }

  /** Whether the token names the group of operators. It shows screens only: every route checks for itself. */
  get operator() {
    try {
      const [, claims] = this.#tokens.access_token.split(".");
      return JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/")))["cognito:groups"]?.includes("operators") ?? false;
    } catch {
      return false; // nobody signed in, or a token of another shape
    }
  }

  token() {
    return this.#tokens?.access_token;
  }

  /** Loads the account of the tokens kept from last time; forgets them when they are refused. */
  async resume() {
    if (!this.signedIn) return;
    try {
      this.me = await api.get("/me");
    } catch (error) {
      if (error.status === 401) this.#forget();
      else throw error;
    }
    this.#tell();
  }

  /** `code`: of an authenticator app, or a recovery code, where the account asks for one. */
  async signIn(handle, password, code) {
    this.#keep(await api.post("/sessions", { handle, password, ...(code ? { code } : {}) }, { signed: false }));
    this.me = await api.get("/me");
    this.wallet = undefined;
    this.#tell();
  }

  /** Creates the account, then signs it in. */
  async signUp(account) {
    await api.post("/accounts", account, { signed: false });
    await this.signIn(account.handle, account.password);
  }

  /** Signs out here. Other devices stay signed in: `DELETE /sessions` would end those too. */
  signOut() {
    this.#forget();
    this.#tell();
  }

  async refreshMe() {
    this.me = await api.get("/me");
    this.#tell();
  }

  async refreshWallet() {
    this.setWallet(await api.get("/wallet"));
    return this.wallet;
  }

  setWallet(wallet) {
    this.wallet = { ...this.wallet, ...wallet };
    this.#tell();
  }

  /** Exchanges the refresh token; false (and signed out) when that is refused too. */
  renew() {
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #renew() {
    const refresh_token = this.#tokens?.refresh_token;
    if (!refresh_token) return false;
    try {
      const renewed = await api.post("/sessions", { refresh_token }, { signed: false });
      // Not every renewal hands out a new refresh token; the old one then stays good.
      this.#keep({ ...renewed, refresh_token: renewed.refresh_token || refresh_token });
      return true;
    } catch (error) {
      if (error.status >= 400 && error.status < 500 && error.status !== 429) {
        this.#forget();
        this.#tell();
      }
      return false;
    }
  }

  #keep({ access_token, refresh_token }) {
    this.#tokens = { access_token, refresh_token };
    localStorage.setItem(STORE_KEY, JSON.stringify(this.#tokens));
  }

  #forget() {
    this.#tokens = this.me = this.wallet = undefined;
    localStorage.removeItem(STORE_KEY);
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORE_KEY)) ?? undefined;
  } catch {
    return undefined; // an unreadable store is an absent one
  }
}

export const session = new Session();
api.signer = session;

/** Lit controller: renders its host again whenever the session changes. */
export class SessionController {
  constructor(host) {
    this.host = host;
    host.addController(this);
  }

  #changed = () => this.host.requestUpdate();

  hostConnected() {
    session.addEventListener("change", this.#changed);
  }

  hostDisconnected() {
    session.removeEventListener("change", this.#changed);
  }
}
