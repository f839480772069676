// Puts a room's frames in order: each exactly once, by seq, whatever order or overlap they arrive in. Pure.

/** Frames kept ahead of a gap; a client further behind joins again anyway. */
const KEPT_MAX = 500;

export class FrameOrder {
  epoch = undefined;
  /** The last frame that was given out. */
  seq = undefined;
  /** True between sending `join` and the whole of its answer: frames are only kept. */
  waiting = true;
  #kept = new Map();

  /** What `join` must carry so that nothing is missed. */
  get resume() {
    return this.epoch === undefined ? {} : { epoch: this.epoch, after: this.seq };
  }

  /** True while a frame is missing before one that is here. */
  get gap() {
    return !this.waiting && this.#kept.size > 0;
  }

  /** Takes a frame; answers those that can be applied now, in order. */
  receive(frame) {
    if (!this.waiting && (frame.epoch !== this.epoch || frame.seq <= this.seq)) return [];
    if (this.#kept.size < KEPT_MAX) this.#kept.set(`${frame.epoch}/${frame.seq}`, frame);
    return this.waiting ? [] : this.#drain();
  }

  /**
   * Takes `joined`. Answers what to apply, whether the state before it is void (a new epoch or the first join), and
   * whether frames are still missing before `seq`: then storage is asked and `page` takes its answers.
   */
  joined({ epoch, seq, frames, more }) {
    const reset = epoch !== this.epoch;
    if (reset) {
      this.epoch = epoch;
      this.seq = frames.length > 0 ? frames[0].seq - 1 : seq;
    }
    // Not resumable from where we were: these are the newest frames, and what lies between is in storage.
    const detached = frames.length > 0 && frames[0].seq > this.seq + 1;
    const behind = !reset && (detached || Boolean(more));
    return { reset, behind, frames: this.#catchUp(detached ? [] : frames, seq, behind) };
  }

  /** All that is kept ahead of a gap that nothing will fill any more, in order. */
  rest() {
    const kept = [...this.#kept.values()].filter((frame) => frame.epoch === this.epoch && frame.seq > this.seq);
    this.#kept.clear();
    kept.sort((a, b) => a.seq - b.seq);
    if (kept.length > 0) this.seq = kept.at(-1).seq;
    return kept;
  }

  /** Takes one page of frames from storage, on the way to `seq`. */
  page(frames, seq, more) {
    return this.#catchUp(frames, seq, more);
  }

  #catchUp(frames, seq, behind) {
    const fresh = frames.filter((frame) => frame.epoch === this.epoch && frame.seq > this.seq);
    fresh.sort((a, b) => a.seq - b.seq);
    if (fresh.length > 0) this.seq = fresh.at(-1).seq;
    if (behind) return fresh;
    // The answer is the whole truth up to `seq`: what it left out does not exist.
    this.seq = Math.max(this.seq, seq);
    this.waiting = false;
    return [...fresh, ...this.#drain()];
  }

  #drain() {
    const ready = [];
    for (const [key, frame] of this.#kept) {
      if (frame.epoch !== this.epoch || frame.seq <= this.seq) this.#kept.delete(key);
    }
    for (;;) {
      const key = `${this.epoch}/${this.seq + 1}`;
      const frame = this.#kept.get(key);
      if (!frame) return ready;
      this.#kept.delete(key);
      this.seq = frame.seq;
      ready.push(frame);
    }
  }
}
