"""Track clocks and the placement of audio: wrap, arrival, sender reports, drift."""

from __future__ import annotations

import random

import pytest

from media.relay.passthrough import SenderReport
from media.relay.timeline import Alignment, TrackClock


def test_timestamps_go_on_across_the_wrap_and_may_step_back() -> None:
    clock = TrackClock(90_000)
    near_wrap = 2**32 - 3_000
    stamps = [near_wrap, near_wrap + 3_000, near_wrap + 9_000, near_wrap + 6_000, near_wrap + 12_000]
    assert [clock.ticks(stamp % 2**32) for stamp in stamps] == [0, 3_000, 9_000, 6_000, 12_000]


def _feed(seconds: float, audio_late_s: float, drift: float, reports: bool) -> float:
    """Run both tracks of one sender; returns how far audio is placed from where it was spoken, at the end."""
    video, audio = TrackClock(90_000), TrackClock(48_000)
    alignment = Alignment(video, audio)
    dice = random.Random(7)
    offset, steps = 0.0, int(seconds * 50)
    for step in range(steps):
        true_s = step / 50
        audio_ticks = audio.ticks(int(true_s * 48_000 * (1 + drift)) + 1_234 & 0xFFFFFFFF)
        audio.arrived(audio_ticks, 100 + true_s + 0.02 + audio_late_s + dice.random() * 0.02)
        video_ticks = video.ticks(int(true_s * 90_000) + 98_765 & 0xFFFFFFFF)
        video.arrived(video_ticks, 100 + true_s + 0.05 + dice.random() * 0.03)
        if reports and step % 100 == 50:
            video.reported(SenderReport(5_000 + true_s, int(true_s * 90_000) + 98_765 & 0xFFFFFFFF))
            audio.reported(SenderReport(5_000 + true_s, int(true_s * 48_000 * (1 + drift)) + 1_234 & 0xFFFFFFFF))
        offset = alignment.offset_s(100 + true_s) or 0.0
    spoken_s = (steps - 1) / 50
    return int(spoken_s * 48_000 * (1 + drift)) / 48_000 + offset - spoken_s


def test_by_arrival_alone_sound_is_within_a_tenth_of_a_second() -> None:
    assert abs(_feed(20, audio_late_s=0.0, drift=0.0, reports=False)) < 0.1


@pytest.mark.parametrize("drift", [0.0, 200e-6, -200e-6])
@pytest.mark.parametrize("audio_late_s", [0.0, 0.15])
def test_sender_reports_put_sound_within_20_ms_whatever_arrival_and_drift(drift: float, audio_late_s: float) -> None:
    assert abs(_feed(120, audio_late_s, drift, reports=True)) < 0.020


def test_reports_of_a_sender_with_two_clocks_are_not_believed() -> None:
    video, audio = TrackClock(90_000), TrackClock(48_000)
    video.arrived(video.ticks(0), 10.0)
    audio.arrived(audio.ticks(0), 10.0)
    video.reported(SenderReport(1_000.0, 0))
    audio.reported(SenderReport(5_000.0, 0))
    assert Alignment(video, audio).target_s == pytest.approx(0.0)


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_in_an_hour_of_a_sound_clock_that_is_200_ppm_off_sound_stays_within_20_ms(drift: float) -> None:
    # Uncorrected it would be 0.72 s off at the end.
    assert abs(_feed(3_600, 0.05, drift, reports=True)) < 0.020


@pytest.mark.parametrize("jump_s", [3_600.0, -3_600.0, 20_000.0, 5.0, -5.0])
def test_a_jump_of_the_senders_timestamps_is_taken_out(jump_s: float) -> None:
    clock = TrackClock(90_000)
    told = [
        clock.continued((n * 3_000 + (round(jump_s * 90_000) if n >= 30 else 0)) % 2**32, 10 + n / 30)
        for n in range(60)
    ]
    assert clock.jumps == 1
    assert told == pytest.approx([n * 3_000 for n in range(60)], abs=1)


def test_steps_that_are_each_a_little_ahead_do_not_add_up() -> None:
    # given a sender of which each packet says that nearly two seconds have passed
    clock = TrackClock(90_000)
    told = [clock.continued(number * 170_000, 10 + number / 1_000) for number in range(1_000)]
    # then a second of them is a few seconds of media, and not half an hour
    assert told == sorted(told) and told[-1] < 15 * 90_000


def test_what_was_held_back_and_a_fast_clock_are_no_jump() -> None:
    # given an hour of a clock that is 0.5 % fast
    clock = TrackClock(90_000)
    for second in range(3_600):
        clock.continued(round(second * 90_450) % 2**32, 10.0 + second)
    # when the way stands still for half a minute, of which the packets then come all at once
    told = [clock.continued(round(second * 90_450) % 2**32, 3_640.0) for second in range(3_600, 3_630)]
    # then they are taken as they are
    assert clock.jumps == 0 and told[-1] == 3_629 * 90_450


def test_time_that_passed_without_a_picture_is_no_jump() -> None:
    clock = TrackClock(90_000)
    assert clock.continued(0, 10.0) == 0
    assert clock.continued(25 * 90_000, 35.0) == 25 * 90_000
    assert clock.continued(25 * 90_000 - 9_000, 35.01) == 25 * 90_000 - 9_000 and clock.jumps == 0


def test_a_report_of_another_time_moves_no_timestamp() -> None:
    clock = TrackClock(90_000)
    clock.continued(1_000, 10.0)
    clock.reported(SenderReport(5.0, 2**31 - 5))
    assert clock.continued(4_000, 10.033) == 3_000
