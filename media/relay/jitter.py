"""RTP packets in any order → whole access units in order, with a deadline: what is missing too long is given up.

Pure: time comes in, what to ask of the sender comes out. A picture is complete at its marker bit (RFC 6184 5.1), so
nothing waits for the next one. Missing packets are asked for at once and again each round trip (RFC 4585 6.2.1).
"""

from __future__ import annotations

from typing import Final

import msgspec

_SEQUENCES: Final = 1 << 16
# A jump of this many packets is a restarted sender, not loss: ~8 s of 2.5 Mb/s.
_JUMP_PACKETS: Final = 2_048
# Packets kept while waiting for a missing one: at 20 Mb/s still half a second.
_HELD_PACKETS_MAX: Final = 1_024
_NACKS_EACH_MAX: Final = 10
_NACKS_AT_ONCE_MAX: Final = 64
_RTT_DEFAULT_S: Final = 0.1
# A packet that comes sooner after it was asked for was on its way already, and tells nothing of the sender.
_OVERTAKEN_S: Final = 0.012
# After so many packets that were asked for and never came the sender is taken for one that repeats nothing: waiting for
# it only delays the request for a key frame.
_UNANSWERED_MAX: Final = 12
_DEADLINE_UNANSWERED_S: Final = 0.04


class Packet(msgspec.Struct, frozen=True):
    """A depayloaded RTP packet: for video an Annex B piece of an access unit, for audio a whole Opus packet."""

    sequence: int
    timestamp: int
    marker: bool
    data: bytes
    arrival_s: float


class Frame(msgspec.Struct, frozen=True):
    """Packets of one RTP timestamp, complete and in order. ``after_loss``: something before it never came."""

    timestamp: int
    data: bytes
    arrival_s: float
    after_loss: bool


