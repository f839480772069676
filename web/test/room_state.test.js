// What stands in a room, event by event.
import assert from "node:assert/strict";
import { test } from "node:test";
import { byInterest, questionsAfter, roomAfter, shares } from "../src/room_state.js";

const question = (id, state = "open", upvotes = 0, at = "2026-01-01T00:00:00Z") => ({
  type: "question", question_id: id, text: id, state, upvotes, at,
});

test("a pin, settings and a poll replace what stood, and a pin without a comment takes it away", () => {
  let room = roomAfter({ title: "a" }, { type: "pinned", pinned: { id: "c1", text: "hi" } });
  room = roomAfter(room, { type: "settings", settings: { slow_mode_s: 5 } });
  room = roomAfter(room, { type: "poll", poll_id: "p1", state: "open" });
  assert.deepEqual([room.title, room.pinned.id, room.settings.slow_mode_s, room.poll.poll_id], ["a", "c1", 5, "p1"]);
  assert.equal(roomAfter(room, { type: "pinned" }).pinned, undefined);
});

test("a question is shown until its own state says otherwise", () => {
  const room = roomAfter({}, question("q1", "showing"));
  assert.equal(roomAfter(room, question("q2", "answered")).showing.question_id, "q1");
  assert.equal(roomAfter(room, question("q1", "answered")).showing, undefined);
  assert.equal(roomAfter(room, question("q2", "showing")).showing.question_id, "q2");
});

test("what is removed stands nowhere", () => {
  const room = { pinned: { id: "c1" }, showing: question("q1", "showing") };
  assert.equal(roomAfter(room, { type: "removed", event_id: "c1" }).pinned, undefined);
  assert.equal(roomAfter(room, { type: "removed", event_id: "q1" }).showing, undefined);
  assert.equal(roomAfter(room, { type: "removed", event_id: "other" }), room);
  assert.deepEqual(questionsAfter([question("q1")], { type: "removed", event_id: "q1" }), []);
});

test("questions: the shown one first, then by upvotes, then the oldest; answered ones leave", () => {
  const old = question("old", "open", 2, "2026-01-01T00:00:00Z");
  const late = question("late", "open", 2, "2026-01-01T00:01:00Z");
  const shown = question("shown", "showing");
  assert.deepEqual(byInterest([late, shown, old]).map((each) => each.question_id), ["shown", "old", "late"]);
  const more = questionsAfter([old, late], { ...late, upvotes: 3 });
  assert.deepEqual(more.map((each) => each.question_id), ["late", "old"]);
  assert.deepEqual(questionsAfter(more, { ...late, state: "answered" }), [old]);
});

test("shares of votes, none before the first", () => {
  assert.deepEqual(shares([0, 0]), [0, 0]);
  assert.deepEqual(shares([1, 3]), [25, 75]);
});

test("a match is asked for, is on, and is over; what is told of another changes nothing", () => {
  const event = (match, state, until) => ({
    type: "match", id: `${match}${state}`, match, state, asked_by: "a", until, rival: { stream_id: "s2", host: { id: "b", handle: "b", name: "B" } },
  });
  let room = roomAfter({}, event("m1", "asked", "2026-01-01T00:01:00Z"));
  assert.deepEqual([room.match.state, room.match.until, room.match.rival.stream_id], ["asked", "2026-01-01T00:01:00Z", "s2"]);
  room = roomAfter(room, event("m1", "accepted"));
  assert.deepEqual([room.match.state, room.match.until], ["accepted", undefined]);
  assert.equal(roomAfter(room, event("m0", "expired")).match.match, "m1");
  for (const state of ["ended", "declined", "expired"]) assert.equal(roomAfter(room, event("m1", state)).match, undefined);
});
