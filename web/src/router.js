// Addresses of the page: which screen a path shows, and going from one to another without a reload.

/** @type {[RegExp, string][]} */
const routes = [
  [/^\/$/, "feed"],
  [/^\/following$/, "following"],
  [/^\/watch\/(?<id>[^/]+)$/, "watch"],
  [/^\/replay\/(?<id>[^/]+)$/, "replay"],
  [/^\/go-live$/, "live"],
  [/^\/me$/, "me"],
  [/^\/me\/standing$/, "standing"],
  [/^\/operator$/, "operator"],
  [/^\/settings$/, "settings"],
  [/^\/notifications$/, "notices"],
  [/^\/earnings$/, "earnings"],
  [/^\/@(?<id>[\w.]+)$/, "profile"],
];

/** @returns {{ screen: string, id?: string }} */
export function match(path) {
  for (const [pattern, screen] of routes) {
    const found = pattern.exec(path);
    if (found) return { screen, id: found.groups?.id && decodeURIComponent(found.groups.id) };
  }
  return { screen: "not_found" };
}

class Router extends EventTarget {
  /** Asked before leaving a screen; answers false to stay. On air sets it. */
  guard = undefined;
  #path = globalThis.location?.pathname;

  constructor() {
    super();
    globalThis.addEventListener?.("popstate", async () => {
      if (location.pathname === this.#path) return;
      const wanted = location.pathname;
      if (this.guard) {
        history.pushState(null, "", this.#path); // stand still while the person decides
        if (!(await this.guard())) return;
        history.replaceState(null, "", wanted);
      }
      this.#show();
    });
  }

  get current() {
    return match(location.pathname);
  }

  async go(path, { replace = false } = {}) {
    if (path === location.pathname) return;
    if (this.guard && !(await this.guard())) return;
    history[replace ? "replaceState" : "pushState"]({ inside: true }, "", path);
    this.#show();
  }

  /** Back to where the person came from inside the page, else to the feed. */
  back() {
    if (history.state?.inside && !this.guard) history.back();
    else this.go("/", { replace: true });
  }

  #show() {
    this.#path = location.pathname;
    this.dispatchEvent(new Event("change"));
  }
}

export const router = new Router();

/** Click handler for links: goes inside the page, leaves modified clicks to the browser. */
export function follow(event) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const anchor = event.currentTarget;
  event.preventDefault();
  router.go(new URL(anchor.href).pathname);
}
