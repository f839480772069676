"""Chromium's publisher changes networks: ICE is restarted under the same session, and viewers see no seam."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Playwright

from tests.browser.bare_page import sources_served
from tests.browser.conftest import launch
from tests.relay import checker
from tests.relay.stack import Stack, fetch, stream_key, until

pytestmark = pytest.mark.browser

_PUBLISH = """async ([whip_url, stream_key]) => {
  const Peer = RTCPeerConnection;
  window.peers = [];
  window.RTCPeerConnection = class extends Peer {
    constructor(...given) {
      super(...given);
      peers.push(this);
    }
  };
  const { Publisher } = await import("/src/publisher.js");
  const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 }, audio: true });
  const publish = { whip_url, stream_key };
  window.states = [];
  window.publisher = new Publisher(publish, media, async () => publish);
  publisher.addEventListener("state", () => states.push(publisher.state));
  await publisher.start();
}"""
# Where the pair that is in use leads, and what was sent through all of them.
_SENDS = """async () => {
  const report = await peers.at(-1).getStats();
  const all = [...report.values()];
  const transport = all.find(({ type }) => type === "transport");
  const pair = report.get(transport.selectedCandidatePairId);
  return { port: pair && report.get(pair.remoteCandidateId).port, bytes: pair?.bytesSent ?? 0 };
}"""


@pytest.fixture
def origin() -> Iterator[str]:
    with sources_served() as served:
        yield served


def test_a_network_that_comes_back_goes_on_in_the_same_session(playwright: Playwright, origin: str) -> None:
    asked: list[tuple[str, str, int]] = []
    with Stack() as stack:
        stack.put_stream("walk")
        browser = launch(playwright.chromium)
        context = browser.new_context(permissions=["camera", "microphone"])
        page = context.new_page()
        page.on(
            "response",
            lambda each: asked.append((each.request.method, each.request.headers.get("if-match", ""), each.status)),
        )
        page.goto(f"{origin}/stage")
        # given a broadcast on air
        page.evaluate(_PUBLISH, [stack.whip_url("walk"), stream_key("walk")])
        until(lambda: fetch(stack.live_url("walk")).status == 200, 30, "on air")
        page.wait_for_function("publisher.state === 'live'", timeout=10_000)
        before = checker.read(fetch(stack.live_url("walk", "media.m3u8")).text)
        first = page.evaluate(_SENDS)
        asked.clear()
        # when the network goes and comes back
        context.set_offline(True)
        context.set_offline(False)
        # then media goes to another address of the relay's, in the session that there was
        until(lambda: page.evaluate(_SENDS)["port"] not in (None, first["port"]), 10, "another pair is used")
        assert [each for each in asked if each[0] in ("PATCH", "POST", "DELETE")] == [("PATCH", "*", 200)]
        sent = page.evaluate(_SENDS)["bytes"]
        until(lambda: page.evaluate(_SENDS)["bytes"] > sent + 20_000, 10, "media flows over it")
        last = before.segments[-1].msn

        def later() -> checker.ReadPlaylist | None:
            told = checker.read(fetch(stack.live_url("walk", "media.m3u8")).text)
            return told if told.segments[-1].msn > last + 3 else None

        after: checker.ReadPlaylist = until(later, 15, "the programme goes on")
        checker.check_succession(before, after)
        assert not any(segment.discontinuity for segment in after.segments)
        assert page.evaluate("[peers.length, states]") == [1, ["live"]]
        browser.close()


def test_a_relay_that_will_not_restart_is_published_to_anew(playwright: Playwright, origin: str) -> None:
    with Stack() as stack:
        stack.put_stream("anew")
        browser = launch(playwright.chromium)
        context = browser.new_context(permissions=["camera", "microphone"])
        page = context.new_page()
        page.goto(f"{origin}/stage")
        # given a relay that refuses restarts, as RFC 9725 lets it
        page.evaluate(_PUBLISH, [stack.whip_url("anew"), stream_key("anew")])
        page.wait_for_function("publisher.state === 'live'", timeout=20_000)

        def refuse(route: Any) -> None:
            if route.request.method == "PATCH":
                route.fulfill(status=422, headers={"Access-Control-Allow-Origin": "*"}, json={})
            else:
                route.continue_()

        page.route("**/whip/**", refuse)
        # when the network changes
        page.evaluate("dispatchEvent(new Event('online'))")
        # then the page publishes in a new session
        page.wait_for_function("peers.length === 2 && publisher.state === 'live'", timeout=20_000)
        browser.close()


# The first restart's request is never answered; the later ones go through.
_HOLD_FIRST = """() => {
  const real = fetch;
  window.restarts = [];
  window.fetch = (url, options = {}) => {
    if (options.method !== "PATCH" || !options.body) return real(url, options);
    restarts.push("asked");
    if (restarts.length > 1) return real(url, options).finally(() => restarts.push("answered"));
    return new Promise((_, refuse) => options.signal.addEventListener("abort", () => {
      restarts.push("given up");
      refuse(options.signal.reason);
    }));
  };
}"""


def test_a_restart_that_is_given_up_late_leaves_the_one_after_it_alone(playwright: Playwright, origin: str) -> None:
    with Stack() as stack:
        stack.put_stream("late")
        browser = launch(playwright.chromium)
        context = browser.new_context(permissions=["camera", "microphone"])
        page = context.new_page()
        page.goto(f"{origin}/stage")
        page.evaluate(_PUBLISH, [stack.whip_url("late"), stream_key("late")])
        page.wait_for_function("publisher.state === 'live'", timeout=20_000)
        first = page.evaluate(_SENDS)
        # given a request that is lost with its network
        page.evaluate(_HOLD_FIRST)
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_function("restarts.length === 1", timeout=10_000)
        # when the next network is there before it is given up
        page.wait_for_function("dispatchEvent(new Event('online')) && restarts.includes('answered')", timeout=10_000)
        page.wait_for_function("restarts.includes('given up')", timeout=10_000)
        # then the session goes on over that network
        until(lambda: page.evaluate(_SENDS)["port"] not in (None, first["port"]), 10, "another pair is used")
        sent = page.evaluate(_SENDS)["bytes"]
        until(lambda: page.evaluate(_SENDS)["bytes"] > sent + 20_000, 10, "media flows over it")
        told = page.evaluate("restarts")
        assert told[:2] == ["asked", "asked"]
        assert told.index("answered") < told.index("given up")
        assert page.evaluate("[peers.length, states]") == [1, ["live"]]
        browser.close()
