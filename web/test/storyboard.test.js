import assert from "node:assert/strict";
import { test } from "node:test";
import { pictureAt, picturesOf } from "../src/storyboard.js";

const BASE = "https://onair.example/replay/token/stream/storyboard.vtt";
const TEXT = [
  "WEBVTT\n",
  "00:00:00.000 --> 00:00:08.000\nthumb-1.jpg\n",
  "00:00:08.000 --> 01:00:02.500\nthumb-2.jpg\n",
  "01:00:02.500 --> 01:00:04.000\nthumb-3.jpg\n",
].join("\n");

test("each picture stands from its time until the next", () => {
  const pictures = picturesOf(TEXT, BASE);
  assert.deepEqual(pictures.map(({ start }) => start), [0, 8, 3602.5]);
  const named = (at) => pictureAt(pictures, at).split("/").at(-1);
  assert.deepEqual([0, 7.9, 8, 3602.4, 3602.5, 9999].map(named), [
    "thumb-1.jpg",
    "thumb-1.jpg",
    "thumb-2.jpg",
    "thumb-2.jpg",
    "thumb-3.jpg",
    "thumb-3.jpg",
  ]);
  assert.equal(pictures[0].url, "https://onair.example/replay/token/stream/thumb-1.jpg");
});

test("a recording without pictures shows none", () => {
  assert.deepEqual(picturesOf("WEBVTT\n", BASE), []);
  assert.equal(pictureAt([], 3), undefined);
});
