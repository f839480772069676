"""A room's frames as timed metadata of the media: what waits for the next part, and its bytes. Pure.

Each frame is an ID3v2.4 tag with one TXXX text in an event message box (`emsg`) before the `moof` of the part that its
time lies in: https://aomediacodec.github.io/id3-emsg/ and ISO/IEC 23009-1 5.10.3.3. Players read it beside the picture
and never decode it. A part never waits for the room, and carries a bounded number of bytes of it.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

from media.relay.cmaf import VIDEO_TIMESCALE, full_box

SCHEME: Final = b"https://aomedia.org/emsg/ID3"
# The TXXX's description: players hand out every TXXX there is.
DESCRIPTION: Final = b"onair.frame"
# A frame is at most 24 KB: two fit a part whatever they hold, which is six times what a room makes in a second.
PART_BYTES_MAX: Final = 52 * 1024
# Beyond this the oldest are left out; who misses them reads them from storage.
PENDING_MAX: Final = 400
PENDING_BYTES_MAX: Final = 1024 * 1024
FRAME_BYTES_MAX: Final = 25 * 1024
_DURATION_UNKNOWN: Final = 0xFFFFFFFF
_UTF8: Final = b"\x03"


def id3(text: bytes) -> bytes:
    """An ID3v2.4 tag (https://id3.org/id3v2.4.0-structure) with ``text`` (UTF-8, no zero byte) as its one TXXX."""
    content = _UTF8 + DESCRIPTION + b"\0" + text
    frame = b"TXXX" + _syncsafe(len(content)) + bytes(2) + content
    return b"ID3\x04\0\0" + _syncsafe(len(frame)) + frame


def event_message(text: bytes, at: int, number: int) -> bytes:
    """An `emsg` of version 1 that says ``text`` at ``at`` ticks of the program's timeline."""
    times = struct.pack(">IQII", VIDEO_TIMESCALE, at, _DURATION_UNKNOWN, number & 0xFFFFFFFF)
    return full_box(b"emsg", 1, 0, times, SCHEME, b"\0", b"\0", id3(text))


def _syncsafe(size: int) -> bytes:
    assert 0 <= size < 1 << 28, "an ID3 size has 28 bits"
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


class TimedMetadata:
    """Frames on their way into the media, in order."""

    def __init__(self) -> None:
        self.dropped = 0
        self._pending: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self._number = 0

    def offer(self, frame: bytes, at: int) -> None:
        """A frame that came when the program's timeline stood at ``at`` ticks; never waits."""
        if len(frame) > FRAME_BYTES_MAX or b"\0" in frame:
            self.dropped += 1
            return
        self._pending.append((frame, at))
        self._bytes += len(frame)
        while len(self._pending) > PENDING_MAX or self._bytes > PENDING_BYTES_MAX:
            self._bytes -= len(self._pending.popleft()[0])
            self.dropped += 1

    def take(self, start: int, duration: int) -> bytes:
        """The boxes that go before a part: at most 52 KB, the rest before the next.

        A frame's time is when it came, within the part: one that came before it is shown with its first picture.
        """
        boxes: list[bytes] = []
        size = 0
        end = start + max(1, duration)
        while self._pending:
            frame, at = self._pending[0]
            # Came after this part's last picture: the next part's, unless that clock is far off.
            if end <= at < end + VIDEO_TIMESCALE:
                break
            box = event_message(frame, min(max(at, start), end - 1), self._number)
            if boxes and size + len(box) > PART_BYTES_MAX:
                break
            self._pending.popleft()
            self._bytes -= len(frame)
            self._number += 1
            boxes.append(box)
            size += len(box)
        return b"".join(boxes)
