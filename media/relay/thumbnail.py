"""One key frame each few seconds becomes a JPEG, the preview in feeds; decoded in a thread, never on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from fractions import Fraction
from io import BytesIO
from typing import Final

import av
import av.error
from av.video.frame import VideoFrame

from media.relay.cmaf import VideoFormat
from media.relay.h264 import START_CODE

# mjpeg's qscale: 2 is best, 31 worst; 5 makes ~30 kB of 640x360.
_JPEG_QUALITY: Final = 5


class Thumbnailer:
    """Turns key frames of one stream into previews, at most one each ``interval_s`` and one at a time."""

    def __init__(
        self, executor: Executor, interval_s: float, width_px: int, on_picture: Callable[[bytes], None]
    ) -> None:
        self._executor = executor
        self._interval_s = interval_s
        self._width_px = width_px
        self._on_picture = on_picture
        self._last_s = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def offer(self, video: VideoFormat, annex_b: bytes) -> None:
        """A key frame came; taken if it is time for a new preview and the last one is done."""
        now = time.monotonic()
        if now - self._last_s < self._interval_s or (self._task is not None and not self._task.done()):
            return
        self._last_s = now
        self._task = asyncio.ensure_future(self._make(video, annex_b))

    async def _make(self, video: VideoFormat, annex_b: bytes) -> None:
        loop = asyncio.get_running_loop()
        jpeg = await loop.run_in_executor(self._executor, picture, video, annex_b, self._width_px)
        if jpeg is not None:
            self._on_picture(jpeg)


def picture(video: VideoFormat, annex_b: bytes, width_px: int) -> bytes | None:
    """A key frame (Annex B) as JPEG at most ``width_px`` wide; None if it cannot be decoded."""
    parameters = b"".join([START_CODE + nal for nal in (video.sps, *video.pps)])
    try:
        decoder = av.CodecContext.create("h264", "r")
        decoder.thread_count = 1
        frames = [*decoder.decode(av.Packet(parameters + annex_b)), *decoder.decode(None)]
        if not frames:
            return None
        return _jpeg(frames[0], width_px)
    except av.error.FFmpegError:
        return None


def first_picture(media: bytes, width_px: int) -> bytes | None:
    """The first picture of a fragmented MP4, its map before it, as JPEG; None if there is none to decode."""
    try:
        with av.open(BytesIO(media), mode="r", format="mp4") as container:
            container.streams.video[0].codec_context.thread_count = 1
            frame = next(container.decode(video=0), None)
            return None if frame is None else _jpeg(frame, width_px)
    except (av.error.FFmpegError, IndexError):
        # Not media, or sound alone.
        return None


def _jpeg(frame: VideoFrame, width_px: int) -> bytes:
    width = min(width_px, frame.width) // 2 * 2
    height = max(2, round(frame.height * width / frame.width) // 2 * 2)
    # Full-range YUV, which is what JPEG means by its numbers.
    small = frame.reformat(width=width, height=height, format="yuvj420p")
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.options = {"qscale": str(_JPEG_QUALITY), "flags": "+qscale", "global_quality": str(_JPEG_QUALITY * 118)}
    small.pts = 0
    small.time_base = Fraction(1, 1)
    return b"".join([bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)]])
