"""Cutting into parts and segments: lengths, independence, long pictures, sound alone, and the playlists of it."""

from __future__ import annotations

import asyncio
import random

import pytest

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AudioSample, length_prefixed
from media.relay.parameters import of_sample
from media.relay.playlist import Variant, multivariant
from media.relay.program import WIDE_STEP, Program
from media.relay.segmenter import CutPart, Segmenter
from media.relay.settings import Settings
from tests.relay import checker
from tests.relay.encoded import pictures, video_format

_SETTINGS = Settings()


class _Cut:
    """Keeps what a segmenter cuts."""

    def __init__(self) -> None:
        self.segments: list[list[CutPart]] = []
        self.open = False

    def begin_segment(self, start: int, wall_s: float) -> None:
        assert not self.open
        self.open = True
        self.segments.append([])

    def add_part(self, part: CutPart) -> None:
        assert self.open and part.duration > 0
        self.segments[-1].append(part)

    def end_segment(self) -> None:
        assert self.open
        self.open = False

    @property
    def parts(self) -> list[CutPart]:
        return [part for segment in self.segments for part in segment]


def _segmenter(cut: _Cut, has_video: bool = True) -> Segmenter:
    return Segmenter(
        cut,
        part_target_s=_SETTINGS.part_target_s,
        segment_s=_SETTINGS.segment_s,
        target_duration_s=_SETTINGS.target_duration_s,
        has_video=has_video,
    )


def _unit(dts: int, key: bool) -> AccessUnit:
    return AccessUnit(dts=dts, pts=dts, key=key, data=b"\0\0\0\1\x65", wall_s=dts / 90_000)


def _run(times: list[int], keys: set[int]) -> _Cut:
    cut = _Cut()
    segmenter = _segmenter(cut)
    sound = 0
    for index, dts in enumerate(times):
        while sound * 1_920 < dts:
            segmenter.audio(AudioSample(sound * 1_024, 1_024, b"a"), sound * 1_920 / 90_000)
            sound += 1
        segmenter.video(_unit(dts, index in keys))
    segmenter.flush()
    return cut


def _assert_whole(cut: _Cut) -> None:
    position = cut.parts[0].start
    for part in cut.parts:
        assert part.start == position, "a part starts where the one before it ends"
        position += part.duration


def test_thirty_frames_a_second_with_a_key_frame_each_two_seconds() -> None:
    cut = _run([n * 3_000 for n in range(601)], set(range(0, 601, 60)))
    _assert_whole(cut)
    assert [len(segment) for segment in cut.segments[:-1]] == [6] * 10
    assert all(part.duration == 30_000 for segment in cut.segments[:-1] for part in segment)
    assert all(segment[0].independent and not any(p.independent for p in segment[1:]) for segment in cut.segments[:-1])


@pytest.mark.parametrize("seed", range(20))
def test_any_frame_times_keep_parts_and_segments_within_their_targets(seed: int) -> None:
    dice = random.Random(seed)
    times, now = [0], 0
    while now < 90_000 * 60:
        now += dice.choice([1_500, 3_000, 3_003, 6_000]) if dice.random() < 0.98 else dice.randrange(90_000)
        times.append(now)
    keys = {0} | {index for index in range(len(times)) if dice.random() < 0.01}
    cut = _run(times, keys)
    _assert_whole(cut)
    target = _SETTINGS.part_target_s * 90_000
    for segment in cut.segments:
        assert round(sum(part.duration for part in segment) / 90_000) <= _SETTINGS.target_duration_s
        assert all(part.duration <= target for part in segment), f"seed {seed}"
        assert all(part.duration >= 0.85 * target for part in segment[:-1]), f"seed {seed}"


def test_pictures_at_up_to_20_a_second_and_more_make_parts_of_at_least_85_percent() -> None:
    for step in (1_500, 3_000, 3_600, 3_750, 4_500):
        cut = _run([n * step for n in range(900)], set(range(0, 900, 60)))
        for segment in cut.segments[:-1]:
            assert all(part.duration >= 0.85 * _SETTINGS.part_target_s * 90_000 for part in segment[:-1]), step


def test_a_picture_that_stands_for_two_seconds_is_followed_by_parts_of_sound() -> None:
    times = [n * 3_000 for n in range(30)]
    times += [times[-1] + 180_000 + n * 3_000 for n in range(30)]
    cut = _run(times, {0, 30})
    _assert_whole(cut)
    assert sum(part.pictures == 0 for part in cut.parts) >= 4
    assert not any(part.independent for part in cut.parts if not part.pictures)


