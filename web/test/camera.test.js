// Changing over to the other camera: by its side on phones, to the next one at a desk, and back where none opens.
import assert from "node:assert/strict";
import { test } from "node:test";
import { otherCamera } from "../src/camera.js";

/** Cameras by id with the side they look at; those that are `busy` do not open. */
function desk(sides, busy = []) {
  const ids = Object.keys(sides);
  const open = new Set();
  const track = (id) => ({ id, getSettings: () => ({ deviceId: id, facingMode: sides[id] }), stop: () => open.delete(id) });
  const mediaDevices = {
    enumerateDevices: async () => ids.map((deviceId) => ({ kind: "videoinput", deviceId })),
    getUserMedia: async ({ video: { facingMode, deviceId } }) => {
      assert.equal(open.size, 0, "phones open one at a time");
      const wanted = deviceId?.exact ?? deviceId ?? ids.find((id) => sides[id] === facingMode) ?? ids[0];
      if (busy.includes(wanted)) throw new DOMException("in use", "NotReadableError");
      open.add(wanted);
      return { getVideoTracks: () => [track(wanted)] };
    },
  };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
  return (id) => {
    open.add(id);
    return track(id);
  };
}

test("a phone changes sides, and back", async () => {
  const camera = desk({ front: "user", back: "environment" });
  const there = await otherCamera(camera("front"), "user");
  assert.deepEqual([there.track.id, there.facing], ["back", "environment"]);
  const again = await otherCamera(there.track, there.facing);
  assert.deepEqual([again.track.id, again.facing], ["front", "user"]);
});

test("at a desk, where cameras have no side, the next one is taken and the picture stays a mirror", async () => {
  const camera = desk({ built_in: undefined, plugged: undefined, third: undefined });
  let at = { track: camera("built_in"), facing: "user" };
  const seen = [];
  for (let turn = 0; turn < 3; turn += 1) {
    at = await otherCamera(at.track, at.facing);
    seen.push(at.track.id);
  }
  assert.deepEqual(seen, ["plugged", "third", "built_in"]);
  assert.equal(at.facing, "user");
});

test("where the other one does not open, the same goes on", async () => {
  const camera = desk({ front: "user", back: "environment" }, ["back"]);
  const { track, facing } = await otherCamera(camera("front"), "user");
  assert.deepEqual([track.id, facing], ["front", "user"]);
});

test("where none opens, that is told", async () => {
  const camera = desk({ front: "user" }, ["front"]);
  await assert.rejects(otherCamera(camera("front"), "user"), { name: "NotReadableError" });
});
