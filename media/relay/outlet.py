"""What one publisher sends, handed on as it comes to those who watch by WHEP: encoded frames, nothing decoded.

An outlet belongs to a seat and outlives its publishers: who watches it goes on with the next one. In a match the sound
of a host goes from there into its feed as well (feed.py).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, Protocol

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from media.relay import h264
from media.relay.cmaf import AUDIO_TIMESCALE, VIDEO_TIMESCALE
from media.relay.jitter import Frame
from media.relay.timeline import TrackClock

# Frames kept for a watcher whose connection is slower than the media: half a second of video. Older ones would only
# come too late.
_HELD_MAX: Final = 15
_RATES: Final = {"video": VIDEO_TIMESCALE, "audio": AUDIO_TIMESCALE}


class Taker(Protocol):
    """What takes the frames of one kind."""

    kind: str

    def offer(self, publisher: int, frame: Frame, /) -> None:
        """Take a frame or leave it, at once; ``publisher`` is another number when timestamps are another clock's."""
        ...


class Outlet:
    """The frames of one seat, for its watchers."""

    def __init__(self) -> None:
        self.tracks: set[Taker] = set()
        self._ask: Callable[[], None] | None = None
        self._publisher = 0

    def begin(self, request_key_frame: Callable[[], None]) -> None:
        """A publisher takes the seat; its timestamps are its own."""
        self._publisher += 1
        self._ask = request_key_frame

    def end(self, request_key_frame: Callable[[], None]) -> None:
        """The publisher left, unless another one took its place before."""
        if self._ask == request_key_frame:
            self._ask = None

    def frame(self, kind: str, frame: Frame) -> None:
        """A frame of the present publisher."""
        for track in self.tracks:
            if track.kind == kind:
                track.offer(self._publisher, frame)

    def request_key_frame(self) -> None:
        """Ask the publisher for a key frame; may be called often."""
        if self._ask is not None:
            self._ask()


class OutletTrack(MediaStreamTrack):
    """One watcher's track: begins with a key frame, continues across publishers, drops what it cannot send in time."""

    def __init__(self, kind: str, outlet: Outlet) -> None:
        super().__init__()
        self.kind = kind
        self._outlet = outlet
        self._rate = _RATES[kind]
        self._time_base = Fraction(1, self._rate)
        self._frames: deque[tuple[int, bytes]] = deque()
        self._ready = asyncio.Event()
        self._open = kind == "audio"
        self._publisher = 0
        self._clock = TrackClock(self._rate)
        self._shift = 0
        self._sent = -1
        self._started_s = time.monotonic()
        outlet.tracks.add(self)

    def offer(self, publisher: int, frame: Frame) -> None:
        """Take a frame to be sent, or leave it: until a key frame comes nothing can be shown."""
        if publisher != self._publisher:
            self._publisher = publisher
            self._clock = TrackClock(self._rate)
            # The new publisher's first frame plays when it came, by the clock of those who watch.
            elapsed = round((frame.arrival_s - self._started_s) * self._rate)
            self._shift = max(elapsed, self._sent + 1)
            self._open = self.kind == "audio"
        pts = self._clock.ticks(frame.timestamp) + self._shift
        if self.kind == "video" and not self._takes(frame):
            return
        if len(self._frames) >= _HELD_MAX:
            self._frames.popleft()
        self._sent = max(self._sent, pts)
        self._frames.append((pts, frame.data))
        self._ready.set()

    async def recv(self) -> Any:
        """The next frame as a packet, which aiortc sends as it is."""
        while not self._frames and self.readyState == "live":
            self._ready.clear()
            await self._ready.wait()
        if self.readyState != "live":
            raise MediaStreamError
        pts, data = self._frames.popleft()
        packet = av.Packet(data)
        packet.pts = packet.dts = pts
        packet.time_base = self._time_base
        return packet

    def stop(self) -> None:
        """No more frames."""
        self._outlet.tracks.discard(self)
        super().stop()
        self._ready.set()

    def _takes(self, frame: Frame) -> bool:
        if len(self._frames) >= _HELD_MAX:
            self._frames.clear()
            self._open = False
        if not self._open or frame.after_loss:
            self._open = any(nal[0] & 0x1F == h264.NAL_IDR for nal in h264.nal_units(frame.data))
            if not self._open:
                self._outlet.request_key_frame()
        return self._open
