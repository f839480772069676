"""Loss and reordering: the jitter buffer simulated, and a real publisher without RTX behind a lossy path."""

from __future__ import annotations

import heapq
import random

import pytest

from media.relay.jitter import Frame, FrameBuffer, Packet
from tests.relay.lossy import LossyPath, LossyPublisher, publish_through
from tests.relay.stack import Stack, stream_key

_FRAMES, _EACH = 1_800, 8  # a minute of 2.5 Mb/s
_ONE_WAY_S = 0.03
_TICK_S = 0.02


def _longest_stand(loss: float, seed: int) -> tuple[float, int, FrameBuffer]:
    """Longest time between pictures that may be shown, and how many were broken by loss."""
    dice = random.Random(seed)
    buffer = FrameBuffer(0.2, 0.5, repair=True)
    sent = {n: (n // _EACH * 3_000, n % _EACH == _EACH - 1) for n in range(_FRAMES * _EACH)}
    # (time, order, packet number); None is the relay's own timer.
    coming: list[tuple[float, int, int | None]] = []
    for number in sent:
        if number == 0 or dice.random() >= loss:
            at = number // _EACH / 30 + number % _EACH * 0.001 + _ONE_WAY_S + dice.random() * 0.01
            coming.append((at, number, number))
    coming += [(n * _TICK_S, -1, None) for n in range(int(_FRAMES / 30 / _TICK_S) + 50)]
    heapq.heapify(coming)
    longest, last_s, broken = 0.0, 0.0, 0
    while coming:
        now, _, number = heapq.heappop(coming)
        frames: list[Frame] = []
        if number is None:
            frames = buffer.expire(now)
        else:
            timestamp, marker = sent[number]
            frames = buffer.add(Packet(number % 65_536, timestamp, marker, b"x", now))
        for wanted in buffer.requests(now):
            if dice.random() >= 2 * loss:  # the request, or its answer, is lost
                heapq.heappush(coming, (now + 2 * _ONE_WAY_S + dice.random() * 0.01, wanted, wanted))
        for frame in frames:
            broken += frame.after_loss
            longest, last_s = max(longest, now - last_s), now
    return longest, broken, buffer


@pytest.mark.parametrize(("loss", "stand_s"), [(0.01, 0.2), (0.03, 0.25), (0.05, 0.3)])
def test_repair_keeps_the_picture_moving(loss: float, stand_s: float) -> None:
    for seed in range(5):
        longest_s, broken, buffer = _longest_stand(loss, seed)
        assert longest_s < stand_s, f"seed {seed}: {longest_s:.3f} s"
        assert broken <= 3, f"seed {seed}: {broken} pictures after a loss that was not repaired"
        assert buffer.packets_repaired > 0.8 * loss * _FRAMES * _EACH, f"seed {seed}"


async def test_five_percent_lost_and_two_reordered_stand_for_a_moment_and_break_no_rule(stack: Stack) -> None:
    # One publisher repeats what it is asked for, without RTX; the other repeats nothing. Each playlist is checked.
    streams: dict[str, LossyPublisher] = {}
    for stream_id, repeats in (("again", True), ("never", False)):
        stack.put_stream(stream_id)
        path = LossyPath(loss=0.05, reorder=0.02, seed=1)
        streams[stream_id] = LossyPublisher(stack.whip_url(stream_id), stream_key(stream_id), path, repeats=repeats)
    stood = await publish_through(stack, streams, 20)
    assert all(publisher.path.lost > 50 for publisher in streams.values())
    assert streams["again"].repeated > 50
    assert max(stood["again"]) < 1.0
    # A key frame comes whole with one chance in two or three here, and no sender makes more than one in 300 ms.
    assert max(stood["never"]) < 6.0
    # Far more pictures are shown where packets are repeated.
    assert len(stood["again"]) > 1.3 * len(stood["never"])
