"""The other host's media as the taker takes it, from an owner that the test plays: clocks, breaks, and nonsense."""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from media.relay import wire
from media.relay.access_unit import AccessUnit
from media.relay.composition import HOST, Composition
from media.relay.control import Seat, StageItem
from media.relay.lease import Beat, Lease, Leases
from media.relay.metrics import Metrics
from media.relay.peers import HEADER, Peers
from media.relay.rival import Rivals
from media.relay.settings import Settings
from media.relay.stages import Stages
from media.relay.wire import Arrange, Configure, Gone, Message, Picture
from tests.relay.test_composition import RATE, Camera, Screen

_SETTINGS = Settings(
    task="taker", signing_secret="s" * 64, compose_px=180, compose_bit_rate=300_000, lost_after_s=2.0, compose_max=1
)
_MINE, _THEIRS = 60, 200

Say = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Leases:
    """A lease table with one owner."""

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.asked = 0

    async def owner(self, _stream_id: str, _kept_s: float) -> Lease | None:
        self.asked += 1
        return self.lease


class Scene:
    """A host on this task whose rival is on another one, which says what the test has it say; a context manager."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.requests: list[web.Request] = []
        self.screen = Screen()
        self.metrics = Metrics()
        self.leases = _Leases()
        self.stages = Stages(_SETTINGS, self.metrics)
        self.stage = self.stages.of("mine")
        self.may_compose = True
        self.composition = Composition(self.screen, _SETTINGS, lambda: self.may_compose)
        self.stage.composition = self.composition
        self.peers = Peers(_SETTINGS, cast(Leases, self.leases), lambda _: False, self.metrics)
        self.rivals = Rivals(self.stages, cast(Leases, self.leases), self.peers, _SETTINGS, self.metrics)
        self._work: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Scene:
        app = web.Application()
        app.add_routes([web.get("/feed/{stream}", self._answer)])
        self._server = TestServer(app)
        await self._server.start_server()
        self.move("owner", 1)
        self.stage.named = self.stage.rival = "theirs"
        self.composition.host.begin(lambda: None)
        self._work = [asyncio.create_task(self._host()), asyncio.create_task(self._watch())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._work:
            task.cancel()
        await self.rivals.close()
        await self.stages.close(5)
        await self.composition.close()
        await self.peers.close()
        await self._server.close()

    def move(self, task: str, fence: int) -> None:
        """Another task owns the rival's stream."""
        self.leases.lease = Lease("theirs", fence, task, str(self._server.make_url("")).rstrip("/"), 1, Beat(1))

    def shows(self, left: int, right: int) -> bool:
        """Whether the picture's halves are of these greys."""
        return abs(self.screen.luma(0.2, 0.5) - left) < 8 and abs(self.screen.luma(0.8, 0.5) - right) < 8

    async def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
            await asyncio.sleep(0.02)

    def gauge(self, name: str) -> float:
        """A sample of the metrics."""
        return self.metrics.registry.get_sample_value(f"onair_relay_{name}") or 0.0

    async def pictures(self, count: int) -> None:
        """So many pictures more of the program."""
        until = len(self.screen.times) + count
        await self.until(lambda: len(self.screen.times) >= until, f"{count} pictures more")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.say(request)

    async def _host(self) -> None:
        camera = Camera(_MINE)
        told = None
        while True:
            unit, form = camera.next()
            if form != told:
                told = form
                self.composition.host.configure(form, None)
            self.composition.host.video(unit)
            await asyncio.sleep(1 / RATE)

    async def _watch(self) -> None:
        while True:
            self.stages.watch(time.monotonic())
            self.rivals.watch()
            await asyncio.sleep(0.1)


