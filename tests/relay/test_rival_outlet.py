"""The other host of a match for who watches by WHEP: what a feed brings as frames, and key frames asked for there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AudioSample, VideoFormat, length_prefixed
from media.relay.composition import HOST, MATCH, Composition
from media.relay.control import StageItem
from media.relay.feed import Feeds
from media.relay.h264 import NAL_IDR, Sps, nal_units
from media.relay.jitter import Frame
from media.relay.lease import Beat, Lease, Leases
from media.relay.metrics import Metrics
from media.relay.outlet import Outlet, OutletTrack
from media.relay.peers import Peers
from media.relay.rival import Rivals
from media.relay.rival_outlet import RivalOutlet
from media.relay.settings import Settings
from media.relay.stages import Stages
from media.relay.wire import OPUS_BYTES_MAX, Configure, Gone, Message, Opus, Picture, Sound
from tests.relay.encoded import pictures, video_format
from tests.relay.test_composition import Screen
from tests.relay.test_outlet import Asked

_SPS, _PPS, _IDR, _SLICE = b"\x67sps", b"\x68pps", b"\x65\x88key", b"\x41\x9aother"
_VIDEO = VideoFormat(_SPS, (_PPS,), Sps(66, 0, 30, 1, 8, 8, 320, 180))
_SAMPLE = AudioSample(0, 1024, bytes(300))


def _picture(dts: int, key: bool = False) -> Picture:
    return Picture(HOST, AccessUnit(dts, dts, key, length_prefixed([_IDR if key else _SLICE]), 1.0))


def _tracks(outlet: Outlet) -> tuple[OutletTrack, OutletTrack]:
    return OutletTrack("video", outlet), OutletTrack("audio", outlet)


async def _sent(track: OutletTrack, count: int) -> list[tuple[int, bytes]]:
    packets = [await asyncio.wait_for(track.recv(), 1) for _ in range(count)]
    return [(packet.pts, bytes(packet)) for packet in packets]


async def test_pictures_and_opus_packets_come_out_as_the_frames_that_they_were() -> None:
    outlet = Outlet()
    live = RivalOutlet(outlet, Asked())
    video, audio = _tracks(outlet)
    live.begin()
    messages: list[Message] = [
        Configure(HOST, _VIDEO, None),
        Opus(HOST, 0, b"zero"),
        _picture(0, key=True),
        Sound(HOST, _SAMPLE, 1.0),
        Opus(HOST, 960, b"one"),
        _picture(3_000),
    ]
    for message in messages:
        live.take(message)
    (first, key), (second, other) = await _sent(video, 2)
    # A browser decodes nothing without parameter sets before the key frame.
    assert nal_units(key) == [_SPS, _PPS, _IDR] and nal_units(other) == [_SLICE]
    assert second - first == 3_000
    (zero, one) = await _sent(audio, 2)
    assert (zero[1], one[1], one[0] - zero[0]) == (b"zero", b"one", 960)
    assert len(audio._frames) == 0, "AAC is no frame"


async def test_another_publisher_goes_on_later_and_with_its_own_key_frame() -> None:
    outlet = Outlet()
    live = RivalOutlet(outlet, Asked())
    video, audio = _tracks(outlet)
    live.begin()
    for message in (Configure(HOST, _VIDEO, None), _picture(90_000, key=True), Opus(HOST, 5, b"old")):
        live.take(message)
    # when another one begins at 0, of whom the first picture is no key frame
    live.take(Gone(HOST))
    for message in (Configure(HOST, _VIDEO, None), _picture(0), _picture(3_000, key=True), Opus(HOST, 0, b"new")):
        live.take(message)
    sent = await _sent(video, 2)
    assert [nal_units(data)[-1][0] & 0x1F for _, data in sent] == [NAL_IDR, NAL_IDR]
    heard = await _sent(audio, 2)
    assert sent[1][0] > sent[0][0] and heard[1][0] > heard[0][0]


async def test_however_often_watchers_ask_the_other_host_is_asked_three_times_a_second() -> None:
    outlet, asked = Outlet(), Asked()
    live = RivalOutlet(outlet, asked)
    track, _ = _tracks(outlet)
    live.begin()
    live.take(Configure(HOST, _VIDEO, None))
    began_s = time.monotonic()
    for number in range(5_000):
        live.take(_picture(number * 3_000))
    assert 1 <= asked.times <= 1 + (time.monotonic() - began_s) / 0.3
    # and no longer once the match is over
    live.end()
    before = asked.times
    outlet.request_key_frame()
    assert asked.times == before and len(track._frames) == 0


def test_what_holds_no_picture_is_not_sent() -> None:
    outlet = Outlet()
    live = RivalOutlet(outlet, Asked())
    track, _ = _tracks(outlet)
    live.begin()
    live.take(Configure(HOST, _VIDEO, None))
    for data in (b"", b"\0\0\0", bytes(4), b"\xff\xff\xff\xffx", b"\0\0\0\1"):
        live.take(Picture(HOST, AccessUnit(0, 0, True, data, 1.0)))
    live.take(_picture(3_000, key=True))
    assert [nal_units(data)[-1] for _, data in track._frames][-1] == _IDR
    assert all(nal_units(data)[2:] for _, data in track._frames)


# --- from one task to another


class _Leases:
    def __init__(self) -> None:
        self.lease: Lease | None = None

    async def owner(self, _stream_id: str, _kept_s: float) -> Lease | None:
        return self.lease


class _Tasks:
    """An owner with a host, and a taker that follows it; a context manager."""

    def __init__(self, same: bool) -> None:
        self.metrics = Metrics()
        self.asked = Asked()
        self.leases = _Leases()
        taking = Settings(task="taker", signing_secret="s" * 64, compose_max=0)
        owning = taking if same else Settings(task="owner", signing_secret="s" * 64, compose_max=0)
        self.stages = Stages(taking, self.metrics)
        theirs = self.stages if same else Stages(owning, self.metrics)
        self.peers = Peers(taking, cast(Leases, self.leases), lambda _: False, self.metrics)
        self.owners_peers = Peers(owning, cast(Leases, self.leases), lambda _: True, self.metrics)
        self.feeds = Feeds(theirs.feed, self.owners_peers, self.metrics)
        self.rivals = Rivals(self.stages, cast(Leases, self.leases), self.peers, taking, self.metrics)
        self.owning = owning
        self.requests: list[str] = []
        self.host = theirs.of("theirs")
        self.host.composition = Composition(Screen(), owning, lambda: False)
        theirs.obey("theirs", StageItem(), "mine")
        mine = self.stages.of("mine")
        mine.composition = Composition(Screen(), taking, lambda: False)
        mine.named = mine.rival = "theirs"
        self.outlet = mine.outlet(MATCH)
        self._stages = {self.stages, theirs}

    async def __aenter__(self) -> _Tasks:
        app = web.Application(middlewares=[self._note])
        app.add_routes(self.feeds.routes())
        self._server = TestServer(app)
        await self._server.start_server()
        address = str(self._server.make_url("")).rstrip("/")
        self.leases.lease = Lease("theirs", 1, self.owning.task, address, 1, Beat(1))
        assert self.host.composition is not None
        self.host.composition.host.begin(self.asked)
        self.host.outlet(HOST).begin(self.asked)
        self.rivals.watch()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rivals.close()
        for stages in self._stages:
            await stages.close(5)
        await self.peers.close()
        await self.owners_peers.close()
        await self._server.close()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < end, f"not within 5 s: {what}"
            await asyncio.sleep(0.01)

    def speak(self, timestamp: int, data: bytes) -> None:
        self.host.outlet(HOST).frame("audio", Frame(timestamp, data, time.monotonic(), after_loss=False))

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        return await handler(request)


async def _begun(tasks: _Tasks) -> tuple[OutletTrack, OutletTrack]:
    """A watcher who has seen a key frame and heard a packet."""
    video, audio = _tracks(tasks.outlet)
    await tasks.until(lambda: tasks.host.feed is not None and tasks.host.feed.takes_opus, "the feed is read")
    packet = pictures(1)[0]
    host = tasks.host.composition
    assert host is not None
    host.host.configure(video_format(packet), None)
    host.host.video(AccessUnit(0, 0, True, length_prefixed(nal_units(bytes(packet))), time.time()))
    tasks.speak(960, b"opus")
    await tasks.until(lambda: video._frames and audio._frames, "picture and sound")
    return video, audio


async def test_a_watchers_wish_for_a_key_frame_reaches_a_host_on_another_task_while_the_feed_goes_on() -> None:
    async with _Tasks(same=False) as tasks:
        await _begun(tasks)
        before = tasks.asked.times
        # when
        await tasks.until(lambda: tasks.outlet.request_key_frame() or tasks.asked.times > before, "the host is asked")
        # then
        assert tasks.requests.count("GET /feed/theirs") == 1
        assert tasks.requests.count("POST /feed/theirs/key-frame") >= 1


async def test_a_host_on_the_same_task_is_asked_without_any_request() -> None:
    async with _Tasks(same=True) as tasks:
        await _begun(tasks)
        before = tasks.asked.times
        await tasks.until(lambda: tasks.outlet.request_key_frame() or tasks.asked.times > before, "the host is asked")
        assert tasks.requests == []


async def test_a_packet_that_no_browser_sends_goes_nowhere() -> None:
    async with _Tasks(same=False) as tasks:
        _, audio = await _begun(tasks)
        for data in (b"", bytes(OPUS_BYTES_MAX + 1)):
            tasks.speak(1_920, data)
        tasks.speak(2_880, bytes(OPUS_BYTES_MAX))
        await tasks.until(lambda: len(audio._frames) == 2, "the packet after it")
        # The feed is none that a relay would not send.
        assert tasks.requests.count("GET /feed/theirs") == 1
        assert tasks.metrics.registry.get_sample_value("onair_relay_feed_losses_total") == 0


async def test_the_end_of_the_match_leaves_no_tap_on_the_hosts_sound() -> None:
    async with _Tasks(same=False) as tasks:
        await _begun(tasks)
        tasks.stages.of("mine").rival = ""
        tasks.rivals.watch()
        await tasks.until(lambda: not tasks.host.outlet(HOST).tracks, "nothing is handed on")
