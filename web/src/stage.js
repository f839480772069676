// The stage of a room as one person sees it: who waits, who is on screen, one's own seat, its camera, and whom it watches.
import { api } from "./api.js";
import { openDevices } from "./camera.js";
import { Publisher } from "./publisher.js";
import { session } from "./session.js";
import { itemsAfter } from "./stage_items.js";
import { refused } from "./toast.js";
import { Watcher } from "./watcher.js";

/** A guest's picture is a part of the whole one. */
const GUEST = { width: 640, height: 360, bitrate: 800_000 };
const READ_MS = 120;

/** The seat in which the other host of a match is watched. */
export const RIVAL = "match";

export const LAYOUTS = ["grid", "spotlight", "side_by_side"];

/** Events: `change`; `invited` — the host asks this person to come. */
export class Stage extends EventTarget {
  layout = "grid";
  /** @type {{ seat: string, state: string, from: { id: string, handle: string, name: string }, muted?: boolean }[]} */
  items = [];
  /** One's own seat, with `publish` and `watch` once it is taken. */
  mine = undefined;
  /** The other host of a match, whom those on this stage watch in seat `match`: `{ handle, name }`. */
  rival = undefined;
  /** @type {Map<string, Watcher>} by seat */
  watchers = new Map();
  publisher = undefined;
  media = undefined;
  micOn = true;
  cameraOn = true;
  busy = false;