async def _open(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    return response


async def _send(response: web.StreamResponse, message: Message) -> None:
    await response.write(wire.encoded(message))


class Filming:
    """An owner that sends what a camera sees, in real time, by a clock that is ``skew_s`` off."""

    def __init__(self, skew_s: float = 0.0, units: int = 1 << 30) -> None:
        self.skew_s = skew_s
        self.units = units
        self.luma = _THEIRS
        self.rare_key_frames = False

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = await _open(request)
        luma, camera, told = -1, Camera(_THEIRS), None
        for _ in range(self.units):
            if luma != self.luma:
                luma, camera, told = self.luma, Camera(self.luma), None
                if self.rare_key_frames:
                    camera._encoder.options = {**camera._encoder.options, "g": "100000"}
                await _send(response, Gone(HOST))
            unit, form = camera.next()
            if form != told:
                told = form
                await _send(response, Configure(HOST, form, None))
            skewed = AccessUnit(unit.dts, unit.pts, unit.key, unit.data, unit.wall_s + self.skew_s)
            await _send(response, Picture(HOST, skewed))
            await asyncio.sleep(1 / RATE)
        return response


@pytest.mark.parametrize("skew_s", [5.0, -5.0, 0.0])
async def test_a_task_whose_clock_is_off_is_shown_as_soon_as_any(skew_s: float) -> None:
    filming = Filming(skew_s)
    async with Scene(filming) as scene:
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts")
        # when something happens there
        filming.luma = 120
        happened_s = time.monotonic()
        await scene.until(lambda: scene.shows(_MINE, 120), "it is seen here", 5)
        # then no clock has delayed it: the compositor's 0.3 s, and a busy machine
        assert time.monotonic() - happened_s < 2
        # Another publisher there was no discontinuity here.
        assert scene.screen.sources == 2


async def test_the_owner_is_asked_with_a_token_for_the_one_stream_and_told_for_whom() -> None:
    async with Scene(Filming()) as scene:
        await scene.until(lambda: len(scene.requests) > 0, "a request")
        request = scene.requests[0]
        owner = Peers(
            Settings(task="owner", signing_secret="s" * 64), cast(Leases, None), lambda _: True, scene.metrics
        )
        assert owner.comes_from_peer({HEADER: request.headers[HEADER]}, "theirs")
        assert request.path == "/feed/theirs" and request.query == {"for": "mine"}


async def test_a_publisher_that_sends_one_key_frame_only_is_asked_again_once_a_worker_runs() -> None:
    filming = Filming()
    filming.rare_key_frames = True
    async with Scene(filming) as scene:
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts")
        assert 2 <= len(scene.requests) <= 4


async def test_a_feed_that_breaks_again_and_again_is_no_discontinuity() -> None:
    # given an owner whose connections last a second
    async with Scene(Filming(units=RATE)) as scene:
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts")
        before = len(scene.requests)
        await scene.until(lambda: len(scene.requests) > before + 3, "it broke three times")
        assert scene.shows(_MINE, _THEIRS) and scene.screen.sources == 2


async def test_a_stream_that_moves_is_followed_to_its_new_owner_though_the_old_one_keeps_the_connection() -> None:
    silent = asyncio.Event()

    async def stands_still(request: web.Request) -> web.StreamResponse:
        response = await _open(request)
        await silent.wait()
        return response

    async with Scene(stands_still) as scene:
        await scene.until(lambda: len(scene.requests) == 1, "a request")
        scene.say = Filming()
        scene.move("heir", 2)
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts")
        silent.set()


async def test_a_rival_that_falls_silent_leaves_the_picture_and_comes_back() -> None:
    async with Scene(Filming(units=3 * RATE)) as scene:
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts")
        scene.leases.lease = None
        await scene.until(lambda: scene.shows(_MINE, _MINE), "the host alone", 20)
        assert scene.screen.sources == 3 and not scene.composition.composing
        scene.move("owner", 2)
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts again")


async def test_guests_share_the_half_of_the_other_host() -> None:
    async with Scene(Filming()) as scene:
        scene.stage.told = StageItem("grid", (Seat("blue"),))
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts")
        track, camera = scene.composition.track("blue"), Camera(120)

        async def guest() -> None:
            told = None
            while True:
                unit, form = camera.next()
                if form != told:
                    told = form
                    track.configure(form, None)
                track.video(unit)
                await asyncio.sleep(1 / RATE)

        filming = asyncio.create_task(guest())
        screen = scene.screen
        await scene.until(
            lambda: abs(screen.luma(0.8, 0.2) - _THEIRS) < 8 and abs(screen.luma(0.8, 0.8) - 120) < 8, "rival and guest"
        )
        assert abs(screen.luma(0.2, 0.2) - _MINE) < 8 and abs(screen.luma(0.2, 0.8) - _MINE) < 8
        assert screen.sources == 2
        # when the match is over the guest stays, in the layout that the host chose
        scene.stage.rival = ""
        await scene.until(lambda: scene.shows(_MINE, 120) and abs(screen.luma(0.8, 0.2) - 120) < 8, "host and guest")
        assert screen.sources == 2
        filming.cancel()


async def test_a_match_without_a_processor_to_spare_is_not_shown_and_counted() -> None:
    async with Scene(Filming()) as scene:
        scene.may_compose = False
        await scene.until(lambda: len(scene.requests) > 0, "the feed is read")
        await scene.until(lambda: scene.gauge("compositions_refused") == 1, "it is counted")
        await scene.pictures(RATE)
        assert scene.shows(_MINE, _MINE) and scene.gauge("matches") == 0
        scene.may_compose = True
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts")
        assert (scene.gauge("compositions_refused"), scene.gauge("matches")) == (0, 1)


async def test_the_end_of_the_match_ends_the_follower() -> None:
    async with Scene(Filming()) as scene:
        await scene.until(lambda: scene.shows(_MINE, _THEIRS), "both hosts")
        scene.stage.rival = ""
        await scene.until(lambda: scene.shows(_MINE, _MINE), "the host alone", 20)
        asked = len(scene.requests)
        await scene.pictures(2 * RATE)
        assert len(scene.requests) == asked


# --- what is no relay


async def _bytes(request: web.Request, *chunks: bytes) -> web.StreamResponse:
    response = await _open(request)
    for chunk in chunks:
        await response.write(chunk)
    return response


def _raw(*chunks: bytes) -> Say:
    return lambda request: _bytes(request, *chunks)


def _framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def _status(status: int, **headers: str) -> Say:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=b"x" * 100, headers=headers)

    return answer


