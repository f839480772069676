"""`python -m media.relay.ladder`: a worker that makes lower renditions of one stream's pictures (wire.py in and out).

Each picture is decoded once, scaled once a rung and encoded by x264 in a thread a rung. What comes out are as many
pictures as went in, with the same decode times and the same presentation times, so that parts can be cut at the same
places; key frames stand where the relay says that a segment begins, and nowhere else. Pictures of a rung are never
reordered: the one that is shown next is coded next.
"""

from __future__ import annotations

import heapq
import os
import queue
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, BinaryIO, Final

import av
import av.error
import msgspec
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from media.relay import h264, wire
from media.relay.access_unit import AccessUnit
from media.relay.cmaf import VIDEO_TIMESCALE, VideoFormat, length_prefixed
from media.relay.h264 import START_CODE, annex_b
from media.relay.parameters import Parameters, of_sample
from media.relay.rungs import Rung
from media.relay.wire import Configure, Gone, KeyFrame, Make, Message, Picture

_BASE: Final = Fraction(1, VIDEO_TIMESCALE)
_WAITING_MAX: Final = 2_000
# A picture this far behind the newest one that came is not encoded; nor are those after it, to a segment's first
# picture that is nearly up to date. Decoding alone catches up many times faster. The relay gives up parts after 2 s.
_BEHIND_TICKS: Final = VIDEO_TIMESCALE * 3 // 2
_CAUGHT_UP_TICKS: Final = VIDEO_TIMESCALE
# Pictures between one and the next in decoding order that is shown after it: H.264 reorders at most 16.
_REORDERED_MAX: Final = 17
# Below compositions, which are all that their viewers see.
_NICE: Final = 8
# The quality that is worth its bits on a small picture; where it would take more, the rung's bit rate is the bound.
_CRF: Final = 25


class Slot(msgspec.Struct, frozen=True):
    """The place of one picture in decoding order, for whichever picture is coded there."""

    dts: int
    begins: bool
    wall_s: float


class Encoder:
    """One rung: scales, encodes, and tells what it made."""

    def __init__(self, rung: Rung) -> None:
        self.rung = rung
        self._scaler = VideoReformatter()
        self._encoder = _encoder(rung)
        self._parameters = Parameters()
        self._told: VideoFormat | None = None

    def encode(self, frame: VideoFrame, pts: int, slot: Slot, captions: list[bytes]) -> list[Message]:
        """The messages that a picture makes; ``captions`` are its NAL units that are no picture."""
        scaled = self._scaler.reformat(
            frame, self.rung.width, self.rung.height, "yuv420p", interpolation=Interpolation.BILINEAR, threads=1
        )
        scaled.pts, scaled.time_base = pts, _BASE
        scaled.pict_type = PictureType.I if slot.begins else PictureType.NONE
        packets = self._encoder.encode(scaled)
        return [message for packet in packets for message in self._told_of(packet, pts, slot, captions)]

    def _told_of(self, packet: Any, pts: int, slot: Slot, captions: list[bytes]) -> list[Message]:
        made: list[Message] = []
        nals = h264.nal_units(bytes(packet))
        key = self._parameters.take(nals)
        if key and self._parameters.changed() is not None and self._parameters.format != self._told:
            self._told = self._parameters.format
            made.append(Configure(self.rung.track, self._told, None))
        slices = of_sample(nals)
        if slices:
            data = length_prefixed([*captions, *slices])
            unit = AccessUnit(dts=slot.dts, pts=pts, key=key, data=data, wall_s=slot.wall_s)
            made.append(Picture(self.rung.track, unit))
        return made


