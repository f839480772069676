"""Pictures of a recording for its timeline: the first picture of a segment each ten seconds, made in a thread.

They come from what is recorded and not from a publisher, so that they show what plays there, composed or not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from media.relay.held_segment import HeldSegment
from media.relay.thumbnail import first_picture

logger = logging.getLogger(__name__)

# Longest time between two pictures, which is a promise: one is made sooner where the next segment would be too late.
INTERVAL_S_MAX: Final = 10.0


def picture_name(run: str, segment: HeldSegment) -> str:
    """``thumb-{number}-{run}.jpg``: the segment that it is of (functions/streams/recording.py reads it)."""
    return f"thumb-{segment.msn:012d}-{run}.jpg"


class Storyboard:
    """Chooses the segments that get a picture, and makes it; at most one of each stream is being made.

    Parameters
    ----------
    width_px : int
        Width of a picture.
    on_picture : Callable[[str, str, bytes | None], None]
        Called on the event loop with stream id, name and JPEG once for each `offer` that was taken; None where there
        is none to show: it cannot be decoded, or the stream was forgotten.
    """

    def __init__(self, width_px: int, on_picture: Callable[[str, str, bytes | None], None]) -> None:
        self._width_px = width_px
        self._on_picture = on_picture
        self._last_s: dict[str, float] = {}
        self._making: dict[str, asyncio.Future[bytes | None]] = {}
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storyboard")

    def offer(self, stream_id: str, run: str, segment: HeldSegment, init: bytes) -> bool:
        """Whether a picture of this closed segment is made now; returns at once."""
        assert segment.body is not None, "a picture is made of a closed segment"
        at_s, last_s = segment.program_date_s, self._last_s.get(stream_id)
        # One longer than the usual: the next segment may be that much longer as well. A clock that was put back counts
        # as time for one.
        due = last_s is None or not last_s <= at_s <= last_s + INTERVAL_S_MAX - 1.25 * segment.duration_s
        if not due or stream_id in self._making:
            return False
        self._last_s[stream_id] = at_s
        loop = asyncio.get_running_loop()
        making = loop.run_in_executor(self._threads, first_picture, init + segment.body, self._width_px)
        self._making[stream_id] = making
        name = picture_name(run, segment)
        making.add_done_callback(lambda done: self._made(stream_id, name, done))
        return True

    def finish(self, stream_id: str) -> None:
        """No more segments of it come."""
        self._last_s.pop(stream_id, None)

    def forget(self, stream_id: str) -> None:
        """What is being made of it is not wanted any more."""
        self._last_s.pop(stream_id, None)
        self._making.pop(stream_id, None)

    def close(self) -> None:
        """Make no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _made(self, stream_id: str, name: str, done: asyncio.Future[bytes | None]) -> None:
        wanted = self._making.get(stream_id) is done
        if wanted:
            del self._making[stream_id]
        if done.cancelled():
            self._on_picture(stream_id, name, None)
            return
        if error := done.exception():
            logger.warning("no picture %s of %s: %s", name, stream_id, error)
        self._on_picture(stream_id, name, done.result() if wanted and error is None else None)
