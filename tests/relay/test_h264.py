"""Sequence parameter sets and NAL units, held against what x264 and FFmpeg say of the same bytes."""

from __future__ import annotations

import random
import time

import pytest

from media.relay import h264
from media.relay.cmaf import length_prefixed
from tests.relay.encoded import pictures, video_format


@pytest.mark.parametrize("profile", ["Baseline", "Main", "High"])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (1280, 720), (1920, 1080), (406, 722)])
def test_an_sps_tells_size_and_profile(profile: str, width: int, height: int) -> None:
    parsed = video_format(pictures(1, width, height, profile)[0]).parsed
    assert (parsed.width, parsed.height) == (width, height)
    assert parsed.profile_idc == {"Baseline": 66, "Main": 77, "High": 100}[profile]
    assert parsed.codec == f"avc1.{parsed.profile_idc:02x}{parsed.constraints:02x}{parsed.level_idc:02x}"


def test_nal_units_are_found_behind_both_start_codes() -> None:
    stream = b"\0\0\0\1\x67abc\0\0\1\x68d\0\0\0\1\x65efg"
    assert h264.nal_units(stream) == [b"\x67abc", b"\x68d", b"\x65efg"]
    assert h264.nal_units(b"") == [] and h264.nal_units(b"no start code") == []


def test_captions_are_found_in_time_that_grows_with_the_picture_and_not_with_its_square() -> None:
    # given captions behind as many NAL units as fit into an access unit
    captions = b"\x06\x04\x0a\xb5\x00\x31GA94\x03\x80"
    unit = length_prefixed([b"\x0c"]) * 200_000 + length_prefixed([captions, b"\x41picture"])
    # when they are looked for
    began_s = time.process_time()
    assert h264.captions(unit) == [captions]
    # then it takes a moment: copying what is left for each NAL unit, ten seconds
    assert time.process_time() - began_s < 2
    assert h264.captions(length_prefixed([b"\x41picture", captions[:5]])) == []


def test_hostile_parameter_sets_are_refused_and_never_crash() -> None:
    good = video_format(pictures(1)[0]).sps
    seed = random.Random(20260101)
    refused = 0
    for _ in range(5_000):
        cut = bytearray(good[: seed.randrange(len(good) + 1)])
        for _ in range(seed.randrange(4)):
            if len(cut) > 1:
                cut[seed.randrange(1, len(cut))] = seed.randrange(256)
        try:
            parsed = h264.parse_sps(bytes(cut))
            assert 0 < parsed.width <= 8_192 and 0 < parsed.height <= 8_192
        except h264.BitstreamError:
            refused += 1
    assert refused > 1_000
