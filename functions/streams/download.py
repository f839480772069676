"""Lambda `Download`: makes the files by which a host keeps a recording: one MP4, as a rule.

Segments become a file by standing one after another, moved in time where the recording has a break (fragments.py); the
picture's format may change in it (avc3.py), nothing else may. S3 takes a file in parts: what a run has no time for, the
next one goes on with, by a message that names the upload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

import msgspec

from functions import aws, ids, observe, settings
from functions.streams import avc3, fragments, recording, table
from functions.streams.model import Download, DownloadFile, Stream
from functions.streams.recording import StoredSegment, breaks, prefix

# S3 takes no part below 5 MiB but the last, and 10,000 a file: twelve hours of 2.5 Mb/s are 1,700 of these.
PART_BYTES_MIN: Final = 8 * 1024 * 1024
PARTS_MAX: Final = 9_000
# Segments on their way at once: S3 gives one in some 30 ms, whatever its size.
_READS: Final = 8
# The stream's item names them all. More of them means sound or tracks that come and go: the rest is left to the replay.
FILES_MAX: Final = 100
# A run takes no new part when less is left: a part of 8 MiB is some seconds.
RESERVE_MS: Final = 25_000


class DownloadOrder(msgspec.Struct, frozen=True):
    """A recording whose files are wanted; ``upload`` goes on with what a run before began."""

    stream: str
    upload: str = ""
    name: str = ""


class PlannedFile(msgspec.Struct, frozen=True):
    """What becomes one file: its map, its segments, their sizes and, where the picture's format changes, their maps."""

    name: str
    init: bytes
    segments: tuple[StoredSegment, ...]
    sizes: tuple[int, ...]
    maps: tuple[bytes, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return recording.duration_s(self.segments)


def order(stream: Stream) -> None:
    """Have the files made of what is stored now; asking again within five minutes changes nothing (SQS)."""
    _send(DownloadOrder(stream.id), f"{stream.id}-{round((stream.replay_s or 0) * 1000)}")


def make(given: DownloadOrder, has_time: Callable[[], bool]) -> bool:
    """Make the files, or as many parts as there is time for and order the rest; False without a recording."""
    stream = table.read(given.stream)
    if stream is None or not stream.replay_s:
        return False
    found = dict(recording.objects(stream.id))
    segments = recording.segments_of(found)
    files = plan(segments, found, lambda segment: _body(stream.id, f"init-{segment.run}-{segment.map}.mp4"))
    if len(files) > FILES_MAX:
        observe.logger.warning("a recording of many formats", stream=stream.id, files=len(files))
    made: list[DownloadFile] = []
    for file in files[:FILES_MAX]:
        size = found.get(file.name)
        if size is None:
            upload = given.upload if given.name == file.name else ""
            size = _File(stream, file, upload, has_time).make()
            if size is None:
                return True
        made.append(DownloadFile(file.name, size, file.seconds))
    told = Download(of_ms=round(stream.replay_s * 1000), files=tuple(made))
    done = table.set_download(stream.id, told)
    observe.logger.info("download", stream=stream.id, files=len(made), done=done)
    return done


def plan(
    segments: tuple[StoredSegment, ...], sizes: Mapping[str, int], init_of: Callable[[StoredSegment], bytes]
) -> list[PlannedFile]:
    """A file for each stretch of segments whose maps differ in the picture's format at most; runs do not matter."""
    inits: dict[tuple[str, int], bytes] = {}
    alike: dict[tuple[str, int], bytes] = {}
    stretches: list[tuple[bytes, list[StoredSegment]]] = []
    for segment in segments:
        of = (segment.run, segment.map)
        if of not in inits:
            inits[of] = init_of(segment)
            alike[of] = avc3.without_picture(inits[of])
        if not stretches or stretches[-1][0] != alike[of]:
            stretches.append((alike[of], []))
        stretches[-1][1].append(segment)
    files: list[PlannedFile] = []
    for number, (_, stretch) in enumerate(stretches, start=1):
        maps = tuple(inits[one.run, one.map] for one in stretch)
        changes = len(set(maps)) > 1
        files.append(
            PlannedFile(
                _name(number, stretch),
                avc3.of_many_formats(maps[0]) if changes else maps[0],
                tuple(stretch),
                tuple(sizes[one.name] for one in stretch),
                maps if changes else (),
            )
        )
    return files


def _name(number: int, segments: list[StoredSegment]) -> str:
    # Of other segments, another file: what is there under this name is whole.
    digest = hashlib.sha256("\n".join(segment.name for segment in segments).encode()).hexdigest()
    return f"download-{number}-{digest[:32]}.mp4"


class _File:
    """One file on its way to S3."""

    def __init__(self, stream: Stream, file: PlannedFile, upload: str, has_time: Callable[[], bool]) -> None:
        self._stream = stream
        self._file = file
        self._has_time = has_time
        self._s3 = aws.client("s3")
        self._at: dict[str, Any] = {
            "Bucket": settings.required("MEDIA_BUCKET"),
            "Key": prefix(stream.id) + file.name,
        }
        self._upload = upload

    def make(self) -> int | None:
        """Its size, or None where time ran out and the rest was ordered."""
        etags: list[str] = []
        size = 0
        if self._upload:
            for part in self._stored():
                etags.append(str(part["ETag"]))
                size += int(part["Size"])
        else:
            number = self._file.name.split("-")[1]
            self._upload = str(
                self._s3.create_multipart_upload(
                    **self._at,
                    ContentType="video/mp4",
                    ContentDisposition=f'attachment; filename="onair-{self._stream.id}-{number}.mp4"',
                    CacheControl="public, max-age=31536000, immutable",
                )["UploadId"]
            )
        parts = parts_of(self._file.sizes)
        for number in range(len(etags), len(parts)):
            if not self._has_time():
                _send(DownloadOrder(self._stream.id, self._upload, self._file.name), ids.new())
                return None
            body = joined(self._file, *parts[number], lambda name: _body(self._stream.id, name))
            answer = self._s3.upload_part(**self._at, UploadId=self._upload, PartNumber=number + 1, Body=body)
            etags.append(str(answer["ETag"]))
            size += len(body)
        told = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        self._s3.complete_multipart_upload(**self._at, UploadId=self._upload, MultipartUpload={"Parts": told})
        return size

    def _stored(self) -> Iterator[dict[str, Any]]:
        more: dict[str, Any] = {}
        while True:
            page: dict[str, Any] = self._s3.list_parts(**self._at, UploadId=self._upload, **more)
            yield from page.get("Parts", [])
            if not page.get("IsTruncated"):
                return
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}


