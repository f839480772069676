// What each side of a match hears of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toldOf } from "../src/match_told.js";

const told = (state, was, host) => toldOf({ state, asked_by: "asker" }, was, host);

test("who asked is told of the answer, and who gave it is not", () => {
  assert.equal(told("declined", "asked", "asker"), "declined");
  assert.equal(told("declined", "asked", "rival"), undefined);
});

test("who was asked is told why the card is gone, and who took the ask back is not", () => {
  assert.equal(told("ended", "asked", "rival"), "taken_back");
  assert.equal(told("ended", "asked", "asker"), undefined);
});

test("an ask that nobody answered reads differently on the two sides, and is told once", () => {
  assert.equal(told("expired", "asked", "asker"), "expired");
  assert.equal(told("expired", "asked", "rival"), "missed");
  assert.equal(told("expired", undefined, "asker"), undefined);
  assert.equal(told("ended", undefined, "asker"), undefined);
});

test("a match that begins and ends is told to everyone, an ask only to who is asked", () => {
  for (const host of ["asker", "rival", undefined]) {
    assert.equal(told("accepted", "asked", host), "accepted");
    assert.equal(told("ended", "accepted", host), "ended");
  }
  assert.equal(told("asked", undefined, "rival"), "asked");
  assert.equal(told("asked", undefined, "asker"), undefined);
  for (const state of ["asked", "declined", "expired", "ended"]) assert.equal(told(state, "asked", undefined), undefined);
});
