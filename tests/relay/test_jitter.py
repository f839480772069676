"""RTP packets → frames: order, completeness, deadline, requests for what is missing. Time is an argument."""

from __future__ import annotations

import random
import time

from media.relay.jitter import Frame, FrameBuffer, Packet


def _packets(frames: int, each: int = 3, first: int = 65_530) -> list[Packet]:
    """Frames of ``each`` packets, across the wrap of sequence numbers, 33 ms apart."""
    return [
        Packet((first + n * each + i) % 65_536, n * 3_000, i == each - 1, b"%d.%d " % (n, i), n * 0.033 + i * 0.001)
        for n in range(frames)
        for i in range(each)
    ]


def _data(frames: list[Frame]) -> list[bytes]:
    return [frame.data for frame in frames]


def _video() -> FrameBuffer:
    return FrameBuffer(0.2, 0.5, repair=True)


def test_a_frame_is_complete_at_its_marker_without_waiting_for_the_next() -> None:
    buffer = _video()
    packets = _packets(1)
    assert buffer.add(packets[0]) == [] and buffer.add(packets[1]) == []
    assert _data(buffer.add(packets[2])) == [b"0.0 0.1 0.2 "]


def test_packets_in_any_order_give_frames_in_order() -> None:
    for seed in range(200):
        buffer, packets = _video(), _packets(40)
        dice = random.Random(seed)
        delayed = [(packet.arrival_s + dice.random() * 0.1, packet.sequence, packet) for packet in packets[1:]]
        shuffled = [packet for _, _, packet in sorted(delayed, key=lambda entry: entry[:2])]
        frames = [frame for packet in [packets[0], *shuffled] for frame in buffer.add(packet)]
        assert _data(frames) == [b"%d.0 %d.1 %d.2 " % (n, n, n) for n in range(40)], f"seed {seed}"
        assert not any(frame.after_loss for frame in frames)


def test_doubled_packets_change_nothing() -> None:
    buffer = _video()
    frames = [frame for packet in _packets(10) for _ in range(2) for frame in buffer.add(packet)]
    assert len(frames) == 10


def test_a_missing_packet_holds_frames_until_the_deadline_and_no_longer() -> None:
    buffer = _video()
    packets = _packets(30)
    released: list[tuple[float, Frame]] = []
    for packet in packets:
        if packet is not packets[10]:
            released += [(packet.arrival_s, frame) for frame in buffer.add(packet)]
    missed_at = packets[11].arrival_s
    frames = [frame for _, frame in released]
    assert [frame.timestamp // 3_000 for frame in frames] == [0, 1, 2, *range(4, 30)]
    assert [frame.after_loss for frame in frames] == [False] * 3 + [True] + [False] * 25
    resumed_at = released[3][0]
    assert buffer.deadline_s <= resumed_at - missed_at <= buffer.deadline_s + 0.05
    assert buffer.packets_lost == 1 and not buffer.waiting


def test_missing_packets_are_asked_for_at_once_and_again_each_round_trip() -> None:
    buffer = _video()
    packets = _packets(4)
    for packet in packets[:5] + packets[6:8]:
        buffer.add(packet)
    missing = packets[5].sequence
    now = packets[7].arrival_s
    assert buffer.requests(now) == [missing]
    assert buffer.requests(now + 0.01) == []
    assert buffer.requests(now + 0.2) == [missing]
    buffer.add(packets[5])
    assert buffer.requests(now + 0.5) == [] and buffer.packets_repaired == 1


def test_a_quick_repair_teaches_the_round_trip() -> None:
    buffer = _video()
    first = buffer.round_trip_s
    for start in range(0, 300, 3):
        buffer.add(Packet(start, start * 1_000, True, b"a", start * 0.01))
        buffer.add(Packet(start + 2, (start + 2) * 1_000, True, b"c", start * 0.01 + 0.002))
        asked = start * 0.01 + 0.002
        assert buffer.requests(asked) == [start + 1]
        buffer.add(Packet(start + 1, (start + 1) * 1_000, True, b"b", asked + 0.02))
    assert first > 0.09 and buffer.round_trip_s < 0.03


def test_a_restarted_sender_is_followed() -> None:
    buffer = _video()
    for packet in _packets(3, first=100):
        buffer.add(packet)
    frames = [frame for packet in _packets(3, first=30_000) for frame in buffer.add(packet)]
    assert len(frames) == 3 and frames[0].after_loss


def test_audio_loses_only_what_is_lost() -> None:
    buffer = FrameBuffer(0.06, 0.06, repair=False)
    packets = [Packet(n, n * 960, n == 0, b"%d" % n, n * 0.02) for n in range(20)]
    frames = [frame for packet in packets if packet.sequence != 7 for frame in buffer.add(packet)]
    assert _data(frames) == [b"%d" % n for n in range(20) if n != 7]
    assert buffer.requests(1.0) == []


def test_memory_is_bounded_when_one_packet_never_comes() -> None:
    buffer = FrameBuffer(1e9, 1e9, repair=True)
    held = 0
    for packet in [Packet(n, n // 3 * 3_000, n % 3 == 2, b"x", 0.0) for n in range(10_000) if n != 5]:
        buffer.add(packet)
        held = max(held, len(buffer._packets))
    assert held <= 1_100


def test_a_jump_of_two_thousand_packets_of_sound_is_given_up_at_once() -> None:
    buffer = FrameBuffer(0.06, 0.06, repair=False)
    buffer.add(Packet(0, 0, False, b"a", 1.0))
    began = time.process_time()
    buffer.add(Packet(2_000, 2_000 * 960, False, b"b", 1.0))
    assert buffer.held == 2_000
    assert [frame.data for frame in buffer.expire(1.1)] == [b"b"]
    assert buffer.held == 0 and time.process_time() - began < 0.05


def test_a_sender_that_repeats_nothing_is_waited_for_less_until_it_does() -> None:
    buffer = FrameBuffer(0.2, 0.5, repair=True)
    now, sequence = 1.0, 0
    buffer.add(Packet(sequence, 0, True, b"p", now))
    for _ in range(12):
        assert buffer.deadline_s >= 0.2
        # One is missing, two come behind it, and what was asked for never comes.
        for number in (sequence + 2, sequence + 3):
            buffer.add(Packet(number, number * 3_000, True, b"p", now))
        sequence += 3
        assert buffer.requests(now)
        now += 0.6
        assert buffer.expire(now)
    assert buffer.packets_lost == 12
    assert buffer.deadline_s == 0.04, "waiting only delays the request for a key frame"
    buffer.add(Packet(sequence + 2, (sequence + 2) * 3_000, True, b"p", now))
    assert buffer.requests(now)
    buffer.add(Packet(sequence + 1, (sequence + 1) * 3_000, True, b"p", now + 0.03))
    assert buffer.deadline_s >= 0.2
