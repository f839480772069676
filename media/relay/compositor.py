"""`python -m media.relay.compositor`: a worker that makes one programme of host and guests (wire.py in and out).

Pictures are decoded, scaled and put together by a libav filter graph, and encoded by x264; sound is added up
(mixer.py). The clock makes the pictures: 30 a second, of whatever each track showed last, a little behind now so that
picture and sound of every track have arrived. A machine that is too slow for that makes fewer.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import time
from collections import deque
from fractions import Fraction
from typing import Any, BinaryIO, Final

import av
import av.error
import msgspec
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import PictureType, VideoFrame

from media.relay import h264, wire
from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AAC_FRAME_SAMPLES, AUDIO_TIMESCALE, VIDEO_TIMESCALE, VideoFormat, length_prefixed
from media.relay.h264 import START_CODE, annex_b
from media.relay.layout import cells
from media.relay.mixer import Mixer, Voice
from media.relay.parameters import Parameters, of_sample
from media.relay.wire import Arrange, Configure, Gone, KeyFrame, Make, Message, Opus, Picture, Sound

PROGRAM: Final = "program"
RATE: Final = 30
# Sound comes up to 0.1 s after its picture (transcoding), loss repair takes up to 0.5 s; more delay helps few.
_BEHIND_S: Final = 0.3
_WAITING_MAX: Final = 2_000
_FRAMES_HELD_MAX: Final = 45
_PIXELS_HELD_MAX: Final = _FRAMES_HELD_MAX * 1920 * 1088
# What is longer and thinner is no camera's picture, and filling a cell with it would take a picture of any size.
_ASPECT_MAX: Final = 8
# A key frame at least this often, also when nobody asks.
_KEY_FRAME_S: Final = 4
_LATE_FRAMES_MAX: Final = 3
_TAKEN_MAX: Final = 64
# Key frames are asked for at the start; a camera that sends none for so long is shown as off.
_AWAITED_S: Final = 2.0
_FRAME_BASE: Final = Fraction(1, RATE)
_TICKS: Final = VIDEO_TIMESCALE // RATE
_EMPTY_LUMA: Final = 40
_NICE: Final = 5


class Track:
    """One track's newest pictures and sound, each with the wall clock time at which it is shown."""

    def __init__(self) -> None:
        self.voice = Voice()
        self._decoder: Any = None
        self._parameters = b""
        self._frames: deque[tuple[float, VideoFrame]] = deque()
        self._offset_s: float | None = None
        self._audio_rate = AUDIO_TIMESCALE
        self.has_video = False
        self.shown: VideoFrame | None = None

    def configure(self, message: Configure) -> None:
        """Formats of what follows."""
        self.voice.configure(message.audio)
        if message.audio is not None:
            self._audio_rate = message.audio.sample_rate
        self.has_video = message.video is not None
        self._offset_s = None
        if message.video is None:
            self._decoder = self.shown = None
            self._frames.clear()
            return
        self._parameters = b"".join([START_CODE + nal for nal in (message.video.sps, *message.video.pps)])
        self._decoder = av.CodecContext.create("h264", "r")
        # One thread: frame threads would hold back a picture each.
        self._decoder.thread_count = 1

    def picture(self, unit: AccessUnit) -> None:
        """Decode an access unit; what cannot be decoded is left out."""
        self._offset_s = unit.wall_s - unit.dts / VIDEO_TIMESCALE
        if self._decoder is None:
            return
        data = (self._parameters if unit.key else b"") + annex_b(unit.data)
        packet = av.Packet(data)
        packet.pts, packet.dts, packet.time_base = unit.pts, unit.dts, Fraction(1, VIDEO_TIMESCALE)
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in frames:
            thin = max(frame.width, frame.height) > _ASPECT_MAX * min(frame.width, frame.height)
            if frame.pts is not None and not thin:
                self._frames.append((self._offset_s + frame.pts / VIDEO_TIMESCALE, frame))
                while len(self._frames) > min(_FRAMES_HELD_MAX, _PIXELS_HELD_MAX // (frame.width * frame.height)):
                    self._frames.popleft()

    def sound(self, message: Sound, began_s: float) -> None:
        """Decode an AAC frame."""
        at_s = message.sample.pts / self._audio_rate
        if self._offset_s is None:
            if self.has_video:
                return
            self._offset_s = message.wall_s - at_s
        self.voice.feed(message.sample, round((self._offset_s + at_s - began_s) * AUDIO_TIMESCALE))

    def show(self, wall_s: float) -> VideoFrame | None:
        """What this track shows at a time; None before its first picture."""
        while self._frames and self._frames[0][0] <= wall_s:
            self.shown = self._frames.popleft()[1]
        return self.shown


class Canvas:
    """The filter graph: each picture fills its cell, what is too much of it is cut off."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height
        self._built: Any = None
        self._graph: Graph | None = None
        self._inputs: list[FilterContext] = []
        self._empty = _empty_picture(64, 64)

    def compose(self, layout: str, frames: list[VideoFrame | None], number: int) -> VideoFrame:
        """Picture ``number`` of ``frames``, the host's first."""
        given = [frame or self._empty for frame in frames] or [self._empty]
        shape = (layout, tuple((frame.width, frame.height, frame.format.name) for frame in given))
        if shape != self._built:
            self._build(layout, given)
            self._built = shape
        assert self._graph is not None
        for source, frame in zip(self._inputs, given, strict=True):
            frame.pts, frame.time_base = number, _FRAME_BASE
            source.push(frame)
        composed: Any = self._graph.pull()
        return composed

    def _build(self, layout: str, frames: list[VideoFrame]) -> None:
        graph = Graph()
        places = cells(layout, len(frames), self._width, self._height)
        self._inputs = []
        ends: list[FilterContext] = []
        for frame, cell in zip(frames, places, strict=True):
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=_FRAME_BASE
            )
            size = f"{cell.width}:{cell.height}"
            scale = graph.add("scale", f"{size}:force_original_aspect_ratio=increase:flags=fast_bilinear")
            crop, shape = graph.add("crop", size), graph.add("format", "yuv420p")
            square = graph.add("setsar", "1")
            for before, after in ((source, scale), (scale, crop), (crop, shape), (shape, square)):
                before.link_to(after)
            self._inputs.append(source)
            ends.append(square)
        last = ends[0]
        if len(ends) > 1:
            at = "|".join(f"{cell.x}_{cell.y}" for cell in places)
            last = graph.add("xstack", f"inputs={len(ends)}:layout={at}:fill=black")
            for number, end in enumerate(ends):
                end.link_to(last, 0, number)
        pad, sink = graph.add("pad", f"{self._width}:{self._height}:0:0:black"), graph.add("buffersink")
        last.link_to(pad)
        pad.link_to(sink)
        graph.configure()
        self._graph = graph


