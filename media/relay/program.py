"""What viewers see of one stream: a bounded window of segments and parts, who waits for the next, and the media state.

Publishers come and go; the program goes on. Each new one continues the timeline after a discontinuity, so that players
keep playing (RFC 8216bis 4.4.4.3). Knows neither HTTP nor where media comes from.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from media.relay import playlist
from media.relay.access_unit import AccessUnit
from media.relay.as_sent import AsSent, Formats
from media.relay.cmaf import AUDIO_TIMESCALE, VIDEO_TIMESCALE, AudioFormat, AudioSample, VideoFormat, init_segment
from media.relay.control import LadderState
from media.relay.follower import Follower
from media.relay.h264 import carries_captions
from media.relay.held_segment import HeldSegment, Sound
from media.relay.lease import Beat
from media.relay.lower import LowerRendition
from media.relay.rendition import AS_SENT, WIDE_STEP, Rendition, media_name, playlist_name
from media.relay.segmenter import CutPart, Segmenter
from media.relay.settings import Settings
from media.relay.sound import SoundRendition
from media.relay.timed_metadata import TimedMetadata

__all__ = ["WIDE_STEP", "Formats", "Program"]

# The timeline of a new publisher starts on a tick that is a whole AAC frame in both clocks (1,024 samples of 48 kHz).
_BASE_STEP_TICKS: Final = 1_920
# Program date follows the estimate by at most this much a segment: 1,500 ppm, more than any crystal drifts.
_DATE_SLEW_S: Final = 0.003
# A publisher with too much to do stamps fewer seconds than pass. Once dates are this far behind they are put right, and
# the leap is a discontinuity: elsewhere they say what durations say.
_DATE_BEHIND_MAX_S: Final = 2.0
# What a run may have counted after it told of itself last.
_UNTOLD_SEGMENTS: Final = 10
_UNTOLD_BREAKS: Final = 4
_FIRST_SEGMENT_S: Final = 0.6


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
        first_msn = int(time.time())
        # Players that saw the run before tell ours by a discontinuity of its own number (4.4.4.3).
        self._continues = after is not None
        if after is not None:
            first_msn = max(first_msn, after.last_msn + _UNTOLD_SEGMENTS)
        self._inits: dict[int, tuple[Formats, bytes]] = {}
        self._init_number = -1
        self._source = AsSent(self._run, settings, first_msn, self._inits)
        if after is not None:
            self._source.breaks_gone = after.breaks + _UNTOLD_BREAKS
        self._segments = self._source.segments
        self._sound = SoundRendition(self._source, self._sound_format, self._run, settings)
        # Renditions that a follower makes, by name.
        self.lower: dict[str, LowerRendition] = {}
        self.follower: Follower | None = None
        self.ladder = LadderState()
        self._segmenter: Segmenter | None = None
        self._base_ticks = 0
        self._audio_rate = AUDIO_TIMESCALE
        self._end_ticks = 0
        self._break_next = False
        self._captions = False
        self._date_anchor_s: float | None = None
        self._multivariant: tuple[bool, bytes] | None = None
        # By rendition and step: the state of all renditions, and what is reported of them then.
        self._told_reports: dict[tuple[str, int], tuple[tuple[int, int], list[playlist.Report]]] = {}
        # Whether who comes now is given wide parts.
        self.stadium = False
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
            on_placed=self._placed,
        )
        if self.follower is not None:
            self.follower.configured(formats)

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
        if self.follower is not None:
            self.follower.interrupted()
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
            self.ended = self._source.ended = True
            self.ended_at_s = time.monotonic()
            if self.follower is not None:
                self.follower.ended()
            self._notify()

    def move(self) -> None:
        """Another task owns the stream: those who wait here are sent there."""
        self.moved = True
        self._notify()
        for rendition in self.lower.values():
            rendition.notify()

    def show_preview(self, jpeg: bytes) -> None:
        """A newer preview picture; the first one is told to the stream."""
        first, self.preview = self.preview is None, jpeg
        if first and self.state == "flowing":
            self._on_change(self)

    # ---- from a follower ----

    def lower_rendition(self, short: int) -> LowerRendition:
        """A lower rendition's window, which begins with the part that is cut next."""
        newest = self._segments[-1] if self._segments and not self._segments[-1].closed else None
        first_msn = self._source.next_msn if newest is None else newest.msn
        breaks = self._source.breaks - (newest is not None and newest.discontinuity)
        made = LowerRendition(short, self._run, self.settings, first_msn, breaks)
        self.lower[made.name] = made
        return made

    def tell_ladder(self, told: LadderState) -> None:
        """Which lower renditions there are now, or why none."""
        self._multivariant = None
        if told != self.ladder:
            self.ladder = told
            if self.state == "flowing":
                self._on_change(self)

    # ---- from the segmenter ----

    def begin_segment(self, start: int, wall_s: float) -> None:
        """A segment starts at ``start`` ticks; ``wall_s`` estimates when its first picture was taken."""
        estimate = wall_s - start / VIDEO_TIMESCALE
        anchor = self._date_anchor_s
        if anchor is None or self._break_next:
            anchor = estimate
        elif estimate - anchor > _DATE_BEHIND_MAX_S:
            anchor, self._break_next = estimate, True
        else:
            anchor += max(-_DATE_SLEW_S, min(_DATE_SLEW_S, estimate - anchor))
        if self._segments:
            # A clock that was set back, or a publisher that was nearer: one date must not name two pictures (6.2.1).
            before = self._segments[-1]
            anchor = max(anchor, before.program_date_s + before.duration_s - start / VIDEO_TIMESCALE - _DATE_SLEW_S)
        self._date_anchor_s = anchor
        date_s = anchor + start / VIDEO_TIMESCALE
        self._segments.append(HeldSegment(self._source.next_msn, self._init_number, date_s, self._break_next))
        self._source.next_msn += 1
        self._break_next = False

    def add_part(self, part: CutPart) -> None:
        """The open segment grows by one part, and those who wait for it are woken."""
        segment = self._segments[-1]
        name = self._source.part_name(segment.msn, len(segment.parts))
        segment.parts.append(playlist.Part(name, part.duration / VIDEO_TIMESCALE, part.independent))
        segment.views.append(memoryview(part.body))
        segment.events.append(self._room.take(part.start, part.duration))
        segment.sounds.append(Sound(part.sequence, part.start, part.audio))
        segment.pictures += part.pictures
        self.parts_cut += 1
        if self.state != "flowing":
            self._become("flowing")
        if self.follower is not None:
            self.follower.cut(segment, part)
        self._notify()

    def end_segment(self) -> None:
        """The open segment is complete; the oldest ones leave memory when no playlist and no cache wants them."""
        if not self._segments[-1].parts:
            # Nothing was ever told of it: the number is used again.
            broken = self._segments.pop()
            self._source.next_msn = broken.msn
            self._break_next = self._break_next or broken.discontinuity
            return
        closed = self._segments[-1]
        closed.close()
        if len(closed.parts) % WIDE_STEP:
            # The last of its wide parts is complete only now.
            self._notify()
        else:
            self._source.outdate()
            self._sound.outdate()
        self.keep(self._run, closed, self._inits[closed.init_number][1])
        self._source.forget_old()
        kept = {segment.init_number for segment in self._segments} | {self._init_number}
        for number in [number for number in self._inits if number not in kept]:
            del self._inits[number]

    # ---- to viewers ----

    @property
    def started(self) -> bool:
        """Whether there is something to play."""
        return self.has_started(self._source)

    def has_started(self, rendition: Rendition) -> bool:
        """The same of one rendition."""
        # Players that were watching take a playlist without a whole segment for an empty one, and give up on it.
        return rendition.started(whole=self._continues)

    @property
    def last(self) -> tuple[int, int]:
        """Media sequence number and part index of the newest part; (-1, -1) before the first."""
        return self.last_of(1)

    def last_of(self, step: int) -> tuple[int, int]:
        """The same of the playlist whose parts are ``step`` parts each."""
        return self._source.last_of(step)

    @property
    def breaks(self) -> int:
        """Discontinuities since the stream began, which the next run of it must exceed."""
        return self._source.breaks

    def holds(self, msn: int, part: int | None, step: int = 1) -> bool:
        """Whether the playlist has what a blocking reload asks for (6.2.5.2)."""
        return self._source.holds(msn, part, step)

    @property
    def formats(self) -> Formats | None:
        """What its newest init segment describes."""
        newest = self._inits.get(self._init_number)
        return None if newest is None else newest[0]

    @property
    def frame_rate(self) -> float:
        """Pictures a second as they come; 0 before the first part."""
        return self._source.measured()[2]

    @property
    def as_sent(self) -> Rendition:
        """The rendition that all others are made of."""
        return self._source

    def renditions(self) -> list[Rendition]:
        """All that viewers may hold: as sent, lower ones, sound alone where there are pictures besides."""
        formats = self.formats
        both = formats is not None and formats.video is not None and formats.audio is not None
        return [self._source, *self.lower.values(), *([self._sound] if both else [])]

    def named(self, name: str) -> tuple[Rendition, int] | None:
        """The rendition and step of a media playlist's name; None if there is none."""
        told = playlist_name(name)
        found = None if told is None else self._rendition(told[0])
        return None if told is None or found is None else (found, told[1])

    def media_playlist(self, skip: bool, step: int = 1, rendition: Rendition | None = None) -> bytes:
        """The media playlist as it stands, in parts of ``step`` parts each; made once for all who ask."""
        told = rendition or self._source
        return told.text(skip, step, self._reports(told, step))

    def multivariant_playlist(self) -> bytes:
        """The multivariant playlist, by what was measured so far."""
        if self._multivariant is None or self._multivariant[0] != self.stadium:
            formats = self._inits[self._init_number][0]
            step = WIDE_STEP if self.stadium else 1
            variants = [self._source.variant(step, formats)]
            for rendition in sorted(self.lower.values(), key=lambda each: -each.short):
                told = rendition.variant(step, formats) if rendition.short in self.ladder.renditions else None
                variants += [] if told is None else [told]
            if formats.video is not None and formats.audio is not None:
                variants.append(self._sound.variant(step, formats.audio))
            text = playlist.multivariant(variants, captions=self._captions).encode()
            self._multivariant = (self.stadium, text)
        return self._multivariant[1]

    async def media(self, name: str, deadline_s: float) -> tuple[bytes, str] | None:
        """Bytes and content type of what a playlist named, None if unknown; a hinted part is waited for."""
        told = media_name(name)
        rendition = None if told is None or told.run != self._run else self._rendition(told.rendition)
        if told is None or rendition is None:
            return None
        if told.init is not None:
            number = told.init
            if rendition.awaits_init(number):
                await self.wait(lambda: not rendition.awaits_init(number), deadline_s, rendition)
            init = rendition.init(number)
            return None if init is None else (init, "video/mp4")
        if told.part is not None and name == rendition.hint(told.step):
            await self.wait(lambda: name != rendition.hint(told.step), deadline_s, rendition)
        segment = rendition.segment(told.msn)
        if segment is None:
            return None
        if told.part is None:
            body = rendition.segment_body(segment)
        else:
            body = rendition.part_body(segment, told.part, told.step)
        return None if body is None else (body, "video/iso.segment")

    async def wait(self, condition: Callable[[], bool], deadline_s: float, rendition: Rendition | None = None) -> bool:
        """Wait until ``condition`` holds after a change, at most ``deadline_s``; True when it holds."""
        waited = rendition or self._source
        return await waited.wait(condition, lambda: waited.ended or self.moved, deadline_s)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(rendition.waiting for rendition in (self._source, self._sound, *self.lower.values()))

    def held_bytes(self) -> int:
        """Bytes of media in memory."""
        return sum(rendition.held_bytes() for rendition in (self._source, *self.lower.values()))

    def _become(self, state: str) -> None:
        self.state = state
        self.state_at_ms = time.time_ns() // 1_000_000
        self._on_change(self)

    def _notify(self) -> None:
        self._multivariant = None
        self._source.notify()
        self._sound.follow()

    def _placed(self, unit: AccessUnit, begins: bool) -> None:
        if self.follower is not None:
            self.follower.placed(unit, begins)

    def _rendition(self, name: str) -> Rendition | None:
        if name == AS_SENT:
            return self._source
        return self._sound if name == self._sound.name else self.lower.get(name)

    def _reports(self, told: Rendition, step: int) -> list[playlist.Report]:
        """Where the others stand (4.4.5.4), for who changes to one of them; found out once a change for all who ask."""
        version = self._source.version + self._sound.version + sum(each.version for each in self.lower.values())
        state, key = (version, len(self.lower)), (told.name, step)
        known = self._told_reports.get(key)
        if known is None or known[0] != state:
            others = [(each.uri(step), each.last_of(step)) for each in self.renditions() if each is not told]
            reports = [playlist.Report(uri, msn, part) for uri, (msn, part) in others if msn >= 0]
            known = self._told_reports[key] = (state, reports)
        return known[1]

    def _sound_format(self, number: int) -> AudioFormat | None:
        held = self._inits.get(number)
        return None if held is None else held[0].audio


def _unkept(_run: str, _segment: HeldSegment, _init: bytes) -> None:
    """Nothing is recorded."""


def _nobody() -> None:
    """Asks nobody for a key frame: there is no publisher."""
