"""Host and guests in one picture: where each stands, what is heard, and that the program goes on whatever happens."""

from __future__ import annotations

import array
import asyncio
import itertools
import math
import os
import signal
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from media.relay import h264
from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AAC_FRAME_SAMPLES, AudioFormat, AudioSample, VideoFormat, length_prefixed
from media.relay.composition import Composition, Track
from media.relay.h264 import START_CODE
from media.relay.layout import LAYOUTS, cells
from media.relay.mixer import Mixer, Voice
from media.relay.parameters import Parameters, of_sample
from media.relay.settings import Settings
from media.relay.wire import Configure, Gone, Message, Picture, Sound
from media.relay.worker import Worker

SMALL = Settings(compose_px=180, compose_bit_rate=300_000, lost_after_s=2.0)
RATE = 15
BLOCKS_A_SECOND = 48_000 / AAC_FRAME_SAMPLES


# --- where pictures stand


@pytest.mark.parametrize("canvas", [(1280, 720), (720, 1280), (320, 180)])
def test_pictures_of_any_layout_neither_overlap_nor_leave_the_canvas(canvas: tuple[int, int]) -> None:
    width, height = canvas
    for layout, count in itertools.product((*LAYOUTS, "of tomorrow"), range(1, 10)):
        placed = cells(layout, count, width, height)
        assert len(placed) == count
        for cell in placed:
            assert min(cell.x, cell.y) >= 0 and cell.x + cell.width <= width and cell.y + cell.height <= height
            assert all(number % 2 == 0 for number in (cell.x, cell.y, cell.width, cell.height)), (layout, count, cell)
        for one, other in itertools.combinations(placed, 2):
            beside = one.x + one.width <= other.x or other.x + other.width <= one.x
            above = one.y + one.height <= other.y or other.y + other.height <= one.y
            assert beside or above, (layout, count)
        # What is shown of people, not of black: two thirds of the canvas at least.
        assert sum(cell.width * cell.height for cell in placed) >= width * height * 0.66, (layout, count)


def test_layouts_give_the_host_the_place_that_they_say() -> None:
    host, guest = cells("side_by_side", 2, 1280, 720)
    assert (host.width, guest.width, host.height) == (640, 640, 720)
    host, guest = cells("side_by_side", 2, 720, 1280)
    assert (host.height, guest.y) == (640, 640)
    host, *guests = cells("spotlight", 4, 1280, 720)
    assert (host.width, host.height) == (960, 720) and {one.x for one in guests} == {960}
    assert {(one.width, one.height) for one in cells("grid", 4, 1280, 720)} == {(640, 360)}


# --- what is heard


