"""What viewers see of one stream: a bounded window of segments and parts, who waits for the next, and the media state.

Publishers come and go; the program goes on. Each new one continues the timeline after a discontinuity, so that players
keep playing (RFC 8216bis 4.4.4.3). Knows neither HTTP nor where media comes from.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from media.relay import playlist
from media.relay.cmaf import AUDIO_TIMESCALE, VIDEO_TIMESCALE, AudioFormat, AudioSample, VideoFormat, init_segment
from media.relay.h264 import carries_captions
from media.relay.held_segment import HeldSegment
from media.relay.lease import Beat
from media.relay.segmenter import CutPart, Segmenter
from media.relay.settings import Settings
from media.relay.source import AccessUnit
from media.relay.timed_metadata import TimedMetadata

MEDIA_PLAYLIST: Final = "media.m3u8"
# The same media in parts of three parts each: a third of the requests, for viewers who come into a stadium. A playlist
# may not change its PART-TARGET, so there are two, and each viewer stays with one.
WIDE_PLAYLIST: Final = "wide.m3u8"
WIDE_STEP: Final = 3
STEPS: Final = {MEDIA_PLAYLIST: 1, WIDE_PLAYLIST: WIDE_STEP}
# The timeline of a new publisher starts on a tick that is a whole AAC frame in both clocks (1,024 samples of 48 kHz).
_BASE_STEP_TICKS: Final = 1_920
# Program date follows the estimate by at most this much a segment: 500 ppm, more than any crystal drifts.
_DATE_SLEW_S: Final = 0.001
_DATE_JUMP_S: Final = 1.0
# What a run may have counted after it told of itself last.
_UNTOLD_SEGMENTS: Final = 10
_UNTOLD_BREAKS: Final = 4
_FIRST_SEGMENT_S: Final = 0.6
_BANDWIDTH_MARGIN: Final = 1.2
_BANDWIDTH_UNKNOWN: Final = 2_500_000
_NAME: Final = re.compile(r"([0-9a-f]{8})_(?:init(\d{1,6})\.mp4|(\d{1,12})(?:_(\d{1,4})(w?))?\.m4s)")


class Formats(msgspec.Struct, frozen=True):
    """What one init segment describes."""

    video: VideoFormat | None
    audio: AudioFormat | None

    @property
    def codecs(self) -> str:
        """CODECS of the multivariant playlist."""
        found = [] if self.video is None else [self.video.parsed.codec]
        return ",".join([*found, *([] if self.audio is None else [self.audio.codec])])


class Program:
    """One stream's window.

    Parameters
    ----------
    stream_id : str
        For logs and messages.
    settings : Settings
        Lengths and bounds.
    on_change : Callable[[Program], None]
        Called when `state` changes.
    after : Beat | None
        Where another task's run of this stream ended, as far as it told.
    """

    def __init__(
        self, stream_id: str, settings: Settings, on_change: Callable[[Program], None], after: Beat | None = None
    ) -> None:
        self.stream_id = stream_id
        self.settings = settings
        self.state = "waiting"
        self.state_at_ms = time.time_ns() // 1_000_000
        self.ended = False
        self.ended_at_s = 0.0
        # Another task owns the stream now: nobody waits here any longer.
        self.moved = False
        self.media_at_s = 0.0
        self.preview: bytes | None = None
        # Whether the preview is shown to whoever asks; else it takes the right to play the stream.
        self.preview_open = False
        self.parts_cut = 0
        self.request_key_frame: Callable[[], None] = _nobody
        # Told each closed segment, with the run's name and the segment's map (archive.py).
        self.keep: Callable[[str, HeldSegment, bytes], None] = _unkept
        self._on_change = on_change
        # Names carry a random prefix per run, so no cache ever mixes two runs. Segment numbers start at the clock (a
        # segment lasts over a second), so that they rise also across a restart of the relay. The discontinuity count
        # must stay small: hls.js keeps an array as long as it and freezes on one of billions.
        self._run = secrets.token_hex(4)
        self._next_msn = int(time.time())
        self._discontinuities = 0
        # Players that saw the run before tell ours by a discontinuity of its own number (4.4.4.3).
        self._continues = after is not None
        if after is not None:
            self._next_msn = max(self._next_msn, after.last_msn + _UNTOLD_SEGMENTS)
            self._discontinuities = after.breaks + _UNTOLD_BREAKS
        self._segments: deque[HeldSegment] = deque()
        self._inits: dict[int, tuple[Formats, bytes]] = {}
        self._init_number = -1
        self._segmenter: Segmenter | None = None
        self._base_ticks = 0
        self._audio_rate = AUDIO_TIMESCALE
        self._end_ticks = 0
        self._break_next = False
        self._captions = False
        self._date_anchor_s: float | None = None
        self._changed: asyncio.Future[None] | None = None
        self._rendered: dict[tuple[bool, int], bytes] = {}
        # Whether who comes now is given wide parts.
        self.stadium = False
        self.waiting = 0
        self._room = TimedMetadata()

    # ---- from a source ----

    def begin_source(self, request_key_frame: Callable[[], None]) -> None:
        """A new publisher: its time starts at 0 and continues ours."""
        self.interrupt()
        self._segmenter = None
        self._base_ticks = -(-self._end_ticks // _BASE_STEP_TICKS) * _BASE_STEP_TICKS
        self.request_key_frame = request_key_frame

    def configure(self, video: VideoFormat | None, audio: AudioFormat | None) -> None:
        """Formats of what follows; a change within a stream is a discontinuity with a new map."""
        formats = Formats(video, audio)
        current = self._inits.get(self._init_number)
        if self._segmenter is not None:
            self.interrupt()
        self._audio_rate = AUDIO_TIMESCALE if audio is None else audio.sample_rate
        if current is None or current[0] != formats:
            self._init_number += 1
            self._inits[self._init_number] = (formats, init_segment(video, audio))
        settings = self.settings
        self._segmenter = Segmenter(
            self,
            part_target_s=settings.part_target_s,
            segment_s=settings.segment_s,
            target_duration_s=settings.target_duration_s,
            has_video=video is not None,
            audio_rate=self._audio_rate,
            # Those who were watching wait for it.
            first_segment_s=_FIRST_SEGMENT_S if self._continues and not self._segments else None,
        )

    def video(self, unit: AccessUnit) -> None:
        """One access unit on the publisher's timeline."""
        if self._segmenter is None or self.ended:
            return
        self.media_at_s = time.monotonic()
        base = self._base_ticks
        self._end_ticks = base + unit.dts
        self._captions = self._captions or carries_captions(unit.data)
        self._segmenter.video(unit.moved(base))
        if self._segmenter.wants_key_frame():
            self.request_key_frame()

    def audio(self, sample: AudioSample, wall_s: float) -> None:
        """One AAC frame on the publisher's timeline."""
        if self._segmenter is None or self.ended:
            return
        self.media_at_s = time.monotonic()
        base = self._base_ticks * self._audio_rate // VIDEO_TIMESCALE
        self._segmenter.audio(sample.at(sample.pts + base), wall_s)

    def room_frame(self, frame: bytes) -> None:
        """A frame of the stadium's room: goes with the part that is growing."""
        self._room.offer(frame, self._end_ticks)

    @property
    def room_frames_dropped(self) -> int:
        """Frames of the room that no part could take."""
        return self._room.dropped

    def interrupt(self) -> None:
        """Close what is open: media stopped or is about to change. What comes next follows a discontinuity."""
        if self._segmenter is not None:
            self._end_ticks = max(self._end_ticks, self._segmenter.flush())
        self._break_next = self._continues or bool(self._segments)
        self._notify()

    def lose(self) -> None:
        """No media: viewers keep the playlist, the stream's state says so."""
        if self.state == "flowing":
            self.interrupt()
            self._become("lost")

    def end(self) -> None:
        """The broadcast is over: ENDLIST, and nobody waits any longer."""
        if not self.ended:
            self.interrupt()
            self.ended = True
            self.ended_at_s = time.monotonic()
            self._notify()

    def move(self) -> None:
        """Another task owns the stream: those who wait here are sent there."""
        self.moved = True
        self._notify()

    def show_preview(self, jpeg: bytes) -> None:
        """A newer preview picture; the first one is told to the stream."""
        first, self.preview = self.preview is None, jpeg
        if first and self.state == "flowing":
            self._on_change(self)

    # ---- from the segmenter ----

    def begin_segment(self, start: int, wall_s: float) -> None:
        """A segment starts at ``start`` ticks; ``wall_s`` estimates when its first picture was taken."""
        estimate = wall_s - start / VIDEO_TIMESCALE
        anchor = self._date_anchor_s
        if anchor is None or self._break_next or abs(estimate - anchor) > _DATE_JUMP_S:
            anchor = estimate
        else:
            anchor += max(-_DATE_SLEW_S, min(_DATE_SLEW_S, estimate - anchor))
        if self._segments:
            # A clock that was set back, or a publisher that was nearer: one date must not name two pictures (6.2.1).
            before = self._segments[-1]
            anchor = max(anchor, before.program_date_s + before.duration_s - start / VIDEO_TIMESCALE - _DATE_SLEW_S)
        self._date_anchor_s = anchor
        date_s = anchor + start / VIDEO_TIMESCALE
        self._segments.append(HeldSegment(self._next_msn, self._init_number, date_s, self._break_next))
        self._next_msn += 1
        self._break_next = False

    def add_part(self, part: CutPart) -> None:
        """The open segment grows by one part, and those who wait for it are woken."""
        segment = self._segments[-1]
        name = self._part_name(segment.msn, len(segment.parts))
        segment.parts.append(playlist.Part(name, part.duration / VIDEO_TIMESCALE, part.independent))
        segment.views.append(memoryview(part.body))
        segment.events.append(self._room.take(part.start, part.duration))
        segment.pictures += part.pictures
        self.parts_cut += 1
        if self.state != "flowing":
            self._become("flowing")
        self._notify()

    def end_segment(self) -> None:
        """The open segment is complete; the oldest ones leave memory when no playlist and no cache wants them."""
        if not self._segments[-1].parts:
            # Nothing was ever told of it: the number is used again.
            broken = self._segments.pop()
            self._next_msn = broken.msn
            self._break_next = self._break_next or broken.discontinuity
            return
        closed = self._segments[-1]
        closed.close()
        self.keep(self._run, closed, self._inits[closed.init_number][1])
        # A segment that left the playlist stays for as long as the playlist is long (6.2.2).
        while len(self._segments) > 2 * self.settings.window_segments + 1:
            self._discontinuities += self._segments.popleft().discontinuity
        kept = {segment.init_number for segment in self._segments} | {self._init_number}
        for number in [number for number in self._inits if number not in kept]:
            del self._inits[number]

    # ---- to viewers ----

    @property
    def started(self) -> bool:
        """Whether there is something to play."""
        if self._continues:
            # Players that were watching take a playlist without a whole segment for an empty one, and give up on it.
            return any(segment.closed for segment in self._segments)
        return any(segment.parts for segment in self._segments)

    @property
    def last(self) -> tuple[int, int]:
        """Media sequence number and part index of the newest part; (-1, -1) before the first."""
        return self.last_of(1)

    def last_of(self, step: int) -> tuple[int, int]:
        """The same of the playlist whose parts are ``step`` parts each."""
        for segment in reversed(self._segments):
            if segment.part_count(step):
                return segment.msn, segment.part_count(step) - 1
        return -1, -1

    @property
    def breaks(self) -> int:
        """Discontinuities since the stream began, which the next run of it must exceed."""
        return self._discontinuities + sum(segment.discontinuity for segment in self._segments)

    def holds(self, msn: int, part: int | None, step: int = 1) -> bool:
        """Whether the playlist has what a blocking reload asks for (6.2.5.2)."""
        last_msn, last_part = self.last_of(step)
        if msn < last_msn:
            return True
        newest = self._segments[-1] if self._segments else None
        closed = newest is None or newest.msn != last_msn or newest.closed
        if msn > last_msn:
            return False
        return closed if part is None else part <= last_part

    def media_playlist(self, skip: bool, step: int = 1) -> bytes:
        """The media playlist as it stands, in parts of ``step`` parts each; made once for all who ask."""
        text = self._rendered.get((skip, step))
        if text is None:
            text = self._rendered[skip, step] = self._window(step).text(skip).encode()
        return text

    def multivariant_playlist(self) -> bytes:
        """The multivariant playlist, by what was measured so far."""
        formats = self._inits[self._init_number][0]
        shown = [segment for segment in self._segments if segment.parts][-self.settings.window_segments :]
        rates = [8 * sum(map(len, segment.views)) / segment.duration_s for segment in shown]
        seconds = sum(segment.duration_s for segment in shown)
        pictures = sum(segment.pictures for segment in shown)
        peak = max(rates, default=_BANDWIDTH_UNKNOWN)
        average = sum(8 * sum(map(len, segment.views)) for segment in shown) / seconds if seconds else peak
        parsed = None if formats.video is None else formats.video.parsed
        variant = playlist.Variant(
            uri=WIDE_PLAYLIST if self.stadium else MEDIA_PLAYLIST,
            bandwidth=int(peak * _BANDWIDTH_MARGIN),
            average_bandwidth=int(average),
            codecs=formats.codecs,
            width=parsed.width if parsed else 0,
            height=parsed.height if parsed else 0,
            frame_rate=pictures / seconds if seconds else 0.0,
        )
        return playlist.multivariant([variant], captions=self._captions).encode()

    async def media(self, name: str, deadline_s: float) -> tuple[bytes, str] | None:
        """Bytes and content type of what a playlist named, None if unknown; a hinted part is waited for."""
        match = _NAME.fullmatch(name)
        if match is None or match[1] != self._run:
            return None
        if match[2] is not None:
            held = self._inits.get(int(match[2]))
            return None if held is None else (held[1], "video/mp4")
        msn, part = int(match[3]), None if match[4] is None else int(match[4])
        if part is None:
            segment = self._segment(msn)
            body = None if segment is None else segment.told()
            return None if body is None else (body, "video/iso.segment")
        step = WIDE_STEP if match[5] else 1
        if name == self._hint(step):
            await self.wait(lambda: name != self._hint(step), deadline_s)
        segment = self._segment(msn)
        body = None if segment is None else segment.told_part(part, step)
        return None if body is None else (body, "video/iso.segment")

    async def wait(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        """Wait until ``condition`` holds after a change, at most ``deadline_s``; True when it holds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline_s
        self.waiting += 1
        try:
            while not condition():
                if self.ended or self.moved or loop.time() >= until:
                    return False
                if self._changed is None:
                    self._changed = loop.create_future()
                await asyncio.wait([self._changed], timeout=until - loop.time())
            return True
        finally:
            self.waiting -= 1

    def held_bytes(self) -> int:
        """Bytes of media in memory."""
        return sum(len(view) for segment in self._segments for view in segment.views)

    def _become(self, state: str) -> None:
        self.state = state
        self.state_at_ms = time.time_ns() // 1_000_000
        self._on_change(self)

    def _notify(self) -> None:
        self._rendered.clear()
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)

    def _segment(self, msn: int) -> HeldSegment | None:
        index = msn - self._segments[0].msn if self._segments else -1
        return self._segments[index] if 0 <= index < len(self._segments) else None

    def _part_name(self, msn: int, part: int, step: int = 1) -> str:
        return f"{self._run}_{msn}_{part}{'w' if step > 1 else ''}.m4s"

    def _hint(self, step: int) -> str:
        newest = self._segments[-1] if self._segments else None
        if newest is None or newest.closed:
            return self._part_name(self._next_msn, 0, step)
        return self._part_name(newest.msn, newest.part_count(step), step)

    def _window(self, step: int) -> playlist.MediaPlaylist:
        told = [segment for segment in self._segments if segment.part_count(step)]
        shown = told[-self.settings.window_segments :]
        gone = told[: -self.settings.window_segments]
        # Segments already dropped from memory are counted in `_discontinuities` when they go.
        return playlist.MediaPlaylist(
            segments=tuple(
                playlist.Segment(
                    msn=segment.msn,
                    uri=f"{self._run}_{segment.msn}.m4s" if segment.closed else "",
                    init_uri=f"{self._run}_init{segment.init_number}.mp4",
                    program_date_s=segment.program_date_s,
                    discontinuity=segment.discontinuity,
                    parts=segment.told_parts(step),
                )
                for segment in shown
            ),
            discontinuity_sequence=self._discontinuities + sum(segment.discontinuity for segment in gone),
            target_duration_s=self.settings.target_duration_s,
            part_target_s=self.settings.part_target_s * step,
            hint_uri=self._hint(step),
            ended=self.ended,
        )


def _unkept(_run: str, _segment: HeldSegment, _init: bytes) -> None:
    """Nothing is recorded."""


def _nobody() -> None:
    """Asks nobody for a key frame: there is no publisher."""
