"""The MUSTs of draft-pantos-hls-rfc8216bis that the playlists of one multivariant playlist show together.

As checker.py: each rule is a function of its own, from the draft's text. ``playlists`` are media playlists by URI that
were loaded one after the other, the first one again at the end. Section numbers are the draft's.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise

import av

from tests.relay import checker
from tests.relay.checker import ReadPlaylist, ReadSegment

Loads = list[tuple[str, ReadPlaylist]]
Rule = Callable[[Loads], None]
ACROSS: list[Rule] = []


def across(rule: Rule) -> Rule:
    """Registers a rule of several playlists."""
    ACROSS.append(rule)
    return rule


def _shared(loads: Loads) -> list[tuple[str, ReadSegment, ReadSegment]]:
    """Segments of the first playlist beside those of the same number in each other one."""
    first = {segment.msn: segment for segment in loads[0][1].segments}
    pairs = [(uri, segment) for uri, playlist in loads[1:] for segment in playlist.segments if segment.msn in first]
    assert pairs, "6.2.4: no segment in common"
    return [(uri, first[segment.msn], segment) for uri, segment in pairs]


@across
def targets_are_equal(loads: Loads) -> None:
    """6.2.4: renditions have the same target duration."""
    assert len({(playlist.target_s, playlist.part_target_s) for _, playlist in loads}) == 1, "6.2.4"


@across
def segments_of_one_number_are_of_one_time(loads: Loads) -> None:
    """6.2.4: matching content has matching times; dates name them."""
    for uri, one, other in _shared(loads):
        assert one.date == other.date, f"6.2.4: {uri} {other.msn} is of {other.date}, not {one.date}"
        if one.uri and other.uri:
            assert one.duration_s == other.duration_s, f"6.2.4: {uri} {other.msn}"


@across
def parts_of_one_number_are_of_one_length(loads: Loads) -> None:
    """6.2.4: so have parts."""
    for uri, one, other in _shared(loads):
        for (_, length_s, _), (_, other_s, _) in zip(one.parts, other.parts, strict=False):
            assert length_s == other_s, f"6.2.4: {uri} {other.msn}"
        if one.uri and other.uri and one.parts and other.parts:
            assert len(one.parts) == len(other.parts), f"6.2.4: {uri} {other.msn}"


@across
def discontinuities_have_the_same_numbers(loads: Loads) -> None:
    """6.2.4: matching content has matching discontinuity sequence numbers."""
    counts: dict[int, int] = {}
    for uri, playlist in loads:
        count = playlist.discontinuity_sequence
        for segment in playlist.segments:
            count += segment.discontinuity
            known = counts.setdefault(segment.msn, count)
            assert known == count, f"6.2.4: {uri} {segment.msn} is after {count} discontinuities, not {known}"


@across
def each_tells_where_the_others_are(loads: Loads) -> None:
    """4.4.5.4, 6.2.5.4: a report for each other playlist, which says what that one held at the time."""
    uris = {uri for uri, _ in loads}
    for uri, playlist in loads:
        told = [checker.attributes(value) for value in playlist.values("#EXT-X-RENDITION-REPORT")]
        assert {report["URI"] for report in told} == uris - {uri}, f"4.4.5.4: {uri} reports {told}"
        assert len(told) == len(uris) - 1, f"4.4.5.4: {uri} reports twice"
    for (earlier, before), (later, after) in pairwise(loads):
        # Loaded one after the other: what a report tells is not behind an earlier load, nor ahead of a later one.
        for report in map(checker.attributes, after.values("#EXT-X-RENDITION-REPORT")):
            if report["URI"] == earlier:
                assert _last(report) >= newest(before), f"4.4.5.4: {later} of {earlier}: {report}"
        for report in map(checker.attributes, before.values("#EXT-X-RENDITION-REPORT")):
            if report["URI"] == later:
                assert _last(report) <= newest(after), f"4.4.5.4: {earlier} of {later}: {report}"


def _last(report: dict[str, str]) -> tuple[int, int]:
    return int(report["LAST-MSN"]), int(report["LAST-PART"])


def newest(playlist: ReadPlaylist) -> tuple[int, int]:
    """Media sequence number and part index of the newest part."""
    last = playlist.segments[-1]
    return last.msn, len(last.parts) - 1


def a_gap_stays_a_gap(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """6.2.1: what was told as missing does not come after all, nor the other way round."""
    known = {segment.msn: segment for segment in after.segments}
    for old in before.segments:
        new = known.get(old.msn)
        if new is not None and new.parts:
            assert new.gaps[: len(old.gaps)] == old.gaps, f"6.2.1: {old.msn}"


def variants(text: str) -> dict[str, dict[str, str]]:
    """Attributes of each EXT-X-STREAM-INF of a multivariant playlist by URI, in order."""
    lines = text.splitlines()
    return {
        uri: checker.attributes(line.partition(":")[2])
        for line, uri in pairwise(lines)
        if line.startswith("#EXT-X-STREAM-INF:")
    }


def a_variant_is_what_it_is_said_to_be(told: dict[str, str], init: bytes, segment: bytes) -> None:
    """4.4.6.2: CODECS and RESOLUTION are those of the media, as an H.264 parser other than ours reads them."""
    with av.open(io.BytesIO(init + segment)) as container:
        found: list[str] = []
        for stream in container.streams:
            if stream.type == "video":
                context = stream.codec_context
                record = context.extradata
                assert record is not None and record[0] == 1, "an avcC"
                found.append(f"avc1.{record[1:4].hex()}")
                assert told["RESOLUTION"] == f"{context.width}x{context.height}", f"4.4.6.2: {told}"
                assert next(container.decode(stream)).width == context.width
            elif stream.type == "audio":
                found.append("mp4a.40.2")
        assert any(stream.type == "video" for stream in container.streams) == ("RESOLUTION" in told), f"4.4.6.2: {told}"
        assert told["CODECS"].split(",") == found, f"4.4.6.2: {told}, found {found}"
