"""A lower rendition as the relay holds it: parts of the source's length at the source's places, of a worker's pictures.

A part that the source has cut is awaited here until its pictures have come, and told as a gap when they do not in time
(EXT-X-GAP is what tells players to go to another rendition). The source waits for none of this. Pictures of a segment
refer to those before, so that a gap lasts to the end of its segment.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from media.relay import playlist, rungs
from media.relay.access_unit import AccessUnit
from media.relay.as_sent import Formats
from media.relay.cmaf import AudioFormat, VideoSample, fragment, init_segment
from media.relay.held_segment import HeldSegment
from media.relay.rendition import BANDWIDTH_MARGIN, Rendition
from media.relay.rungs import Rung
from media.relay.segmenter import CutPart
from media.relay.settings import Settings
from media.relay.wire import Configure

# A part that is not made this long after the source's own is a gap: twice what players hold back.
GAP_AFTER_S: Final = 2.0
# Pictures of parts that are not cut yet, or were given up: two seconds of sixty a second, and what is reordered.
_PICTURES_MAX: Final = 200


class _Awaited(msgspec.Struct, frozen=True):
    """A part that the source has, and this rendition not yet."""

    segment: HeldSegment
    index: int
    part: CutPart
    init_number: int
    # Whether its pictures were given to a worker that still lives.
    is_fed: bool
    cut_s: float


class LowerRendition(Rendition):
    """One rung's window.

    Parameters
    ----------
    short : int
        Its short side, which names it.
    run, settings, first_msn
        As `Rendition`.
    breaks : int
        Discontinuities before its first segment.
    """

    def __init__(self, short: int, run: str, settings: Settings, first_msn: int, breaks: int) -> None:
        super().__init__(f"{short}p", run, settings, first_msn)
        self.short = short
        self.breaks_gone = breaks
        self.rung: Rung | None = None
        # Parts told since the beginning: made, and given up because the worker was too slow for them.
        self.made = 0
        self.late = 0
        self._of: tuple[int, int, AudioFormat | None] | None = None
        # By init segment: what the source has, and what the worker makes of its pictures.
        self._formats: dict[int, Formats] = {}
        self._video: dict[int, Configure] = {}
        self._number = -1
        self._awaited: deque[_Awaited] = deque()
        self._pictures: dict[int, AccessUnit] = {}
        self._newest_dts = -1
        self._broken_msn = -1
        # The source's segments of those that are open here.
        self._sources: dict[int, HeldSegment] = {}

    # ---- from the ladder ----

    def configure(self, formats: Formats, frame_rate: float) -> Rung | None:
        """Formats of the source from here on; the rung to be made of them, None where there are no pictures."""
        parsed = None if formats.video is None else formats.video.parsed
        of = (0, 0, formats.audio) if parsed is None else (parsed.width, parsed.height, formats.audio)
        if of != self._of:
            self._of = of
            self._number += 1
            self._formats[self._number] = formats
            track = f"{self.name}_{self._number}"
            width, height, _ = of
            self.rung = (
                rungs.rung(self._settings, self.short, width, height, frame_rate, track) if parsed is not None else None
            )
        return self.rung

    def cut(self, segment: HeldSegment, part: CutPart, is_fed: bool, now: float) -> None:
        """The source has one part more: the newest of ``segment``."""
        self._awaited.append(_Awaited(segment, len(segment.parts) - 1, part, self._number, is_fed, now))
        self.advance(now)

    def describe(self, message: Configure) -> bool:
        """What the worker makes; False when it is not what the init segment of that number says already."""
        assert message.video is not None
        number = int(message.track.rpartition("_")[2])
        known = self._video.setdefault(number, message)
        self.notify()
        return known.video == message.video

    def picture(self, unit: AccessUnit, now: float) -> None:
        """A picture that the worker made."""
        self._pictures[unit.dts] = unit
        self._newest_dts = unit.dts
        while len(self._pictures) > _PICTURES_MAX:
            del self._pictures[next(iter(self._pictures))]
        self.advance(now)

    def abandon(self, now: float) -> None:
        """The worker is gone: what it has not made will not come."""
        self._awaited = deque(msgspec.structs.replace(each, is_fed=False) for each in self._awaited)
        self._pictures.clear()
        self.advance(now)

    def advance(self, now: float) -> None:
        """Tell every part of which it is known what it is."""
        told = False
        while self._awaited:
            head = self._awaited[0]
            video = self._of_part(head)
            if video is None and self._may_come(head, now):
                break
            self._awaited.popleft()
            self._tell(head, video)
            told = True
        if told or self._close():
            self.notify()

    @property
    def behind_parts(self) -> int:
        """Parts that the source has and this one not yet."""
        return len(self._awaited)

    def behind_s(self, now: float) -> float:
        """How long the source has had the part that comes next here."""
        return now - self._awaited[0].cut_s if self._awaited else 0.0

    # ---- to viewers ----

    def init(self, number: int) -> bytes | None:
        formats, made = self._formats.get(number), self._video.get(number)
        if formats is None or (made is None and formats.video is not None):
            return None
        return init_segment(None if made is None else made.video, formats.audio)

    def awaits_init(self, number: int) -> bool:
        return number == self._number and self.rung is not None and number not in self._video and not self.ended

    def variant(self, step: int, formats: Formats) -> playlist.Variant | None:
        """How the multivariant playlist tells of it; None beside a source that is no bigger."""
        parsed = None if formats.video is None else formats.video.parsed
        if self.rung is None or parsed is None or self.short >= min(parsed.width, parsed.height):
            return None
        peak, average, frame_rate = self.measured()
        expected = self.rung.bit_rate + (0 if formats.audio is None else formats.audio.bit_rate)
        return playlist.Variant(
            uri=self.uri(step),
            bandwidth=int((peak or expected) * BANDWIDTH_MARGIN),
            average_bandwidth=int(average or expected),
            codecs=",".join([self.rung.codec, *([] if formats.audio is None else [formats.audio.codec])]),
            width=self.rung.width,
            height=self.rung.height,
            frame_rate=frame_rate or float(self.rung.rate),
        )

    # ---- parts ----

    def _of_part(self, awaited: _Awaited) -> list[VideoSample] | None:
        """The pictures of a part; None while one is missing."""
        if awaited.segment.msn == self._broken_msn:
            return None
        samples: list[VideoSample] = []
        for slot in awaited.part.video:
            unit = self._pictures.get(slot.dts)
            if unit is None:
                return None
            samples.append(
                VideoSample(slot.dts, unit.pts - unit.dts, duration=slot.duration, key=unit.key, data=unit.data)
            )
        return samples

    def _may_come(self, awaited: _Awaited, now: float) -> bool:
        """Whether the pictures of a part that is not complete are still on their way."""
        if not awaited.is_fed or awaited.segment.msn == self._broken_msn or now - awaited.cut_s > GAP_AFTER_S:
            return False
        # They come in order: one that was passed over does not come.
        return self._newest_dts < awaited.part.video[-1].dts

    def _tell(self, awaited: _Awaited, video: list[VideoSample] | None) -> None:
        part, source = awaited.part, awaited.segment
        self._close()
        if not self.segments or self.segments[-1].msn != source.msn:
            made = HeldSegment(source.msn, awaited.init_number, source.program_date_s, source.discontinuity)
            self.segments.append(made)
            self._sources[source.msn] = source
            self.next_msn = source.msn + 1
            # A rendition that begins in the middle of a segment lacks what was before.
            for index in range(awaited.index):
                self._append(made, source, index, gap=True, independent=False, body=b"")
        segment = self.segments[-1]
        if video is None:
            self._broken_msn = source.msn
            self.late += awaited.is_fed
            self._append(segment, source, awaited.index, gap=True, independent=False, body=b"")
        else:
            self.made += 1
            segment.pictures += len(video)
            body = fragment(part.sequence, video, list(part.audio), part.start)
            independent = video[0].key if video else part.independent
            self._append(segment, source, awaited.index, gap=False, independent=independent, body=body)
        for slot in part.video:
            self._pictures.pop(slot.dts, None)
        self._close()

    def _append(
        self, segment: HeldSegment, source: HeldSegment, index: int, *, gap: bool, independent: bool, body: bytes
    ) -> None:
        name = self.part_name(source.msn, index)
        segment.parts.append(playlist.Part(name, source.parts[index].duration_s, independent, gap=gap))
        segment.views.append(memoryview(body))
        segment.events.append(source.events[index])

    def _close(self) -> bool:
        """Close the newest segment where the source's is closed and nothing of it is missing; True if it was."""
        newest = self.segments[-1] if self.segments else None
        if newest is None or newest.closed:
            return False
        source = self._sources[newest.msn]
        if not source.closed or len(newest.parts) < len(source.parts):
            return False
        newest.close()
        del self._sources[newest.msn]
        self.forget_old()
        kept = {segment.init_number for segment in self.segments} | {each.init_number for each in self._awaited}
        for number in [number for number in self._formats if number not in kept and number != self._number]:
            del self._formats[number]
            self._video.pop(number, None)
        return True