def test_a_publisher_that_never_sends_key_frames_still_gets_segments() -> None:
    cut = _run([n * 3_000 for n in range(900)], {0})
    assert len(cut.segments) >= 8
    assert [segment[0].independent for segment in cut.segments].count(True) == 1


def test_sound_alone_is_cut_by_its_own_frames() -> None:
    cut = _Cut()
    segmenter = _segmenter(cut, has_video=False)
    for number in range(1_000):
        segmenter.audio(AudioSample(number * 1_024, 1_024, b"a"), number / 46.875)
    segmenter.flush()
    _assert_whole(cut)
    assert all(part.independent for part in cut.parts)
    for segment in cut.segments[:-1]:
        assert 1.9 <= sum(part.duration for part in segment) / 90_000 <= 2.3
        assert all(0.85 * 0.334 <= part.duration / 90_000 <= 0.334 for part in segment[:-1])


def _program() -> tuple[Program, list[str]]:
    told: list[str] = []
    program = Program("abc", _SETTINGS, lambda changed: told.append(changed.state))
    program.begin_source(lambda: None)
    program.configure(video_format(pictures(1)[0]), None)
    return program, told


def _feed(program: Program, start: int, count: int) -> None:
    for number in range(start, start + count):
        program.video(_unit(number * 3_000, number % 60 == 0))


def test_playlists_of_a_long_program_stay_valid_bounded_and_consistent() -> None:
    program, told = _program()
    before: checker.ReadPlaylist | None = None
    held = []
    for step in range(200):
        _feed(program, step * 30, 30)
        now = checker.read(program.media_playlist(skip=False).decode())
        delta = checker.read(program.media_playlist(skip=True).decode())
        if before is not None:
            checker.check_succession(before, now)
        before = now
        # A delta update and what it skips make up the whole (6.2.5.1).
        assert delta.msn == now.msn
        assert [(s.msn, s.uri) for s in delta.segments] == [(s.msn, s.uri) for s in now.segments[delta.skipped :]]
        held.append(program.held_bytes())
    assert told == ["flowing"]
    assert len(before.segments if before else []) == _SETTINGS.window_segments
    assert max(held[100:]) <= max(held[50:100]) * 1.1


@pytest.mark.parametrize(("pace", "leaps"), [(1.001, 0), (0.999, 0), (1.1, 9)])
def test_dates_follow_the_clock_and_leap_only_at_a_discontinuity(pace: float, leaps: int) -> None:
    # given a publisher with a second of whose timestamps ``pace`` seconds pass
    program, _ = _program()
    loads: list[checker.ReadPlaylist] = []
    # when it sends for three minutes
    for number in range(180 * 30):
        dts = number * 3_000
        program.video(AccessUnit(dts, dts, number % 60 == 0, b"\0\0\0\1\x65", 1_000 + pace * dts / 90_000))
        if number % 30 == 29:
            # then every playlist keeps to the rules, of which one is that dates say what durations do
            loads.append(checker.read(program.media_playlist(skip=False).decode()))
            checker.check_succession(loads[-2 if len(loads) > 1 else -1], loads[-1])
    # and dates are never far from the clock
    newest = loads[-1].closed[-1]
    assert newest.date is not None
    started_s = 2 * (newest.msn - loads[0].segments[0].msn)
    assert abs(1_000 + pace * started_s - newest.date.timestamp()) < 2.3
    assert (program.breaks > 0) == (leaps > 0) and program.breaks <= leaps


def test_wide_parts_are_three_parts_each_and_their_playlist_as_valid_as_the_other() -> None:
    program, _ = _program()
    before: checker.ReadPlaylist | None = None
    for step in range(60):
        # Not in step with parts: wide parts stand open in between.
        _feed(program, step * 25, 25)
        wide = checker.read(program.media_playlist(False, WIDE_STEP).decode())
        narrow = checker.read(program.media_playlist(False).decode())
        assert wide.part_target_s == pytest.approx(3 * narrow.part_target_s)
        assert wide.hint.endswith("w.m4s") and wide.hint not in [uri for s in wide.segments for uri, _, _ in s.parts]
        # A segment that has begun stands in this playlist once its first wide part is complete.
        assert {s.msn: s.uri for s in narrow.closed}.items() <= {s.msn: s.uri for s in wide.closed}.items()
        if before is not None:
            checker.check_succession(before, wide)
        before = wide
        msn, part = program.last_of(WIDE_STEP)
        assert program.holds(msn, part, WIDE_STEP) and not program.holds(msn, part + 3, WIDE_STEP)
    assert before is not None
    told = {segment.msn: len(segment.parts) for segment in before.closed}
    counts = [(told[segment.msn], len(segment.parts)) for segment in narrow.closed]
    assert (2, 6) in counts, "two requests for parts in two seconds instead of six"


