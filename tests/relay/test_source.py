"""A publisher's tracks made into a program: key frame gate, missing sound or picture, sound alone, other formats."""

from __future__ import annotations

from itertools import pairwise

import pytest

from media.relay.cmaf import AudioFormat, AudioSample, VideoFormat
from media.relay.jitter import Frame
from media.relay.source import AccessUnit, Source
from tests.relay.encoded import opus, pictures


class Seen:
    """Keeps what a source gives to its program."""

    def __init__(self) -> None:
        self.formats: list[tuple[VideoFormat | None, AudioFormat | None]] = []
        self.units: list[AccessUnit] = []
        self.samples: list[AudioSample] = []
        self.key_frames_wanted = 0

    def configure(self, video: VideoFormat | None, audio: AudioFormat | None) -> None:
        self.formats.append((video, audio))

    def video(self, unit: AccessUnit) -> None:
        assert self.formats, "formats come before media"
        self.units.append(unit)

    def audio(self, sample: AudioSample, wall_s: float) -> None:
        assert self.formats, "formats come before media"
        self.samples.append(sample)

    def want(self) -> None:
        self.key_frames_wanted += 1


def _source(seen: Seen, has_video: bool = True) -> Source:
    source = Source(seen, has_video=has_video, request_key_frame=seen.want, audio_bit_rate=128_000)
    source._started_s = 0.0
    return source


_PICTURES = [bytes(packet) for packet in pictures(120, gop=60)]
_OPUS = opus(400)


def _picture(number: int, after_loss: bool = False, data: bytes | None = None) -> Frame:
    return Frame(number * 3_000, _PICTURES[number] if data is None else data, number / 30, after_loss)


def _sound(number: int) -> Frame:
    return Frame(number * 960, _OPUS[number], number / 50, False)


def _assert_consecutive(samples: list[AudioSample]) -> None:
    assert samples and all(b.pts - a.pts == 1_024 for a, b in pairwise(samples))


def test_nothing_is_shown_before_a_key_frame_which_is_asked_for() -> None:
    seen = Seen()
    source = _source(seen)
    for number in range(1, 70):
        source.video_frame(_picture(number))
    assert seen.key_frames_wanted == 59 == source.frames_dropped
    assert [unit.key for unit in seen.units] == [True] + [False] * 9
    assert seen.units[0].dts == 0


def test_after_a_loss_the_picture_stands_until_the_next_key_frame() -> None:
    seen = Seen()
    source = _source(seen)
    for number in range(120):
        source.video_frame(_picture(number, after_loss=number == 20))
    shown = [unit.dts // 3_000 for unit in seen.units]
    assert shown == [*range(20), *range(60, 120)] and seen.key_frames_wanted > 0


def test_pictures_without_sound_get_silence_that_keeps_up() -> None:
    seen = Seen()
    source = _source(seen)
    for number in range(120):
        source.video_frame(_picture(number))
    _assert_consecutive(seen.samples)
    behind_s = seen.units[-1].dts / 90_000 - seen.samples[-1].pts / 48_000
    assert 0 < behind_s < 0.65


def test_sound_that_stops_becomes_silence_and_comes_back() -> None:
    seen = Seen()
    source = _source(seen)
    for tick in range(600):  # 150 a second: pictures each 5, sound each 3
        if tick % 5 == 0:
            source.video_frame(_picture(tick // 5))
        if tick % 3 == 0 and not 150 <= tick < 350:
            source.audio_frame(_sound(tick // 3))
    _assert_consecutive(seen.samples)
    assert abs(seen.units[-1].dts / 90_000 - seen.samples[-1].pts / 48_000) < 0.2


def test_a_camera_that_is_switched_off_leaves_its_last_key_frame_standing() -> None:
    seen = Seen()
    source = _source(seen)
    for tick in range(1_050):
        if tick % 5 == 0 and tick < 300:
            source.video_frame(_picture(tick // 5))
        if tick % 3 == 0:
            source.audio_frame(_sound(tick // 3))
    stills = [unit for unit in seen.units if unit.dts >= 180_000]
    assert len(stills) >= 6 and all(unit.key and unit.data == seen.units[0].data for unit in stills)
    gaps = [later.dts - earlier.dts for earlier, later in pairwise(stills)]
    assert all(45_000 <= gap <= 50_000 for gap in gaps)
    # What the camera sends next refers to pictures that the stills replaced: it waits for a key frame.
    before = len(seen.units)
    source.video_frame(Frame(119 * 3_000 * 2, _PICTURES[119], 7.1, False))
    assert len(seen.units) == before


def test_sound_alone_is_a_program_of_one_track() -> None:
    seen = Seen()
    source = _source(seen, has_video=False)
    for number in range(100):
        source.audio_frame(_sound(number))
    assert [video for video, _ in seen.formats] == [None] and not seen.units
    _assert_consecutive(seen.samples)


def test_a_picture_of_another_size_is_another_format() -> None:
    seen = Seen()
    source = _source(seen)
    wide = [bytes(packet) for packet in pictures(5, 640, 360)]
    for number in range(5):
        source.video_frame(_picture(number))
    for number in range(5):
        source.video_frame(_picture(number + 5, data=wide[number]))
    sizes = [(video.parsed.width, video.parsed.height) for video, _ in seen.formats if video]
    assert sizes == [(320, 240), (640, 360)]


def test_garbage_from_the_network_is_dropped() -> None:
    seen = Seen()
    source = _source(seen)
    for number, data in enumerate([b"", b"\0\0\1", b"\0\0\0\1", b"\0\0\0\1\x67", b"\0\0\0\1\x65\x88", b"\xff" * 100]):
        source.video_frame(_picture(number, data=data))
        source.audio_frame(Frame(number * 960, data, number / 50, False))
    assert not seen.units


def test_timestamps_that_jump_by_hours_ask_for_no_hours_of_silence() -> None:
    seen = Seen()
    source = _source(seen)
    for number in range(120):
        jumped = 3_600 * 90_000 * (number // 30)
        source.video_frame(Frame(number * 3_000 + jumped, _PICTURES[number], number / 30, False))
    assert seen.units[-1].dts / 90_000 == pytest.approx(119 / 30, abs=0.1)
    assert len(seen.samples) < 4 * 48
