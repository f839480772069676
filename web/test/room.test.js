// The room socket against a server that the test plays: protocol.md's rules, one a test. Time is node's mock clock.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { FakeSocket, ME, api, chat, frame, joined, open, settle, sockets, tickets } from "./played_room.js";
import { Room } from "../src/room.js";

test("ticket, then socket, then join without a place", async () => {
  const { room, socket } = await open();
  assert.equal(socket.url, "ws://room?ticket=1");
  assert.deepEqual(socket.sent, [{ action: "join" }]);
  assert.equal(room.state, "open");
});

test("a gap that lasts two seconds joins again on the same socket, from the last frame", async () => {
  const { socket, lines } = await open();
  socket.tell(frame(1, { events: [chat("one")] }));
  socket.tell(frame(3, { events: [chat("three")] }));
  assert.deepEqual(lines, ["one"]);
  mock.timers.tick(1_999);
  assert.equal(socket.of("join").length, 1);
  mock.timers.tick(1);
  assert.deepEqual(socket.of("join")[1], { action: "join", epoch: "e", after: 1 });
  socket.tell(joined({ seq: 3, resumed: true, frames: [frame(2, { events: [chat("two")] }), frame(3, { events: [chat("three")] })] }));
  await settle();
  assert.deepEqual(lines, ["one", "two", "three"]);
  assert.equal(sockets.length, 1);
});

test("a gap that closes in time does not join again", async () => {
  const { socket } = await open();
  socket.tell(frame(2));
  mock.timers.tick(1_500);
  socket.tell(frame(1));
  mock.timers.tick(5_000);
  assert.equal(socket.of("join").length, 1);
});

test("a pong that is ahead joins again", async () => {
  const { socket } = await open();
  mock.timers.tick(300_000);
  assert.equal(socket.of("ping").length, 1);
  socket.tell({ type: "pong", seq: 4 });
  assert.equal(socket.of("join").length, 2);
});

test("a ping that nobody answers is a lost socket", async () => {
  const { room } = await open();
  mock.timers.tick(300_000);
  mock.timers.tick(10_000);
  assert.equal(room.state, "reconnecting");
});

test("an own line comes from its ack once, whether the frame or the ack is first", async () => {
  const { room, socket, lines } = await open();
  const first = room.chat("ack first");
  const { id } = socket.of("chat")[0];
  socket.tell({ type: "ack", id, event_id: "x" });
  assert.equal((await first).shown, false);
  socket.tell(frame(1, { events: [chat("x", id)] }));
  assert.deepEqual(lines, []);
  const second = room.chat("frame first");
  const other = socket.of("chat")[1].id;
  socket.tell(frame(2, { events: [chat("y", other)] }));
  socket.tell({ type: "ack", id: other, event_id: "y" });
  assert.equal((await second).shown, true);
  assert.deepEqual(lines, ["y"]);
});

test("what was not acknowledged is sent again with the same id after a reconnect", async () => {
  const { room, socket } = await open();
  const said = room.chat("hello");
  const { id } = socket.of("chat")[0];
  socket.drop();
  assert.equal(room.state, "reconnecting");
  mock.timers.tick(3_000);
  await settle();
  sockets[1].open();
  sockets[1].tell(joined());
  await settle();
  assert.deepEqual(sockets[1].of("chat").map((message) => message.id), [id]);
  sockets[1].tell({ type: "ack", id });
  assert.equal((await said).id, id);
});

test("reconnects wait at random within the spread, doubling to thirty seconds", async () => {
  const { socket } = await open(() => 0.999);
  socket.drop();
  api.refusal = { status: 503, code: "unavailable" };
  const waits = [];
  for (let n = 0; n < 6; n += 1) {
    const before = tickets;
    let waited = 0;
    while (tickets === before) {
      mock.timers.tick(100);
      waited += 100;
      await settle();
      assert.ok(waited < 40_000);
    }
    waits.push(Math.ceil(waited / 1000));
  }
  assert.deepEqual(waits, [3, 6, 12, 24, 30, 30]);
});

test("an answer that says it is over stops the retries", async () => {
  for (const refusal of [{ status: 403, code: "banned" }, { status: 404, code: "not_found" }, { status: 409, code: "not_live" }]) {
    sockets.length = 0;
    const { room, socket } = await open();
    const before = tickets;
    api.refusal = refusal;
    socket.drop();
    mock.timers.tick(3_000);
    await settle();
    mock.timers.tick(120_000);
    await settle();
    assert.deepEqual([room.state, room.reason.code, tickets], ["stopped", refusal.code, before + 1]);
    api.refusal = undefined;
  }
});

