"""An encoder's tags made into a program: composition offsets, AAC as it came, silence, clock jumps, other formats."""

from __future__ import annotations

from itertools import pairwise

import pytest

from media.relay import aac, chunks, flv
from media.relay.chunks import Message
from media.relay.cmaf import length_prefixed
from media.relay.encoder_source import EncoderSource
from media.relay.h264 import BitstreamError
from tests.relay import encoder
from tests.relay.test_source import Seen


def _play(source: EncoderSource, messages: list[Message], shift_ms: int = 0) -> None:
    for message in sorted(messages, key=lambda each: (each.timestamp, each.body[1])):
        take = source.video if message.kind == chunks.VIDEO else source.audio
        take(message.body, (message.timestamp + shift_ms) % (1 << 32), (message.timestamp + shift_ms) / 1000)


def _source() -> tuple[EncoderSource, Seen]:
    seen = Seen()
    return EncoderSource(seen), seen


def _consecutive(seen: Seen) -> None:
    assert seen.samples and all(b.pts - a.pts == 1_024 for a, b in pairwise(seen.samples))


def test_pictures_keep_their_order_and_sound_its_bytes() -> None:
    source, seen = _source()
    _play(source, [*encoder.video(60, b_frames=2), *encoder.sound(90)])
    assert len(seen.units) == 60 and seen.units[0].dts == 0
    assert all(b.dts > a.dts for a, b in pairwise(seen.units))
    offsets = [(unit.pts - unit.dts) // 90 for unit in seen.units]
    assert max(offsets) >= 99 and 0 <= min(offsets) < 40, "B-frames are shown between what was sent before them"
    shown = sorted(unit.pts // 90 for unit in seen.units)
    assert all(33 <= b - a <= 34 for a, b in pairwise(shown)), "every picture has its own moment"
    _consecutive(seen)
    assert {sample.data for sample in seen.samples} == {encoder.sound()[1].body[2:]}
    (formats,) = seen.formats
    assert formats[0] and formats[0].parsed.width == 320
    assert formats[1] and formats[1].config == encoder.sound()[0].body[2:]


def test_only_what_is_a_sample_as_it_stands_is_passed_on_as_it_stands() -> None:
    slice_, sei, key, sps, pps, delimiter = b"\x41\x9a1", b"\x06\5\1a", b"\x65\x88", b"\x67B", b"\x68\xce", b"\x09\xf0"
    assert flv.is_sample(length_prefixed([sei, slice_, slice_]))
    for nals in ([sei], [key], [sps, slice_], [pps, slice_], [delimiter, slice_], [], [b"\x0c\xff", slice_]):
        assert not flv.is_sample(length_prefixed(nals)), nals
    whole = length_prefixed([slice_, slice_])
    assert not any(flv.is_sample(whole[:cut]) for cut in range(len(whole)) if cut != len(whole) // 2)
    assert not flv.is_sample(whole + b"\0") and not flv.is_sample(bytes(4) + whole) and not flv.is_sample(b"\xff" * 9)


def test_a_unit_cut_off_at_its_end_keeps_what_is_whole() -> None:
    source, seen = _source()
    messages = [*encoder.video(3), *encoder.sound(9)]
    last = messages[2]
    messages[2] = Message(last.kind, last.timestamp, last.stream, last.body + b"\0\0\0\x09cut")
    _play(source, messages)
    assert seen.units[1].data == last.body[5:]


@pytest.mark.parametrize("nal", [b"\x06", b"\x09", b""])
def test_a_picture_of_more_nal_units_than_any_encoder_makes_is_refused(nal: bytes) -> None:
    # given an encoder on air
    source, seen = _source()
    _play(source, encoder.video(1))
    # when one of its pictures is made of hardly anything but lengths
    unit = (len(nal).to_bytes(4, "big") + nal) * 2_000 + length_prefixed([b"\x41picture"])
    with pytest.raises(BitstreamError, match="too many NAL units"):
        source.video(encoder.video_tag(unit, False), 40, 0.04)
    # but one of many slices is passed on
    before = len(seen.units)
    source.video(encoder.video_tag(length_prefixed([b"\x41slice"] * 1_000), False), 40, 0.04)
    assert len(seen.units) == before + 1


def test_sound_at_44100_is_counted_in_its_own_samples() -> None:
    source, seen = _source()
    _play(source, [*encoder.video(60), *encoder.sound(86, rate=44_100)])
    _consecutive(seen)
    assert seen.formats[0][1] and seen.formats[0][1].sample_rate == 44_100
    assert len(seen.samples) == 86 and source.sound_frames_dropped == 0


def test_a_picture_without_sound_gets_silence_of_its_own_format() -> None:
    source, seen = _source()
    _play(source, list(encoder.video(60)))
    _consecutive(seen)
    behind_s = seen.units[-1].dts / 90_000 - seen.samples[-1].pts / 48_000
    assert 0 < behind_s < 0.65


def test_a_hole_in_the_sound_is_filled_and_doubled_sound_left_out() -> None:
    source, seen = _source()
    frames = encoder.sound(90)
    _play(source, [*encoder.video(60), *frames[:30], *frames[50:]])
    _consecutive(seen)
    ends_s = (seen.samples[-1].pts + 1_024) / 48_000
    assert abs(ends_s - 90 * 1_024 / 48_000) < 0.045
    source, seen = _source()
    _play(source, [*encoder.video(60), *frames, *frames[1:]])
    _consecutive(seen)
    assert len(seen.samples) <= 93 and source.sound_frames_dropped >= 87


def test_sound_that_is_announced_late_continues_the_silence_before_it() -> None:
    source, seen = _source()
    frames = encoder.sound(90)
    _play(source, list(encoder.video(30)))
    _play(source, [Message(chunks.AUDIO, 1_000, 1, frames[0].body), *encoder.video(60)[31:], *frames[48:]])
    _consecutive(seen)
    assert len(seen.formats) == 1 and len(seen.units) == 60


@pytest.mark.parametrize("jump_ms", [3_600_000, -1_500_000, 1 << 31], ids=["forward", "back", "far"])
def test_a_jump_of_the_clock_goes_on_at_the_next_key_frame_without_a_hole(jump_ms: int) -> None:
    source, seen = _source()
    media = [*encoder.video(60), *encoder.sound(90)]
    _play(source, media, 2_000_000)
    _play(source, media, 2_000_000 + jump_ms)
    assert len(seen.formats) == 2, "what follows is a discontinuity"
    steps = [b.dts - a.dts for a, b in pairwise(seen.units)]
    assert max(steps) < 90_000 * 3 and min(steps) > 0
    assert len(seen.samples) < 200


def test_times_that_run_ahead_of_time_step_by_step_are_refused() -> None:
    # given an encoder on air
    source, seen = _source()
    _play(source, [*encoder.video(10), *encoder.sound(15)])
    body = encoder.sound(3)[-1].body
    # when each of its messages says that ten seconds have passed, and none have
    with pytest.raises(flv.UnsupportedError, match="real time"):
        for number in range(1, 20):
            source.audio(body, number * 9_900, 0.5)
    # then half a minute of silence was made of it, and no more
    assert seen.samples[-1].pts < 45 * 48_000


def test_what_a_standing_connection_held_back_and_a_fast_clock_are_not_ahead() -> None:
    # given an encoder whose clock is 0.5 % fast, for an hour in which it sends each second
    source, seen = _source()
    _play(source, [*encoder.video(2), *encoder.sound(3)])
    body = encoder.sound(3)[-1].body
    for second in range(1, 3_600):
        source.audio(body, second * 1_005, float(second))
    # when its connection stands for a minute, and all of that comes at once
    for second in range(3_600, 3_660):
        source.audio(body, second * 1_005, 3_660.0)
    # then it is taken
    assert seen.samples[-1].pts > 3_600 * 48_000


def test_times_that_wrap_go_on() -> None:
    source, seen = _source()
    _play(source, [*encoder.video(60), *encoder.sound(90)], (1 << 32) - 1_000)
    assert len(seen.units) == 60 and len(seen.formats) == 1


def test_another_size_and_other_sound_are_another_format() -> None:
    source, seen = _source()
    _play(source, [*encoder.video(30), *encoder.sound(45)])
    _play(source, [*encoder.video(30, width=640, height=360), *encoder.sound(45, rate=44_100)], 1_000)
    sizes = [(video.parsed.width, sound.sample_rate) for video, sound in seen.formats if video and sound]
    assert sizes == [(320, 48_000), (640, 44_100)]


def test_sound_alone_starts_when_no_picture_comes() -> None:
    source, seen = _source()
    _play(source, list(encoder.sound(300)))
    assert [video for video, _ in seen.formats] == [None]
    _consecutive(seen)
    assert 120 < len(seen.samples) < 200, "sound begins three seconds late"


def test_a_picture_that_stops_stands_while_the_sound_goes_on() -> None:
    source, seen = _source()
    _play(source, [*encoder.video(30), *encoder.sound(240)])
    stills = [unit for unit in seen.units if unit.dts > 30 * 3_000]
    assert len(stills) >= 5 and all(unit.key and unit.data == seen.units[0].data for unit in stills)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"\x12\0\0\0\0", "Sorenson"),
        (b"\x1c\1\0\0\0", "H.265"),
        (b"\x80hvc1", "hvc1"),
        (b"\x90av01xx", "av01"),
    ],
)
def test_other_pictures_are_refused_by_name(body: bytes, named: str) -> None:
    with pytest.raises(flv.UnsupportedError, match=named):
        _source()[0].video(body, 0, 0.0)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"\x2f\0\0", "MP3"),
        (b"\x90Opus", "Opus"),
        (b"\xaf\0\x2b\x92\x08\0", "AAC-LC"),  # HE-AAC
        (b"\xaf\0\x11\xb0", "stereo"),  # six channels
    ],
)
def test_other_sound_is_refused_by_name(body: bytes, named: str) -> None:
    with pytest.raises(flv.UnsupportedError, match=named):
        _source()[0].audio(body, 0, 0.0)


@pytest.mark.parametrize(
    "record", [b"", b"\1\0\0", b"\1\x42\0\x1f\xfe\xe1\0\2ab\0", b"\1\x42\0\x1f\xff\xe1\xff\xffab\1"]
)
def test_broken_configurations_are_refused(record: bytes) -> None:
    with pytest.raises(BitstreamError):
        _source()[0].video(encoder.video_tag(record, key=True, kind=0), 0, 0.0)


def test_silence_is_a_frame_that_decodes_to_silence() -> None:
    import av

    sound, frame = aac.silence(44_100, 1)
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = sound.config
    decoded = [each for _ in range(3) for each in decoder.decode(av.Packet(frame))]
    assert decoded and all(not any(bytes(each.planes[0])) for each in decoded)
