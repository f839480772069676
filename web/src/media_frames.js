// A stadium's frames as the player finds them in the media: read out of ID3, kept until the picture gets there. Pure.

/** The relay's description of its TXXX (media/relay/timed_metadata.py). */
const DESCRIPTION = "onair.frame";
/** A player holds some seconds ahead; more frames than this wait for nothing. */
const WAITING_MAX = 600;
const HEADER_BYTES = 10;
const UTF8 = 3;

const decoder = new TextDecoder();

/** The frames in ID3v2.4 tags (https://id3.org/id3v2.4.0-structure); nothing for what is not ours. */
export function framesIn(data) {
  const frames = [];
  for (let at = 0; at + HEADER_BYTES <= data.length && ascii(data, at, 3) === "ID3"; ) {
    const end = Math.min(at + HEADER_BYTES + sevenBits(data, at + 6), data.length);
    for (at += HEADER_BYTES; at + HEADER_BYTES <= end; ) {
      const size = sevenBits(data, at + 4);
      const body = data.subarray(at + HEADER_BYTES, Math.min(at + HEADER_BYTES + size, end));
      if (ascii(data, at, 4) === "TXXX" && body[0] === UTF8) frames.push(...frameOf(decoder.decode(body.subarray(1))));
      at += HEADER_BYTES + size;
    }
    at = end;
  }
  return frames;
}

/** The frame in a TXXX's text, description and value with a zero between, as Safari's cues hold them apart. */
function frameOf(text) {
  const [description, value] = text.split("\0");
  return description === DESCRIPTION ? frameFrom(value) : [];
}

/** The frame in a TXXX's value; an empty list for what is none. */
export function frameFrom(value) {
  try {
    const frame = JSON.parse(value);
    return frame?.type === "frame" ? [frame] : [];
  } catch {
    return [];
  }
}

/** The frame in a cue of the system's own player: `value` is {key, info, data}. */
export function frameInCue({ value }) {
  const ours = value?.key === "TXXX" && (value.info ?? value.description) === DESCRIPTION;
  return ours ? frameFrom(value.data) : [];
}

/** Frames that wait for their place in the picture. */
export class MediaFrames {
  #waiting = [];

  /** Takes a frame that belongs at `at` seconds of the player's time. */
  add(frame, at) {
    this.#waiting.push({ frame, at });
    this.#waiting.sort((a, b) => a.at - b.at || a.frame.seq - b.frame.seq);
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
  }

  /** The frames whose place the picture has reached, in order. */
  due(now) {
    const count = this.#waiting.findIndex(({ at }) => at > now);
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : count).map(({ frame }) => frame);
  }

  /** All that wait, as when the player begins anew: its time is another then. */
  flush() {
    return this.due(Infinity);
  }
}

const ascii = (data, at, length) => String.fromCharCode(...data.subarray(at, at + length));
const sevenBits = (data, at) =>
  ((data[at] & 127) << 21) | ((data[at + 1] & 127) << 14) | ((data[at + 2] & 127) << 7) | (data[at + 3] & 127);

/** Safari reads ID3 itself and hands out cues, at their time: each is told once. */
export function readCues(video, tell) {
  video.textTracks.onaddtrack = ({ track }) => {
    if (track?.kind !== "metadata") return;
    track.mode = "hidden";
    const told = new WeakSet();
    track.oncuechange = () => {
      for (const cue of track.activeCues ?? []) {
        if (told.has(cue)) continue;
        told.add(cue);
        tell(frameInCue(cue));
      }
    };
  };
}
