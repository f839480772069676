"""The jitter buffer behind a lossy, reordering path with repairs that may be lost too: how long the picture stands."""

from __future__ import annotations

import heapq
import random

import pytest

from media.relay.jitter import Frame, FrameBuffer, Packet

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
