// A room's match as one page sees it: on for everyone, asked for only between the two hosts, and the time to answer.
import { api } from "./api.js";
import { session } from "./session.js";
import { refused } from "./toast.js";

/** As long as the rival has to answer; a page whose clock is wrong counts from here. */
const ASK_MS = 60_000;

/** How long an ask is open still, by the server's clock where that is known; never longer than an ask takes. Pure. */
export function openMs({ until }, at) {
  const left = Date.parse(until) - at;
  return Number.isFinite(left) ? Math.min(Math.max(0, left), ASK_MS) : ASK_MS;
}

/** Events: `change`; `told` — detail: the event by which the match changed, and the state that it `was` in as known here. */
export class MatchState extends EventTarget {
  /** @type {{ match: string, state: string, asked_by: string, until?: string, rival: { stream_id: string, host: { id: string, handle: string, name: string, avatar_url?: string } } } | undefined} */
  match = undefined;
  busy = false;
  #endsAt = 0;
  /** The newest that there was: what becomes of it is told after it is gone. */
  #known = undefined;

  /**
   * @param {import("./room.js").Room} room
   * @param {boolean} hosts - whether this is the page of the room's host
   */
  constructor(room, hosts) {
    super();
    this.room = room;
    this.hosts = hosts;
    room.addEventListener("snapshot", this.#snapshot);
    room.addEventListener("line", this.#line);
    this.#snapshot();
  }

  close() {
    this.room.removeEventListener("snapshot", this.#snapshot);
    this.room.removeEventListener("line", this.#line);
    clearTimeout(this.timer);
  }

  /** The match that everyone sees, but for those whom a block keeps from its host. */
  get on() {
    const { match } = this;
    const hidden = this.room.ticket?.hidden?.includes(match?.rival.host.id);
    return match?.state === "accepted" && !hidden ? match : undefined;
  }

  /** Another host asks this one. */
  get incoming() {
    return this.hosts && this.match?.state === "asked" && this.match.asked_by !== session.me?.id ? this.match : undefined;
  }

  /** This host asked, and waits. */
  get waiting() {
    return this.hosts && this.match?.state === "asked" && this.match.asked_by === session.me?.id ? this.match : undefined;
  }

  /** Whole seconds left to answer. */
  get left() {
    return Math.max(0, Math.ceil((this.#endsAt - Date.now()) / 1_000));
  }

  #snapshot = () => this.#take(this.room.room?.match, Date.parse(this.room.serverTime));

  #line = ({ detail: { event } }) => {
    if (event.type !== "match") return;
    const was = this.#known?.match === event.match ? this.#known.state : undefined;
    this.#take(this.room.room?.match, Date.parse(event.at));
    this.#tell(event, was);
  };

  #tell(event, was) {
    // Once is enough: the page may find out by itself before the room tells.
    if (event.state !== "asked" && event.state !== "accepted") this.#known = undefined;
    this.dispatchEvent(new CustomEvent("told", { detail: { event, was } }));
  }

  #take(match, at) {
    const before = this.match;
    this.match = match;
    if (match) this.#known = match;
    if (match?.state !== "asked") clearTimeout(this.timer);
    else if (before?.match !== match.match || before.state !== "asked") {
      const left = openMs(match, Number.isFinite(at) ? at : Date.now());
      this.#endsAt = Date.now() + left;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#expired(match), left);
    }
    this.#changed();
  }

  #expired(match) {
    const own = this.waiting;
    this.match = undefined;
    this.#changed();
    this.#tell({ ...match, state: "expired" }, "asked");
    if (!own) return;
    // Only while it is asked for still: it may just have been accepted, and the news of that is on its way.
    api.delete(`${this.#path}?match=${encodeURIComponent(match.match)}&state=asked`).catch(() => undefined);
  }

  // --- acting ---------------------------------------------------------------------------------------------------

  /** Resolves with whether it was asked for. */
  ask = (handle) => this.#act(async () => this.#take(await api.post(this.#path, { handle })));
  accept = () => this.#answer("accepted");
  decline = () => this.#answer("declined");
  end = () => this.#act(() => api.delete(`${this.#path}?match=${encodeURIComponent(this.match?.match ?? "")}`));

  #answer(state) {
    const { match } = this.match;
    return this.#act(() => api.request("PATCH", this.#path, { body: { state, match } }));
  }

  get #path() {
    return `/streams/${this.room.streamId}/match`;
  }

  async #act(act) {
    if (this.busy) return false;
    this.busy = true;
    this.#changed();
    try {
      await act();
      return true;
    } catch (error) {
      refused(error);
      return false;
    } finally {
      this.busy = false;
      await this.#read();
    }
  }

  async #read() {
    try {
      this.#take((await api.get(this.#path)).match);
    } catch {
      this.#changed(); // the next event, or the next join, tells
    }
  }

  #changed = () => this.dispatchEvent(new Event("change"));
}
