"""A recording: what the relay stored of a broadcast, and the playlist and storyboard that make a replay of it.

Each object's name says what a playlist tells of it (media/relay/archive.py makes the names), so the list of names is
the index: it cannot differ from what is there. Writing the playlist again gives the same one, or a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from functions import aws, settings
from functions.streams.model import Recorded

PLAYLIST: Final = "index.m3u8"
STORYBOARD: Final = "storyboard.vtt"
_TICKS_A_SECOND: Final = 90_000
# EXT-X-MAP with a playlist of more than I-frames needs version 6 (RFC 8216 section 7).
_VERSION: Final = 6
_SEGMENT: Final = re.compile(r"(\d{12})-([0-9a-f]{8})-(\d{1,6})-(\d{1,14})-(\d{1,9})-([01])\.m4s")
_MAP: Final = re.compile(r"init-([0-9a-f]{8})-(\d{1,6})\.mp4")
# A picture of a segment: number and run.
_PICTURE: Final = re.compile(r"thumb-(\d{12})-([0-9a-f]{8})\.jpg")
_PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
_STORYBOARD_TYPE: Final = "text/vtt; charset=utf-8"
# It is written anew when a part of the recording came late.
_CACHE: Final = "public, max-age=10"


class StoredSegment(msgspec.Struct, frozen=True, order=True):
    """One segment as its name tells it; ``number`` rises through all runs of a stream."""

    number: int
    run: str
    map: int
    date_ms: int
    ticks: int
    after_break: bool
    name: str

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.ticks / _TICKS_A_SECOND


def prefix(stream_id: str) -> str:
    """Where everything of a stream's recording is; CloudFront's path below ``/replay/`` is the key."""
    return f"replay/{stream_id}/"


def segments_of(names: Iterable[str]) -> tuple[StoredSegment, ...]:
    """The segments among these names that can be played, in order; one whose map is missing cannot."""
    listed = list(names)
    maps = {(found[1], int(found[2])) for name in listed if (found := _MAP.fullmatch(name))}
    segments = [
        StoredSegment(int(found[1]), found[2], int(found[3]), int(found[4]), int(found[5]), found[6] == "1", name)
        for name in listed
        if (found := _SEGMENT.fullmatch(name)) and int(found[5]) > 0
    ]
    return tuple(sorted(one for one in segments if (one.run, one.map) in maps))


def duration_s(segments: Iterable[StoredSegment]) -> float:
    """How long a recording plays; gaps of the broadcast are not in it."""
    return sum(segment.seconds for segment in segments)


def playlist(segments: tuple[StoredSegment, ...]) -> str:
    """The VOD playlist (RFC 8216, 4.3): a break where the relay told one, another run began, or one is missing."""
    longest_s = max((segment.seconds for segment in segments), default=1.0)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        # No segment may be longer, rounded to whole seconds (4.3.3.1).
        f"#EXT-X-TARGETDURATION:{max(1, int(longest_s + 0.5))}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    before: StoredSegment | None = None
    for segment in segments:
        if before is not None and breaks(before, segment):
            lines.append("#EXT-X-DISCONTINUITY")
        if before is None or (before.run, before.map) != (segment.run, segment.map):
            lines.append(f'#EXT-X-MAP:URI="init-{segment.run}-{segment.map}.mp4"')
        lines += [
            f"#EXT-X-PROGRAM-DATE-TIME:{_rfc3339(segment.date_ms)}",
            f"#EXTINF:{segment.seconds:.5f},",
            segment.name,
        ]
        before = segment
    lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def storyboard(segments: tuple[StoredSegment, ...], names: Iterable[str]) -> str:
    """WebVTT (W3C) whose cues are pictures, each from the start of its segment to the next one; the first from 0."""
    pictures = _pictures(names)
    shown: list[tuple[float, str]] = []
    at_s = 0.0
    for segment in segments:
        name = pictures.get((segment.number, segment.run))
        if name is not None:
            # What came before the first picture has none that is nearer.
            shown.append((at_s if shown else 0.0, name))
        at_s += segment.seconds
    ends = [*(start for start, _ in shown[1:]), at_s]
    cues = [
        f"{_cue_time(start)} --> {_cue_time(end)}\n{name}\n" for (start, name), end in zip(shown, ends, strict=False)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def put_together(stream_id: str) -> Recorded:
    """Write playlist and storyboard of what is stored, if anything is; returns what that came to."""
    sizes = dict(objects(stream_id))
    segments = segments_of(sizes)
    if not segments:
        return Recorded()
    _write(stream_id, STORYBOARD, storyboard(segments, sizes), _STORYBOARD_TYPE)
    _write(stream_id, PLAYLIST, playlist(segments), _PLAYLIST_TYPE)
    pictures = _pictures(sizes)
    first = next((pictures[of] for one in segments if (of := (one.number, one.run)) in pictures), None)
    return Recorded(duration_s(segments), sum(sizes[one.name] for one in segments), first)


def _pictures(names: Iterable[str]) -> dict[tuple[int, str], str]:
    """Names of pictures by number and run of their segment."""
    return {(int(found[1]), found[2]): name for name in names if (found := _PICTURE.fullmatch(name))}


def _write(stream_id: str, name: str, text: str, kind: str) -> None:
    aws.client("s3").put_object(
        Bucket=settings.required("MEDIA_BUCKET"),
        Key=prefix(stream_id) + name,
        Body=text.encode(),
        ContentType=kind,
        CacheControl=_CACHE,
    )


def objects(stream_id: str) -> Iterator[tuple[str, int]]:
    """Name and bytes of everything of a recording."""
    start = prefix(stream_id)
    more: dict[str, str] = {}
    while True:
        page: dict[str, Any] = aws.client("s3").list_objects_v2(
            Bucket=settings.required("MEDIA_BUCKET"), Prefix=start, **more
        )
        for found in page.get("Contents", []):
            yield str(found["Key"]).removeprefix(start), int(found["Size"])
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def breaks(before: StoredSegment, segment: StoredSegment) -> bool:
    """Whether time does not simply go on between two segments that follow one another."""
    same_run = before.run == segment.run
    return segment.after_break or not same_run or segment.number != before.number + 1 or before.map != segment.map


def _cue_time(at_s: float) -> str:
    minutes, ms = divmod(round(at_s * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d}.{ms % 1000:03d}"


def _rfc3339(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
