// Frames come once and in order, whatever the network does to them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameOrder } from "../src/frame_order.js";

const frame = (seq, epoch = "e") => ({ epoch, seq });
const seqs = (frames) => frames.map(({ seq }) => seq);
const joined = (order, seq, frames = [], more = false, epoch = "e") => order.joined({ epoch, seq, frames, more });

test("frames that come before joined are kept and applied after it, those seen are dropped", () => {
  const order = new FrameOrder();
  assert.deepEqual(order.receive(frame(8)), []);
  assert.deepEqual(order.receive(frame(6)), []);
  const { reset, frames } = joined(order, 7, [frame(6), frame(7)]);
  assert.equal(reset, true);
  assert.deepEqual(seqs(frames), [6, 7, 8]);
});

test("a first join without frames starts at the head", () => {
  const order = new FrameOrder();
  joined(order, 41);
  assert.deepEqual(seqs(order.receive(frame(42))), [42]);
  assert.deepEqual(order.resume, { epoch: "e", after: 42 });
});

test("a frame out of order waits for the one before it, and a repeated one is not shown twice", () => {
  const order = new FrameOrder();
  joined(order, 1);
  assert.deepEqual(order.receive(frame(3)), []);
  assert.equal(order.gap, true);
  assert.deepEqual(seqs(order.receive(frame(2))), [2, 3]);
  assert.equal(order.gap, false);
  assert.deepEqual(order.receive(frame(2)), []);
});

test("joining again with the same epoch goes on where it stopped", () => {
  const order = new FrameOrder();
  joined(order, 5);
  order.waiting = true;
  const { reset, behind, frames } = joined(order, 8, [frame(6), frame(7), frame(8)]);
  assert.deepEqual([reset, behind, seqs(frames)], [false, false, [6, 7, 8]]);
});

test("more frames than one answer holds are paged from storage, and live ones wait meanwhile", () => {
  const order = new FrameOrder();
  joined(order, 5);
  order.waiting = true;
  const first = joined(order, 10, [frame(6), frame(7)], true);
  assert.deepEqual([first.behind, seqs(first.frames)], [true, [6, 7]]);
  assert.deepEqual(order.receive(frame(11)), []);
  assert.deepEqual(seqs(order.page([frame(8), frame(9)], 10, true)), [8, 9]);
  assert.deepEqual(seqs(order.page([frame(10)], 10, false)), [10, 11]);
});

test("newest frames that do not join on are held back until storage filled the gap", () => {
  const order = new FrameOrder();
  joined(order, 5);
  order.waiting = true;
  const { behind, frames } = joined(order, 90, [frame(89), frame(90)]);
  assert.deepEqual([behind, frames], [true, []]);
  assert.deepEqual(seqs(order.page([frame(6), frame(90)], 90, false)), [6, 90]);
});

test("a new epoch voids what was before", () => {
  const order = new FrameOrder();
  joined(order, 50);
  order.waiting = true;
  order.receive(frame(2, "f"));
  const { reset, frames } = joined(order, 1, [frame(1, "f")], false, "f");
  assert.deepEqual([reset, seqs(frames)], [true, [1, 2]]);
  assert.deepEqual(order.receive(frame(51, "e")), []);
});
