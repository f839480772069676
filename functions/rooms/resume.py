"""What someone who comes in, or comes back, must be sent so that nothing is missed and nothing comes twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct

from functions.rooms.model import RECENT_FRAMES_MAX, RESUME_FRAMES_MAX, StoredFrame
from functions.rooms.port import Rooms

# Of the 32 KB that one message may have: a frame of 24 KB always fits beside what `joined` says otherwise.
FRAMES_BYTES_MAX: Final = 28 * 1024
# Frames are read in pages: many small ones fill a page long before their number does.
PAGE_FRAMES_MAX: Final = 200
# An empty frame has 250 bytes; comments are the bulk.
RECENT_BYTES_MAX: Final = 12 * 1024


class Page(Struct, frozen=True):
    """Frames in order, ready to be sent; ``seq`` is the newest there is, ``more`` tells whether others follow."""

    seq: int
    frames: list[Raw]
    more: bool
    resumed: bool


def page(rooms: Rooms, stream_id: str, epoch: str, *, asked: str | None, after: int | None, bytes_max: int) -> Page:
    """The frames after ``after`` where that is a place in this ``epoch`` and not too long ago; else the newest ones."""
    if asked == epoch and after is not None:
        found = rooms.frames_after(stream_id, after, PAGE_FRAMES_MAX)
        taken = _first(found, bytes_max)
        whole = taken == found and len(found) < PAGE_FRAMES_MAX
        # Without further frames the first read is the truth: what was put after it is posted to who registered before.
        last = taken[-1].seq if taken else after
        head = rooms.head(stream_id) if not whole or not found else None
        newest = head.seq if head else 0
        if whole and (found or newest >= after):
            return Page(last, [Raw(frame.body.encode()) for frame in taken], more=False, resumed=True)
        if not whole and newest <= after + RESUME_FRAMES_MAX:
            return Page(newest, [Raw(frame.body.encode()) for frame in taken], more=newest > last, resumed=True)
    recent = [frame for frame in rooms.newest_frames(stream_id, RECENT_FRAMES_MAX) if frame.epoch == epoch]
    kept = _last(recent, min(RECENT_BYTES_MAX, bytes_max))
    head_seq = recent[-1].seq if recent else (after or 0)
    return Page(head_seq, [Raw(frame.body.encode()) for frame in kept], more=False, resumed=False)


def _first(frames: Sequence[StoredFrame], bytes_max: int) -> list[StoredFrame]:
    taken: list[StoredFrame] = []
    size = 0
    for frame in frames:
        size += len(frame.body.encode()) + 1
        # One always goes, or the client would never get past it.
        if taken and size > bytes_max:
            break
        taken.append(frame)
    return taken


def _last(frames: Sequence[StoredFrame], bytes_max: int) -> list[StoredFrame]:
    return list(reversed(_first(list(reversed(frames)), bytes_max)))