class Ladder:
    """One stream in, its rungs out.

    Parameters
    ----------
    out : BinaryIO
        Takes messages.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._pool = ThreadPoolExecutor(thread_name_prefix="rung")
        self._encoders: list[Encoder] = []
        self._decoder: Any = None
        self._parameters = b""
        self._begins = False
        # Pictures that are awaited from the decoder, by what is shown first, after which IDR picture; and the places
        # of those pictures in decoding order.
        self._awaited: list[tuple[int, int]] = []
        self._slots: deque[Slot] = deque()
        # Captions of those pictures, by when they are shown: viewers of every rendition read them.
        self._captions: dict[int, list[bytes]] = {}
        self._sequence = 0
        self._shown: VideoFrame | None = None
        # Whether pictures are left out; at first until a segment begins, and not for having been late before.
        self._left_out = self._is_new = True
        # The newest that has come down the pipe, which another thread reads.
        self.newest_dts = 0

    def take(self, message: Message) -> None:
        """Do what a message says."""
        match message:
            case Make():
                self._flush()
                self._encoders = [Encoder(rung) for rung in message.rungs]
                self._left_out = self._is_new = True
            case Configure(video=VideoFormat() as video):
                self._flush()
                self._parameters = b"".join([START_CODE + nal for nal in (video.sps, *video.pps)])
                self._shown = None
            case Picture():
                self._picture(message.unit)
            case KeyFrame():
                self._begins = True
            case Gone():
                self._flush()
            case _:
                pass

    def _picture(self, unit: AccessUnit) -> None:
        if self._decoder is None:
            if not unit.key:
                return
            self._decoder = av.CodecContext.create("h264", "r")
            # One thread: frame threads would hold back a picture each.
            self._decoder.thread_count = 1
        if unit.key:
            # An IDR picture: all that came before is shown before it.
            self._sequence += 1
        heapq.heappush(self._awaited, (self._sequence, unit.pts))
        self._slots.append(Slot(unit.dts, self._begins, unit.wall_s))
        self._begins = False
        if captions := h264.captions(unit.data):
            self._captions[unit.pts] = captions
        packet = av.Packet((self._parameters if unit.key else b"") + annex_b(unit.data))
        packet.pts, packet.dts, packet.time_base = unit.pts, unit.dts, _BASE
        self._decode(packet)
        while len(self._awaited) > _REORDERED_MAX:
            self._next(None)

    def _decode(self, packet: Any) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            # Its picture is missing: the one before stands in its place.
            return
        for frame in frames:
            while self._awaited and frame.pts is not None and self._awaited[0][1] != frame.pts:
                if all(pts != frame.pts for _, pts in self._awaited):
                    break
                self._next(None)
            else:
                if self._awaited and frame.pts is not None:
                    self._next(frame)

    def _flush(self) -> None:
        """What was sent so far is all that comes: make the rest of it."""
        if self._decoder is not None:
            self._decode(None)
            while self._awaited:
                self._next(None)
        self._decoder = None
        self._slots.clear()
        self._captions.clear()

    def _next(self, frame: VideoFrame | None) -> None:
        """Encode the picture that is shown next; without one of its own, the one before again."""
        _, pts = heapq.heappop(self._awaited)
        slot = self._slots.popleft()
        captions = self._captions.pop(pts, [])
        self._shown = shown = frame or self._shown
        behind = self.newest_dts - slot.dts
        if slot.begins and behind < (_BEHIND_TICKS if self._is_new else _CAUGHT_UP_TICKS):
            self._left_out = self._is_new = False
        elif behind > _BEHIND_TICKS:
            self._left_out = True
        if shown is None or self._left_out:
            self._left_out = True
            return

        def encode(encoder: Encoder) -> list[Message]:
            return encoder.encode(shown, pts, slot, captions)

        for made in self._pool.map(encode, self._encoders):
            for message in made:
                self._out.write(wire.encoded(message))
        self._out.flush()


def read(source: BinaryIO, messages: queue.Queue[Message | None], ladder: Ladder) -> None:
    """Put what comes down the pipe into the queue, which makes the pipe wait when it is full; None at the end."""
    try:
        while True:
            header = source.read(wire.LENGTH.size)
            if len(header) < wire.LENGTH.size:
                return
            message = wire.decoded(source.read(wire.length(header)))
            if isinstance(message, Picture):
                ladder.newest_dts = message.unit.dts
            messages.put(message)
    except (ValueError, msgspec.DecodeError) as error:
        print(f"the relay spoke nonsense: {error}", file=sys.stderr)  # noqa: T201
    finally:
        messages.put(None)


def _encoder(rung: Rung) -> Any:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = rung.width, rung.height, "yuv420p"
    encoder.time_base, encoder.framerate = _BASE, Fraction(rung.rate, 1)
    encoder.thread_count = 1
    encoder.profile = "Main"
    encoder.options = {
        # As compositions are made (compositor.py).
        "preset": "superfast",
        "tune": "zerolatency",
        "forced-idr": "1",
        # The relay's are handed on as they came.
        "a53cc": "0",
        "level": f"{rung.level // 10}.{rung.level % 10}",
        "crf": str(_CRF),
        "maxrate": str(rung.bit_rate),
        "bufsize": str(rung.bit_rate),
        "x264-params": "keyint=infinite:scenecut=0:repeat-headers=1",
    }
    return encoder


def main() -> None:
    """Read from standard input, write to standard output, end when the input does."""
    # The relay's event loop goes first: viewers wait for its parts.
    os.nice(_NICE)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever prints by mistake must not speak on the pipe.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    messages: queue.Queue[Message | None] = queue.Queue(_WAITING_MAX)
    ladder = Ladder(out)
    threading.Thread(target=read, args=(sys.stdin.buffer, messages, ladder), daemon=True).start()
    try:
        while (message := messages.get()) is not None:
            ladder.take(message)
    except BrokenPipeError:
        # The relay is gone.
        return


if __name__ == "__main__":
    main()
