"""A segment in memory, with its parts, and what viewers are given of it."""

from __future__ import annotations

import msgspec

from media.relay import playlist
from media.relay.cmaf import AudioSample


class Sound(msgspec.Struct, frozen=True):
    """The AAC of one part, apart from its pictures; ``start`` in ticks of 1/90,000 s."""

    sequence: int
    start: int
    samples: tuple[AudioSample, ...]


class HeldSegment:
    """A segment in memory: its parts while it grows, one body with views into it afterwards."""

    __slots__ = (
        "_body",
        "closed",
        "discontinuity",
        "events",
        "init_number",
        "msn",
        "parts",
        "pictures",
        "program_date_s",
        "sounds",
        "views",
    )

    def __init__(self, msn: int, init_number: int, program_date_s: float, discontinuity: bool) -> None:
        self.msn = msn
        self.init_number = init_number
        self.program_date_s = program_date_s
        self.discontinuity = discontinuity
        self.parts: list[playlist.Part] = []
        self.views: list[memoryview] = []
        # Boxes of the room's frames before each part: for viewers, and no part of what is kept of the broadcast.
        self.events: list[bytes] = []
        # What the sound of each part is made of, for renditions that are made of it later (sound.py).
        self.sounds: list[Sound] = []
        self._body: bytes | None = None
        # Whether no part will be added.
        self.closed = False
        self.pictures = 0

    @property
    def duration_s(self) -> float:
        """Length of its parts."""
        return sum(part.duration_s for part in self.parts)

    def part_count(self, step: int) -> int:
        """Parts of ``step`` parts each that are complete; the last of a closed segment may be of fewer."""
        return -(-len(self.parts) // step) if self.closed else len(self.parts) // step

    def told_parts(self, step: int) -> tuple[playlist.Part, ...]:
        """The complete ones as a playlist names them."""
        if step == 1:
            return tuple(self.parts)
        return tuple(self._joined(index, step) for index in range(self.part_count(step)))

    def _joined(self, index: int, step: int) -> playlist.Part:
        parts = self.parts[index * step : (index + 1) * step]
        name = f"{parts[0].uri.rsplit('_', 1)[0]}_{index}w.m4s"
        return playlist.Part(
            name,
            sum(part.duration_s for part in parts),
            any(part.independent for part in parts),
            any(part.gap for part in parts),
        )

    def told_part(self, index: int, step: int = 1) -> bytes | None:
        """A part as viewers get it, the room's frames before the media; None for one that is not complete, or a gap."""
        if index >= self.part_count(step):
            return None
        first, last = index * step, min((index + 1) * step, len(self.views))
        if any(self.parts[at].gap for at in range(first, last)):
            return None
        return b"".join(self.events[at] + self.views[at] for at in range(first, last))

    def told(self) -> bytes | None:
        """The closed segment as viewers get it; None while it grows, or where all of it is a gap."""
        if not self.body or not any(self.events):
            return self.body or None
        told = zip(self.events, self.views, self.parts, strict=True)
        return b"".join(events + view for events, view, part in told if not part.gap)

    def close(self) -> None:
        """No part will be added."""
        self.closed = True

    @property
    def body(self) -> bytes | None:
        """The media of the closed segment, None while it grows.

        Joined when it is first asked for, which for most segments is never: who plays live asks for parts. Segment and
        parts share one copy of the bytes from then on.
        """
        if self._body is None and self.closed:
            self._body = b"".join(self.views)
            whole, at = memoryview(self._body), 0
            for index, view in enumerate(self.views):
                self.views[index] = whole[at : at + len(view)]
                at += len(view)
        return self._body
