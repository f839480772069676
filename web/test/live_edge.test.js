import assert from "node:assert/strict";
import test from "node:test";
import { PACE_MAX, latency, pace, renditions } from "../src/live_edge.js";

const NOW = 1_800_000_000_000;

test("the picture's own date tells how far behind the camera it is", () => {
  assert.equal(latency({ date: NOW - 1_900, edge_s: 1.2, now: NOW }), 1.9);
});

test("a clock that is wrong either way leaves the distance to the newest part", () => {
  assert.equal(latency({ date: NOW + 30_000, edge_s: 1.2, now: NOW }), 1.2);
  assert.equal(latency({ date: NOW - 3_600_000, edge_s: 1.2, now: NOW }), 1.2);
});

test("without date and distance nothing is told", () => {
  assert.equal(latency({ date: NaN, edge_s: undefined, now: NOW }), undefined);
  assert.equal(latency({ date: undefined, edge_s: 0, now: NOW }), undefined);
  assert.equal(latency({ date: NOW + 5_000, edge_s: undefined, now: NOW }), undefined);
});

test("the pace rises beyond the slack and stays until the target is reached", () => {
  assert.equal(pace(2.4), 1);
  assert.equal(pace(2.8), PACE_MAX);
  assert.equal(pace(2.3, PACE_MAX), PACE_MAX);
  assert.equal(pace(1.9, PACE_MAX), 1);
  assert.equal(pace(undefined, PACE_MAX), 1);
});

test("a player with a goal of its own is held to that", () => {
  const goal = { target_s: 0.6, slack_s: 0.15 };
  assert.equal(pace(0.7, 1, goal), 1);
  assert.equal(pace(0.8, 1, goal), PACE_MAX);
  assert.equal(pace(0.62, PACE_MAX, goal), PACE_MAX);
  assert.equal(pace(0.59, PACE_MAX, goal), 1);
  assert.equal(pace(0, PACE_MAX, { target_s: 0.6 }), 1);
});

test("renditions are named by their shorter side, the best first, and keep the player's own numbers", () => {
  const found = renditions([
    { width: 426, height: 240, bitrate: 4e5 },
    { width: 720, height: 1280, bitrate: 25e5 },
    { bitrate: 1e5 },
  ]);
  assert.deepEqual(found.map(({ index, lines }) => [index, lines]), [[1, 720], [0, 240], [2, 0]]);
});
