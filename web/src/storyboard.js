// The pictures of a recording's timeline, by the WebVTT that names them: each stands for a stretch of time. Pure.

const CUE = /(\d+):(\d\d):(\d\d\.\d{3}) --> \S+\r?\n(\S+)/g;
/** A broadcast of twelve hours has 5,400 pictures at most. */
const PICTURES_MAX = 10_000;

/** @returns {{ start: number, url: string }[]} pictures by the second from which they stand, in order; `base`: the address of `text` */
export function picturesOf(text, base) {
  const found = [];
  for (const [, hours, minutes, seconds, name] of text.matchAll(CUE)) {
    if (found.length >= PICTURES_MAX) break;
    found.push({ start: Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds), url: new URL(name, base).href });
  }
  return found;
}

/** The picture that stands for second `at`, if there is any. */
export function pictureAt(pictures, at) {
  let [low, high] = [0, pictures.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pictures[middle].start <= at) low = middle + 1;
    else high = middle;
  }
  return (pictures[low - 1] ?? pictures[0])?.url;
}
