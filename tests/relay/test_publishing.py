"""Publishers over WHIP, against a relay process: refusals, one at a time, takeover, loss, the end of a broadcast."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiortc import RTCPeerConnection

from tests.relay import checker
from tests.relay.stack import Stack, fetch, stream_key, until

_SDP = {"Content-Type": "application/sdp"}


async def _offer(*kinds: str) -> bytes:
    peer = RTCPeerConnection()
    for kind in kinds:
        peer.addTransceiver(kind, direction="sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    sdp: str = peer.localDescription.sdp
    await peer.close()
    return sdp.encode()


def _bearer(stream_id: str, generation: int = 1) -> dict[str, str]:
    return {**_SDP, "Authorization": f"Bearer {stream_key(stream_id, generation)}"}


def _wait_for(stack: Stack, states: list[dict[str, Any]], stream_id: str, state: str, timeout_s: float = 15) -> None:
    def told() -> bool:
        states.extend(stack.media_states())
        mine = [message for message in states if message["stream"] == stream_id]
        return bool(mine) and mine[-1]["state"] == state

    until(told, timeout_s, f"{stream_id} is {state}")


async def test_publishing_is_refused_without_the_right(stack: Stack) -> None:
    stack.put_stream("gate", generation=2)
    stack.put_stream("over", state="ended")
    stack.put_stream("soon", state="ready")
    offer = await _offer("video", "audio")
    for stream_id, headers, status, code in [
        ("gate", _SDP, 401, "unauthenticated"),
        ("gate", {**_SDP, "Authorization": "Bearer x"}, 401, "unauthenticated"),
        ("gate", _bearer("over"), 403, "forbidden"),
        ("gate", _bearer("gate", 1), 403, "forbidden"),
        ("gate", _bearer("gate", 3), 403, "forbidden"),
        ("over", _bearer("over"), 404, "not_found"),
        ("soon", _bearer("soon"), 404, "not_found"),
        ("none", _bearer("none"), 404, "not_found"),
    ]:
        answer = fetch(stack.whip_url(stream_id), "POST", headers, offer)
        assert (answer.status, answer.code) == (status, code), stream_id


async def test_bodies_that_are_no_offer_of_ours_are_refused(stack: Stack) -> None:
    stack.put_stream("form")
    good = await _offer("video", "audio")
    vp8_only = good.replace(b"H264/90000", b"VP9/90000")
    # RFC 9725 section 4.2 for the first two; limits of ours for the others.
    for body, headers, status in [
        (good, {**_bearer("form"), "Content-Type": "text/plain"}, 415),
        (vp8_only, _bearer("form"), 406),
        (await _offer("video", "video"), _bearer("form"), 406),
        (b"", _bearer("form"), 400),
        (b"hello", _bearer("form"), 400),
        (b"v=0\r\n", _bearer("form"), 400),
        (b"\xff\xfe", _bearer("form"), 400),
        (good.replace(b"a=ice-pwd", b"a=ice-no"), _bearer("form"), 400),
        (good.replace(b"a=sendonly", b"a=recvonly"), _bearer("form"), 400),
        (good + b"a=x:" + b"y" * 70_000, _bearer("form"), 413),
    ]:
        answer = fetch(stack.whip_url("form"), "POST", headers, body)
        assert answer.status == status, (body[:30], answer.text)
        assert answer.code in ("invalid_request", "too_large")
    assert fetch(stack.whip_url("form"), "GET").status == 405


async def test_the_whip_resource_is_described_trickled_to_and_deleted(stack: Stack) -> None:
    stack.put_stream("ways")
    preflight = fetch(stack.whip_url("ways"), "OPTIONS")
    assert preflight.status == 204 and preflight.headers["accept-post"] == "application/sdp"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]

    created = fetch(stack.whip_url("ways"), "POST", _bearer("ways"), await _offer("video", "audio"))
    assert created.status == 201 and created.headers["content-type"].startswith("application/sdp")
    assert "Location" in created.headers["access-control-expose-headers"]
    resource, tag = created.headers["location"], created.headers["etag"]
    assert resource.startswith(stack.whip_url("ways") + "/")

    fragment = b"a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host\r\na=end-of-candidates\r\n"
    trickle = {**_bearer("ways"), "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": tag}
    restart = b"a=ice-ufrag:other\r\na=ice-pwd:else\r\n"
    without_tag = {name: value for name, value in trickle.items() if name != "If-Match"}
    for headers, body, status in [
        (without_tag, fragment, 428),
        ({**trickle, "If-Match": '"old"'}, fragment, 412),
        ({**trickle, "Content-Type": "text/plain"}, fragment, 415),
        (trickle, restart, 422),
        (trickle, b"a=candidate:nonsense\r\n", 400),
        (trickle, fragment, 204),
    ]:
        assert fetch(resource, "PATCH", headers, body).status == status, (headers, body)

    assert fetch(resource, "DELETE").status == 401
    assert fetch(resource, "DELETE", _bearer("ways")).status == 200
    assert fetch(resource, "DELETE", _bearer("ways")).status == 404


async def test_one_publisher_at_a_time_until_a_newer_key_takes_over(stack: Stack) -> None:
    stack.put_stream("duel")
    first = stack.start_source("duel")
    until(lambda: fetch(stack.live_url("duel")).status == 200, 20, "the first publisher is on air")
    second = fetch(stack.whip_url("duel"), "POST", _bearer("duel"), await _offer("video", "audio"))
    assert (second.status, second.code) == (409, "conflict")

    stack.put_stream("duel", generation=2)
    stack.start_source("duel", 2)

    def taken_over() -> bool:
        playlist = checker.read(fetch(stack.live_url("duel", "media.m3u8")).text)
        fresh = [segment for segment in playlist.segments if segment.discontinuity]
        return bool(fresh) and len(fresh[0].parts) > 0

    until(taken_over, 15, "the second publisher's picture follows a discontinuity")
    old_key = fetch(stack.whip_url("duel"), "POST", _bearer("duel", 1), await _offer("video", "audio"))
    assert (old_key.status, old_key.code) == (403, "forbidden")
    stack.put_stream("duel", state="ended", generation=2)
    until(
        lambda: "#EXT-X-ENDLIST" in fetch(stack.live_url("duel", "media.m3u8")).text, 10, "an ended stream has ENDLIST"
    )
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=10) is not None


def test_a_silent_publisher_is_lost_and_comes_back_after_a_discontinuity(stack: Stack) -> None:
    stack.put_stream("gap")
    source = stack.start_source("gap")
    states: list[dict[str, Any]] = []
    _wait_for(stack, states, "gap", "flowing")
    before = checker.read(fetch(stack.live_url("gap", "media.m3u8")).text)

    source.send_signal(signal.SIGSTOP)
    stopped = time.time()
    _wait_for(stack, states, "gap", "lost")
    lost = next(message for message in states if message["stream"] == "gap" and message["state"] == "lost")
    assert 1.5 < lost["at_ms"] / 1000 - stopped < 4.0
    source.send_signal(signal.SIGCONT)
    _wait_for(stack, states, "gap", "flowing")

    after = checker.read(fetch(stack.live_url("gap", "media.m3u8")).text)
    checker.check_succession(before, after)
    assert [segment.discontinuity for segment in after.segments].count(True) == 1
    mine = [message for message in states if message["stream"] == "gap"]
    assert {message["generation"] for message in mine} == {1}
    assert any(message["preview"] for message in mine), "the first preview picture is told"


def test_a_crashed_publisher_is_replaced_by_a_new_process(stack: Stack) -> None:
    stack.put_stream("crash")
    source = stack.start_source("crash")
    until(lambda: fetch(stack.live_url("crash")).status == 200, 20, "on air")
    before = checker.read(fetch(stack.live_url("crash", "media.m3u8")).text)
    source.kill()
    source.wait(timeout=5)
    stack.start_source("crash")

    def resumed() -> bool:
        now = checker.read(fetch(stack.live_url("crash", "media.m3u8")).text)
        checker.check_succession(before, now)
        return any(segment.discontinuity and segment.parts for segment in now.segments)

    until(resumed, 10, "the new process continues the playlist")


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_relay_that_is_told_to_end_closes_playlists_within_five_seconds(number: signal.Signals) -> None:
    with Stack() as stack:
        stack.put_stream("last")
        stack.start_source("last")
        until(lambda: fetch(stack.live_url("last")).status == 200, 20, "on air")
        newest = checker.read(fetch(stack.live_url("last", "media.m3u8")).text).segments[-1].msn
        url = stack.live_url("last", "media.m3u8") + f"?_HLS_msn={newest + 2}"
        metrics = f"{stack.relay_url}/metrics"
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(fetch, url)
            # Told while a viewer waits: one who came later would find nobody listening.
            until(lambda: "onair_relay_requests_blocked 1.0" in fetch(metrics).text, 3, "a viewer waits")
            told = time.monotonic()
            stack.relay.send_signal(number)
            answer = waiting.result(timeout=10)
        assert answer.status == 200 and checker.read(answer.text).ended
        assert stack.relay.wait(timeout=5) == 0
        assert time.monotonic() - told < 5
