// Addresses, words and numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { level } from "../src/publisher.js";
import { match } from "../src/router.js";
import { clock, t } from "../src/strings.js";

test("paths name their screens", () => {
  assert.deepEqual(match("/watch/01abc"), { screen: "watch", id: "01abc" });
  assert.equal(match("/").screen, "feed");
  assert.equal(match("/go-live").screen, "live");
  assert.equal(match("/watch/").screen, "not_found");
});

test("sentences are filled in, and plurals follow the number", () => {
  assert.equal(t("watch.viewers_label", { n: 1 }), "1 viewer");
  assert.equal(t("watch.viewers_label", { n: 1234 }), "1,234 viewers");
  assert.equal(t("no.such.key"), "no.such.key");
  assert.equal(t("no.such.key", {}, "as told"), "as told");
});

test("time on air grows into hours", () => {
  assert.equal(clock(0), "0:00");
  assert.equal(clock(754.9), "12:34");
  assert.equal(clock(3725), "1:02:05");
});

test("a host hears of bad network, not of a full one", () => {
  assert.equal(level({ rtt_ms: 40, loss: 0, limited: false }), "good");
  assert.equal(level({ rtt_ms: 40, loss: 0, limited: true }), "fair");
  assert.equal(level({ rtt_ms: 40, loss: 0.2, limited: false }), "poor");
});
