"""Checks playlists against MUSTs of draft-pantos-hls-rfc8216bis; written from its text, not from the relay."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class ReadSegment:
    """A segment as a client reads it."""

    msn: int
    uri: str = ""
    duration_s: float = 0.0
    parts: list[tuple[str, float, bool]] = field(default_factory=list)
    discontinuity: bool = False
    date: datetime | None = None
    init: str = ""


@dataclass
class ReadPlaylist:
    """A media playlist as a client reads it."""

    msn: int = 0
    version: int = 1
    discontinuity_sequence: int = 0
    target_s: int = 0
    part_target_s: float = 0.0
    control: dict[str, str] = field(default_factory=dict)
    skipped: int = 0
    segments: list[ReadSegment] = field(default_factory=list)
    hint: str = ""
    ended: bool = False

    @property
    def closed(self) -> list[ReadSegment]:
        return [segment for segment in self.segments if segment.uri]


def attributes(text: str) -> dict[str, str]:
    """An attribute list (4.2), quotes taken off."""
    return {name: value.strip('"') for name, value in re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)', text)}


def read(text: str) -> ReadPlaylist:
    """Parse a media playlist and check what one playlist alone must hold; AssertionError names the section."""
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U", "4.4.1.1: EXTM3U must be the first line"
    assert text.endswith("\n") and "\r" not in text
    playlist = ReadPlaylist()
    open_segment: ReadSegment | None = None
    init = ""
    once: set[str] = set()
    for line in lines[1:]:
        tag, _, value = line.partition(":")
        if tag in ("#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-SERVER-CONTROL",
                   "#EXT-X-PART-INF", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-SKIP"):  # fmt: skip
            assert tag not in once, f"4.4.3: {tag} must not appear twice"
            once.add(tag)
            assert not playlist.segments and open_segment is None, f"4.4.3: {tag} must come before segments"
        if tag in ("#EXT-X-PART", "#EXTINF", "#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-MAP"):
            assert not playlist.ended, "nothing follows the end"
        if (
            tag in ("#EXT-X-PART", "#EXTINF", "#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME")
            and open_segment is None
        ):
            open_segment = ReadSegment(playlist.msn + playlist.skipped + len(playlist.segments), init=init)
        match tag:
            case "#EXT-X-VERSION":
                playlist.version = int(value)
            case "#EXT-X-TARGETDURATION":
                playlist.target_s = int(value)
            case "#EXT-X-MEDIA-SEQUENCE":
                playlist.msn = int(value)
            case "#EXT-X-DISCONTINUITY-SEQUENCE":
                playlist.discontinuity_sequence = int(value)
            case "#EXT-X-SERVER-CONTROL":
                playlist.control = attributes(value)
            case "#EXT-X-PART-INF":
                playlist.part_target_s = float(attributes(value)["PART-TARGET"])
            case "#EXT-X-SKIP":
                playlist.skipped = int(attributes(value)["SKIPPED-SEGMENTS"])
            case "#EXT-X-MAP":
                init = attributes(value)["URI"]
                if open_segment is not None:
                    open_segment.init = init
            case "#EXT-X-DISCONTINUITY":
                assert open_segment is not None
                open_segment.discontinuity = True
            case "#EXT-X-PROGRAM-DATE-TIME":
                assert open_segment is not None
                open_segment.date = datetime.fromisoformat(value)
            case "#EXT-X-PART":
                assert open_segment is not None
                part = attributes(value)
                open_segment.parts.append((part["URI"], float(part["DURATION"]), part.get("INDEPENDENT") == "YES"))
            case "#EXTINF":
                assert open_segment is not None
                open_segment.duration_s = float(value.split(",")[0])
            case "#EXT-X-PRELOAD-HINT":
                assert not playlist.hint, "4.4.5.3: one hint of a type"
                assert attributes(value)["TYPE"] == "PART"
                playlist.hint = attributes(value)["URI"]
            case "#EXT-X-ENDLIST":
                playlist.ended = True
            case _ if line and not line.startswith("#"):
                assert open_segment is not None and open_segment.duration_s > 0, "4.4.4.1: EXTINF is required"
                open_segment.uri = line
                playlist.segments.append(open_segment)
                open_segment = None
            case _:
                assert not line, f"unknown tag {line}"
    if open_segment is not None:
        playlist.segments.append(open_segment)
    _check(playlist)
    return playlist


def _check(playlist: ReadPlaylist) -> None:
    assert playlist.target_s > 0, "4.4.3.1: TARGETDURATION is required"
    assert playlist.version >= 9, "8: EXT-X-SKIP needs version 9"
    for segment in playlist.closed:
        assert round(segment.duration_s) <= playlist.target_s, (
            f"4.4.3.1: segment {segment.msn} is {segment.duration_s} s"
        )
        assert segment.init or playlist.skipped, "4.4.4.5: fragmented MP4 needs a map"
        if segment.parts:
            total = sum(duration for _, duration, _ in segment.parts)
            assert abs(total - segment.duration_s) < 0.001 * len(segment.parts), "parts make up their segment"
    for segment in playlist.segments:
        for index, (uri, duration, _) in enumerate(segment.parts):
            assert 0 < duration <= playlist.part_target_s, f"4.4.4.9: part {uri} is {duration} s"
            last = index == len(segment.parts) - 1
            if not last:
                assert duration >= 0.85 * playlist.part_target_s, f"4.4.4.9: part {uri} is only {duration} s"
    hold_back = float(playlist.control["PART-HOLD-BACK"])
    assert hold_back >= 2 * playlist.part_target_s, "4.4.3.8: PART-HOLD-BACK must be at least twice PART-TARGET"
    assert hold_back >= 3 * playlist.part_target_s - 1e-9, "4.4.3.8: and should be three times"
    assert float(playlist.control["CAN-SKIP-UNTIL"]) >= 6 * playlist.target_s, "4.4.3.8"
    assert playlist.control["CAN-BLOCK-RELOAD"] == "YES"
    if not playlist.ended:
        total = sum(s.duration_s for s in playlist.closed)
        assert playlist.hint or total == 0, "a live low-latency playlist hints its next part"


def check_succession(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """What must hold between two loads of one playlist (6.2.1, 6.2.2)."""
    assert after.target_s == before.target_s, "4.4.3.1: TARGETDURATION must not change"
    assert after.part_target_s == before.part_target_s
    assert after.msn >= before.msn and after.discontinuity_sequence >= before.discontinuity_sequence
    gone = [segment for segment in before.closed if segment.msn < after.msn]
    leaving = sum(segment.discontinuity for segment in gone)
    if not before.skipped and not after.skipped:
        assert after.discontinuity_sequence == before.discontinuity_sequence + leaving, "6.2.2: counts what left"
    known = {segment.msn: segment for segment in after.segments}
    for old in before.segments:
        new = known.get(old.msn)
        if new is None:
            continue
        assert new.discontinuity == old.discontinuity and new.date == old.date
        if old.uri:
            assert (new.uri, new.duration_s) == (old.uri, old.duration_s), "6.2.1: a segment must not change"
        if new.parts and old.parts:
            assert new.parts[: len(old.parts)] == old.parts, "6.2.1: parts are only appended"
