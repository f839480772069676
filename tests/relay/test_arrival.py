"""Media of another task: its times on this task's clock, and what no relay would send."""

from __future__ import annotations

import math
import random

import pytest
from msgspec import structs

from media.relay.access_unit import AccessUnit
from media.relay.arrival import Arrival
from media.relay.cmaf import AudioFormat, AudioSample, VideoFormat
from media.relay.wire import OPUS_BYTES_MAX, Arrange, Configure, Gone, KeyFrame, Message, Opus, Picture, Sound
from tests.relay.encoded import pictures, video_format

_VIDEO = video_format(pictures(1)[0])
_AUDIO = AudioFormat(b"\x11\x90", 48_000, 2, 128_000)
_UNIT = AccessUnit(0, 0, True, bytes(100), 1.0)
_SAMPLE = AudioSample(0, 1024, bytes(300))
# Our wall clock minus our monotonic one, whatever they show.
_OURS_S = 1_700_000_000.0


def _taken(arrival: Arrival, wall_s: float, now: float) -> float:
    message = arrival.taken(Picture("host", structs.replace(_UNIT, wall_s=wall_s)), 200, now, _OURS_S)
    assert isinstance(message, Picture)
    return message.unit.wall_s


@pytest.mark.parametrize("skew_s", [0.0, 5.0, -5.0, 3_600.0, -86_400.0])
def test_however_far_its_clock_is_off_media_is_as_fresh_as_it_came(skew_s: float) -> None:
    arrival, chance = Arrival(), random.Random(1)
    late: list[float] = []
    for number in range(600):
        sent = number / 30
        delay_s = 0.02 + chance.expovariate(1 / 0.01)
        taken = _taken(arrival, _OURS_S + skew_s + sent, sent + delay_s)
        late.append(_OURS_S + sent + delay_s - taken)
    # Never in the future, which would delay it, and at most as late as the way there differs.
    assert min(late) >= -1e-5
    assert max(late[30:]) < 0.15
    assert sum(late) / len(late) < 0.02


@pytest.mark.parametrize("step_s", [5.0, -5.0])
def test_a_clock_that_is_set_while_media_flows_costs_nothing(step_s: float) -> None:
    arrival = Arrival()
    for number in range(60):
        sent = number / 30
        wall_s = _OURS_S + sent + (step_s if number >= 30 else 0.0)
        assert _taken(arrival, wall_s, sent + 0.02) == pytest.approx(_OURS_S + sent + 0.02, abs=0.001)


def test_pictures_and_sound_of_one_host_stay_together() -> None:
    arrival = Arrival()
    arrival.taken(Sound("host", _SAMPLE, _OURS_S + 7), 200, 1.0, _OURS_S)
    picture_s = _taken(arrival, _OURS_S + 6.9, 1.0)
    sound = arrival.taken(Sound("host", _SAMPLE, _OURS_S + 7), 200, 1.0, _OURS_S)
    assert isinstance(sound, Sound)
    assert sound.wall_s - picture_s == pytest.approx(0.1, abs=1e-5)


def test_what_a_relay_sends_is_taken() -> None:
    arrival = Arrival()
    packet = Opus("host", (1 << 32) - 1, bytes(OPUS_BYTES_MAX))
    for message in (Configure("host", _VIDEO, _AUDIO), Configure("host", None, None), Gone("host"), packet):
        assert arrival.taken(message, 100, 0.0, _OURS_S) is message


def _video(**changed: object) -> Message:
    made: VideoFormat = structs.replace(_VIDEO, **changed)
    return Configure("host", made, None)


def _unit(**changed: object) -> Message:
    made: AccessUnit = structs.replace(_UNIT, **changed)
    return Picture("host", made)


def _audio(**changed: object) -> Message:
    made: AudioFormat = structs.replace(_AUDIO, **changed)
    return Configure("host", None, made)


@pytest.mark.parametrize(
    "message",
    [
        Arrange("grid", ("host",)),
        KeyFrame(),
        _video(sps=b""),
        _video(sps=b"\x67nonsense"),
        _video(parsed=structs.replace(_VIDEO.parsed, width=8_000)),
        _video(pps=(b"\x68",) * 9),
        _video(pps=(bytes(2_000),)),
        _audio(sample_rate=0),
        _audio(sample_rate=1 << 31),
        _audio(channels=0),
        _audio(config=b""),
        _audio(config=bytes(1_000)),
        _unit(wall_s=math.nan),
        _unit(wall_s=math.inf),
        _unit(wall_s=-1e300),
        _unit(dts=1 << 60),
        _unit(pts=-(1 << 60)),
        _unit(data=bytes((4 << 20) + 1)),
        Sound("host", structs.replace(_SAMPLE, pts=-1), 1.0),
        Sound("host", structs.replace(_SAMPLE, duration=0), 1.0),
        Sound("host", structs.replace(_SAMPLE, data=bytes(10_000)), 1.0),
        Sound("host", _SAMPLE, math.nan),
        Opus("host", -1, b"x"),
        Opus("host", 1 << 32, b"x"),
        Opus("host", 0, b""),
        Opus("host", 0, bytes(OPUS_BYTES_MAX + 1)),
    ],
)
def test_what_no_relay_sends_is_refused(message: Message) -> None:
    with pytest.raises(ValueError, match=r"."):
        Arrival().taken(message, 100, 0.0, _OURS_S)


def test_more_than_a_host_can_send_is_refused() -> None:
    small, large = Arrival(), Arrival()
    with pytest.raises(ValueError, match="more media"):
        for number in range(5_001):
            small.taken(Gone("host"), 10, number / 5_001, _OURS_S)
    with pytest.raises(ValueError, match="more media"):
        for number in range(20):
            large.taken(Gone("host"), 4 << 20, number / 20, _OURS_S)
    # As much over a longer time is none of that.
    calm = Arrival()
    for number in range(10_000):
        calm.taken(Gone("host"), 10, number / 900, _OURS_S)