class _Missing:
    """When a packet was first missed, and when and how often it was asked for."""

    __slots__ = ("asked", "asked_at", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.asked = 0
        self.asked_at = 0.0


class FrameBuffer:
    """Reorders the packets of one track and hands out frames.

    Parameters
    ----------
    deadline_s : float
        How long a missing packet holds everything behind it, at least; with ``repair`` it grows to three round trips.
    deadline_max_s : float
        Bound of that growth.
    repair : bool
        Whether missing packets are asked for (video; browsers do not repeat audio).
    """

    def __init__(self, deadline_s: float, deadline_max_s: float, repair: bool) -> None:
        self._deadline_s = deadline_s
        self._deadline_max_s = deadline_max_s
        self._repair = repair
        self._packets: dict[int, Packet] = {}
        self._missing: dict[int, _Missing] = {}
        self._next: int | None = None  # first sequence number not yet handed out
        self._scan = 0  # packets from _next up to here are all present
        self._highest = 0
        self._lost = False
        self._unanswered = 0
        self.round_trip_s = _RTT_DEFAULT_S
        self.packets_lost = 0
        self.packets_repaired = 0

    @property
    def deadline_s(self) -> float:
        """The present deadline: repair gets three round trips, within the bounds given, if it comes at all."""
        if not self._repair:
            return self._deadline_s
        if self._unanswered >= _UNANSWERED_MAX:
            return min(_DEADLINE_UNANSWERED_S, self._deadline_s)
        return min(self._deadline_max_s, max(self._deadline_s, 3 * self.round_trip_s))

    @property
    def waiting(self) -> bool:
        """Whether a missing packet holds others back, so that time alone may release them."""
        return bool(self._missing)

    @property
    def held(self) -> int:
        """Packets and notes of missing ones in memory."""
        return len(self._packets) + len(self._missing)

    def add(self, packet: Packet) -> list[Frame]:
        """Take in one packet (16-bit sequence number); returns the frames that it completes."""
        if self._next is None:
            self._next = self._scan = packet.sequence
            self._highest = packet.sequence - 1
        sequence = self._extended(packet.sequence)
        if abs(sequence - self._highest) > _JUMP_PACKETS:
            self._restart(packet.sequence)
            sequence = packet.sequence
        if sequence < self._next:
            # Late, but it came: the sender does repeat.
            self._unanswered = 0
            return []
        if sequence in self._packets:
            return []
        missing = self._missing.pop(sequence, None)
        if missing is not None and missing.asked:
            self.packets_repaired += 1
            if packet.arrival_s - missing.asked_at >= _OVERTAKEN_S:
                self._unanswered = 0
            if missing.asked == 1:
                sample = packet.arrival_s - missing.asked_at
                self.round_trip_s += (sample - self.round_trip_s) / 8
        for absent in range(self._highest + 1, sequence):
            self._missing[absent] = _Missing(packet.arrival_s)
        self._highest = max(self._highest, sequence)
        self._packets[sequence] = packet
        frames = self._release()
        return frames + self.expire(packet.arrival_s)

    def expire(self, now: float) -> list[Frame]:
        """Give up packets that are missing beyond the deadline; returns the frames that this sets free."""
        frames: list[Frame] = []
        while self._missing:
            first = next(iter(self._missing))
            overdue = now - self._missing[first].since > self.deadline_s
            if not overdue and len(self._packets) <= _HELD_PACKETS_MAX:
                break
            self._skip_over(first)
            frames += self._release()
        return frames

    def requests(self, now: float) -> list[int]:
        """Sequence numbers (16 bit) to ask for now: never asked, or asked a round trip ago."""
        if not self._repair or not self._missing:
            return []
        again_s = max(0.02, self.round_trip_s * 1.2)
        due: list[int] = []
        for sequence, missing in self._missing.items():
            if missing.asked < _NACKS_EACH_MAX and (not missing.asked or now - missing.asked_at >= again_s):
                missing.asked += 1
                missing.asked_at = now
                due.append(sequence % _SEQUENCES)
                if len(due) == _NACKS_AT_ONCE_MAX:
                    break
        return due

    def _extended(self, sequence: int) -> int:
        # RFC 3550 A.1: the number nearest to the highest one seen.
        near = (sequence - self._highest) % _SEQUENCES
        return self._highest + (near if near < _SEQUENCES // 2 else near - _SEQUENCES)

    def _restart(self, sequence: int) -> None:
        self._packets.clear()
        self._missing.clear()
        self._next = self._scan = sequence
        self._highest = sequence - 1
        self._lost = True

    def _skip_over(self, missing: int) -> None:
        """Drop everything up to the first packet that surely begins a frame after the missing ones."""
        assert self._next is not None
        begin = missing + 1
        # Each audio packet is whole, so only the missing one is lost. Searching on for it too would take a scan of all
        # that is missing for each that is: 0.14 s after a jump of 1,900 packets.
        while self._repair and begin <= self._highest:
            before, here = self._packets.get(begin - 1), self._packets.get(begin)
            if here and before and (before.marker or before.timestamp != here.timestamp):
                break
            begin += 1
        for sequence in range(self._next, begin):
            self._packets.pop(sequence, None)
            if missed := self._missing.pop(sequence, None):
                self.packets_lost += 1
                self._unanswered += missed.asked > 0
        self._next = self._scan = begin
        self._lost = True

    def _release(self) -> list[Frame]:
        assert self._next is not None
        frames: list[Frame] = []
        while (packet := self._packets.get(self._scan)) is not None:
            start = self._packets[self._next]
            if packet.timestamp != start.timestamp:
                # A sender that sets no marker: the next timestamp ends the frame.
                frames.append(self._take(self._scan))
                continue
            self._scan += 1
            if packet.marker or not self._repair:
                frames.append(self._take(self._scan))
        return frames

    def _take(self, end: int) -> Frame:
        assert self._next is not None
        packets = [self._packets.pop(sequence) for sequence in range(self._next, end)]
        self._next = end
        frame = Frame(
            timestamp=packets[0].timestamp,
            data=b"".join([packet.data for packet in packets]),
            arrival_s=packets[-1].arrival_s,
            after_loss=self._lost,
        )
        self._lost = False
        return frame
