// The room of a recording: stored frames by the moment at which they were made. Pure.

import { matchAfter } from "./room_state.js";

/** Events that a screen shows after a jump: what was said just before, as if one had been there. */
const SHOWN_MAX = 60;

export class ReplayFrames {
  #frames = [];
  /** Events of matches: they are few, and stand long after their frame. */
  #matches = [];

  /** Takes stored frames; those known already stay once. */
  add(frames) {
    const last = this.#frames.at(-1)?.frame.seq ?? -1;
    for (const frame of frames) {
      const at = Date.parse(frame.at);
      if (!(frame.seq > last) || !Number.isFinite(at)) continue;
      this.#frames.push({ frame, at });
      for (const event of frame.events ?? []) if (event.type === "match") this.#matches.push({ event, at });
    }
  }

  get length() {
    return this.#frames.length;
  }

  /** The frames after `from` and up to `to`, both in ms since 1970. */
  between(from, to) {
    return this.#frames.slice(this.#count(from), this.#count(to)).map(({ frame }) => frame);
  }

  /** What stood on the glass at `to`: the last events up to then, and the newest frame for its counts. */
  until(to) {
    const count = this.#count(to);
    const events = [];
    for (let index = count - 1; index >= 0 && events.length < SHOWN_MAX; index -= 1) {
      events.unshift(...(this.#frames[index].frame.events ?? []));
    }
    return { events: events.slice(-SHOWN_MAX), newest: this.#frames[count - 1]?.frame };
  }

  /** The match that was on at `to`, if any. */
  match(to) {
    let match;
    for (const { event, at } of this.#matches) {
      if (at > to) break;
      match = matchAfter(match, event);
    }
    return match?.state === "accepted" ? match : undefined;
  }

  /** How many frames were made up to `to`. They were made in order, so halves suffice. */
  #count(to) {
    let [low, high] = [0, this.#frames.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#frames[middle].at <= to) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