class Compositor:
    """Tracks in, one track out."""

    def __init__(self, width: int, height: int, bit_rate: int, audio_bit_rate: int, out: BinaryIO) -> None:
        self._out = out
        self._tracks: dict[str, Track] = {}
        self._arranged = Arrange("grid", ())
        self._canvas = Canvas(width, height)
        self._encoder = _encoder(width, height, bit_rate)
        self._mixer = Mixer(audio_bit_rate)
        self._parameters = Parameters()
        self._told: VideoFormat | None = None
        self._key_wanted = True
        self._number = 0
        self._blocks = 0
        self._complete = False
        # Whole blocks of sound and whole pictures both begin here.
        self.began_s = time.time() - _BEHIND_S

    def take(self, message: Message) -> None:
        """Do what a message says."""
        match message:
            case Configure():
                self._tracks.setdefault(message.track, Track()).configure(message)
            case Picture():
                if message.track in self._tracks:
                    self._tracks[message.track].picture(message.unit)
            case Sound():
                if message.track in self._tracks:
                    self._tracks[message.track].sound(message, self.began_s)
            case Gone():
                self._tracks.pop(message.track, None)
            case Arrange():
                self._arranged = message
            case KeyFrame():
                self._key_wanted = True
            case Make() | Opus():
                pass  # for ladders, for feeds

    @property
    def due_s(self) -> float:
        """The wall clock time at which the next picture is to be made."""
        return self.began_s + _BEHIND_S + self._number / RATE

    def step(self) -> None:
        """Make the next picture, and the sound that goes before it."""
        late = int((time.time() - self.due_s) * RATE)
        if late > _LATE_FRAMES_MAX:
            # Too slow: what cannot be made in time is left out, the one before stands a little longer.
            self._number += late
        shown_s = self.began_s + self._number / RATE
        until = round((self._number + 1) * AUDIO_TIMESCALE / RATE)
        while (self._blocks + 1) * AAC_FRAME_SAMPLES <= until:
            self._mix()
        tracks = [self._tracks[name] for name in self._arranged.tracks if name in self._tracks]
        frames = [one.show(shown_s) for one in tracks]
        if not self._begins(tracks, frames):
            self._number += 1
            return
        composed = self._canvas.compose(self._arranged.layout, frames, self._number)
        composed.pts, composed.time_base = self._number, _FRAME_BASE
        # Set on each, as the filter hands on what its inputs were in their own streams.
        composed.pict_type = PictureType.I if self._key_wanted else PictureType.NONE
        self._key_wanted = False
        self._number += 1
        for packet in self._encoder.encode(composed):
            self._tell_picture(packet)

    def _begins(self, tracks: list[Track], frames: list[VideoFrame | None]) -> bool:
        """Whether there is enough to show: at first everyone who has a camera is waited for, though not for ever."""
        if not self._complete:
            seen = [frame is not None or not one.has_video for one, frame in zip(tracks, frames, strict=True)]
            waited_s = self._number / RATE
            self._complete = (bool(seen) and all(seen)) or waited_s > _AWAITED_S
        return self._complete

    def _mix(self) -> None:
        position = self._blocks * AAC_FRAME_SAMPLES
        self._blocks += 1
        # Everyone is heard who is here, in the arrangement or not yet.
        samples = self._mixer.mix([track.voice.block(position) for track in self._tracks.values()])
        for sample in samples:
            if sample.pts >= 0 and self._told is not None:
                self._say(Sound(PROGRAM, sample, time.time()))

    def _tell_picture(self, packet: Any) -> None:
        nals = h264.nal_units(bytes(packet))
        key = self._parameters.take(nals)
        if key and self._parameters.changed() is not None and self._parameters.format != self._told:
            self._told = self._parameters.format
            self._say(Configure(PROGRAM, self._told, self._mixer.format))
        slices = of_sample(nals)
        if self._told is None or not slices:
            return
        at = int(packet.pts) * _TICKS
        wall_s = self.began_s + at / VIDEO_TIMESCALE
        unit = AccessUnit(dts=at, pts=at, key=key, data=length_prefixed(slices), wall_s=wall_s)
        self._say(Picture(PROGRAM, unit))

    def _say(self, message: Message) -> None:
        self._out.write(wire.encoded(message))
        self._out.flush()