async def _silence(request: web.Request) -> web.StreamResponse:
    response = await _open(request)
    await asyncio.sleep(60)
    return response


async def _drip(request: web.Request) -> web.StreamResponse:
    response = await _open(request)
    for byte in _framed(bytes(1_000)):
        await response.write(bytes([byte]))
        await asyncio.sleep(0.2)
    return response


async def _flood(request: web.Request) -> web.StreamResponse:
    response = await _open(request)
    gone = wire.encoded(Gone(HOST)) * 1_000
    for _ in range(1_000):
        await response.write(gone)
    return response


def _picture(wall_s: float) -> bytes:
    return wire.encoded(Picture(HOST, AccessUnit(0, 0, True, b"x", wall_s)))


_NONSENSE: dict[str, Say] = {
    "a length of 4 GB": _raw(b"\xff" * 4 + bytes(100)),
    "more than a message may have": _raw(struct.pack(">I", (5 << 20) + 1) + bytes(100)),
    "no MessagePack": _raw(_framed(b"\xc1" * 100)),
    "5 MB of zeros": _raw(_framed(bytes(5 << 20))),
    "an empty message": _raw(_framed(b"")),
    "MessagePack of something else": _raw(_framed(b"\x93\xa7Picture\xa4host\x01")),
    "nesting without an end": _raw(_framed(b"\x91" * 1_000_000)),
    "what only a relay tells its worker": _raw(wire.encoded(Arrange("grid", ("host",)))),
    "a time that is none": _raw(_picture(math.nan)),
    "a flood": _flood,
}
_NOTHING: dict[str, Say] = {
    "silence": _silence,
    "a byte each fifth of a second": _drip,
    "nothing at all": _raw(),
    "half a message": _raw(_framed(bytes(100))[:50]),
    "500": _status(500),
    "403": _status(403),
    "elsewhere": _status(302, Location="/elsewhere"),
    "a bomb": _status(200, **{"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("what", [*_NONSENSE, *_NOTHING])
async def test_whatever_an_owner_says_the_host_stays_on_air(what: str) -> None:
    async with Scene({**_NONSENSE, **_NOTHING}[what]) as scene:
        await scene.until(lambda: len(scene.requests) > 0, "a request")
        await scene.until(lambda: len(scene.screen.times) > 0, "the host is on air")
        if what in _NONSENSE:
            await scene.until(lambda: scene.gauge("feed_losses_total") > 0, "it is counted", 10)
        await scene.pictures(2 * RATE)
        assert scene.shows(_MINE, _MINE) and scene.screen.sources == 1
        assert not scene.composition.composing and scene.composition.crashes == 0
        # Nor is it asked without a pause: never again within two seconds where it was nonsense.
        assert len(scene.requests) <= (1 if what in _NONSENSE else 10)


async def test_nonsense_after_media_is_taken_for_a_break() -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = await Filming(units=RATE)(request)
        await response.write(b"\xff" * 100)
        return response

    async with Scene(breaks) as scene:
        await scene.until(lambda: scene.gauge("feed_losses_total") > 0, "nonsense")
        scene.say = filming = Filming()
        filming.luma = 120
        await scene.until(lambda: scene.shows(_MINE, 120), "both hosts again", 40)


async def test_pictures_that_nothing_can_decode_harm_nobody() -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = await _open(request)
        camera = Camera(_THEIRS)
        _, form = camera.next()
        await _send(response, Configure(HOST, form, None))
        for number in range(10 * RATE):
            data = struct.pack(">I", 400) + bytes((number * 31 + at) % 256 for at in range(400))
            await _send(response, Picture(HOST, AccessUnit(number, number, True, data, time.time())))
            await asyncio.sleep(1 / RATE)
        return response

    async with Scene(broken) as scene:
        await scene.until(lambda: scene.composition.composing, "a worker starts")
        await scene.until(lambda: scene.screen.sources == 2, "it makes the program", 20)
        await scene.pictures(2 * RATE)
        assert abs(scene.screen.luma(0.2, 0.5) - _MINE) < 8 and scene.composition.crashes == 0
