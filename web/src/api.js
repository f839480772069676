// The HTTPS API client: addresses from /config.json, errors in one shape, one retry after a token was renewed.
import { t } from "./strings.js";

/** A refusal by the API, or no answer at all (`code` is then "network", `status` 0). */
export class ApiError extends Error {
  constructor(status, code, message, details, retryAfterMs) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.details = details;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Requests end after this long without an answer; API Gateway itself gives up at 29 s. */
const TIMEOUT_MS = 15_000;

async function readError(response) {
  const { error } = await response.json().catch(() => ({}));
  const retry = Number(error?.details?.retry_after_ms ?? Number(response.headers.get("Retry-After")) * 1000) || undefined;
  return new ApiError(response.status, error?.code ?? "unknown", error?.message ?? t("error.unknown"), error?.details, retry);
}

export class Api {
  /** @type {{ token(): string | undefined, renew(): Promise<boolean> } | undefined} who signs requests */
  signer;

  constructor(fetch = globalThis.fetch.bind(globalThis)) {
    this.fetch = fetch;
    this.config = undefined;
  }

  /** Reads /config.json; every other address comes from it. */
  async start(origin = "") {
    this.config = await this.#send(`${origin}/config.json`, { cache: "no-store" });
    return this.config;
  }

  get(path, options) {
    return this.request("GET", path, options);
  }

  /** POST with a fresh Idempotency-Key unless one is given: a repeat of the same act must carry the same key. */
  post(path, body, { idempotencyKey = crypto.randomUUID(), ...options } = {}) {
    return this.request("POST", path, { body, headers: { "Idempotency-Key": idempotencyKey }, ...options });
  }

  put(path, body) {
    return this.request("PUT", path, { body });
  }

  delete(path) {
    return this.request("DELETE", path);
  }

  /**
   * Sends one request with the session's token where there is one.
   * @param {{ body?: unknown, headers?: Record<string, string>, signed?: boolean, signal?: AbortSignal, raw?: boolean, keepalive?: boolean }} [options] raw: the response itself; keepalive: it outlives the page
   */
  async request(method, path, { body, headers = {}, signed = true, signal, raw = false, keepalive = false } = {}) {
    const send = () => {
      const token = signed ? this.signer?.token() : undefined;
      return this.#send(this.config.api_url + path, {
        method,
        signal,
        raw,
        keepalive,
        headers: {
          Accept: "application/json",
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...(token ? { Authorization: `Bearer ${token}` } : {}),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    };
    try {
      return await send();
    } catch (error) {
      const expired = error.status === 401 && signed && this.signer?.token();
      if (!expired || !(await this.signer.renew())) throw error;
      return send();
    }
  }

  async #send(url, { signal, raw, ...options }) {
    const limits = [AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])];
    const limit = limits.length === 1 ? limits[0] : anySignal(limits);
    let response;
    try {
      response = await this.fetch(url, { ...options, signal: limit });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "network", t("error.network"));
    }
    if (!response.ok) throw await readError(response);
    if (raw) return response;
    return response.status === 204 || response.status === 202 ? undefined : response.json();
  }
}

/** AbortSignal.any, which Safari has only since 17.4. */
function anySignal(signals) {
  if (AbortSignal.any) return AbortSignal.any(signals);
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}

export const api = new Api();
