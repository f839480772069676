"""The recording: every closed segment goes to S3 as it is, without the room's frames, and nothing here slows packaging.

A picture each ten seconds goes with them (storyboard.py).

An object's name says all that a playlist tells of it (functions/streams/recording.py reads it), so that the recording's
index cannot differ from what is stored, and a second task that takes a stream over simply adds its own objects.
What S3 does not take now waits in memory, then on disk; both are bounded, and what fits neither is dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media.relay.cmaf import VIDEO_TIMESCALE
from media.relay.held_segment import HeldSegment
from media.relay.metrics import Metrics
from media.relay.settings import Settings
from media.relay.storyboard import Storyboard

logger = logging.getLogger(__name__)

# Uploads at once, each in a thread of its own: enough to catch up with a minute of 12 streams in a few seconds.
UPLOADS_MAX: Final = 4
_RETRY_FIRST_S: Final = 0.2
_RETRY_MAX_S: Final = 5.0
# Above it, an object goes in parts, so that a slow link repeats a part and not the whole.
_MULTIPART_BYTES: Final = 8 * 1024 * 1024
_TRANSFER: Final = TransferConfig(
    multipart_threshold=_MULTIPART_BYTES, multipart_chunksize=_MULTIPART_BYTES, use_threads=False
)
_CONFIG: Final = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "max_attempts": 1})
_FAILURES: Final = (BotoCoreError, ClientError, Boto3Error, OSError)
_KINDS: Final = {".mp4": "video/mp4", ".m4s": "video/iso.segment", ".jpg": "image/jpeg"}
# Media never changes under its name.
_CACHE: Final = "public, max-age=31536000, immutable"


class LostError(Exception):
    """What was kept on disk is not there any more, or cannot be read."""


class Waiting:
    """An object on its way: its bytes in memory, or in a file."""

    __slots__ = ("body", "name", "path", "size", "stream_id")

    def __init__(self, stream_id: str, name: str, body: bytes) -> None:
        self.stream_id = stream_id
        self.name = name
        self.body: bytes | None = body
        self.path: Path | None = None
        self.size = len(body)

    @property
    def key(self) -> str:
        """The object's key."""
        return f"replay/{self.stream_id}/{self.name}"


def segment_name(run: str, segment: HeldSegment) -> str:
    """``{number}-{run}-{map}-{program date in ms}-{duration in 1/90000 s}-{1 after a discontinuity}.m4s``."""
    date_ms = round(segment.program_date_s * 1000)
    ticks = round(segment.duration_s * VIDEO_TIMESCALE)
    return f"{segment.msn:012d}-{run}-{segment.init_number}-{date_ms}-{ticks}-{int(segment.discontinuity)}.m4s"


