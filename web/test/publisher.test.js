// The publisher's goodbye: to a relay that holds its session still, and to nobody where that ends by itself.
import assert from "node:assert/strict";
import { test } from "node:test";

let peer;

class Peer extends EventTarget {
  constructor() {
    super();
    peer = this;
  }

  iceGatheringState = "complete";
  connectionState = "new";
  localDescription = { sdp: "v=0" };
  createOffer = async () => ({});
  setLocalDescription = async () => undefined;
  setRemoteDescription = async () => undefined;
  getReceivers = () => [];
  getSenders = () => [];
  getStats = async () => new Map();
  close() {}
}

Object.assign(globalThis, { RTCPeerConnection: Peer, addEventListener() {}, removeEventListener() {} });
if (!globalThis.navigator) Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
const { Publisher } = await import("../src/publisher.js");

/** A publisher whose session is at the relay, and the requests that it sends from now on. */
async function published() {
  const asked = [];
  globalThis.fetch = async (url, { method }) => {
    asked.push(`${method} ${url}`);
    return new Response("v=0", { status: method === "POST" ? 201 : 200, headers: { Location: "/whip/abc/one" } });
  };
  const publisher = new Publisher({ whip_url: "https://relay.test/whip/abc", stream_key: "key" }, { getTracks: () => [] });
  await publisher.start();
  peer.connectionState = "connected";
  peer.onconnectionstatechange();
  assert.equal(publisher.state, "live");
  assert.deepEqual(asked.splice(0), ["POST https://relay.test/whip/abc"]);
  return { publisher, asked };
}

test("whoever leaves while the broadcast goes on ends the session", async () => {
  const { publisher, asked } = await published();
  await publisher.stop();
  await publisher.stop();
  assert.deepEqual(asked, ["DELETE https://relay.test/whip/abc/one"]);
  assert.equal(publisher.state, "closed");
});

test("a session whose broadcast has ended is left to the relay, and nothing is asked for later", async () => {
  const { publisher, asked } = await published();
  await publisher.stop({ over: true });
  await publisher.stop();
  assert.deepEqual(asked, []);
  assert.equal(publisher.state, "closed");
});
