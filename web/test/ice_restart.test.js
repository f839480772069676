// ICE restarts by WHIP: what is sent of an offer, and what the relay's answer makes of the one before.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fragment, renewed } from "../src/ice_restart.js";

const sdp = (...lines) => [...lines, ""].join("\r\n");

test("a fragment has the credentials and candidates of the medium that carries all", () => {
  const offer = sdp(
    "v=0", "s=-", "a=group:BUNDLE 0 1",
    "m=audio 50000 UDP/TLS/RTP/SAVPF 111", "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host",
    "a=ice-ufrag:EsAw", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "a=fingerprint:sha-256 AA", "a=mid:0",
    "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=ice-ufrag:EsAw", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "a=mid:1",
  );
  assert.equal(
    fragment(offer),
    sdp(
      "a=ice-ufrag:EsAw", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "m=audio 50000 UDP/TLS/RTP/SAVPF 111",
      "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host", "a=mid:0",
    ),
  );
});

test("the answer keeps all but credentials and candidates, in each medium", () => {
  const answer = sdp(
    "v=0", "m=audio 1 X 111", "a=mid:0", "a=candidate:old", "a=end-of-candidates", "a=ice-ufrag:old0", "a=ice-pwd:older",
    "a=setup:active", "m=video 1 X 96", "a=mid:1", "a=ice-ufrag:old0", "a=ice-pwd:older", "a=setup:active",
  );
  const told = sdp("a=ice-ufrag:new0", "a=ice-pwd:newer", "m=audio 9 X 0", "a=mid:0", "a=candidate:new", "a=end-of-candidates");
  assert.equal(
    renewed(answer, told),
    sdp(
      "v=0", "m=audio 1 X 111", "a=mid:0", "a=ice-ufrag:new0", "a=ice-pwd:newer", "a=candidate:new", "a=end-of-candidates",
      "a=setup:active", "m=video 1 X 96", "a=mid:1", "a=ice-ufrag:new0", "a=ice-pwd:newer", "a=setup:active",
    ),
  );
});