class Archive:
    """Takes closed segments and brings them to S3.

    Parameters
    ----------
    settings : Settings
        Bucket and bounds.
    metrics : Metrics
        What is stored, waits, fails and is dropped.
    on_complete : Callable[[str], None]
        Called with a stream's id once it has ended and all of it is stored.
    """

    def __init__(self, settings: Settings, metrics: Metrics, on_complete: Callable[[str], None]) -> None:
        self._bucket = settings.media_bucket
        self._memory_bytes_max = settings.archive_memory_bytes
        self._disk_bytes_max = settings.archive_disk_bytes
        self._metrics = metrics
        self._on_complete = on_complete
        self._s3: Any = boto3.client("s3", config=_CONFIG)
        self._folder = Path(tempfile.mkdtemp(prefix="onair-archive-"))
        self._queue: deque[Waiting] = deque()
        self._count: Counter[str] = Counter()
        self._ended: set[str] = set()
        self._maps: dict[str, set[str]] = {}
        self._memory_bytes = 0
        self._disk_bytes = 0
        self._files = 0
        self._storyboard = Storyboard(settings.storyboard_width_px, self._pictured)
        self._wake = asyncio.Event()
        self._threads = ThreadPoolExecutor(max_workers=UPLOADS_MAX, thread_name_prefix="archive")

    # ---- from programs ----

    def segment(self, stream_id: str, run: str, segment: HeldSegment, init: bytes) -> None:
        """Keep a closed segment, and its map if it is the first that needs it; returns at once."""
        if segment.body is None:
            raise ValueError("a segment that still grows cannot be kept")
        maps = self._maps.setdefault(stream_id, set())
        name = f"init-{run}-{segment.init_number}.mp4"
        if name not in maps and self._take(Waiting(stream_id, name, init)):
            maps.add(name)
        self._take(Waiting(stream_id, segment_name(run, segment), segment.body))
        if self._storyboard.offer(stream_id, run, segment, init):
            # Not everything is stored before its picture is.
            self._count[stream_id] += 1

    def finish(self, stream_id: str) -> None:
        """The stream has ended: `on_complete` follows when everything is stored."""
        self._ended.add(stream_id)
        self._maps.pop(stream_id, None)
        self._storyboard.finish(stream_id)
        self._settle(stream_id)

    def forget(self, stream_id: str) -> None:
        """The stream was deleted: what waits is not wanted any more."""
        gone = [waiting for waiting in self._queue if waiting.stream_id == stream_id]
        for waiting in gone:
            self._queue.remove(waiting)
            self._release(waiting)
        self._ended.discard(stream_id)
        self._maps.pop(stream_id, None)
        self._storyboard.forget(stream_id)

    def moved(self, stream_id: str) -> None:
        """Another task has the stream: what waits is stored, and nothing more comes."""
        self._maps.pop(stream_id, None)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that S3 has not taken yet."""
        return self._memory_bytes + self._disk_bytes

    def _pictured(self, stream_id: str, name: str, jpeg: bytes | None) -> None:
        if jpeg is not None:
            self._take(Waiting(stream_id, name, jpeg))
        self._uncount(stream_id)

    def _take(self, waiting: Waiting) -> bool:
        if self._memory_bytes + waiting.size > self._memory_bytes_max:
            self._spill()
        if self._memory_bytes + waiting.size > self._memory_bytes_max:
            self._metrics.archive_dropped.inc()
            logger.error("no room for %s of %s: the recording lacks it", waiting.name, waiting.stream_id)
            return False
        self._memory_bytes += waiting.size
        self._count[waiting.stream_id] += 1
        self._queue.append(waiting)
        self._wake.set()
        return True

    def _spill(self) -> None:
        """Write what waits to disk, oldest first, until half the memory is free; a full disk leaves it in memory.

        A segment is written to the page cache in about a millisecond, and only while S3 is away.
        """
        for waiting in self._queue:
            if waiting.body is None:
                continue
            full = self._disk_bytes + waiting.size > self._disk_bytes_max
            if full or self._memory_bytes <= self._memory_bytes_max // 2:
                return
            self._files += 1
            path = self._folder / str(self._files)
            try:
                path.write_bytes(waiting.body)
            except OSError as error:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                logger.warning("cannot keep segments on disk: %s", error)
                return
            waiting.body, waiting.path = None, path
            self._memory_bytes -= waiting.size
            self._disk_bytes += waiting.size

    # ---- to S3 ----

    async def run(self) -> None:
        """Upload what waits, for ever."""
        await asyncio.gather(*(self._work() for _ in range(UPLOADS_MAX)))

    async def drain(self, deadline_s: float) -> None:
        """Store what is left, for at most ``deadline_s``; afterwards nothing is kept on disk."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + deadline_s
        workers = [asyncio.ensure_future(self._work()) for _ in range(UPLOADS_MAX)]
        while self._count.total() and loop.time() < until_s:
            await asyncio.sleep(0.02)
        for worker in workers:
            worker.cancel()
        if self._count.total():
            logger.error("%d objects of recordings were not stored before the end", self._count.total())
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._storyboard.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = _RETRY_FIRST_S
        while True:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            waiting = self._queue.popleft()
            try:
                await loop.run_in_executor(self._threads, self._upload, waiting)
            except LostError as error:
                # Asking again finds no more of it, and would keep the end of the recording waiting for ever.
                self._metrics.archive_dropped.inc()
                logger.error("%s is lost from disk: %s", waiting.key, error)
                self._release(waiting)
                continue
            except _FAILURES as error:
                self._metrics.archive_errors.inc()
                logger.warning("cannot store %s: %s; again in %.1f s", waiting.key, error, pause_s)
                self._queue.appendleft(waiting)
                await asyncio.sleep(pause_s)
                pause_s = min(_RETRY_MAX_S, pause_s * 2)
                continue
            except asyncio.CancelledError:
                self._queue.appendleft(waiting)
                raise
            pause_s = _RETRY_FIRST_S
            self._metrics.archive_objects.inc()
            self._release(waiting)

    def _upload(self, waiting: Waiting) -> None:
        body = self._body(waiting)
        self._s3.upload_fileobj(
            BytesIO(body),
            self._bucket,
            waiting.key,
            ExtraArgs={"ContentType": _KINDS[Path(waiting.name).suffix], "CacheControl": _CACHE},
            Config=_TRANSFER,
        )

    @staticmethod
    def _body(waiting: Waiting) -> bytes:
        if waiting.path is None:
            assert waiting.body is not None, "an object on its way has bytes in memory or on disk"
            return waiting.body
        try:
            body = waiting.path.read_bytes()
        except OSError as error:
            raise LostError(error) from error
        if len(body) != waiting.size:
            raise LostError(f"{len(body)} of {waiting.size} bytes")
        return body

    def _release(self, waiting: Waiting) -> None:
        if waiting.path is None:
            self._memory_bytes -= waiting.size
        else:
            self._disk_bytes -= waiting.size
            waiting.path.unlink(missing_ok=True)
        self._uncount(waiting.stream_id)

    def _uncount(self, stream_id: str) -> None:
        self._count[stream_id] -= 1
        if not self._count[stream_id]:
            del self._count[stream_id]
        self._settle(stream_id)

    def _settle(self, stream_id: str) -> None:
        if stream_id in self._ended and stream_id not in self._count:
            self._ended.discard(stream_id)
            self._on_complete(stream_id)
