"""How long does the picture stand when packets are lost, with repairs and without? Simulated, and with a real sender.

`python -m bench.relay_loss [minutes] [--real seconds]` sends pictures of 2.5 Mb/s at 30 a second to the jitter buffer
through a simulated path with loss, reordering (0 to 10 ms) and 60 ms of round trip for that long (default 10), from a
fixed seed. Requests for repairs and their answers are lost alike. After a loss that is not repaired the picture stands
until the next key frame, which the sender makes 60 ms after it heard the request (PLI, at most one in 300 ms) and which
takes 24 packets. "Without repairs" nobody answers requests for packets, so that a key frame must come whole at once.

Then a real sender (aiortc, x264, RFC 4588 not negotiated) publishes to a relay process for a minute of real time
through a forwarder on loopback that loses and reorders RTP and RTCP by seed, 30 ms each way; the stands are those of
the pictures in the relay's segments. It answers a request for a packet by the same packet on the same SSRC, as browsers
do without RTX, or not at all. Exits with 1 when a picture stands for over a second with repairs, simulated or real.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import sys

from media.relay.jitter import FrameBuffer, Packet
from media.relay.passthrough import PLI_INTERVAL_S, TICK_S, VIDEO_DEADLINE_S
from tests.relay.lossy import LossyPath, LossyPublisher, publish_through
from tests.relay.stack import Stack, stream_key

_RATE = 30
_PACKETS = 8
_KEY_PACKETS = 24
_KEY_EACH_S = 2.0
_ONE_WAY_S = 0.03
_REORDER_S = 0.01
_ENCODER_S = 0.06
_LOSSES = (0.01, 0.03, 0.05)
_REORDER = 0.02
_LIMIT_S = 1.0
_SEED = 1


class _Path:
    """One publisher, the path, and the buffer at its end."""

    def __init__(self, loss: float, repairs: bool, seconds: float) -> None:
        self._loss = loss
        self._repairs = repairs
        self._seconds = seconds
        self._dice = random.Random(f"{_SEED}:{loss}:{repairs}")
        self._sent: dict[int, tuple[int, bool, bool]] = {}
        # (time, order, what): a picture is made, a packet comes, the relay's timer.
        self._events: list[tuple[float, int, str, int]] = []
        self._key_due_s = 0.0
        self._pli_s = -1.0
        self._gate_open = False
        self._shown_s = 0.0
        self._next = 0
        self.stands: list[float] = []
        self.buffer = FrameBuffer(*VIDEO_DEADLINE_S, repair=True)

    def run(self) -> None:
        """Send and receive for the time given."""
        for number in range(int(self._seconds * _RATE)):
            self._push(number / _RATE, "picture", number)
        for number in range(int(self._seconds / TICK_S)):
            self._push(number * TICK_S, "tick", 0)
        while self._events:
            now, _, what, number = heapq.heappop(self._events)
            if what == "picture":
                self._send(now, number)
                continue
            arrived = [] if what == "tick" else self.buffer.add(self._packet(number, now))
            for frame in arrived + self.buffer.expire(now):
                self._take(now, bool(frame.data.startswith(b"k")), frame.after_loss)
            for wanted in self.buffer.requests(now):
                lost = self._dice.random() < self._loss or self._dice.random() < self._loss
                if self._repairs and not lost:
                    self._push(now + 2 * _ONE_WAY_S + self._dice.random() * _REORDER_S, "packet", self._nearest(wanted))

    def _push(self, at: float, what: str, number: int) -> None:
        heapq.heappush(self._events, (at, len(self._events), what, number))

    def _send(self, now: float, picture: int) -> None:
        key = now >= self._key_due_s
        if key:
            self._key_due_s = now + _KEY_EACH_S
        count = _KEY_PACKETS if key else _PACKETS
        for index in range(count):
            self._sent[self._next] = (picture * 3_000, index == count - 1, key)
            if self._next == 0 or self._dice.random() >= self._loss:
                spread = index / count / _RATE * 0.8 + self._dice.random() * _REORDER_S
                self._push(now + _ONE_WAY_S + spread, "packet", self._next)
            self._next += 1

    def _packet(self, number: int, now: float) -> Packet:
        timestamp, marker, key = self._sent[number]
        return Packet(number % 65_536, timestamp, marker, b"k" if key else b"p", now)

    def _nearest(self, wanted: int) -> int:
        return self._next - 1 - (self._next - 1 - wanted) % 65_536

    def _take(self, now: float, key: bool, after_loss: bool) -> None:
        if after_loss:
            self._gate_open = False
        if key:
            self._gate_open = True
        if self._gate_open:
            if self._shown_s:
                self.stands.append(now - self._shown_s)
            self._shown_s = now
        elif now - self._pli_s >= PLI_INTERVAL_S:
            self._pli_s = now
            if self._dice.random() >= self._loss:
                self._key_due_s = min(self._key_due_s, now + _ONE_WAY_S + _ENCODER_S)


def main() -> int:
    """Entry point; the exit code says whether the limit was kept."""
    parser = argparse.ArgumentParser(description="Simulate how long the picture stands when packets are lost.")
    parser.add_argument("minutes", nargs="?", type=float, default=10)
    parser.add_argument("--real", type=float, default=60, help="seconds with a real sender")
    arguments = parser.parse_args()
    kept = _simulated(arguments.minutes)
    kept = _real(arguments.real) and kept
    print(
        f"\nLimit: {_LIMIT_S:.0f} s wherever packets are repeated. Else a key frame of {_KEY_PACKETS} packets "
        "must come whole at once, with the chance given, and encoders make one in 300 ms at most: a longer stand is a "
        "row of key frames that were hit, which no receiver can shorten."
    )
    return 0 if kept else 1


def _simulated(minutes: float) -> bool:
    print(f"{minutes:.0f} simulated minutes each, seed {_SEED}:\n")
    print(
        "| loss | repairs | longest stand | stands over 0.2 s a minute | asked for and came | never came "
        "| key frames that come whole |"
    )
    print("|---|---|---|---|---|---|---|")
    kept = True
    for loss in _LOSSES:
        for repairs in (True, False):
            path = _Path(loss, repairs, minutes * 60)
            path.run()
            longest = max(path.stands)
            often = sum(stand > 0.2 for stand in path.stands) / minutes
            buffer = path.buffer
            print(
                f"| {loss:.0%} | {'yes' if repairs else 'no'} | {longest:.2f} s | {often:.1f} | "
                f"{buffer.packets_repaired:,} | {buffer.packets_lost:,} | {_whole(loss, repairs)} |"
            )
            kept = kept and (not repairs or longest <= _LIMIT_S)
    return kept


def _whole(loss: float, repairs: bool) -> str:
    return "repaired" if repairs else f"{(1 - loss) ** _KEY_PACKETS:.0%}"


def _real(seconds: float) -> bool:
    print(f"\nA real sender without RTX, {seconds:.0f} s each, {_REORDER:.0%} reordered, seed {_SEED}:\n")
    print(
        "| loss | repairs | longest stand | stands over 0.2 s a minute | packets lost on the way | repeated "
        "| pictures the sender left out |"
    )
    print("|---|---|---|---|---|---|---|")
    # Without loss: what the machine alone does.
    kinds = {"none": (0.0, True)}
    kinds |= {f"l{loss * 100:.0f}{repeats}": (loss, repeats) for loss in _LOSSES for repeats in (True, False)}
    with Stack() as stack:
        stood, publishers = asyncio.run(_publish(stack, kinds, seconds))
    kept = True
    for stream_id, (loss, repeats) in kinds.items():
        longest, publisher = max(stood[stream_id]), publishers[stream_id]
        path, left_out = publisher.path, publisher.picture.left_out
        often = sum(stand > 0.2 for stand in stood[stream_id]) / seconds * 60
        print(
            f"| {loss:.0%} | {'same packet again' if repeats else 'no'} | {longest:.2f} s | {often:.1f} | "
            f"{path.lost:,} of {path.carried:,} | {publisher.repeated:,} | {left_out} |"
        )
        kept = kept and (not repeats or longest <= _LIMIT_S)
    return kept


async def _publish(
    stack: Stack, kinds: dict[str, tuple[float, bool]], seconds: float
) -> tuple[dict[str, list[float]], dict[str, LossyPublisher]]:
    publishers: dict[str, LossyPublisher] = {}
    for stream_id, (loss, repeats) in kinds.items():
        stack.put_stream(stream_id)
        path = LossyPath(loss, _REORDER if loss else 0, _SEED)
        publishers[stream_id] = LossyPublisher(stack.whip_url(stream_id), stream_key(stream_id), path, repeats=repeats)
    return await publish_through(stack, publishers, seconds), publishers


if __name__ == "__main__":
    sys.exit(main())