def joined(file: PlannedFile, first: int, last: int, read: Callable[[str], bytes]) -> bytes:
    """Segments ``first`` up to ``last`` of a file as they stand in it, before the first one the map.

    Where time does not go on from one segment to the next, what follows is moved to where it plays.
    """
    segments, scales = file.segments, fragments.timescales(file.init)

    def is_begin(at: int) -> bool:
        return at == 0 or breaks(segments[at - 1], segments[at])

    def moves_by(at: int, body: bytes) -> float:
        return recording.duration_s(segments[:at]) - fragments.starts_s(body, scales)

    bodies = [] if first else [fragments.with_length(file.init, file.seconds)]
    by_s = 0.0
    if not is_begin(first):
        # This part goes on with what another one began: its times hang on the first segment of that.
        begin = next(at for at in range(first, -1, -1) if is_begin(at))
        by_s = moves_by(begin, read(segments[begin].name))
    with ThreadPoolExecutor(max_workers=_READS) as threads:
        names = [segment.name for segment in segments[first:last]]
        # In the context of this call: the local stack keeps a function's settings there.
        reading = [threads.submit(copy_context().run, read, name) for name in names]
        for at, body in enumerate((each.result() for each in reading), start=first):
            if is_begin(at):
                by_s = moves_by(at, body)
            there = fragments.moved(body, scales, by_s, at)
            bodies.append(avc3.with_parameter_sets(there, file.maps[at]) if file.maps else there)
    return b"".join(bodies)


def parts_of(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """From which segment up to which each part goes; the same for every run, since segments never change."""
    least = max(PART_BYTES_MIN, -(-sum(sizes) // PARTS_MAX))
    found: list[tuple[int, int]] = []
    first, held = 0, 0
    for at, size in enumerate(sizes, start=1):
        held += size
        if held >= least or at == len(sizes):
            found.append((first, at))
            first, held = at, 0
    return found


def _body(stream_id: str, name: str) -> bytes:
    answer: Any = aws.client("s3").get_object(Bucket=settings.required("MEDIA_BUCKET"), Key=prefix(stream_id) + name)
    return bytes(answer["Body"].read())


def _send(given: DownloadOrder, deduplication: str) -> None:
    aws.client("sqs").send_message(
        QueueUrl=settings.required("DOWNLOAD_QUEUE_URL"),
        MessageBody=msgspec.json.encode(given).decode(),
        MessageGroupId=given.stream,
        MessageDeduplicationId=deduplication,
    )


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], context: Any) -> dict[str, list[Any]]:
    """One message of the Download queue; what fails comes again and begins anew."""
    for record in event["Records"]:
        make(
            msgspec.json.decode(record["body"], type=DownloadOrder),
            lambda: context is None or context.get_remaining_time_in_millis() > RESERVE_MS,
        )
    return {"batchItemFailures": []}
