"""The other host of a match for who watches `match` by WHEP: a feed's messages as the frames that they were.

On this task or on another: both come by a feed (rival.py). The outlet is the stage's, so that its watchers go on when
the rival's publisher changes, the stream moves to another task, or the feed begins anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import VideoFormat
from media.relay.h264 import START_CODE, annex_b, nal_units
from media.relay.jitter import Frame
from media.relay.outlet import Outlet
from media.relay.wire import Configure, Gone, Message, Opus, Picture

_RTP_TIMES: Final = 1 << 32
# A watcher asks at each frame until a key frame comes, and each asking may be a request to another task.
_KEY_FRAME_INTERVAL_S: Final = 0.3


class RivalOutlet:
    """Feeds one outlet from one feed after the other.

    Parameters
    ----------
    outlet : Outlet
        What watchers are sent.
    ask : Callable[[], None]
        Asks the other host for a key frame.
    """

    def __init__(self, outlet: Outlet, ask: Callable[[], None]) -> None:
        self._outlet = outlet
        self._ask = ask
        self._asked_s = 0.0
        self._parameters = b""

    def begin(self) -> None:
        """A feed begins, or another publisher in it: its timestamps are its own."""
        self._parameters = b""
        self._outlet.begin(self._request_key_frame)

    def end(self) -> None:
        """The match is over here."""
        self._outlet.end(self._request_key_frame)

    def take(self, message: Message) -> None:
        """The feed's next message."""
        match message:
            case Gone():
                self.begin()
            case Configure(video=video):
                self._parameters = b"" if video is None else _parameters(video)
            case Picture(unit=unit):
                self._picture(unit)
            case Opus():
                self._outlet.frame("audio", Frame(message.timestamp, message.data, time.monotonic(), after_loss=False))
            case _:
                # AAC, which is for the compositor.
                pass

    def _picture(self, unit: AccessUnit) -> None:
        if not self._outlet.tracks:
            return
        nals = nal_units(annex_b(unit.data))
        if nals:
            # RTP has no other place for parameter sets than before the picture that needs them.
            data = (self._parameters if unit.key else b"") + b"".join([START_CODE + nal for nal in nals])
            frame = Frame(unit.pts % _RTP_TIMES, data, time.monotonic(), after_loss=False)
            self._outlet.frame("video", frame)

    def _request_key_frame(self) -> None:
        now = time.monotonic()
        if now - self._asked_s >= _KEY_FRAME_INTERVAL_S:
            self._asked_s = now
            self._ask()


def _parameters(video: VideoFormat) -> bytes:
    return b"".join([START_CODE + nal for nal in (video.sps, *video.pps)])
