// Showing the screen in place of the camera.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ScreenShare } from "../src/screen_share.js";

const track = (label) => Object.assign(new EventTarget(), { label, enabled: true, on: true, stop() { this.on = false; } });

/** A broadcast with a camera, and a person who has yet to choose what to show. */
function stage() {
  const camera = track("camera");
  const tracks = [camera];
  const media = {
    getVideoTracks: () => [...tracks],
    addTrack: (one) => tracks.push(one),
    removeTrack: (one) => tracks.splice(tracks.indexOf(one), 1),
  };
  const sent = [];
  const screen = track("screen");
  let choose;
  const chosen = new Promise((resolve) => (choose = () => resolve({ getVideoTracks: () => [screen] })));
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: { getDisplayMedia: () => chosen } }, configurable: true });
  const share = new ScreenShare(media, { replace: async ({ label }) => sent.push(label) });
  return { share, media, screen, camera, sent, choose };
}

test("the screen takes the camera's place, and gives it back", async () => {
  const { share, media, screen, camera, sent, choose } = stage();
  choose();
  await share.start();
  assert.deepEqual(media.getVideoTracks(), [screen]);
  await share.stop();
  assert.deepEqual([media.getVideoTracks(), screen.on, camera.on], [[camera], false, true]);
  assert.deepEqual(sent, ["screen", "camera"]);
});

test("a screen that is chosen after the broadcast ended is let go at once", async () => {
  const { share, media, screen, camera, sent, choose } = stage();
  const starting = share.start();
  share.close();
  choose();
  await starting;
  assert.deepEqual([screen.on, share.on, media.getVideoTracks(), sent], [false, false, [camera], []]);
});
