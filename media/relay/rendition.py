"""One rendition of a program: the segments that it holds, what playlists tell of them, and who waits for the next part.

The rendition as sent is one, and so are those that are made of it (sound.py, lower.py): all have the same segments and
parts under names of their own. Section numbers are those of draft-pantos-hls-rfc8216bis-16.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from media.relay import playlist
from media.relay.held_segment import HeldSegment
from media.relay.settings import Settings

# The same media in parts of three parts each: a third of the requests, for viewers who come into a stadium. A playlist
# may not change its PART-TARGET, so there are two of each rendition, and each viewer stays with one.
WIDE_STEP: Final = 3
# The rendition as sent has no name of its own.
AS_SENT: Final = ""
# BANDWIDTH is the peak of what was measured, and what may yet come.
BANDWIDTH_MARGIN: Final = 1.2
_FILES: Final = {1: "media.m3u8", WIDE_STEP: "wide.m3u8"}
_NAME: Final = re.compile(
    r"([0-9a-f]{8})_(?:([0-9]{2,4}p|audio)_)?(?:init(\d{1,6})\.mp4|(\d{1,12})(?:_(\d{1,4})(w?))?\.m4s)"
)
_PLAYLIST: Final = re.compile(r"([0-9]{2,4}p|audio)(-wide)?\.m3u8")


class MediaName(NamedTuple):
    """What the name of an init segment, a segment or a part says."""

    run: str
    rendition: str
    init: int | None
    msn: int
    part: int | None
    step: int


def media_name(name: str) -> MediaName | None:
    """What ``name`` says; None if it is no name of ours."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    run, rendition, init, msn, part, wide = match.groups()
    return MediaName(
        run=run,
        rendition=rendition or AS_SENT,
        init=None if init is None else int(init),
        msn=-1 if msn is None else int(msn),
        part=None if part is None else int(part),
        step=WIDE_STEP if wide else 1,
    )


def playlist_name(name: str) -> tuple[str, int] | None:
    """The rendition and step of a media playlist's name; None if it is none."""
    for step, file in _FILES.items():
        if name == file:
            return AS_SENT, step
    match = _PLAYLIST.fullmatch(name)
    return None if match is None else (match[1], WIDE_STEP if match[2] else 1)


