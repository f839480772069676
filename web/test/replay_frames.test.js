// The room of a recording follows the picture, forward and after jumps.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ReplayFrames } from "../src/replay_frames.js";

const START = Date.parse("2026-01-01T20:00:00Z");
const frame = (seq, seconds, ...texts) => ({
  seq,
  at: new Date(START + seconds * 1000).toISOString(),
  viewers: seq,
  events: texts.map((text, n) => ({ id: `${seq}-${n}`, type: "chat", text })),
});

function evening() {
  const frames = new ReplayFrames();
  frames.add([frame(1, 1, "a"), frame(2, 5, "b", "c"), frame(3, 9, "d")]);
  return frames;
}

const texts = (events) => events.map(({ text }) => text).join("");

test("frames come when the picture reaches them, each once", () => {
  const frames = evening();
  assert.deepEqual(frames.between(START, START + 1_000).map(({ seq }) => seq), [1]);
  assert.deepEqual(frames.between(START + 1_000, START + 4_999).map(({ seq }) => seq), []);
  assert.deepEqual(frames.between(START + 4_999, START + 20_000).map(({ seq }) => seq), [2, 3]);
});

test("after a jump the room stands as it stood then, either way", () => {
  const frames = evening();
  assert.equal(texts(frames.until(START + 9_000).events), "abcd");
  const back = frames.until(START + 5_500);
  assert.equal(texts(back.events), "abc");
  assert.equal(back.newest.viewers, 2);
  assert.deepEqual(frames.until(START), { events: [], newest: undefined });
});

test("a long room shows its last lines only, in order", () => {
  const frames = new ReplayFrames();
  frames.add(Array.from({ length: 500 }, (_, n) => frame(n + 1, n, `${n} `)));
  const { events } = frames.until(START + 400_000);
  assert.equal(events.length, 60);
  assert.equal(events.at(-1).text, "400 ");
  assert.equal(events[0].text, "341 ");
});

test("a page that comes again adds nothing", () => {
  const frames = evening();
  frames.add([frame(2, 5, "b"), frame(3, 9, "d"), frame(4, 12, "e")]);
  assert.equal(frames.length, 4);
});

test("a match stands from when it was on until it was over, wherever one jumps", () => {
  const frames = new ReplayFrames();
  const match = (seq, seconds, id, state) => ({
    ...frame(seq, seconds, ""),
    events: [{ type: "match", id: `${id}${state}`, match: id, state, asked_by: "a", rival: { stream_id: `s-${id}`, host: { id: "b", handle: "b", name: "B" } } }],
  });
  frames.add([match(1, 1, "m1", "asked"), match(2, 2, "m1", "accepted"), match(3, 300, "m1", "ended"), match(4, 301, "m2", "asked"), match(5, 302, "m2", "declined")]);
  const at = (seconds) => frames.match(START + seconds * 1_000)?.rival.stream_id;
  assert.deepEqual([0, 1.5, 2, 299, 300, 301, 303].map(at), [undefined, undefined, "s-m1", "s-m1", undefined, undefined, undefined]);
});