test("taps go out together once an interval, at most fifty", async () => {
  const { room, socket } = await open(() => 0);
  for (let n = 0; n < 60; n += 1) room.react("❤️");
  assert.equal(socket.of("react").length, 0);
  mock.timers.tick(1_000);
  mock.timers.tick(1_000);
  assert.deepEqual(socket.of("react").map(({ counts }) => counts["❤️"]), [50, 10]);
});

test("one's own question is told to the screen after its acknowledgement too", async () => {
  const { room, socket } = await open();
  const told = [];
  room.addEventListener("line", ({ detail }) => told.push(detail.event.question_id));
  const asked = room.ask("why?");
  const [{ id }] = socket.of("ask");
  socket.tell({ type: "ack", id, event_id: "q1" });
  assert.equal((await asked).event_id, "q1");
  const question = { id: "e1", type: "question", client_id: id, question_id: "q1", text: "why?", upvotes: 0, state: "open" };
  socket.tell(frame(1, { events: [question] }));
  assert.deepEqual(told, ["q1"]);
});

test("a mixed burst keeps to fifty and to eight kinds a message, over all kinds, and loses none", async () => {
  const { room, socket } = await open(() => 0);
  const kinds = ["❤️", "🔥", "👏", "😂", "😍", "🎉", "😮", "👍", "🙏"];
  for (const kind of kinds) for (let n = 0; n < 12; n += 1) room.react(kind);
  for (let n = 0; n < 5; n += 1) mock.timers.tick(1_000);
  const sent = socket.of("react").map(({ counts }) => Object.values(counts));
  for (const counts of sent) {
    assert.ok(counts.length <= 8 && counts.every((count) => count > 0));
    assert.ok(counts.reduce((a, b) => a + b) <= 50);
  }
  assert.equal(sent.flat().reduce((a, b) => a + b), kinds.length * 12);
});

test("totals tell the taps of others: own ones are taken off", async () => {
  const { room, socket } = await open(() => 0);
  const taps = [];
  room.addEventListener("taps", ({ detail }) => taps.push(detail));
  room.react("❤️");
  room.react("❤️");
  mock.timers.tick(1_000);
  socket.tell(frame(1, { reactions: { "❤️": 2 } }));
  socket.tell(frame(2, { reactions: { "❤️": 5 } }));
  assert.deepEqual(taps, [{ "❤️": 3 }]);
});

test("after signing in, acts wait for the socket of the account", async () => {
  const { room, socket } = await open();
  room.changeAccount();
  room.chat("now as myself");
  await settle();
  assert.equal(socket.of("chat").length, 0);
  sockets[1].open();
  sockets[1].tell(joined());
  await settle();
  assert.equal(sockets[1].of("chat").length, 1);
});

test("a sampled room hears only its share of the clients", async () => {
  const { room, socket } = await open(() => 0.4);
  socket.tell(frame(1, { react_sample: 0.25 }));
  room.react("❤️");
  mock.timers.tick(1_000);
  assert.equal(socket.of("react").length, 0);
});

test("bye ends it where coming back makes no sense, and unknown messages are left alone", async () => {
  const { room, socket } = await open();
  socket.tell({ type: "weather", sunny: true });
  socket.tell(frame(1, { events: [{ id: "q", type: "levitation" }] }));
  socket.tell({ type: "bye", code: "banned", message: "You are banned here.", reconnect: false });
  assert.deepEqual([room.state, room.reason.code], ["stopped", "banned"]);
});

test("a refusal reaches the act that it refuses, with the time to wait", async () => {
  const { room, socket } = await open();
  const said = room.chat("again and again");
  socket.tell({ type: "error", id: socket.of("chat")[0].id, code: "rate_limited", message: "Too fast.", retry_after_ms: 800 });
  await assert.rejects(said, (error) => error.code === "rate_limited" && error.retryAfterMs === 800);
});

test("the connection is renewed between 90 and 115 minutes, and resumes", async () => {
  const { socket } = await open(() => 0);
  socket.tell(frame(1));
  const answerPings = () => socket.of("ping").length && socket.tell({ type: "pong", seq: 1 });
  for (let minute = 0; minute < 90; minute += 1) {
    mock.timers.tick(60_000);
    answerPings();
  }
  await settle();
  assert.equal(tickets, 2);
  sockets[1].open();
  assert.deepEqual(sockets[1].sent, [{ action: "join", epoch: "e", after: 1 }]);
});