def test_a_segment_that_is_held_to_be_complete_is_told_as_complete() -> None:
    program, _ = _program()
    for number in range(400):
        # given viewers who ask after each picture, so that texts are made at every moment
        for step in (1, WIDE_STEP):
            program.media_playlist(False, step)
        _feed(program, number, 1)
        for step in (1, WIDE_STEP):
            msn, part = program.last_of(step)
            if msn < 0:
                continue
            told = checker.read(program.media_playlist(False, step).decode())
            # then no playlist lacks what a blocking reload by segment or by part would be let go for (6.2.5.2)
            assert not program.holds(msn, None, step) or told.closed[-1].msn >= msn, number
            newest = told.segments[-1]
            assert (newest.msn, len(newest.parts) - 1) == (msn, part), number


async def test_a_wide_part_is_its_parts_one_after_the_other_and_waited_for_when_hinted() -> None:
    program, _ = _program()
    _feed(program, 0, 45)
    narrow = checker.read(program.media_playlist(False).decode()).segments[-1].parts
    wide = checker.read(program.media_playlist(False, WIDE_STEP).decode())
    found = await program.media(wide.segments[-1].parts[0][0], 1.0)
    assert found is not None
    pieces = [await program.media(uri, 1.0) for uri, _, _ in narrow[:3]]
    assert found[0] == b"".join(piece[0] for piece in pieces if piece is not None)
    assert await program.media(wide.hint, 0.01) is None, "not before it is complete"
    waiting = asyncio.create_task(program.media(wide.hint, 5.0))
    await asyncio.sleep(0)
    _feed(program, 45, 30)
    hinted = await waiting
    assert hinted is not None and hinted[0].count(b"moof") == 3
    assert b"wide.m3u8" not in program.multivariant_playlist()
    program.stadium = True
    assert b"wide.m3u8" in program.multivariant_playlist(), "who comes into a stadium is given it"


def test_a_new_publisher_continues_numbers_and_time_after_a_discontinuity() -> None:
    program, told = _program()
    _feed(program, 0, 200)
    before = checker.read(program.media_playlist(skip=False).decode())
    program.lose()
    program.begin_source(lambda: None)
    program.configure(video_format(pictures(1, 640, 360)[0]), None)
    _feed(program, 0, 200)
    after = checker.read(program.media_playlist(skip=False).decode())
    assert told == ["flowing", "lost", "flowing"]
    assert [s.msn for s in after.segments] == list(range(after.msn, after.msn + len(after.segments)))
    assert [s.discontinuity for s in after.segments].count(True) == 1
    fresh = next(segment for segment in after.segments if segment.discontinuity)
    assert fresh.init != before.segments[0].init, "a picture of another size has another map"
    program.end()
    assert checker.read(program.media_playlist(skip=False).decode()).ended


def test_a_preview_that_comes_before_the_first_part_is_told_with_it() -> None:
    program, told = _program()
    program.show_preview(b"jpeg")
    assert told == []
    _feed(program, 0, 30)
    assert told == ["flowing"]
    program.show_preview(b"newer")
    assert told == ["flowing"] and program.preview == b"newer"


def test_the_multivariant_playlist_describes_sound_alone_without_resolution() -> None:
    text = multivariant([Variant("media.m3u8", 100, 90, "mp4a.40.2", 0, 0, 0.0)])
    assert "RESOLUTION" not in text and 'CODECS="mp4a.40.2"' in text


def test_captions_in_the_pictures_are_passed_on_and_told() -> None:
    program, _ = _program()
    _feed(program, 0, 60)
    assert b"CLOSED-CAPTIONS" not in program.multivariant_playlist(), "nothing is said of what has not come"
    # cc_data of one pair, as an encoder writes it between parameter sets and slices.
    message = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x2c\xff"
    sei = b"\x06\x04" + bytes([len(message)]) + message + b"\x80"
    told = of_sample([b"\x67\x42", sei, b"\x65\x88"])
    assert sei in told
    program.video(AccessUnit(dts=180_000, pts=180_000, key=True, data=length_prefixed(told), wall_s=2.0))
    lines = program.multivariant_playlist().decode().splitlines()
    media = checker.attributes(next(line for line in lines if line.startswith("#EXT-X-MEDIA:")))
    variant = checker.attributes(next(line for line in lines if line.startswith("#EXT-X-STREAM-INF:")))
    assert (media["TYPE"], media["INSTREAM-ID"]) == ("CLOSED-CAPTIONS", "CC1")
    assert media["GROUP-ID"] == variant["CLOSED-CAPTIONS"] and "URI" not in media