class Rendition(ABC):
    """One rendition's window.

    Parameters
    ----------
    name : str
        ``720p``, ``audio`` and so on; `AS_SENT` for the one that the publisher sends.
    run : str
        The prefix of this run's names.
    settings : Settings
        Lengths and bounds.
    first_msn : int
        Number of the first segment.
    """

    def __init__(self, name: str, run: str, settings: Settings, first_msn: int) -> None:
        self.name = name
        self.segments: deque[HeldSegment] = deque()
        self.next_msn = first_msn
        # Discontinuities of segments that were told once and are in memory no longer.
        self.breaks_gone = 0
        self.ended = False
        self.waiting = 0
        # Another one with each change of what its playlists say.
        self.version = 0
        self._prefix = f"{run}_{name}_" if name else f"{run}_"
        self._settings = settings
        self._changed: asyncio.Future[None] | None = None
        self._rendered: dict[tuple[bool, int], tuple[Sequence[playlist.Report], bytes]] = {}

    def uri(self, step: int) -> str:
        """The name of its media playlist."""
        return _FILES[step] if self.name == AS_SENT else f"{self.name}{'-wide' if step > 1 else ''}.m3u8"

    # ---- what a kind of rendition says for itself ----

    def told_parts(self, segment: HeldSegment, step: int) -> tuple[playlist.Part, ...]:
        """A segment's complete parts as a playlist names them."""
        return segment.told_parts(step)

    def part_body(self, segment: HeldSegment, index: int, step: int) -> bytes | None:
        """A part as viewers get it; None for one that is not there."""
        return segment.told_part(index, step)

    def segment_body(self, segment: HeldSegment) -> bytes | None:
        """A closed segment as viewers get it; None while it grows."""
        return segment.told()

    @abstractmethod
    def init(self, number: int) -> bytes | None:
        """An init segment; None for one that is not there."""

    def awaits_init(self, number: int) -> bool:  # noqa: ARG002 (those that are made later say when)
        """Whether that init segment is named already and still to be made."""
        return False

    # ---- the window ----

    def last_of(self, step: int) -> tuple[int, int]:
        """Media sequence number and part index of the newest part of ``step`` parts; (-1, -1) before the first."""
        for segment in reversed(self.segments):
            if segment.part_count(step):
                return segment.msn, segment.part_count(step) - 1
        return -1, -1

    def holds(self, msn: int, part: int | None, step: int = 1) -> bool:
        """Whether the playlist has what a blocking reload asks for (6.2.5.2)."""
        last_msn, last_part = self.last_of(step)
        if msn < last_msn:
            return True
        newest = self.segments[-1] if self.segments else None
        closed = newest is None or newest.msn != last_msn or newest.closed
        if msn > last_msn:
            return False
        return closed if part is None else part <= last_part

    def started(self, whole: bool) -> bool:
        """Whether there is something to play, or with ``whole`` a whole segment of it."""
        return any(segment.closed if whole else segment.parts for segment in self.segments)

    def segment(self, msn: int) -> HeldSegment | None:
        """The segment of that number, if it is in memory."""
        index = msn - self.segments[0].msn if self.segments else -1
        return self.segments[index] if 0 <= index < len(self.segments) else None

    def forget_old(self) -> None:
        """Let go of segments that no playlist and no cache wants any longer."""
        # A segment that left the playlist stays for as long as the playlist is long (6.2.2).
        while len(self.segments) > 2 * self._settings.window_segments + 1:
            self.breaks_gone += self.segments.popleft().discontinuity

    @property
    def breaks(self) -> int:
        """Discontinuities up to the newest segment."""
        return self.breaks_gone + sum(segment.discontinuity for segment in self.segments)

    # ---- names ----

    def part_name(self, msn: int, part: int, step: int = 1) -> str:
        """How a part is named."""
        return f"{self._prefix}{msn}_{part}{'w' if step > 1 else ''}.m4s"

    def hint(self, step: int) -> str:
        """The name of the part that comes next."""
        newest = self.segments[-1] if self.segments else None
        if newest is None or newest.closed:
            return self.part_name(self.next_msn, 0, step)
        return self.part_name(newest.msn, newest.part_count(step), step)

    # ---- to viewers ----

    def text(self, skip: bool, step: int, reports: Sequence[playlist.Report]) -> bytes:
        """The media playlist as it stands, made once a change for all who ask."""
        known = self._rendered.get((skip, step))
        if known is None or known[0] != reports:
            text = self._window(step, reports).text(skip).encode()
            known = self._rendered[skip, step] = (reports, text)
        return known[1]

    def outdate(self) -> None:
        """What its playlists say has changed; nobody who waits for a part gets it by this."""
        self.version += 1
        self._rendered.clear()

    def notify(self) -> None:
        """What its playlists say has changed: wake all who wait for this rendition; they look again."""
        self.outdate()
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)

    async def wait(self, condition: Callable[[], bool], over: Callable[[], bool], deadline_s: float) -> bool:
        """Wait until ``condition`` holds after a change, at most ``deadline_s`` or until ``over``; True if it holds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline_s
        self.waiting += 1
        try:
            while not condition():
                if over() or loop.time() >= until:
                    return False
                if self._changed is None:
                    self._changed = loop.create_future()
                await asyncio.wait([self._changed], timeout=until - loop.time())
            return True
        finally:
            self.waiting -= 1

    def measured(self) -> tuple[float, float, float]:
        """Peak and average bits a second and pictures a second of what the playlist shows; zeros before the first."""
        shown = [segment for segment in self.segments if segment.parts][-self._settings.window_segments :]
        made = [(sum(map(len, segment.views)), segment.duration_s, segment.pictures) for segment in shown]
        made = [each for each in made if each[0]]
        seconds = sum(length for _, length, _ in made)
        if not seconds:
            return 0.0, 0.0, 0.0
        peak = max(8 * size / length for size, length, _ in made)
        average = 8 * sum(size for size, _, _ in made) / seconds
        return peak, average, sum(pictures for _, _, pictures in made) / seconds

    def held_bytes(self) -> int:
        """Bytes of media in memory."""
        return sum(len(view) for segment in self.segments for view in segment.views)

    def _window(self, step: int, reports: Sequence[playlist.Report]) -> playlist.MediaPlaylist:
        told = [segment for segment in self.segments if segment.part_count(step)]
        shown = told[-self._settings.window_segments :]
        gone = told[: -self._settings.window_segments]
        # Segments already dropped from memory are counted in `breaks_gone` when they go.
        return playlist.MediaPlaylist(
            segments=tuple(
                playlist.Segment(
                    msn=segment.msn,
                    uri=f"{self._prefix}{segment.msn}.m4s" if segment.closed else "",
                    init_uri=f"{self._prefix}init{segment.init_number}.mp4",
                    program_date_s=segment.program_date_s,
                    discontinuity=segment.discontinuity,
                    parts=self.told_parts(segment, step),
                )
                for segment in shown
            ),
            discontinuity_sequence=self.breaks_gone + sum(segment.discontinuity for segment in gone),
            target_duration_s=self._settings.target_duration_s,
            part_target_s=self._settings.part_target_s * step,
            hint_uri=self.hint(step),
            ended=self.ended,
            reports=() if self.ended else tuple(reports),
        )
