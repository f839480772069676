import assert from "node:assert/strict";
import { test } from "node:test";
import { itemsAfter } from "../src/stage_items.js";
import { flowing } from "../src/watcher.js";

const from = { id: "b", handle: "bob", name: "Bob" };

test("who asks waits, who is let in stays in place, who leaves is gone", () => {
  const other = { seat: "s0", state: "accepted", from: { id: "a", handle: "ann", name: "Ann" }, muted: false };
  const asked = itemsAfter([other], { seat: "s1", state: "asked", from });
  assert.deepEqual(asked.at(-1), { seat: "s1", state: "asked", from, muted: false });
  const accepted = itemsAfter([...asked, { seat: "s2", state: "asked", from: other.from }], { seat: "s1", state: "accepted", from });
  assert.deepEqual(accepted.map(({ seat, state }) => [seat, state]), [["s0", "accepted"], ["s1", "accepted"], ["s2", "asked"]]);
  for (const state of ["left", "removed", "declined"]) {
    assert.deepEqual(itemsAfter(asked, { seat: "s1", state, from }), [other]);
  }
});

test("muting changes what is heard, not who is on screen", () => {
  const items = [{ seat: "s1", state: "accepted", from, muted: false }];
  const muted = itemsAfter(items, { seat: "s1", state: "muted", from, muted: true });
  assert.deepEqual(muted, [{ seat: "s1", state: "accepted", from, muted: true }]);
  assert.deepEqual(itemsAfter(muted, { seat: "s1", state: "unmuted", from }), items);
});

test("what comes is told by packets that are new, each kind by itself", () => {
  assert.deepEqual(flowing({ video: 10, audio: 5 }, { video: 40, audio: 105 }), { video: true, audio: true });
  // An encoder's sound never comes: there are no packets of it to count.
  assert.deepEqual(flowing({ video: 10 }, { video: 40 }), { video: true, audio: false });
  assert.deepEqual(flowing({ video: 40, audio: 105 }, { video: 40, audio: 105 }), { video: false, audio: false });
  assert.deepEqual(flowing({}, {}), { video: false, audio: false });
});
