"""Time of a publisher's tracks: RTP timestamps without wrap, audio placed on the timeline of the video.

Pure: arrival times and sender reports come in. Times are seconds unless a name says ticks.
"""

from __future__ import annotations

from typing import Final

from media.relay.passthrough import SenderReport

_WRAP: Final = 1 << 32
_FLOOR_WINDOW_S: Final = 5.0
# Placement of audio moves by at most 10 ms a second: no ear notices, and no crystal drifts as fast (200 ppm).
_SLEW_S_PER_S: Final = 0.010
# Sender reports that put audio this far from where it arrives come from a sender with two clocks: not believed.
_REPORT_TRUST_S: Final = 2.0
# Timestamps may run this far ahead of the time that has passed, or step back by as much, before they are another clock:
# pictures reordered for B-frames step back by 0.2 s, and bursts after a stall are never ahead of it.
_AHEAD_MAX_S: Final = 2.0
_BACK_MAX_S: Final = 2.0
# All steps together may be this far ahead. What was held back for up to a minute is not, nor is a clock up to 1 % fast.
_TOGETHER_AHEAD_MAX_S: Final = 10.0
_HELD_BACK_MAX_S: Final = 60.0
_FASTEST: Final = 1.01


class TrackClock:
    """Unwraps one track's timestamps and keeps what relates them to our clock and to the sender's."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._last: int | None = None
        self._last_arrival_s = 0.0
        self._ahead_s = 0.0
        self._floor_now = float("inf")
        self._floor_before = float("inf")
        self._floor_since = 0.0
        self._report: float | None = None
        self.jumps = 0

    def ticks(self, timestamp: int) -> int:
        """The timestamp without wrap, 0 for the first one; may go back (B-frames, overtaken packets)."""
        if self._last is None:
            self._first = self._last = timestamp
        unwrapped = self._unwrapped(timestamp)
        self._last = max(self._last, unwrapped)
        return unwrapped - self._first

    def continued(self, timestamp: int, arrival_s: float) -> int:
        """As `ticks`, but a jump that no passing of time explains is taken out.

        Without this bound one forged timestamp would ask for hours of silence and thousands of parts, and so would many
        that are each a little ahead. What was known of the sender's wall clock goes with the old timestamps.
        """
        if self._last is not None:
            ahead = self._unwrapped(timestamp) - self._last
            passed_s = max(0.0, arrival_s - self._last_arrival_s)
            together_s = self._ahead_s + max(0.0, ahead / self._rate) - _FASTEST * passed_s
            is_near = -_BACK_MAX_S <= ahead / self._rate <= passed_s + _AHEAD_MAX_S
            if is_near and together_s <= _TOGETHER_AHEAD_MAX_S:
                self._ahead_s = max(-_HELD_BACK_MAX_S, together_s)
            else:
                self._last += ahead
                self._first += ahead - max(1, round(passed_s * self._rate))
                self._report = None
                self.jumps += 1
        self._last_arrival_s = arrival_s
        return self.ticks(timestamp)

    def arrived(self, ticks: int, arrival_s: float) -> None:
        """Note an arrival: the earliest in 5–10 s tells how far this track's time lies from our monotonic clock."""
        if arrival_s - self._floor_since > _FLOOR_WINDOW_S:
            self._floor_before, self._floor_now, self._floor_since = self._floor_now, float("inf"), arrival_s
        self._floor_now = min(self._floor_now, arrival_s - ticks / self._rate)

    def reported(self, report: SenderReport) -> None:
        """Note a sender report: how far this track's time lies from the sender's wall clock."""
        if self._last is not None:
            self._report = report.wall_s - (self._unwrapped(report.timestamp) - self._first) / self._rate

    def _unwrapped(self, timestamp: int) -> int:
        assert self._last is not None
        near = (timestamp - self._last) % _WRAP
        return self._last + (near if near < _WRAP // 2 else near - _WRAP)

    @property
    def to_arrival_s(self) -> float | None:
        """Monotonic clock minus track time, by arrival; None before the first packet."""
        floor = min(self._floor_now, self._floor_before)
        return None if floor == float("inf") else floor

    @property
    def to_sender_s(self) -> float | None:
        """Sender's wall clock minus track time; None before the first sender report."""
        return self._report


class Alignment:
    """What to add to audio time to get video time: by sender reports when both tracks have them, before by arrival."""

    def __init__(self, video: TrackClock, audio: TrackClock) -> None:
        self._video = video
        self._audio = audio
        self._applied: float | None = None
        self._moved_at = 0.0

    @property
    def target_s(self) -> float | None:
        """Where audio belongs by what is known now; None while one track has not arrived."""
        audio_arrival, video_arrival = self._audio.to_arrival_s, self._video.to_arrival_s
        if audio_arrival is None or video_arrival is None:
            return None
        by_arrival = audio_arrival - video_arrival
        audio_sender, video_sender = self._audio.to_sender_s, self._video.to_sender_s
        if audio_sender is None or video_sender is None:
            return by_arrival
        by_report = audio_sender - video_sender
        return by_report if abs(by_report - by_arrival) < _REPORT_TRUST_S else by_arrival

    def offset_s(self, now: float) -> float | None:
        """The offset to apply now: the target at first, then following it slowly so that no step is heard."""
        target = self.target_s
        if target is None:
            return None
        if self._applied is None:
            self._applied = target
        else:
            step = _SLEW_S_PER_S * max(0.0, now - self._moved_at)
            self._applied += max(-step, min(step, target - self._applied))
        self._moved_at = now
        return self._applied