def _tone(hertz: float, blocks: int) -> tuple[AudioFormat, list[AudioSample]]:
    encoder: Any = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "fltp"
    encoder.time_base = Fraction(1, 48_000)
    encoder.open()
    made: list[bytes] = []
    for block in range(blocks):
        frame = AudioFrame(format="fltp", layout="stereo", samples=AAC_FRAME_SAMPLES)
        at = block * AAC_FRAME_SAMPLES
        wave = array.array("f", (0.3 * math.sin(2 * math.pi * hertz * (at + i) / 48_000) for i in range(1024)))
        for plane in frame.planes:
            plane.update(wave.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, encoder.time_base
        made += [bytes(packet) for packet in encoder.encode(frame)]
    form = AudioFormat(config=bytes(encoder.extradata), sample_rate=48_000, channels=2, bit_rate=128_000)
    return form, [AudioSample(pts=n * 1024, duration=1024, data=data) for n, data in enumerate(made)]


def _strength(samples: array.array[int], hertz: float) -> float:
    """How much of a frequency there is in interleaved stereo (Goertzel), as its amplitude."""
    mono = samples[::2]
    real = sum(value * math.cos(2 * math.pi * hertz * i / 48_000) for i, value in enumerate(mono))
    imaginary = sum(value * math.sin(2 * math.pi * hertz * i / 48_000) for i, value in enumerate(mono))
    return 2 * math.hypot(real, imaginary) / len(mono) / 32_768


def _decoded(form: AudioFormat, samples: list[AudioSample]) -> array.array[int]:
    voice = Voice()
    voice.configure(form)
    heard = array.array("h")
    for number, sample in enumerate(samples):
        voice.feed(sample, number * 1024)
        heard.frombytes(voice.block(number * 1024))
    return heard


def test_everyone_is_heard_at_their_own_loudness() -> None:
    voices: list[Voice] = []
    sent: list[list[AudioSample]] = []
    for hertz in (440, 1_000):
        form, samples = _tone(hertz, 40)
        voices.append(Voice())
        voices[-1].configure(form)
        sent.append(samples)
    mixer = Mixer(128_000)
    mixed: list[AudioSample] = []
    for block in range(39):
        for voice, samples in zip(voices, sent, strict=True):
            voice.feed(samples[block], block * 1024)
        mixed += mixer.mix([voice.block(block * 1024) for voice in voices])
    assert [sample.pts for sample in mixed[:3]] == [-1024, 0, 1024]
    heard = _decoded(mixer.format, mixed)[20_000:40_000]
    assert _strength(heard, 440) == pytest.approx(0.3, abs=0.05)
    assert _strength(heard, 1_000) == pytest.approx(0.3, abs=0.05)
    assert _strength(heard, 700) < 0.02


def test_silence_stands_where_nothing_came_and_what_comes_too_late_is_left_out() -> None:
    form, samples = _tone(440, 12)
    voice = Voice()
    voice.configure(form)
    assert not any(voice.block(0))
    for number in (3, 4, 5):
        voice.feed(samples[number], number * 1024)
    assert not any(voice.block(1024)) and not any(voice.block(2048))
    assert any(voice.block(4096))
    # A gap of 100 blocks, and a frame whose time has passed.
    voice.feed(samples[6], 104 * 1024)
    assert not any(voice.block(50 * 1024))
    voice.feed(samples[7], 2 * 1024)
    assert any(voice.block(104 * 1024))
    voice.feed(AudioSample(0, 1024, b"\xff\xff\xff"), 105 * 1024)
    assert not any(voice.block(200 * 1024))


# --- the worker, and the program that it makes


class Camera:
    """Pictures of one grey, 160x90 or upright, encoded as a publisher would."""

    def __init__(self, luma: int, width: int = 160, height: int = 90) -> None:
        self._encoder: Any = av.CodecContext.create("libx264", "w")
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = width, height, "yuv420p"
        self._encoder.time_base, self._encoder.framerate = Fraction(1, RATE), Fraction(RATE, 1)
        self._encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(RATE)}
        self._frame = VideoFrame(width, height, "yuv420p")
        for plane, value in zip(self._frame.planes, (luma, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        self._parameters = Parameters()
        self._number = 0

    def next(self) -> tuple[AccessUnit, VideoFormat]:
        self._frame.pts = self._number
        (packet,) = self._encoder.encode(self._frame)
        nals = h264.nal_units(bytes(packet))
        key = self._parameters.take(nals)
        self._parameters.changed()
        assert self._parameters.format is not None
        at = self._number * 90_000 // RATE
        self._number += 1
        return AccessUnit(at, at, key, length_prefixed(of_sample(nals)), time.time()), self._parameters.format


class Screen:
    """A program that decodes what it is fed."""

    def __init__(self) -> None:
        self.ended = False
        self.sources = 0
        self.formats: list[tuple[VideoFormat | None, AudioFormat | None]] = []
        self.times: list[tuple[int, int]] = []
        self.sounds: list[int] = []
        self.picture: VideoFrame | None = None
        self.firsts: list[VideoFrame] = []
        self.ask: Callable[[], None] = lambda: None
        self._decoder: Any = None

    def begin_source(self, request_key_frame: Callable[[], None]) -> None:
        self.sources += 1
        self.ask = request_key_frame

    def configure(self, video: VideoFormat | None, audio: AudioFormat | None) -> None:
        assert self.sources
        self.formats.append((video, audio))
        self._decoder = av.CodecContext.create("h264", "r")

    def video(self, unit: AccessUnit) -> None:
        form = self.formats[-1][0]
        assert form is not None
        nals: list[bytes] = []
        data = unit.data
        while data:
            size = int.from_bytes(data[:4], "big")
            nals.append(data[4 : 4 + size])
            data = data[4 + size :]
        if not any(source == self.sources for source, _ in self.times):
            assert unit.key, "a source begins with a key frame"
        self.times.append((self.sources, unit.dts))
        sets = [form.sps, *form.pps] if unit.key else []
        for frame in self._decoder.decode(av.Packet(b"".join([START_CODE + nal for nal in (*sets, *nals)]))):
            self.picture = frame
            if len(self.firsts) < self.sources:
                self.firsts.append(frame)

    def audio(self, sample: AudioSample, wall_s: float) -> None:
        self.sounds.append(sample.pts)

    def luma(self, x: float, y: float) -> int:
        """Of the newest picture, at a share of its width and height."""
        return -1 if self.picture is None else _luma(self.picture, x, y)


def _luma(picture: VideoFrame, x: float, y: float) -> int:
    plane = picture.planes[0]
    return bytes(plane)[int(y * picture.height) * plane.line_size + int(x * picture.width)]


class Studio:
    """A host (dark) and guests, sent in real time into a composition; an async context manager."""

    def __init__(self, may_compose: bool = True, host: Camera | None = None) -> None:
        self.screen = Screen()
        self.composition = Composition(self.screen, SMALL, lambda: may_compose)
        self.seats: list[str] = []
        self.layout = "side_by_side"
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._host = host or Camera(60)

    async def __aenter__(self) -> Studio:
        self.composition.host.begin(lambda: None)
        self._send("host", self.composition.host, self._host)
        self._senders["watch"] = asyncio.create_task(self._watch())
        await self.until(lambda: self.shows(60, 60), "the host alone is shown")
        return self

    async def __aexit__(self, *_: object) -> None:
        for sender in self._senders.values():
            sender.cancel()
        await self.composition.close()

    def guest(self, seat: str, luma: int) -> None:
        """A guest comes on screen."""
        self.seats.append(seat)
        self._send(seat, self.composition.track(seat), Camera(luma))

    def leave(self, seat: str) -> None:
        """A guest leaves."""
        self.seats.remove(seat)
        self.silence(seat)

    def silence(self, who: str) -> None:
        """Nothing comes of someone any longer."""
        self._senders.pop(who).cancel()

    def shows(self, left: int, right: int) -> bool:
        """Whether the picture's halves are of these greys."""
        return abs(self.screen.luma(0.2, 0.5) - left) < 8 and abs(self.screen.luma(0.8, 0.5) - right) < 8

    async def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
            await asyncio.sleep(0.02)

    def _send(self, who: str, track: Track, camera: Camera) -> None:
        async def send() -> None:
            told: VideoFormat | None = None
            while True:
                unit, form = camera.next()
                if form != told:
                    told = form
                    track.configure(form, None)
                track.video(unit)
                await asyncio.sleep(1 / RATE)

        self._senders[who] = asyncio.create_task(send())

    async def _watch(self) -> None:
        while True:
            self.composition.watch(self.layout, self.seats, time.monotonic())
            await asyncio.sleep(0.1)


async def test_guests_come_and_go_and_the_program_changes_over_only_with_the_first_and_the_last() -> None:
    async with Studio() as studio:
        screen = studio.screen
        studio.guest("a", 200)
        await studio.until(lambda: studio.shows(60, 200), "host and guest side by side")
        assert screen.sources == 2
        first = screen.firsts[1]
        assert abs(_luma(first, 0.2, 0.5) - 60) < 8 and abs(_luma(first, 0.8, 0.5) - 200) < 8, "nobody comes in dark"
        studio.guest("b", 120)
        await studio.until(
            lambda: abs(screen.luma(0.8, 0.2) - 200) < 8 and abs(screen.luma(0.8, 0.8) - 120) < 8, "two guests"
        )
        studio.layout = "spotlight"
        await studio.until(lambda: abs(screen.luma(0.6, 0.5) - 60) < 8, "the host has three quarters")
        studio.layout = "side_by_side"
        studio.leave("b")
        await studio.until(lambda: studio.shows(60, 200) and abs(screen.luma(0.8, 0.2) - 200) < 8, "one guest again")
        assert screen.sources == 2, "what happened meanwhile was no discontinuity"
        composed = [dts for source, dts in screen.times if source == 2]
        assert composed == sorted(set(composed)), "time only goes forward"
        assert [after - before for before, after in itertools.pairwise(screen.sounds)] == [1024] * (
            len(screen.sounds) - 1
        )
        studio.leave("a")
        await studio.until(lambda: screen.sources == 3 and studio.shows(60, 60), "the host alone again")
        assert not studio.composition.composing


async def test_the_program_is_the_hosts_alone_while_the_task_has_no_processor_to_spare() -> None:
    async with Studio(may_compose=False) as studio:
        studio.guest("a", 200)
        pictures = len(studio.screen.times)
        await studio.until(lambda: len(studio.screen.times) > pictures + 2 * RATE, "two seconds more")
        assert studio.screen.sources == 1 and studio.shows(60, 60)


async def test_a_worker_that_is_killed_costs_viewers_one_change_back_to_the_host_and_is_started_again() -> None:
    async with Studio() as studio:
        studio.guest("a", 200)
        await studio.until(lambda: studio.shows(60, 200), "host and guest")
        pid = studio.composition.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await studio.until(lambda: studio.screen.sources == 3 and studio.shows(60, 60), "the host alone", 5)
        assert studio.composition.crashes == 1
        await studio.until(lambda: studio.shows(60, 200), "host and guest again")


async def test_without_the_host_guests_are_no_program() -> None:
    async with Studio() as studio:
        studio.guest("a", 200)
        await studio.until(lambda: studio.shows(60, 200), "host and guest")
        studio.silence("host")
        await studio.until(lambda: not studio.composition.composing, "the worker ends", 10)
        pictures = len(studio.screen.times)
        await asyncio.sleep(0.5)
        assert len(studio.screen.times) == pictures


async def test_a_guest_who_sends_nothing_for_long_leaves_the_picture() -> None:
    async with Studio() as studio:
        studio.guest("a", 200)
        await studio.until(lambda: studio.shows(60, 200), "host and guest")
        studio.silence("a")
        await studio.until(lambda: studio.shows(60, 60) and not studio.composition.composing, "the host alone", 12)


async def test_an_upright_host_gets_an_upright_picture() -> None:
    async with Studio(host=Camera(60, 90, 160)) as studio:
        studio.guest("a", 200)
        await studio.until(lambda: abs(studio.screen.luma(0.5, 0.8) - 200) < 8, "the guest below")
        picture = studio.screen.picture
        assert picture is not None and (picture.width, picture.height) == (180, 320)


# --- the pipe


async def _worker(module: str, told: list[Message], ended: asyncio.Event) -> Worker:
    worker = Worker(module, (), told.append, ended.set)
    await worker.start()
    return worker


async def test_a_worker_that_takes_nothing_makes_nobody_wait_and_media_is_dropped() -> None:
    ended = asyncio.Event()
    worker = await _worker("tests.relay.deaf_worker", [], ended)
    unit = AccessUnit(0, 0, False, bytes(100_000), 0.0)
    for _ in range(200):
        worker.send(Picture("a", unit))
    assert worker.dropped > 100
    # Also a key frame only opens the track again when there is room.
    worker.send(Picture("a", AccessUnit(0, 0, True, b"", 0.0)))
    before = worker.dropped
    worker.send(Picture("a", unit))
    assert worker.dropped == before + 1
    worker.send(Configure("b", None, None))
    await worker.close()
    assert not ended.is_set(), "who ends it is not told of its end"


def test_what_was_dropped_asks_for_a_key_frame_once_there_is_room() -> None:
    asked: list[str] = []
    # given a process that does not run yet, so that all waits
    worker = Worker("tests.relay.deaf_worker", (), lambda _message: None, lambda: None, asked.append)
    for _ in range(50):
        worker.send(Picture("a", AccessUnit(0, 0, False, bytes(100_000), 0.0)))
    assert worker.dropped and not asked, "it would find no room"
    # when all was taken
    worker._before.clear()
    worker.send(Picture("a", AccessUnit(0, 0, False, b"", 0.0)))
    worker.send(Picture("b", AccessUnit(0, 0, False, b"", 0.0)))
    assert asked == ["a"]
    worker.send(Picture("a", AccessUnit(0, 0, True, b"", 0.0)))
    worker.send(Picture("a", AccessUnit(0, 0, False, b"", 0.0)))
    assert asked == ["a"] and len(worker._before) == 3


def test_a_track_of_sound_alone_goes_on_once_there_is_room() -> None:
    worker = Worker("tests.relay.deaf_worker", (), lambda _message: None, lambda: None)
    sound = Sound("a", AudioSample(0, 1024, bytes(100_000)), 0.0)
    worker.send(Configure("a", None, None))
    for _ in range(50):
        worker.send(sound)
    dropped = worker.dropped
    assert dropped
    worker._before.clear()
    worker.send(sound)
    assert worker.dropped == dropped and len(worker._before) == 1


async def test_a_worker_that_speaks_nonsense_is_ended() -> None:
    ended = asyncio.Event()
    worker = await _worker("tests.relay.mad_worker", [], ended)
    await asyncio.wait_for(ended.wait(), 20)
    worker.send(Gone("a"))
    await worker.close()


async def test_a_worker_that_is_closed_while_it_starts_leaves_no_process() -> None:
    # given a worker whose process is on its way
    ended = asyncio.Event()
    worker = Worker("tests.relay.deaf_worker", (), lambda _message: None, ended.set)
    worker.send(Gone("a"))
    starting = asyncio.create_task(worker.start())
    await asyncio.sleep(0)
    # when it is given up before that one is there
    await worker.close()
    await asyncio.wait_for(starting, 20)
    # then the process is gone as well, and nobody is told of its end
    assert worker.pid is not None and not _runs(worker.pid)
    assert not ended.is_set()


async def test_a_worker_whose_words_cannot_be_worked_on_is_ended() -> None:
    # given a relay that fails over what a worker says
    ended = asyncio.Event()

    def fail(_message: Message) -> None:
        raise KeyError("of no track")

    worker = Worker("tests.relay.echo_worker", (), fail, ended.set)
    await worker.start()
    # when it speaks
    worker.send(Gone("a"))
    await asyncio.wait_for(ended.wait(), 20)
    # then its process does not stay behind
    pid = worker.pid
    assert pid is not None
    async with asyncio.timeout(20):
        while _runs(pid):
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_compositor_ends_with_its_input() -> None:
    ended = asyncio.Event()
    options = ("--width", "320", "--height", "180", "--bit-rate", "200000", "--audio-bit-rate", "64000")
    worker = Worker("media.relay.compositor", options, lambda _message: None, ended.set)
    await worker.start()
    await asyncio.wait_for(worker.close(), 5)
