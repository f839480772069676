import assert from "node:assert/strict";
import test from "node:test";
import { soundIn, soundOf } from "../src/sound_alone.js";

const PICTURES = '#EXT-X-STREAM-INF:BANDWIDTH=2000000,CODECS="avc1.42e01f,mp4a.40.2",RESOLUTION=1280x720\nmedia.m3u8\n';
const SOUND = '#EXT-X-STREAM-INF:BANDWIDTH=160000,CODECS="mp4a.40.2"\naudio.m3u8\n';

test("sound alone is the variant without pictures, where there are others", () => {
  const address = "https://a.example/live/token/abc/index.m3u8";
  assert.equal(soundIn(`#EXTM3U\n${PICTURES}${SOUND}`, address), "https://a.example/live/token/abc/audio.m3u8");
  assert.equal(soundIn(`#EXTM3U\r\n${PICTURES}`, address), undefined);
  assert.equal(soundIn(`#EXTM3U\n${SOUND}`, address), undefined, "a broadcast that is nothing else");
});

test("among hls.js's levels it is the one with a codec of sound and none of pictures", () => {
  const pictures = { videoCodec: "avc1.42e01f", audioCodec: "mp4a.40.2", width: 1280, url: "media" };
  const sound = { audioCodec: "mp4a.40.2", width: 0, url: "audio" };
  assert.equal(soundOf([pictures, sound]), "audio");
  assert.equal(soundOf([pictures]), undefined);
  assert.equal(soundOf([sound]), undefined);
});
