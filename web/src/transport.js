// Which way a room's frames come to this client, by the socket or in the media, and how long one may be missing. Pure.

/** A frame that comes by the socket is missing when it is not here so long after the next. */
const GAP_MS = 2_000;
/** In the media it comes with its picture, which the socket is seconds ahead of. */
const MEDIA_GAP_MS = 10_000;
/** A picture that does not move for so long brings no frames: then the socket does. */
const STILL_MS = 4_000;
/** And one that moves again for so long is trusted with them. */
const MOVING_MS = 3_000;

export class Transport {
  /** Where the frame after the last one that was applied comes. */
  next = "socket";
  /** Where the newest one came, that is told of and may not have been applied yet. */
  told = "socket";
  /** What `join` asks for: "socket" while this client cannot read frames out of the media. */
  frames = undefined;
  #newest = "";
  #flowing = true;
  #moving = false;
  #since;

  /** @param {number} now when the room was opened, ms: a player needs a while to begin. */
  constructor(now) {
    this.#since = now;
  }

  /** A frame was applied. */
  applied(frame) {
    this.next = frame.transport ?? "socket";
    this.heard(frame);
  }

  /** A frame came, and may have to wait for others. */
  heard(frame) {
    const place = `${frame.epoch} ${String(frame.seq).padStart(10, "0")}`;
    if (frame.epoch === this.#newest.split(" ")[0] && place <= this.#newest) return;
    this.#newest = place;
    this.told = frame.transport ?? "socket";
    this.#flowing = frame.media !== "lost";
  }

  /** Whether the next frame is to come in the media to someone of this role. */
  byMedia(role) {
    return this.next === "media" && this.frames === undefined && role !== "host" && role !== "moderator";
  }

  /** How long a missing frame is waited for, ms; many miss it at the same time, so that they ask spread over `spread`. */
  patience(role, spread, random) {
    if (!this.byMedia(role)) return GAP_MS;
    return (this.#flowing ? MEDIA_GAP_MS : GAP_MS) + random * spread;
  }

  /** The player tells whether its picture moves, at `now` in ms. */
  picture(moving, now) {
    if (moving === this.#moving) return;
    this.#moving = moving;
    this.#since = now;
  }

  /** Whether what `join` asks for should change now; changes it. */
  reconsider(role, now) {
    const long = now - this.#since;
    const stays = role === "host" || role === "moderator";
    if (this.frames === undefined && this.told === "media" && !stays && !this.#moving && long >= STILL_MS) {
      this.frames = "socket";
      return true;
    }
    if (this.frames !== undefined && this.#moving && long >= MOVING_MS) {
      this.frames = undefined;
      return true;
    }
    return false;
  }
}
