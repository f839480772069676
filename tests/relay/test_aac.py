"""Opus → AAC: frames without gaps whatever comes in, silence where nothing came, drift stretched away."""

from __future__ import annotations

import itertools
import math

import av
import pytest
from av.audio.frame import AudioFrame

from media.relay.aac import AacTranscoder
from media.relay.cmaf import AudioSample
from tests.relay.encoded import opus

_PACKETS = opus(500)


def _assert_consecutive(samples: list[AudioSample]) -> None:
    assert samples, "something was made"
    for before, after in itertools.pairwise(samples):
        assert after.pts == before.pts + before.duration


def test_a_steady_track_stays_where_it_is() -> None:
    transcoder = AacTranscoder(128_000)
    made = [s for number, packet in enumerate(_PACKETS) for s in transcoder.feed(packet, number * 960)]
    _assert_consecutive(made)
    assert transcoder.end - 4_096 <= made[-1].pts <= transcoder.end


@pytest.mark.parametrize("lost", [1, 5, 100])
def test_lost_packets_become_silence_of_their_length(lost: int) -> None:
    transcoder = AacTranscoder(128_000)
    made: list[AudioSample] = []
    for number, packet in enumerate(_PACKETS):
        if not 200 <= number < 200 + lost:
            made += transcoder.feed(packet, number * 960)
    _assert_consecutive(made)
    assert abs(made[-1].pts - 500 * 960) < 6_000


def test_a_fast_clock_is_stretched_back_to_the_timeline() -> None:
    # 400 ppm, twice what crystals drift: 500 packets come in the time of 10.004 s.
    transcoder = AacTranscoder(128_000)
    made = [s for n, packet in enumerate(_PACKETS) for s in transcoder.feed(packet, round(n * 960 * 1.0004))]
    _assert_consecutive(made)
    assert abs(made[-1].pts - 500 * 960 * 1.0004) < 4_500


def test_silence_fills_up_to_where_it_is_asked_and_sound_comes_back() -> None:
    transcoder = AacTranscoder(128_000)
    transcoder.begin(0)
    made = transcoder.fill(96_000)
    assert transcoder.end == 96_000
    for number, packet in enumerate(_PACKETS[:50]):
        made += transcoder.feed(packet, 96_000 + number * 960)
    _assert_consecutive(made)
    assert made[0].pts == -1_024 and abs(made[-1].pts - (96_000 + 48_000)) < 4_096


def test_what_is_not_opus_is_counted_and_leaves_no_hole() -> None:
    transcoder = AacTranscoder(128_000)
    made: list[AudioSample] = []
    for number, packet in enumerate(_PACKETS[:200]):
        made += transcoder.feed(b"\xff" if number == 100 else packet, number * 960)
    _assert_consecutive(made)
    assert abs(made[-1].pts - 200 * 960) < 4_096


def _made(packets: list[bytes]) -> tuple[float, list[float]]:
    """Bits a second of what is made of ``packets``, and the left side's samples as a player decodes them."""
    transcoder = AacTranscoder(128_000)
    made = [s for number, packet in enumerate(packets) for s in transcoder.feed(packet, number * 960)]
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = transcoder.format.config
    heard: list[float] = []
    for sample in made:
        for frame in decoder.decode(av.Packet(sample.data)):
            assert isinstance(frame, AudioFrame)
            heard += memoryview(frame.planes[0]).cast("f")[: frame.samples].tolist()
    return sum(len(sample.data) for sample in made) * 8 / (len(packets) / 50), heard


def test_a_tone_takes_few_bits_and_is_heard_as_loud_as_it_was() -> None:
    bits, heard = _made(_PACKETS)
    assert bits < 80_000
    steady = heard[48_000:-4_096]
    loudness = math.sqrt(sum(value * value for value in steady) / len(steady))
    assert loudness == pytest.approx(8_000 / 32_768 / math.sqrt(2), rel=0.02)


def test_the_densest_sound_stays_near_the_bit_rate() -> None:
    bits, _ = _made(opus(250, noise=20_000))
    assert 80_000 < bits < 160_000
