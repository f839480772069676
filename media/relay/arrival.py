"""Media of another task as it arrives: judged before anything decodes it, and its times put on this task's clock.

A relay's media was checked where it came in; but what speaks at a peer's address need not be a relay, and no clock is
exactly another's. Pure but for times that come in.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import structs

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AudioFormat, VideoFormat
from media.relay.h264 import BitstreamError, parse_sps
from media.relay.timeline import TrackClock
from media.relay.wire import OPUS_BYTES_MAX, Configure, Gone, Message, Opus, Picture, Sound

# Wall clock times as ticks of a track's clock.
_MICROSECONDS: Final = 1_000_000
# What came this much later than the earliest says that a clock was set, or that it waited long on its way: in both
# cases what is known of the clock is worth nothing.
_LATER_MAX_S: Final = 1.5
_RTP_TIMES: Final = range(1 << 32)
# 2^48 ticks are a hundred years.
_TICKS_MAX: Final = 1 << 48
_WALL_S_MAX: Final = float(1 << 40)
_ACCESS_UNIT_BYTES_MAX: Final = 4 << 20
# 6,144 bits a channel (ISO/IEC 14496-3 4.5.3), eight of them.
_AAC_FRAME_BYTES_MAX: Final = 6_144
_CONFIG_BYTES_MAX: Final = 64
_PPS_MAX: Final = 8
_PPS_BYTES_MAX: Final = 1_024
_RATES: Final = range(7_350, 96_001)
_CHANNELS: Final = range(1, 9)
# Pictures and AAC frames of five seconds are under 1,000; what waited on a slow way comes at once, to the feed's bound.
_WINDOW_S: Final = 5.0
_WINDOW_MESSAGES_MAX: Final = 5_000
_WINDOW_BYTES_MAX: Final = 48 << 20


class Arrival:
    """One connection's messages.

    The least that a message took, by both clocks together, is how far they differ. Media is then taken as if it had
    come to this task without delay at best, however the other clock is set.
    """

    def __init__(self) -> None:
        self._clock = TrackClock(_MICROSECONDS)
        self._window_since_s = -math.inf
        self._messages = 0
        self._bytes = 0

    def taken(self, message: Message, size: int, now: float, wall_minus_now_s: float) -> Message:
        """The message on this task's wall clock; raises ``ValueError`` for what no relay sends.

        Parameters
        ----------
        size : int
            Its bytes.
        now : float
            The monotonic clock.
        wall_minus_now_s : float
            The wall clock minus the monotonic one.
        """
        self._count(size, now)
        match message:
            case Configure():
                _check_formats(message.video, message.audio)
                return message
            case Picture():
                unit = message.unit
                _check_unit(unit)
                wall_s = self._rebased(unit.wall_s, now) + wall_minus_now_s
                return Picture(message.track, structs.replace(unit, wall_s=wall_s))
            case Sound():
                sample = message.sample
                within = 0 <= sample.pts < _TICKS_MAX and 0 < sample.duration < _TICKS_MAX
                if not within or len(sample.data) > _AAC_FRAME_BYTES_MAX:
                    raise ValueError("an AAC frame that no relay sends")
                return Sound(message.track, sample, self._rebased(message.wall_s, now) + wall_minus_now_s)
            case Opus():
                if message.timestamp not in _RTP_TIMES or not 0 < len(message.data) <= OPUS_BYTES_MAX:
                    raise ValueError("an Opus packet that no relay sends")
                return message
            case Gone():
                return message
            case _:
                raise ValueError(f"a {type(message).__name__} in a feed")

    def _rebased(self, wall_s: float, now: float) -> float:
        if not abs(wall_s) < _WALL_S_MAX:
            raise ValueError(f"a time of {wall_s}")
        floor = self._clock.to_arrival_s
        if floor is not None and now - wall_s - floor > _LATER_MAX_S:
            self._clock = TrackClock(_MICROSECONDS)
        self._clock.arrived(round(wall_s * _MICROSECONDS), now)
        floor = self._clock.to_arrival_s
        assert floor is not None, "something arrived"
        return wall_s + floor

    def _count(self, size: int, now: float) -> None:
        if now - self._window_since_s > _WINDOW_S:
            self._window_since_s, self._messages, self._bytes = now, 0, 0
        self._messages += 1
        self._bytes += size
        if self._messages > _WINDOW_MESSAGES_MAX or self._bytes > _WINDOW_BYTES_MAX:
            raise ValueError("more media than a host can send")


def _check_formats(video: VideoFormat | None, audio: AudioFormat | None) -> None:
    if video is not None:
        try:
            parsed = parse_sps(video.sps)
        except BitstreamError as error:
            raise ValueError(str(error)) from None
        if parsed != video.parsed or len(video.pps) > _PPS_MAX or any(len(one) > _PPS_BYTES_MAX for one in video.pps):
            raise ValueError("a video format that no relay sends")
    if audio is not None and not (
        audio.sample_rate in _RATES and audio.channels in _CHANNELS and 2 <= len(audio.config) <= _CONFIG_BYTES_MAX
    ):
        raise ValueError("an audio format that no relay sends")


def _check_unit(unit: AccessUnit) -> None:
    within = abs(unit.dts) < _TICKS_MAX and abs(unit.pts) < _TICKS_MAX
    if not within or len(unit.data) > _ACCESS_UNIT_BYTES_MAX:
        raise ValueError("an access unit that no relay sends")
