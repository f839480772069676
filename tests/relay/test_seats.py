"""Guests on screen, against a relay process: who may publish into a seat, who may watch whom, and when it is over."""

from __future__ import annotations

import asyncio
import io
import logging
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import av
import pytest
from aiortc import RTCPeerConnection

from media.relay.composition import HOST, Composition
from media.relay.control import MatchItem, Seat, StageItem, StreamItem
from media.relay.errors import RelayError
from media.relay.metrics import Metrics
from media.relay.rights import StreamKey
from media.relay.settings import Settings
from media.relay.stages import Stages
from tests.relay import checker
from tests.relay.stack import Stack, fetch, seat_key, stream_key, until
from tests.relay.watching import Watching

_SDP = {"Content-Type": "application/sdp"}


async def _offer(direction: str) -> bytes:
    peer = RTCPeerConnection()
    for kind in ("video", "audio"):
        peer.addTransceiver(kind, direction=direction)
    await peer.setLocalDescription(await peer.createOffer())
    sdp: str = peer.localDescription.sdp
    await peer.close()
    return sdp.encode()


def _whep(stack: Stack, stream_id: str, seat: str) -> str:
    return f"{stack.relay_url}/whep/{stream_id}/{seat}"


def _bearer(key: str) -> dict[str, str]:
    return {**_SDP, "Authorization": f"Bearer {key}"}