  /**
   * @param {import("./room.js").Room} room
   * @param {{ key?: () => string }} [host] - the host's own stream key, as it is now
   */
  constructor(room, host) {
    super();
    this.room = room;
    this.host = host;
    room.addEventListener("snapshot", this.#snapshot);
    room.addEventListener("line", this.#line);
    room.addEventListener("ended", this.#ended);
    addEventListener("pagehide", this.#gone);
  }

  close() {
    this.room.removeEventListener("snapshot", this.#snapshot);
    this.room.removeEventListener("line", this.#line);
    this.room.removeEventListener("ended", this.#ended);
    removeEventListener("pagehide", this.#gone);
    clearTimeout(this.reading);
    if (this.onScreen) api.delete(this.#path(this.mine.seat)).catch(() => undefined);
    this.#leaveScreen();
    // Nobody is heard on another page.
    this.#watch();
  }

  /** A tab that closes, or goes on to another page, leaves no empty seat behind; the request outlives the page. */
  #gone = () => {
    if (!this.onScreen) return;
    api.request("DELETE", this.#path(this.mine.seat), { keepalive: true }).catch(() => undefined);
  };

  get asked() {
    return this.items.filter(({ state }) => state === "asked");
  }

  get guests() {
    return this.items.filter(({ state }) => state === "accepted");
  }

  get onScreen() {
    return this.mine?.state === "accepted";
  }

  #snapshot = () => {
    this.layout = this.room.room?.layout ?? "grid";
    this.items = this.room.room?.seats ?? [];
    this.#changed();
    // Who waits is told to those who may act on it; a seat of one's own comes with its keys.
    if (session.signedIn && (this.host || this.items.some(({ from }) => from.id === session.me?.id) || this.mine)) this.#readSoon();
  };

  #line = ({ detail: { event } }) => {
    if (event.type === "match" && ["accepted", "ended"].includes(event.state) && (this.host || this.onScreen)) this.#readSoon();
    if (event.type !== "seat") return;
    this.layout = event.layout ?? "grid";
    if (event.seat) this.items = itemsAfter(this.items, event);
    const own = event.from?.id === session.me?.id;
    if (own && event.state === "invited") this.dispatchEvent(new Event("invited"));
    if (own && ["left", "removed", "declined"].includes(event.state)) {
      this.mine = undefined;
      this.#leaveScreen();
    }
    this.#changed();
    if (own || this.host || this.onScreen) this.#readSoon();
  };

  #ended = () => {
    this.mine = undefined;
    this.#leaveScreen();
    this.#changed();
  };

  #readSoon() {
    clearTimeout(this.reading);
    this.reading = setTimeout(() => this.read(), READ_MS);
  }

  async read() {
    try {
      await this.#take(await api.get(`/streams/${this.room.streamId}/seats`));
    } catch {
      // The next event, or the next join, reads again.
    }
  }

  async #take({ layout, items, mine, watch }) {
    Object.assign(this, { layout, items, mine });
    if (this.onScreen) await this.#goOnScreen();
    this.#watch(this.host ? watch : this.onScreen ? mine.watch : [], this.host ? this.host.key() : mine?.publish?.stream_key);
    this.#changed();
  }

  // --- acting ---------------------------------------------------------------------------------------------------

  ask = () => this.#act(() => api.post(`/streams/${this.room.streamId}/seats`, {}));
  invite = (handle) => this.#act(() => api.post(`/streams/${this.room.streamId}/seats`, { handle }));
  accept = (seat) => this.#act(() => this.#patch(seat, { state: "accepted" }));
  decline = (seat) => this.#act(() => this.#patch(seat, { state: "declined" }));
  mute = (seat, muted) => this.#act(() => this.#patch(seat, { muted }));
  remove = (seat) => this.#act(() => api.delete(this.#path(seat)));
  arrange = (layout) => this.#act(() => api.request("PATCH", `/streams/${this.room.streamId}/seats`, { body: { layout } }));

  leave = async () => {
    const { seat } = this.mine;
    this.mine = undefined;
    this.#leaveScreen();
    await this.remove(seat);
  };

  toggle(kind) {
    const on = kind === "audio" ? (this.micOn = !this.micOn) : (this.cameraOn = !this.cameraOn);
    for (const track of this.media?.getTracks() ?? []) if (track.kind === kind) track.enabled = on;
    this.#changed();
  }

  #path(seat) {
    return `/streams/${this.room.streamId}/seats/${seat}`;
  }

  #patch(seat, body) {
    return api.request("PATCH", this.#path(seat), { body });
  }

  async #act(act) {
    if (this.busy) return;
    this.busy = true;
    this.#changed();
    try {
      await act();
    } catch (error) {
      refused(error);
    } finally {
      this.busy = false;
      await this.read();
      this.#changed();
    }
  }

  // --- media ----------------------------------------------------------------------------------------------------

  async #goOnScreen() {
    const { publish, seat } = this.mine;
    if (this.seat === seat || !publish) return;
    this.#leaveScreen();
    this.seat = seat;
    const { media, refusals } = await openDevices();
    if (this.seat !== seat) return media.getTracks().forEach((track) => track.stop());
    this.media = media;
    this.refusals = refusals;
    this.micOn = this.cameraOn = true;
    if (media.getTracks().length === 0) return;
    await media.getVideoTracks()[0]?.applyConstraints({ width: GUEST.width, height: GUEST.height }).catch(() => undefined);
    const again = async () => (await this.#patch(seat, { state: "accepted" })).publish;
    this.publisher = new Publisher(publish, media, again, GUEST.bitrate);
    this.publisher.addEventListener("state", this.#changed);
    await this.publisher.start();
  }

  #leaveScreen() {
    this.seat = undefined;
    this.publisher?.removeEventListener("state", this.#changed);
    this.publisher?.stop();
    this.publisher = undefined;
    this.media?.getTracks().forEach((track) => track.stop());
    this.media = undefined;
    if (!this.host) this.#watch([], undefined);
  }

  #watch(wanted = [], key) {
    this.rival = wanted.find(({ seat }) => seat === RIVAL)?.from;
    const urls = new Map(wanted.map(({ seat, whep_url }) => [seat, whep_url]));
    for (const [seat, watcher] of this.watchers) {
      if (urls.has(seat) && watcher.key === key && watcher.state !== "closed") continue;
      watcher.close();
      this.watchers.delete(seat);
    }
    for (const [seat, url] of urls) {
      if (this.watchers.has(seat)) continue;
      const watcher = new Watcher(url, key);
      watcher.addEventListener("change", this.#changed);
      this.watchers.set(seat, watcher);
    }
  }

  #changed = () => this.dispatchEvent(new Event("change"));
}
