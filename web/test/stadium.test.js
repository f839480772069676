// A stadium: frames in the media and on the socket, and the way from one to the other and back. Time is node's mock clock.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { MediaFrames, frameInCue, framesIn } from "../src/media_frames.js";
import { chat, frame, joined, open, settle } from "./played_room.js";

const media = (seq, more = {}) => frame(seq, { transport: "media", media: "flowing", events: [chat(`e${seq}`)], ...more });
const socketed = (seq, more = {}) => media(seq, { transport: "socket", ...more });
const upTo = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => `e${from + n}`);

/** As the relay writes it; written from the ID3 text. */
function tag(text, description = "onair.frame") {
  const size = (n) => [(n >> 21) & 127, (n >> 14) & 127, (n >> 7) & 127, n & 127];
  const content = [3, ...new TextEncoder().encode(`${description}\0${text}`)];
  const inner = [...Buffer.from("TXXX"), ...size(content.length), 0, 0, ...content];
  return Uint8Array.from([...Buffer.from("ID3"), 4, 0, 0, ...size(inner.length), ...inner]);
}

async function watching(random) {
  const made = await open(random);
  made.room.picture(true);
  return made;
}

test("a frame is read out of its tag, and what is not ours is left alone", () => {
  const said = frame(4, { events: [chat("é👋", "own")] });
  assert.deepEqual(framesIn(tag(JSON.stringify(said))), [said]);
  assert.deepEqual(framesIn(Uint8Array.from([...tag(JSON.stringify(frame(1))), ...tag(JSON.stringify(frame(2)))])), [frame(1), frame(2)]);
  assert.deepEqual(framesIn(tag(JSON.stringify(said), "somebody.else")), []);
  assert.deepEqual(framesIn(tag("{broken")), []);
  const whole = tag(JSON.stringify(said));
  for (let cut = 0; cut < whole.length; cut += 1) assert.ok(framesIn(whole.subarray(0, cut)).length <= 1);
  assert.deepEqual(frameInCue({ value: { key: "TXXX", info: "onair.frame", data: JSON.stringify(said) } }), [said]);
  assert.deepEqual(frameInCue({ value: { key: "TIT2", data: "a title" } }), []);
});

test("frames wait for their place in the picture and keep their order", () => {
  const frames = new MediaFrames();
  for (const [seq, at] of [[1, 10], [3, 10.5], [2, 10.5], [4, 12]]) frames.add(frame(seq), at);
  assert.deepEqual(frames.due(9.9), []);
  assert.deepEqual(frames.due(11).map(({ seq }) => seq), [1, 2, 3]);
  assert.deepEqual(frames.flush().map(({ seq }) => seq), [4]);
});

test("frames go over into the media and come back, each shown once and in order", async () => {
  const { room, socket, lines } = await watching();
  socket.tell(socketed(1));
  socket.tell(media(2)); // the first of them comes both ways
  for (const seq of [2, 3, 4]) room.mediaFrame(media(seq));
  assert.deepEqual(lines, upTo(1, 4));
  socket.tell(socketed(7)); // back, while the picture is two frames behind
  socket.tell(socketed(8));
  mock.timers.tick(2_500);
  assert.deepEqual(lines, upTo(1, 4));
  for (const seq of [5, 6]) room.mediaFrame(media(seq));
  assert.deepEqual(lines, upTo(1, 8));
  mock.timers.tick(60_000);
  assert.equal(socket.of("join").length, 1, "nothing was ever asked for again");
});

test("what the media never brings is asked for after a while, spread over time", async () => {
  for (const [draw, waits] of [[0, 10_000], [0.5, 11_500]]) {
    const { room, socket, lines } = await watching(() => draw);
    socket.tell(media(1));
    room.mediaFrame(media(3));
    mock.timers.tick(waits - 1);
    assert.equal(socket.of("join").length, 1);
    mock.timers.tick(1);
    assert.deepEqual(socket.of("join")[1], { action: "join", epoch: "e", after: 1 });
    socket.tell(joined({ seq: 4, resumed: true, frames: [media(2), media(3), media(4)] }));
    await settle();
    room.mediaFrame(media(4));
    assert.deepEqual(lines, upTo(1, 4));
    room.stop();
  }
});

test("a host's lost picture is not waited for", async () => {
  const { socket } = await watching(() => 0);
  socket.tell(media(1));
  socket.tell(socketed(3, { media: "lost" }));
  mock.timers.tick(2_000);
  assert.equal(socket.of("join").length, 2);
});

test("a pong that is ahead by what the picture has yet to show makes nobody join", async () => {
  const { room, socket } = await watching(() => 0);
  socket.tell(media(1));
  socket.tell({ type: "pong", seq: 4 });
  mock.timers.tick(5_000);
  for (const seq of [2, 3, 4]) room.mediaFrame(media(seq));
  mock.timers.tick(60_000);
  assert.equal(socket.of("join").length, 1);
  socket.tell({ type: "pong", seq: 6 });
  mock.timers.tick(10_000);
  assert.deepEqual(socket.of("join")[1], { action: "join", epoch: "e", after: 4 });
});

test("a picture that stands still hands the room to the socket, and takes it back when it moves", async () => {
  const { room, socket } = await watching();
  socket.tell(media(1));
  room.picture(false);
  mock.timers.tick(3_000);
  assert.equal(socket.of("join").length, 1);
  mock.timers.tick(2_000);
  assert.deepEqual(socket.of("join")[1], { action: "join", epoch: "e", after: 1, frames: "socket" });
  socket.tell(joined({ seq: 1, resumed: true }));
  await settle();
  socket.tell(media(2));
  room.picture(true);
  mock.timers.tick(2_000);
  assert.equal(socket.of("join").length, 2);
  mock.timers.tick(2_000);
  assert.deepEqual(socket.of("join")[2], { action: "join", epoch: "e", after: 2 });
});

test("a client without a picture asks for the socket; a moderator is sent frames there anyway", async () => {
  const { socket } = await open();
  socket.tell(media(1));
  mock.timers.tick(6_000);
  assert.equal(socket.of("join")[1]?.frames, "socket");
  const other = await open();
  other.socket.tell({ type: "me", role: "moderator" });
  other.socket.tell(media(1));
  mock.timers.tick(60_000);
  assert.equal(other.socket.of("join").length, 1);
});

test("who comes back to the page asks for what the picture was not there to bring", async () => {
  const { room, socket } = await watching();
  socket.tell(media(1));
  room.check();
  assert.deepEqual(socket.of("join")[1], { action: "join", epoch: "e", after: 1 });
});

test("the end is told though the picture is behind it", async () => {
  const { socket, lines } = await watching();
  socket.tell(media(1));
  socket.tell(socketed(4));
  socket.tell({ type: "bye", code: "not_live", message: "over", reconnect: false });
  assert.deepEqual(lines, ["e1", "e4"]);
});