def _metric(stack: Stack, name: str) -> float:
    lines = fetch(f"{stack.relay_url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def _stop(*sources: subprocess.Popen[bytes]) -> None:
    """End encoders that are no longer needed: each takes a good part of a core."""
    for source in sources:
        source.terminate()
        source.wait(timeout=5)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A relay that composes small pictures: these tests share two cores with what they test."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with Stack(COMPOSE_MAX="4", COMPOSE_PX="180", COMPOSE_KBPS="300") as running:
        yield running


@pytest.fixture(scope="module")
def party(stack: Stack) -> Iterator[str]:
    """A stream on air with a guest in seat `blue` who publishes, and seat `red` that nobody took yet."""
    stack.put_stream("party", seats=("blue", "red"))
    host = stack.start_source("party")
    until(lambda: fetch(stack.live_url("party")).status == 200, 20, "the host is on air")
    guest = stack.start_guest("party", "blue", "--bit-rate", "800000")
    until(lambda: _metric(stack, "onair_relay_guests") == 1, 20, "the guest publishes")
    yield "party"
    _stop(host, guest)


async def test_a_seat_is_refused_without_the_right(stack: Stack, party: str) -> None:
    stack.put_stream("quiet", seats=("blue",))
    offer = await _offer("sendonly")
    for stream_id, key, status, code in [
        # A seat that the host gave to nobody, another stream's, one whose host is not on air, one signed by others.
        (party, seat_key(party, "green"), 403, "forbidden"),
        (party, seat_key("other", "blue"), 403, "forbidden"),
        ("quiet", seat_key("quiet", "blue"), 404, "not_found"),
        (party, seat_key(party, "blue", "x" * 64), 401, "unauthenticated"),
    ]:
        answer = fetch(stack.whip_url(stream_id), "POST", _bearer(key), offer)
        assert (answer.status, answer.code) == (status, code), key


async def test_watching_is_refused_without_the_right(stack: Stack, party: str) -> None:
    offer = await _offer("recvonly")
    blue, host = seat_key(party, "blue"), stream_key(party)
    for seat, headers, status, code in [
        ("host", _SDP, 401, "unauthenticated"),
        ("host", _bearer(seat_key(party, "green")), 403, "forbidden"),
        ("blue", _bearer(stream_key(party, 2)), 403, "forbidden"),
        ("green", _bearer(host), 404, "not_found"),
        ("blue", _bearer(blue), 403, "forbidden"),
        ("host", _bearer(host), 403, "forbidden"),
        ("host", {**_bearer(blue), "Content-Type": "text/plain"}, 415, "invalid_request"),
    ]:
        answer = fetch(_whep(stack, party, seat), "POST", headers, offer)
        assert (answer.status, answer.code) == (status, code), (seat, headers)
    answer = fetch(_whep(stack, party, "host"), "POST", _bearer(blue), await _offer("sendonly"))
    assert (answer.status, answer.code) == (400, "invalid_request")
    vp8 = offer.replace(b"H264/90000", b"VP9/90000")
    assert fetch(_whep(stack, party, "host"), "POST", _bearer(blue), vp8).status == 406


async def test_host_and_guest_watch_each_other_within_300_ms(stack: Stack, party: str) -> None:
    async with Watching(_whep(stack, party, "blue"), stream_key(party)) as guest:
        async with Watching(_whep(stack, party, "host"), seat_key(party, "blue")) as host:
            for one in (guest, host):
                await one.until(lambda one=one: one.pictures > 90 and one.loudness > 1_000, 20, "picture and sound")
    for one in (guest, host):
        assert one.first_picture_s < 2
        # The first pictures are decoded late, while the decoder starts.
        assert statistics.median(one.ages_ms[30:]) < 300


async def test_a_session_is_trickled_to_and_deleted_by_its_owner_alone(stack: Stack, party: str) -> None:
    created = fetch(_whep(stack, party, "host"), "POST", _bearer(seat_key(party, "blue")), await _offer("recvonly"))
    assert created.status == 201
    resource = created.headers["location"]
    fragment = b"a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host\r\na=end-of-candidates\r\n"
    trickle = {
        **_bearer(seat_key(party, "blue")),
        "Content-Type": "application/trickle-ice-sdpfrag",
        "If-Match": created.headers["etag"],
    }
    assert fetch(resource, "PATCH", trickle, fragment).status == 204
    assert fetch(resource, "DELETE", _bearer(stream_key(party))).status == 403
    assert fetch(resource, "DELETE", _bearer(seat_key(party, "blue"))).status == 200
    assert fetch(resource, "DELETE", _bearer(seat_key(party, "blue"))).status == 404


async def test_a_seat_that_is_taken_away_closes_its_guest_and_who_watches_it(stack: Stack) -> None:
    stack.put_stream("leave", seats=("one",))
    host = stack.start_source("leave")
    until(lambda: fetch(stack.live_url("leave")).status == 200, 20, "the host is on air")
    before = _metric(stack, "onair_relay_guests")
    source = stack.start_guest("leave", "one", "--bit-rate", "500000")
    until(lambda: _metric(stack, "onair_relay_guests") == before + 1, 20, "the guest publishes")
    async with Watching(_whep(stack, "leave", "one"), stream_key("leave")) as guest:
        await guest.until(lambda: guest.pictures > 0, 10, "the host sees the guest")
        stack.put_stream("leave", seats=())
        await guest.until(lambda: guest.peer.connectionState == "closed", 5, "the picture of the guest ends")
    until(lambda: _metric(stack, "onair_relay_guests") == before, 3, "the guest is gone")
    answer = fetch(stack.whip_url("leave"), "POST", _bearer(seat_key("leave", "one")), await _offer("sendonly"))
    assert (answer.status, answer.code) == (403, "forbidden")
    _stop(host, source)


async def test_nobody_hears_a_guest_whom_the_host_muted(stack: Stack) -> None:
    stack.put_stream("hush", seats=("loud",), muted=("loud",))
    host = stack.start_source("hush")
    until(lambda: fetch(stack.live_url("hush")).status == 200, 20, "the host is on air")
    source = stack.start_guest("hush", "loud", "--bit-rate", "500000")
    async with Watching(_whep(stack, "hush", "loud"), stream_key("hush")) as guest:
        # Two beeps' time of pictures, and not a sound.
        await guest.until(lambda: guest.pictures > 60, 20, "the host sees the guest")
        assert guest.sounds == 0
        stack.put_stream("hush", seats=("loud",))
        await guest.until(lambda: guest.loudness > 1_000, 10, "the host hears the guest again")
    _stop(host, source)


def test_viewers_playlist_is_one_and_decodes_while_a_guest_comes_and_goes(stack: Stack) -> None:
    stack.put_stream("unbroken", seats=("one",))
    host = stack.start_source("unbroken", 1, "--bit-rate", "500000")
    until(lambda: fetch(stack.live_url("unbroken")).status == 200, 20, "the host is on air")
    loads = [checker.read(fetch(stack.live_url("unbroken", "media.m3u8")).text)]
    bodies: dict[str, bytes] = {}

    def follow(condition: Callable[[], bool]) -> bool:
        loads.append(checker.read(fetch(stack.live_url("unbroken", "media.m3u8")).text))
        checker.check_succession(loads[-2], loads[-1])
        for segment in loads[-1].closed:
            for name in (segment.init, segment.uri):
                bodies.setdefault(name, b"") or bodies.update({name: fetch(stack.live_url("unbroken", name)).body})
        return condition()

    def changes() -> int:
        newest = loads[-1]
        return newest.discontinuity_sequence + sum(segment.discontinuity for segment in newest.segments)

    assert changes() == 0
    guest = stack.start_guest("unbroken", "one", "--bit-rate", "500000")
    until(lambda: follow(lambda: changes() == 1), 40, "host and guest are composed")
    composed = len(loads[-1].closed)
    until(lambda: follow(lambda: len(loads[-1].closed) > composed + 1), 20, "more of it")
    _stop(guest)
    stack.put_stream("unbroken", seats=())
    until(lambda: follow(lambda: changes() == 2), 20, "the host alone again")
    until(lambda: follow(lambda: loads[-1].closed[-1].discontinuity or changes() == 2), 10, "a segment of it")
    _stop(host)

    sizes: dict[str, set[tuple[int, int]]] = {}
    for segment in loads[-1].closed:
        media = bodies[segment.init] + bodies[segment.uri]
        with av.open(io.BytesIO(media)) as sent:
            held = sum(packet.size > 0 for packet in sent.demux(video=0))
        with av.open(io.BytesIO(media)) as played:
            shown = list(played.decode(video=0))
            assert held and len(shown) == held, f"{segment.msn}: {len(shown)} of {held} pictures"
            assert len(shown) / segment.duration_s > 5
            sizes.setdefault(segment.init, set()).update((frame.width, frame.height) for frame in shown)
    assert list(sizes.values())[:2] == [{(1280, 720)}, {(320, 180)}]


def test_a_task_without_a_processor_to_spare_refuses_guests_and_says_so() -> None:
    stages = Stages(Settings(compose_max=0), Metrics())
    stages.of("full").told = StageItem(seats=(Seat("one"),))
    with pytest.raises(RelayError, match="no processor to spare") as refusal:
        stages.admit(StreamKey("full", 0, "one"))
    assert (refusal.value.code, refusal.value.status) == ("unavailable", 503)


class _Composed:
    """A composition whose worker runs, or does not, or died."""

    refused = False
    shown = ()

    def __init__(self, composing: bool = False, until_s: float = 0.0) -> None:
        self.composing = composing
        self._until_s = until_s

    def watch(self, layout: str, seats: Sequence[str], now: float) -> None:
        """Nothing begins or ends by itself."""

    def rests(self, now: float) -> bool:
        return now < self._until_s


def test_a_host_is_told_why_nobody_is_shown_beside_them_for_as_long_as_somebody_should_be() -> None:
    stages = Stages(Settings(compose_max=1), Metrics())
    told: list[tuple[str, str | None]] = []
    stages.on_refused = lambda stream_id: told.append((stream_id, stages.of(stream_id).refused))
    busy, mine = _Composed(composing=True), _Composed(until_s=7.0)
    stages.of("busy").composition = cast(Composition, busy)
    stages.of("mine").composition = cast(Composition, mine)
    stages.obey("busy", StageItem(seats=(Seat("one"),)))
    stages.watch(1.0)
    assert told == [], "whoever wants nobody lacks nobody, and whoever has a worker neither"
    # A seat that was given is enough: its guest is not let in to send media that would not be shown.
    stages.obey("mine", StageItem(seats=(Seat("two"),)))
    for now in (2.0, 3.0):
        stages.watch(now)
    assert told == [("mine", "no_processor")]
    # A match counts once both agree to it.
    stages.obey("mine", StageItem(), "other")
    stages.watch(4.0)
    assert told[1:] == [("mine", None)]
    stages.meet({"other": StreamItem("live", 1, match=MatchItem("mine"))})
    stages.watch(5.0)
    assert told[2:] == [("mine", "no_processor")]
    # There is a processor, and the worker on it died.
    busy.composing = False
    for now in (6.0, 8.0):
        stages.watch(now)
    assert told[3:] == [("mine", "worker_died"), ("mine", None)]


class _Session:
    """A guest or watcher that says when it was disconnected."""

    muted = False
    media_at_s = 0.0
    id = "session"
    watched = HOST

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.closed = asyncio.Event()

    async def close(self) -> None:
        self.closed.set()


async def test_who_connects_while_the_stage_ends_is_not_left_connected_to_nothing() -> None:
    stages = Stages(Settings(), Metrics())
    stage = stages.of("over")
    stage.told = StageItem(seats=(Seat("one"),))
    guest, watcher = (_Session(StreamKey("over", 0, "one")) for _ in range(2))
    stages.forget("over")
    with pytest.raises(RelayError, match="not on air") as refusal:
        await stages.arrived(stage, guest)
    # The guest's page comes again: to the task that has the broadcast by now.
    assert refusal.value.code == "not_found"
    stages.watches(stage, watcher)
    for one in (guest, watcher):
        await asyncio.wait_for(one.closed.wait(), 1)
    assert not stage.guests and not stage.watchers


async def test_the_end_of_the_broadcast_disconnects_guests(stack: Stack) -> None:
    stack.put_stream("last", seats=("one",))
    host = stack.start_source("last")
    until(lambda: fetch(stack.live_url("last")).status == 200, 20, "the host is on air")
    before = _metric(stack, "onair_relay_guests")
    source = stack.start_guest("last", "one", "--bit-rate", "500000")
    until(lambda: _metric(stack, "onair_relay_guests") == before + 1, 20, "the guest publishes")
    stack.put_stream("last", state="ended", seats=("one",))
    until(lambda: _metric(stack, "onair_relay_guests") == before, 5, "the guest is gone")
    _stop(host, source)


def test_the_queue_is_told_that_a_guest_is_not_shown_and_when_one_can_be() -> None:
    with Stack(COMPOSE_MAX="1", COMPOSE_PX="180", COMPOSE_KBPS="300") as small:
        states: list[dict[str, Any]] = []

        def refused(stream_id: str) -> list[str | None]:
            states.extend(small.media_states())
            return [state["stage_refused"] for state in states if state["stream"] == stream_id]

        # given a task that composes one broadcast, which has its one worker
        small.put_stream("first", seats=("one",))
        small.put_stream("second")
        sources = [small.start_source(stream_id, 1, "--bit-rate", "500000") for stream_id in ("first", "second")]
        for stream_id in ("first", "second"):
            until(lambda each=stream_id: fetch(small.live_url(each)).status == 200, 20, "the hosts are on air")
        sources.append(small.start_guest("first", "one", "--bit-rate", "500000"))
        until(lambda: _metric(small, "onair_relay_compositions") == 1, 20, "host and guest are composed")
        # when the other host lets somebody on screen
        small.put_stream("second", seats=("two",))
        until(lambda: "no_processor" in refused("second"), 10, "it is told")
        # and the first one goes on alone
        small.put_stream("first")
        until(lambda: refused("second")[-1] is None, 10, "it is told no longer")
        assert set(refused("first")) == {None}
        _stop(*sources)
