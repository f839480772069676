"""A run that continues another task's: numbers go on, players are told of the break, a whole segment is soon there."""

from __future__ import annotations

import time

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import VIDEO_TIMESCALE
from media.relay.lease import Beat
from media.relay.program import Program
from media.relay.segmenter import CutPart, Segmenter
from media.relay.settings import Settings
from tests.relay import checker


def _program(after: Beat | None) -> Program:
    program = Program("show", Settings(), lambda _: None, after)
    program.begin_source(lambda: None)
    program._inits[0], program._init_number = (None, b""), 0  # type: ignore[assignment]
    return program


def _cut(program: Program, start: int) -> None:
    program.add_part(CutPart(start=start, duration=30_000, independent=True, pictures=10, body=b"part"))


def test_numbers_and_breaks_rise_above_what_the_run_before_told() -> None:
    far = int(time.time()) + 50
    program = _program(Beat(media_ms=1, last_msn=far, breaks=3))
    program.begin_segment(0, time.time())
    _cut(program, 0)
    program.end_segment()
    told = checker.read(program.media_playlist(False).decode())
    assert told.msn > far and told.discontinuity_sequence > 3
    assert told.segments[0].discontinuity and program.breaks > told.discontinuity_sequence
    # and a run that follows that one is told apart from it again
    after = Beat(media_ms=1, last_msn=program.last[0], breaks=program.breaks)
    third = _program(after)
    third.begin_segment(0, time.time())
    _cut(third, 0)
    third.end_segment()
    later = checker.read(third.media_playlist(False).decode())
    assert later.msn > told.segments[-1].msn and later.discontinuity_sequence > program.breaks


def test_a_stream_that_begins_here_has_no_break_and_starts_with_its_first_part() -> None:
    program = _program(None)
    program.begin_segment(0, time.time())
    assert not program.started
    _cut(program, 0)
    assert program.started
    told = checker.read(program.media_playlist(False).decode())
    assert told.discontinuity_sequence == 0 and not told.segments[0].discontinuity


def test_a_run_that_continues_is_shown_from_its_first_whole_segment_on() -> None:
    program = _program(Beat(media_ms=1, last_msn=5, breaks=0))
    program.begin_segment(0, time.time())
    _cut(program, 0)
    assert not program.started, "hls.js takes a playlist without a whole segment for an empty one"
    program.end_segment()
    assert program.started


async def test_whoever_waits_is_sent_on_when_the_stream_moves() -> None:
    program = _program(None)
    program.move()
    assert not await program.wait(lambda: False, 30)


class _Window:
    def __init__(self) -> None:
        self.begins: list[int] = []
        self.lengths: list[int] = []

    def begin_segment(self, start: int, wall_s: float) -> None:
        self.begins.append(start)
        self.lengths.append(0)

    def add_part(self, part: CutPart) -> None:
        self.lengths[-1] += part.duration

    def end_segment(self) -> None:
        """The next one begins by itself."""


def test_only_the_first_segment_is_short() -> None:
    window = _Window()
    segmenter = Segmenter(
        window, part_target_s=0.334, segment_s=2, target_duration_s=3, has_video=True, first_segment_s=0.6
    )
    step = VIDEO_TIMESCALE // 30
    for number in range(30 * 8):
        # A publisher that answers requests for key frames at once.
        key = number == 0 or segmenter.wants_key_frame()
        dts = number * step
        segmenter.video(AccessUnit(dts=dts, pts=dts, key=key, data=b"\0\0\0\1e", wall_s=dts / VIDEO_TIMESCALE))
    seconds = [length / VIDEO_TIMESCALE for length in window.lengths[:-1]]
    assert 0.4 <= seconds[0] <= 0.8, seconds
    assert all(1.5 <= each <= 2.2 for each in seconds[1:]) and len(seconds) >= 3, seconds
