"""Lower renditions: cut where the source is cut, pictures at the source's times, gaps where nothing came in time.

A program in this process and a real worker beside it; what comes out is read by libav.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import av
import msgspec
import pytest

from media.relay import aac, rungs
from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AudioFormat, AudioSample, VideoFormat, length_prefixed
from media.relay.control import LadderState
from media.relay.h264 import nal_units
from media.relay.ladders import Ladder, Ladders
from media.relay.lower import GAP_AFTER_S
from media.relay.metrics import Metrics
from media.relay.parameters import of_sample
from media.relay.program import Program
from media.relay.settings import Settings, read
from tests.relay import checker, rendition_rules
from tests.relay.encoded import pictures, video_format

_SETTINGS = Settings(ladder=(720, 480, 240), ladder_max=2, processors=4)
_GOP = 60
_SILENCE: tuple[AudioFormat, bytes] = aac.silence(48_000, 2)


@cache
def _media(
    count: int = 240, width: int = 640, height: int = 360, b_frames: int = 0
) -> tuple[VideoFormat, list[AccessUnit]]:
    """Pictures at 30 a second from 0 on, in decoding order, a key frame each two seconds."""
    packets = pictures(count, width, height, "Main", b_frames, _GOP)
    first = packets[0].dts or 0
    units: list[AccessUnit] = []
    for packet in packets:
        assert packet.dts is not None and packet.pts is not None
        data = length_prefixed(of_sample(nal_units(bytes(packet))))
        dts = packet.dts - first
        units.append(AccessUnit(dts, packet.pts - first, bool(packet.is_keyframe), data, 1_700_000_000 + dts / 90_000))
    return video_format(packets[0]), units


class Show:
    """A program with a ladder, fed no faster than the worker follows."""

    def __init__(self, settings: Settings = _SETTINGS) -> None:
        self.program = Program("abc", settings, lambda _: None)
        self.ladders = Ladders(settings, Metrics(), lambda: 0)
        self.ladders.follow(self.program)
        self.program.begin_source(lambda: None)

    @property
    def ladder(self) -> Ladder:
        found = self.ladders.find("abc")
        assert found is not None
        return found

    async def play(self, media: tuple[VideoFormat, list[AccessUnit]], is_new: bool = True, pace: bool = True) -> None:
        """Feed pictures, and silence beside them."""
        form, units = media
        if is_new:
            self.program.configure(form, _SILENCE[0])
        sound = units[0].dts * 48_000 // 90_000 // 1_024
        for unit in units:
            while sound * 1_920 <= unit.dts:
                self.program.audio(AudioSample(sound * 1_024, 1_024, _SILENCE[1]), unit.wall_s)
                sound += 1
            self.program.video(unit)
            if pace:
                await self.until(lambda: self.ladder.behind_parts < 3, "the worker follows")

    async def until(self, condition: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
        """Look after the ladder until ``condition`` holds."""
        end = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end, f"not within {within_s} s: {what}"
            self.ladders.watch(time.monotonic(), 0.0)
            await asyncio.sleep(0.005)

    async def finish(self) -> None:
        """All that was sent is in every rendition."""
        self.program.interrupt()
        await self.until(lambda: self.ladder.behind_parts == 0, "every part is told")

    def playlist(self, uri: str) -> checker.ReadPlaylist:
        """A media playlist, held to the rules of one."""
        named = self.program.named(uri)
        assert named is not None, uri
        rendition, step = named
        return checker.read(self.program.media_playlist(False, step, rendition).decode())

    def loads(self) -> rendition_rules.Loads:
        """All media playlists of the multivariant one, the first again at the end."""
        uris = [*rendition_rules.variants(self.program.multivariant_playlist().decode())]
        return [(uri, self.playlist(uri)) for uri in [*uris, uris[0]]]

    async def body(self, name: str) -> bytes:
        found = await self.program.media(name, 1.0)
        assert found is not None, name
        return found[0]

    async def times(self, segment: checker.ReadSegment) -> list[tuple[int, int, bool]]:
        """dts, pts and whether it is a key frame, of each picture of a segment."""
        return _times(await self.body(segment.init) + await self.body(segment.uri))


def _times(data: bytes) -> list[tuple[int, int, bool]]:
    with av.open(io.BytesIO(data)) as container:
        return [
            (packet.dts, packet.pts, bool(packet.is_keyframe))
            for packet in container.demux(video=0)
            if packet.dts is not None and packet.pts is not None
        ]


@asynccontextmanager
async def _show(settings: Settings = _SETTINGS) -> AsyncIterator[Show]:
    show = Show(settings)
    try:
        yield show
    finally:
        await show.ladders.close(3.0)


# ---- what is made


@pytest.mark.parametrize(("b_frames", "width", "height"), [(0, 640, 360), (2, 640, 360), (2, 360, 640)])
async def test_a_rendition_has_the_sources_pictures_at_their_times_and_its_key_frames(
    b_frames: int, width: int, height: int
) -> None:
    async with _show() as show:
        await show.play(_media(240, width, height, b_frames))
        await show.finish()
        source, lower = show.playlist("media.m3u8"), show.playlist("240p.m3u8")
        assert len(lower.closed) == len(source.closed) == 4
        told = rendition_rules.variants(show.program.multivariant_playlist().decode())
        assert [*told] == ["media.m3u8", "240p.m3u8", "audio.m3u8"]
        for one, other in zip(source.closed, lower.closed, strict=True):
            assert not other.gap and not any(other.gaps)
            ours, theirs = await show.times(other), await show.times(one)
            assert [dts for dts, _, _ in ours] == [dts for dts, _, _ in theirs]
            assert [pts for _, pts, _ in ours] == sorted(pts for _, pts, _ in theirs)
            assert [pts for _, pts, key in ours if key] == [pts for _, pts, key in theirs if key], "key frames"
            assert all(pts >= dts for dts, pts, _ in ours)
        for uri, attributes in told.items():
            segment = show.playlist(uri).closed[1]
            body = await show.body(segment.init), await show.body(segment.uri)
            rendition_rules.a_variant_is_what_it_is_said_to_be(attributes, *body)
        upright = (240, 426) if height > width else (426, 240)
        assert told["240p.m3u8"]["RESOLUTION"] == f"{upright[0]}x{upright[1]}"


async def test_playlists_of_all_renditions_agree_at_every_moment() -> None:
    async with _show() as show:
        form, units = _media(600)
        before: dict[str, checker.ReadPlaylist] = {}
        for at in range(0, len(units), 25):
            await show.play((form, units[at : at + 25]), is_new=at == 0)
            loads = show.loads()
            if any(not playlist.segments for _, playlist in loads):
                continue
            for rule in rendition_rules.ACROSS:
                rule(loads)
            for uri, playlist in loads:
                if uri in before:
                    checker.check_succession(before[uri], playlist)
                    rendition_rules.a_gap_stays_a_gap(before[uri], playlist)
                before[uri] = playlist
        assert set(before) == {"media.m3u8", "240p.m3u8", "audio.m3u8"}
        show.program.end()
        await show.until(lambda: all(playlist.ended for _, playlist in show.loads()), "the end is told")
        await show.until(lambda: not show.ladder.is_running, "nobody works for what is over")


# ---- what the source does


async def test_a_source_of_another_size_is_followed_after_a_discontinuity_with_a_new_map() -> None:
    async with _show() as show:
        await show.play(_media(120))
        await show.play(_later(_media(120, 1280, 720), 120))
        await show.play(_later(_media(120, 320, 180), 240))
        await show.finish()
        source, lower, added = (show.playlist(uri) for uri in ("media.m3u8", "240p.m3u8", "480p.m3u8"))
        assert [segment.discontinuity for segment in lower.closed] == [False, False, True, False, True, False]
        assert [s.discontinuity for s in source.closed] == [s.discontinuity for s in lower.closed]
        sizes = [await _size(show, segment) for segment in lower.closed[::2]]
        # Who holds a rung that is bigger than the source now gets the source's size; nothing is made bigger.
        assert sizes == [(426, 240), (426, 240), (320, 180)]
        assert len({segment.init for segment in lower.closed}) == 3
        assert added.closed[0].msn == source.closed[2].msn and await _size(show, added.closed[0]) == (854, 480)
        assert added.discontinuity_sequence == 0 and added.closed[0].discontinuity
        assert [*rendition_rules.variants(show.program.multivariant_playlist().decode())] == [
            "media.m3u8", "audio.m3u8",
        ]  # fmt: skip


async def test_another_publisher_of_the_same_size_needs_no_new_map() -> None:
    async with _show() as show:
        await show.play(_media(120))
        show.program.lose()
        show.program.begin_source(lambda: None)
        await show.play(_media(120))
        await show.finish()
        lower = show.playlist("240p.m3u8")
        assert [segment.discontinuity for segment in lower.closed] == [False, False, True, False]
        assert len({segment.init for segment in lower.closed}) == 1
        assert not any(segment.gap for segment in lower.closed)
        for rule in rendition_rules.ACROSS:
            rule(show.loads())


async def test_a_source_that_becomes_sound_alone_is_followed_without_pictures() -> None:
    async with _show() as show:
        await show.play(_media(120))
        show.program.begin_source(lambda: None)
        show.program.configure(None, _SILENCE[0])
        for number in range(200):
            show.program.audio(AudioSample(number * 1_024, 1_024, _SILENCE[1]), 1_700_000_010 + number / 46.875)
        await show.finish()
        lower = show.playlist("240p.m3u8")
        last = lower.closed[-1]
        assert not last.gap and await show.body(last.init) and not await _has_pictures(show, last)
        assert [*rendition_rules.variants(show.program.multivariant_playlist().decode())] == ["media.m3u8"]


# ---- what the worker does


async def test_a_worker_that_is_killed_leaves_gaps_to_the_segment_at_which_the_next_one_begins() -> None:
    async with _show() as show:
        await show.play(_media(150))
        await show.until(lambda: show.ladder.behind_parts == 0, "the first part of its segment is made")
        pid = show.ladder.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await show.until(lambda: show.ladder.crashes == 1, "its death is noticed")
        assert show.ladder.refused == "worker_died" and show.program.ladder.renditions == ()
        form, units = _media(480)
        await show.play((form, units[150:300]), is_new=False)
        await show.until(lambda: show.ladder.is_running, "another one is started")
        assert show.program.ladder == LadderState((240,), None)
        await show.play((form, units[300:]), is_new=False)
        await show.finish()
        source, lower = show.playlist("media.m3u8"), show.playlist("240p.m3u8")
        assert [segment.gap for segment in lower.closed] == [False, False, True, True, True, False, False, False]
        # What was made before it died can be played; the same map goes on, with no discontinuity.
        broken = lower.closed[2]
        held = show.program.lower["240p"].segment(broken.msn)
        assert held is not None and [part.gap for part in held.parts] == [False] * 2 + [True] * 4
        assert len({segment.init for segment in lower.closed}) == 1
        assert not any(segment.discontinuity for segment in lower.closed)
        assert not any(segment.gap or any(segment.gaps) for segment in source.closed)
        assert await show.program.media(held.parts[-1].uri, 0.1) is None
        assert len(await show.times(broken)) < len(await show.times(source.closed[2]))


async def test_a_worker_that_stands_still_costs_gaps_and_then_the_ladder_and_never_the_source() -> None:
    async with _show() as show:
        await show.play(_media(120))
        pid = show.ladder.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        form, units = _media(1_800)
        began_s = time.monotonic()
        await show.play((form, units[120:1_500]), is_new=False, pace=False)
        assert show.playlist("media.m3u8").closed[-1].msn >= show.playlist("240p.m3u8").closed[-1].msn + 20
        assert time.monotonic() - began_s < GAP_AFTER_S, "the source waits for nothing"
        await show.until(lambda: show.ladder.refused == "too_slow", "it is given up")
        assert not show.ladder.is_running and show.program.ladder == LadderState((), "too_slow")
        assert [*rendition_rules.variants(show.program.multivariant_playlist().decode())] == [
            "media.m3u8", "audio.m3u8",
        ]  # fmt: skip
        # Who holds the rendition is told of gaps, and where the others are, for as long as the source goes on.
        await show.play((form, units[1_500:]), is_new=False, pace=False)
        source, lower = show.playlist("media.m3u8"), show.playlist("240p.m3u8")
        assert rendition_rules.newest(source) == rendition_rules.newest(lower)
        assert all(segment.gap for segment in lower.closed)
        show.ladders.watch(time.monotonic() + 59, 0.0)
        assert not show.ladder.is_running
        show.ladders.watch(time.monotonic() + 61, 0.0)
        assert show.ladder.is_running, "a minute later it is tried again"


async def test_a_worker_that_dropped_pictures_has_a_key_frame_asked_for_as_soon_as_it_has_room() -> None:
    async with _show() as show:
        asked: list[int] = []
        show.program.begin_source(lambda: asked.append(1))
        form, units = _media(120)
        # given more in a moment than waits for a worker, which has not begun yet: filler (NAL unit type 12) of 1 MB
        filler = length_prefixed([b"\x0c" + b"\xff" * 1_000_000])
        big = [msgspec.structs.replace(unit, data=unit.data + filler) for unit in units[:10]]
        await show.play((form, big), pace=False)
        assert not asked, "it would find no room"
        # when it has taken what waited, and pictures go on
        fed = units[10:50]
        end = time.monotonic() + 20
        while not asked:
            assert len(fed) > 10 and time.monotonic() < end, "it is asked for before the segment ends"
            await show.play((form, [fed.pop(0)]), is_new=False, pace=False)
            # Ten pictures of a megabyte go down the pipe meanwhile.
            await asyncio.sleep(0.1)
        # then the key frame that was asked for begins a segment that is made whole
        await show.play((form, fed), is_new=False, pace=False)
        msn = show.program.last[0]
        later = [unit.moved(units[49].dts - units[59].dts) for unit in units[60:]]
        await show.play((form, later), is_new=False)
        await show.finish()
        gaps = {segment.msn: segment.gap for segment in show.playlist("240p.m3u8").closed}
        assert gaps == {msn: True, msn + 1: False}


async def test_what_cannot_be_decoded_is_the_picture_before() -> None:
    async with _show() as show:
        form, units = _media(240)
        spoiled = [
            unit if number % 50 != 25 else AccessUnit(unit.dts, unit.pts, unit.key, b"\0\0\0\2\x41\x9a", unit.wall_s)
            for number, unit in enumerate(units)
        ]
        await show.play((form, spoiled))
        await show.finish()
        source, lower = show.playlist("media.m3u8"), show.playlist("240p.m3u8")
        for one, other in zip(source.closed, lower.closed, strict=True):
            assert [pts for _, pts, _ in await show.times(other)] == [unit.pts for unit in _of(units, one, source)]


async def test_captions_are_in_every_rendition_at_their_times() -> None:
    message = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x2c\xff"
    sei = length_prefixed([b"\x06\x04" + bytes([len(message)]) + message + b"\x80"])
    async with _show() as show:
        form, units = _media(240, b_frames=2)
        captioned = [
            unit if number % 10 else AccessUnit(unit.dts, unit.pts, unit.key, sei + unit.data, unit.wall_s)
            for number, unit in enumerate(units)
        ]
        await show.play((form, captioned))
        await show.finish()
        for uri in ("media.m3u8", "240p.m3u8"):
            bodies = [await show.body(segment.uri) for segment in show.playlist(uri).closed]
            assert [body.count(message) for body in bodies] == [6] * 4, uri
            told = rendition_rules.variants(show.program.multivariant_playlist().decode())
            assert told[uri]["CLOSED-CAPTIONS"] == "captions"


# ---- whether there is one


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(), "off"),
        (Settings(ladder=(480, 240), processors=1), "one_processor"),
        (Settings(ladder=(480, 240), processors=2, ladder_max=0), "task_full"),
        (Settings(ladder=(720, 480), processors=2), "source_too_small"),
    ],
)
async def test_a_ladder_that_is_refused_has_a_reason_and_costs_no_rendition(settings: Settings, reason: str) -> None:
    show = Show(settings)
    await show.play(_media(60), pace=False)
    assert show.program.ladder == LadderState((), reason)
    assert [*rendition_rules.variants(show.program.multivariant_playlist().decode())] == ["media.m3u8", "audio.m3u8"]
    await show.ladders.close(1.0)


async def test_compositions_come_first_and_a_late_loop_has_nothing_to_give() -> None:
    composing = 1
    ladders = Ladders(Settings(ladder=(240,), ladder_max=2, processors=2), Metrics(), lambda: composing)
    assert ladders.refusal() == "task_full"
    composing = 0
    assert ladders.refusal() is None
    for _ in range(30):
        ladders.watch(0.0, 0.5)
    assert ladders.refusal() == "task_full"
    for _ in range(60):
        ladders.watch(0.0, 0.0)
    program = Program("abc", Settings(), lambda _: None)
    ladders.follow(program)
    program.begin_source(lambda: None)
    program.configure(_media(60)[0], None)
    ladder = ladders.find("abc")
    assert ladder is not None and ladder.is_running
    composing = 1
    ladders.watch(time.monotonic(), 0.0)
    assert not ladder.is_running and program.ladder == LadderState((), "task_full")
    composing = 0
    ladders.watch(time.monotonic() + 6, 0.0)
    assert ladder.is_running
    await ladders.close(3.0)


async def test_a_ladder_that_was_forgotten_begins_no_worker_for_what_its_publisher_sends_yet() -> None:
    # given a task with room for a ladder, and a program that went to another task
    ladders = Ladders(Settings(ladder=(480, 240), ladder_max=2, processors=4), Metrics(), lambda: 0)
    program = Program("abc", Settings(), lambda _: None)
    ladders.follow(program)
    ladder = ladders.find("abc")
    assert ladder is not None
    ladders.forget("abc")
    await asyncio.sleep(0)
    # when formats come once more before its publisher is disconnected
    program.begin_source(lambda: None)
    program.configure(_media(60)[0], None)
    # then no worker runs of which nobody knows
    assert not ladder.is_running
    await ladders.close(3.0)


async def test_a_ladder_that_cannot_be_looked_after_ends_and_the_others_are_looked_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given two streams with room for a ladder each, of which one fails
    ladders = Ladders(Settings(ladder=(240,), ladder_max=2, processors=4), Metrics(), lambda: 0)
    programs = [Program(stream_id, Settings(), lambda _: None) for stream_id in ("bad", "good")]
    for program in programs:
        ladders.follow(program)
        program.begin_source(lambda: None)
        program.configure(_media(60)[0], None)
    bad, good = (ladders.find(stream_id) for stream_id in ("bad", "good"))
    assert bad is not None and good is not None and bad.is_running and good.is_running
    looked_at: list[float] = []

    def fail(now: float) -> None:
        raise ZeroDivisionError(now)

    monkeypatch.setattr(bad, "watch", fail)
    monkeypatch.setattr(good, "watch", looked_at.append)
    # when the task looks after them
    ladders.watch(7.0, 0.0)
    # then the one is over, its program goes on by itself, and the other one was looked at
    assert looked_at == [7.0] and ladders.find("bad") is None and ladders.find("good") is good
    assert programs[0].follower is None and programs[0].ladder == LadderState((), "worker_died")
    await ladders.close(3.0)


def test_rungs_are_below_the_source_upright_where_it_is_and_of_even_sides() -> None:
    assert rungs.below(_SETTINGS, 1920, 1080) == (720, 480, 240)
    assert rungs.below(_SETTINGS, 1280, 720) == (480, 240)
    assert rungs.below(_SETTINGS, 406, 720) == (240,) and rungs.below(_SETTINGS, 426, 240) == ()
    for width, height in ((1280, 720), (720, 1280), (1440, 1080), (406, 720), (333, 777), (180, 320)):
        made = rungs.rung(_SETTINGS, 240, width, height, 29.7, "240p_0")
        assert made.width % 2 == made.height % 2 == 0 and made.rate == 30
        assert (made.width > made.height) == (width > height) and min(made.width, made.height) <= min(240, width)
        assert made.width / made.height == pytest.approx(width / height, rel=0.02)
    assert [rungs.rung(_SETTINGS, short, 1920, 1080, 0, "").codec for short in (720, 480, 240)] == [
        "avc1.4d4020", "avc1.4d401f", "avc1.4d401e",
    ]  # fmt: skip


def test_the_environment_names_rungs_that_there_are() -> None:
    needed = dict.fromkeys(("STREAMS_TABLE", "SIGNING_SECRET", "PLAYBACK_SECRET"), "x" * 64)
    assert read(needed).ladder == ()
    assert read(needed | {"LADDER": "240, 720", "LADDER_MAX": "3"}).ladder == (720, 240)
    for wrong in ("1080", "480p", "-240"):
        with pytest.raises(ValueError, match="LADDER"):
            read(needed | {"LADDER": wrong})


# ---- rules notice when they are broken


def _break_reports(loads: rendition_rules.Loads) -> None:
    loads[1][1].lines = [re.sub("LAST-MSN=[0-9]+", "LAST-MSN=7", line) for line in loads[1][1].lines]


def _break_targets(loads: rendition_rules.Loads) -> None:
    loads[1][1].target_s += 1


def _break_dates(loads: rendition_rules.Loads) -> None:
    loads[1][1].segments[1].date = loads[1][1].segments[0].date


def _break_lengths(loads: rendition_rules.Loads) -> None:
    uri, length_s, is_independent = loads[1][1].segments[1].parts[0]
    loads[1][1].segments[1].parts[0] = (uri, length_s - 0.01, is_independent)


def _break_discontinuities(loads: rendition_rules.Loads) -> None:
    loads[1][1].segments[1].discontinuity = True


@pytest.mark.parametrize(
    ("rule", "breaker"),
    [
        (rendition_rules.each_tells_where_the_others_are, _break_reports),
        (rendition_rules.targets_are_equal, _break_targets),
        (rendition_rules.segments_of_one_number_are_of_one_time, _break_dates),
        (rendition_rules.parts_of_one_number_are_of_one_length, _break_lengths),
        (rendition_rules.discontinuities_have_the_same_numbers, _break_discontinuities),
    ],
)
async def test_a_rule_of_several_playlists_notices_one_that_is_broken(
    rule: rendition_rules.Rule, breaker: Callable[[rendition_rules.Loads], None]
) -> None:
    show = Show(Settings())
    await show.play(_media(200), pace=False)
    rule(show.loads())
    # The last is the first again, and the first is what the others are compared with.
    broken = show.loads()
    breaker(broken)
    with pytest.raises(AssertionError):
        rule(broken)


async def test_gaps_that_are_filled_and_codecs_that_are_not_true_are_noticed() -> None:
    show = Show(Settings())
    await show.play(_media(200), pace=False)
    before, after = show.playlist("media.m3u8"), show.playlist("media.m3u8")
    before.segments[0].gaps[0] = True
    with pytest.raises(AssertionError):
        rendition_rules.a_gap_stays_a_gap(before, after)
    told = rendition_rules.variants(show.program.multivariant_playlist().decode())
    segment = after.closed[0]
    body = await show.body(segment.init), await show.body(segment.uri)
    rendition_rules.a_variant_is_what_it_is_said_to_be(told["media.m3u8"], *body)
    for name, wrong in (("CODECS", "avc1.4d4028,mp4a.40.2"), ("RESOLUTION", "640x480"), ("CODECS", "mp4a.40.2")):
        with pytest.raises(AssertionError):
            rendition_rules.a_variant_is_what_it_is_said_to_be(told["media.m3u8"] | {name: wrong}, *body)


def test_each_rule_of_several_playlists_is_broken_by_some_test_here() -> None:
    assert len(rendition_rules.ACROSS) == 5


# ---- sound alone


async def test_sound_alone_is_the_sound_of_every_part_and_each_part_plays_by_itself() -> None:
    show = Show(Settings())
    await show.play(_media(200), pace=False)
    source, sound = show.playlist("media.m3u8"), show.playlist("audio.m3u8")
    assert all(independent for segment in sound.segments for _, _, independent in segment.parts)
    for one, other in zip(source.closed, sound.closed, strict=True):
        whole = await show.body(other.uri)
        assert whole == b"".join([await show.body(uri) for uri, _, _ in other.parts])
        heard = _packets(await show.body(other.init) + whole)
        said = _packets(await show.body(one.init) + await show.body(one.uri))
        assert heard == said and len(heard) > 90
        assert len(whole) < len(await show.body(one.uri))


async def test_sound_alone_carries_the_rooms_frames_and_has_wide_parts() -> None:
    show = Show(Settings())
    show.program.stadium = True
    form, units = _media(300)
    await show.play((form, units[:30]), pace=False)
    show.program.room_frame(b'{"seq":1}')
    await show.play((form, units[30:]), is_new=False, pace=False)
    told = rendition_rules.variants(show.program.multivariant_playlist().decode())
    assert [*told] == ["wide.m3u8", "audio-wide.m3u8"]
    wide = show.playlist("audio-wide.m3u8")
    bodies = [await show.body(uri) for segment in wide.closed for uri, _, _ in segment.parts]
    assert sum(body.count(b'{"seq":1}') for body in bodies) == 1
    for rule in rendition_rules.ACROSS:
        rule(show.loads())


async def test_a_hinted_part_of_sound_is_waited_for_and_strangers_names_are_not_found() -> None:
    show = Show(Settings())
    form, units = _media(300)
    await show.play((form, units[:100]), pace=False)
    hint = show.playlist("audio.m3u8").hint
    waiting = asyncio.create_task(show.program.media(hint, 5.0))
    await asyncio.sleep(0)
    await show.play((form, units[100:130]), is_new=False, pace=False)
    found = await waiting
    assert found is not None and b"moof" in found[0]
    run = hint.partition("_")[0]
    for name in (f"{run}_480p_1_0.m4s", f"{run}_480p_init0.mp4", f"{run}_audio_init7.mp4", f"{run}_audio_1.m4s"):
        assert await show.program.media(name, 0.1) is None
    assert show.program.named("480p.m3u8") is None and show.program.named("audio-narrow.m3u8") is None


def _later(media: tuple[VideoFormat, list[AccessUnit]], pictures_before: int) -> tuple[VideoFormat, list[AccessUnit]]:
    form, units = media
    by = pictures_before * 3_000
    return form, [AccessUnit(u.dts + by, u.pts + by, u.key, u.data, u.wall_s + by / 90_000) for u in units]


async def _size(show: Show, segment: checker.ReadSegment) -> tuple[int, int]:
    with av.open(io.BytesIO(await show.body(segment.init) + await show.body(segment.uri))) as container:
        picture = next(container.decode(video=0))
        return picture.width, picture.height


async def _has_pictures(show: Show, segment: checker.ReadSegment) -> bool:
    with av.open(io.BytesIO(await show.body(segment.init) + await show.body(segment.uri))) as container:
        return bool(container.streams.video)


def _of(units: list[AccessUnit], segment: checker.ReadSegment, playlist: checker.ReadPlaylist) -> list[AccessUnit]:
    """The access units of a segment of a playlist that is whole."""
    start_s = sum(each.duration_s for each in playlist.closed if each.msn < segment.msn)
    start, end = round(start_s * 90_000), round((start_s + segment.duration_s) * 90_000)
    return [unit for unit in units if start <= unit.dts < end]


def _packets(data: bytes) -> list[tuple[int | None, bytes]]:
    with av.open(io.BytesIO(data)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux() if _is_sound(packet)]


def _is_sound(packet: Any) -> bool:
    return packet.stream.type == "audio" and packet.pts is not None