def run(compositor: Compositor, messages: queue.Queue[Message | None]) -> None:
    """Compose until the messages end (None)."""
    taken = 0
    while True:
        wait_s = compositor.due_s - time.time()
        try:
            # What has come is taken before the next picture is made, also when that is late: to a bound.
            if wait_s <= 0 and taken >= _TAKEN_MAX:
                raise queue.Empty
            message = messages.get(timeout=wait_s) if wait_s > 0 else messages.get_nowait()
        except queue.Empty:
            taken = 0
            if compositor.due_s <= time.time():
                compositor.step()
            continue
        if message is None:
            return
        compositor.take(message)
        taken += 1


def read(source: BinaryIO, messages: queue.Queue[Message | None]) -> None:
    """Put what comes down the pipe into the queue, which makes the pipe wait when it is full; None at the end."""
    try:
        while True:
            header = source.read(wire.LENGTH.size)
            if len(header) < wire.LENGTH.size:
                return
            messages.put(wire.decoded(source.read(wire.length(header))))
    except (ValueError, msgspec.DecodeError) as error:
        print(f"the relay spoke nonsense: {error}", file=sys.stderr)  # noqa: T201
    finally:
        messages.put(None)


def _empty_picture(width: int, height: int) -> VideoFrame:
    """What stands for someone whose camera is off."""
    frame = VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, (_EMPTY_LUMA, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


def _encoder(width: int, height: int, bit_rate: int) -> Any:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = _FRAME_BASE, Fraction(RATE, 1)
    encoder.bit_rate = bit_rate
    encoder.thread_count = 1
    encoder.profile = "Main"
    kilobits = bit_rate // 1000
    encoder.options = {
        # A third of the processor time of `veryfast` for a tenth more bits.
        "preset": "superfast",
        "tune": "zerolatency",
        "forced-idr": "1",
        "g": str(RATE * _KEY_FRAME_S),
        "x264-params": f"scenecut=0:vbv-maxrate={kilobits}:vbv-bufsize={kilobits}:repeat-headers=1",
    }
    return encoder


def main() -> None:
    """Read from standard input, write to standard output, end when the input does."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("width", "height", "bit-rate", "audio-bit-rate"):
        parser.add_argument(f"--{name}", type=int, required=True)
    told = parser.parse_args()
    # The relay's event loop goes first: viewers wait for its parts.
    os.nice(_NICE)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever prints by mistake must not speak on the pipe.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    messages: queue.Queue[Message | None] = queue.Queue(_WAITING_MAX)
    threading.Thread(target=read, args=(sys.stdin.buffer, messages), daemon=True).start()
    try:
        run(Compositor(told.width, told.height, told.bit_rate, told.audio_bit_rate, out), messages)
    except BrokenPipeError:
        # The relay is gone.
        return


if __name__ == "__main__":
    main()
