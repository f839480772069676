"""Cuts access units and audio into parts and segments. Pure: no clock, no bytes of boxes but through `cmaf.fragment`.

Rules of draft-pantos-hls-rfc8216bis: a part is at most PART-TARGET long and at least 85 % of it unless a segment ends
(4.4.4.9), a segment rounds to at most TARGETDURATION (4.4.3.1).
Times are ticks of 1/90,000 s, on the program's timeline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AUDIO_TIMESCALE, VIDEO_TIMESCALE, AudioSample, VideoSample, fragment

# A key frame is asked for this long before a segment should end: PLI to key frame takes 60–150 ms.
_KEY_FRAME_AHEAD_S: Final = 0.12
# A key frame that comes by itself ends a segment after this share of its length.
_SEGMENT_SHARE_MIN: Final = 0.75
# A segment without a key frame is cut here: still rounds to TARGETDURATION.
_ROUNDING_S: Final = 0.45
# 4.4.4.9: no part but the last of a segment is shorter than this share of the target.
_PART_SHARE_MIN: Final = 0.85
_AUDIO_HELD_MAX: Final = 1_000
_FIRST_FRAME_TICKS: Final = 3_000


class CutPart(msgspec.Struct, frozen=True):
    """A part ready to be served, and the samples that it is made of."""

    start: int
    duration: int
    independent: bool
    pictures: int
    body: bytes
    sequence: int = 0
    video: tuple[VideoSample, ...] = ()
    audio: tuple[AudioSample, ...] = ()


class Window(Protocol):
    """Receives what the segmenter cuts (program.py)."""

    def begin_segment(self, start: int, wall_s: float) -> None: ...

    def add_part(self, part: CutPart) -> None: ...

    def end_segment(self) -> None: ...


class Segmenter:
    """One continuous piece of a program, from a (re)configuration to the next.

    Parameters
    ----------
    window : Window
        Receives segments and parts in order.
    part_target_s, segment_s, target_duration_s : float
        See `Settings`.
    has_video : bool
        Whether pictures drive the cutting; else AAC frames do.
    audio_rate : int
        Samples a second, in which audio times are counted.
    first_segment_s : float | None
        Length of the first segment where it is another one; a key frame ends it, as any.
    on_placed : Callable[[AccessUnit, bool], None] | None
        Told each access unit once its segment is known, before the part that holds it, and whether it is the first
        picture of that segment.
    """

    def __init__(
        self,
        window: Window,
        *,
        part_target_s: float,
        segment_s: float,
        target_duration_s: float,
        has_video: bool,
        audio_rate: int = AUDIO_TIMESCALE,
        first_segment_s: float | None = None,
        on_placed: Callable[[AccessUnit, bool], None] | None = None,
    ) -> None:
        self._window = window
        self._part_target = int(part_target_s * VIDEO_TIMESCALE)
        self._later_segments = int(segment_s * VIDEO_TIMESCALE)
        self._segment = self._later_segments if first_segment_s is None else int(first_segment_s * VIDEO_TIMESCALE)
        self._segment_max = int((target_duration_s + _ROUNDING_S) * VIDEO_TIMESCALE)
        self._has_video = has_video
        self._audio_rate = audio_rate
        self._pending: AccessUnit | None = None
        self._video: list[VideoSample] = []
        self._audio: deque[AudioSample] = deque()
        self._segment_start: int | None = None
        self._part_start = 0
        self._video_end = 0
        self._last_duration = _FIRST_FRAME_TICKS
        self._sequence = 0
        self._on_placed = on_placed
        self._pictured = False

    def video(self, unit: AccessUnit) -> None:
        """The next access unit in decode order; it completes the one before, whose duration is now known."""
        before, self._pending = self._pending, unit
        if before is not None:
            self._place(before, max(1, unit.dts - before.dts))
        elif self._segment_start is None:
            self._begin_segment(unit.dts, unit.wall_s)

    def audio(self, sample: AudioSample, wall_s: float) -> None:
        """The next AAC frame; waits for the part that its time lies in."""
        self._audio.append(sample)
        if self._has_video:
            while len(self._audio) > _AUDIO_HELD_MAX:
                self._audio.popleft()
            return
        start = self._ticks(sample.pts)
        duration = self._ticks(sample.duration)
        if self._segment_start is None:
            self._begin_segment(start, wall_s)
        end = start + duration
        if end + duration - self._part_start > self._part_target:
            self._close_part(end)
            if self._segment_start is not None and end - self._segment_start >= self._segment - duration:
                self._window.end_segment()
                self._begin_segment(end, wall_s)

    def wants_key_frame(self) -> bool:
        """Whether the present segment is nearly long enough, so that a key frame should come."""
        if self._pending is None or self._segment_start is None:
            return False
        ahead = int(_KEY_FRAME_AHEAD_S * VIDEO_TIMESCALE)
        return self._pending.dts - self._segment_start >= self._segment - ahead

    def flush(self) -> int:
        """Give out everything held, as when the publisher is gone; returns where the timeline ends."""
        if self._pending is not None:
            last, self._pending = self._pending, None
            self._place(last, self._last_duration)
        end = max(self._part_start, self._video_end)
        if self._has_video:
            self._close_part(end)
        elif self._audio:
            end = self._ticks(self._audio[-1].pts + self._audio[-1].duration)
            self._close_part(end)
        if self._segment_start is not None:
            self._segment_start = None
            self._window.end_segment()
        self._audio.clear()
        return end

    def _place(self, unit: AccessUnit, duration: int) -> None:
        assert self._segment_start is not None
        length = unit.dts - self._segment_start
        if length and (
            (unit.key and length >= self._segment * _SEGMENT_SHARE_MIN)
            or length + min(duration, self._part_target) > self._segment_max
        ):
            self._close_part(unit.dts)
            self._window.end_segment()
            self._begin_segment(unit.dts, unit.wall_s)
        elif (
            unit.dts + duration - self._part_start > self._part_target
            and unit.dts - self._part_start >= self._part_target * _PART_SHARE_MIN
        ):
            self._close_part(unit.dts)
        if self._on_placed is not None:
            self._on_placed(unit, not self._pictured)
        self._pictured = True
        self._video.append(
            VideoSample(dts=unit.dts, composition=unit.pts - unit.dts, duration=duration, key=unit.key, data=unit.data)
        )
        self._last_duration = min(duration, self._part_target)
        end = unit.dts + duration
        self._video_end = end
        # A picture that stands beyond its part: parts that follow begin with sound alone, so that none is too long.
        while end - self._part_start > self._part_target:
            boundary = self._part_start + self._part_target
            self._close_part(boundary)
            if boundary + self._part_target - self._segment_start > self._segment_max:
                wall_s = unit.wall_s + (boundary - unit.dts) / VIDEO_TIMESCALE
                self._window.end_segment()
                self._begin_segment(boundary, wall_s)
        # The next picture would not fit: the part need not wait for it.
        length = end - self._part_start
        if length + self._last_duration > self._part_target and length >= self._part_target * _PART_SHARE_MIN:
            self._close_part(end)

    def _begin_segment(self, start: int, wall_s: float) -> None:
        if self._segment_start is not None:
            self._segment = self._later_segments
        self._segment_start = self._part_start = start
        self._pictured = False
        self._window.begin_segment(start, wall_s)

    def _close_part(self, end: int) -> None:
        """Give out what lies before ``end`` as one part, if any time has passed."""
        if end <= self._part_start:
            return
        audio: list[AudioSample] = []
        while self._audio and self._ticks(self._audio[0].pts) < end:
            audio.append(self._audio.popleft())
        self._sequence += 1
        independent = self._video[0].key if self._video else not self._has_video
        self._window.add_part(
            CutPart(
                start=self._part_start,
                duration=end - self._part_start,
                independent=independent,
                pictures=len(self._video),
                body=fragment(self._sequence, self._video, audio, self._part_start),
                sequence=self._sequence,
                video=tuple(self._video),
                audio=tuple(audio),
            )
        )
        self._video = []
        self._part_start = end

    def _ticks(self, samples: int) -> int:
        return samples * VIDEO_TIMESCALE // self._audio_rate
