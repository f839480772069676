"""An LL-HLS validator: the MUSTs of draft-pantos-hls-rfc8216bis that one playlist, or two loads of it, can show.

Written from the draft's text, not from the relay. Each rule is a function of its own whose name and docstring say what
it holds a server to; `ONE` and `TWO` list them, so that each can be a test (test_hls_rules.py). What takes HTTP to see
is there too. Section numbers are the draft's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

_ONCE = ("#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-SERVER-CONTROL",
         "#EXT-X-PART-INF", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-SKIP", "#EXT-X-ENDLIST")  # fmt: skip
_OF_SEGMENTS = ("#EXT-X-PART", "#EXTINF", "#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-GAP")
_KNOWN = {*_ONCE, *_OF_SEGMENTS, "#EXT-X-MAP", "#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION-REPORT"}
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# Durations are told to five decimals.
_ROUNDING_S = 0.001


@dataclass
class ReadSegment:
    """A segment as a client reads it."""

    msn: int
    uri: str = ""
    duration_s: float = 0.0
    parts: list[tuple[str, float, bool]] = field(default_factory=list)
    gaps: list[bool] = field(default_factory=list)
    discontinuity: bool = False
    gap: bool = False
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
    lines: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def closed(self) -> list[ReadSegment]:
        return [segment for segment in self.segments if segment.uri]

    def values(self, tag: str) -> list[str]:
        """What stands behind each occurrence of ``tag``."""
        return [line.partition(":")[2] for line in self.lines if line.partition(":")[0] == tag]


Rule = Callable[[ReadPlaylist], None]
Succession = Callable[[ReadPlaylist, ReadPlaylist], None]
ONE: list[Rule] = []
TWO: list[Succession] = []


def attributes(text: str) -> dict[str, str]:
    """An attribute list (4.2), quotes taken off."""
    return {name: value.strip('"') for name, value in re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)', text)}


def parse(text: str) -> ReadPlaylist:
    """What a client takes from the text, lenient: rules judge it."""
    playlist = ReadPlaylist(lines=text.split("\n"), text=text)
    growing: ReadSegment | None = None
    init = ""
    for line in playlist.lines:
        tag, _, value = line.partition(":")
        if growing is None and (tag in _OF_SEGMENTS or (line and not line.startswith("#"))):
            growing = ReadSegment(playlist.msn + playlist.skipped + len(playlist.segments), init=init)
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
                playlist.part_target_s = float(attributes(value).get("PART-TARGET", "0"))
            case "#EXT-X-SKIP":
                playlist.skipped = int(attributes(value).get("SKIPPED-SEGMENTS", "0"))
            case "#EXT-X-MAP":
                init = attributes(value).get("URI", "")
                if growing is not None:
                    growing.init = init
            case "#EXT-X-PRELOAD-HINT":
                playlist.hint = attributes(value).get("URI", "")
            case "#EXT-X-ENDLIST":
                playlist.ended = True
            case _ if growing is not None:
                _take(growing, tag, value)
                if line and not line.startswith("#"):
                    growing.uri = line
                    playlist.segments.append(growing)
                    growing = None
            case _:
                pass
    if growing is not None:
        playlist.segments.append(growing)
    return playlist


def _take(growing: ReadSegment, tag: str, value: str) -> None:
    match tag:
        case "#EXT-X-DISCONTINUITY":
            growing.discontinuity = True
        case "#EXT-X-GAP":
            growing.gap = True
        case "#EXT-X-PROGRAM-DATE-TIME" if _DATE.fullmatch(value):
            growing.date = datetime.fromisoformat(value)
        case "#EXT-X-PART":
            part = attributes(value)
            growing.parts.append(
                (part.get("URI", ""), float(part.get("DURATION", "0")), part.get("INDEPENDENT") == "YES")
            )
            growing.gaps.append(part.get("GAP") == "YES")
        case "#EXTINF":
            growing.duration_s = float(value.split(",")[0])
        case _:
            pass


def read(text: str) -> ReadPlaylist:
    """The playlist, held to every rule that one playlist can break; AssertionError names the section."""
    playlist = parse(text)
    for rule in ONE:
        rule(playlist)
    return playlist


def check_succession(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """What must hold between two loads of one playlist."""
    for rule in TWO:
        rule(before, after)


def one(rule: Rule) -> Rule:
    """Registers a rule of one playlist."""
    ONE.append(rule)
    return rule


def two(rule: Succession) -> Succession:
    """Registers a rule of two loads."""
    TWO.append(rule)
    return rule


# ---- one playlist ----


@one
def it_begins_with_extm3u(playlist: ReadPlaylist) -> None:
    """4.4.1.1: the first line is EXTM3U."""
    assert playlist.lines[0] == "#EXTM3U", "4.4.1.1"


@one
def it_has_no_control_characters_and_no_byte_order_mark(playlist: ReadPlaylist) -> None:
    """4.1: UTF-8 without BOM and without control characters but line ends."""
    assert not re.search("[\0-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]", playlist.text), "4.1"


@one
def it_has_only_tags_that_the_draft_knows(playlist: ReadPlaylist) -> None:
    """4.1: a line is a URI, blank, or a tag; ours uses no tags of its own."""
    for line in playlist.lines[1:]:
        assert not line.startswith("#") or line.partition(":")[0] in _KNOWN, f"4.1: {line}"


@one
def attributes_appear_once_and_are_well_formed(playlist: ReadPlaylist) -> None:
    """4.2: no attribute name twice in a list, no space around the equals sign."""
    for line in playlist.lines:
        tag, _, value = line.partition(":")
        if tag.startswith("#EXT-X-") and "=" in value:
            names = [name for name, _ in re.findall(r'([^=,]+)=("[^"]*"|[^,]*)', value)]
            assert len(names) == len(set(names)), f"4.2: {line}"
            assert all(re.fullmatch(r"[A-Z0-9-]+", name) for name in names), f"4.2: {line}"


@one
def tags_of_the_playlist_appear_once(playlist: ReadPlaylist) -> None:
    """4.4.1, 4.4.3: a playlist has one of each of its own tags."""
    for tag in _ONCE:
        assert sum(line.partition(":")[0] == tag for line in playlist.lines) <= 1, f"4.4.3: {tag} twice"


@one
def tags_of_the_playlist_come_before_segments(playlist: ReadPlaylist) -> None:
    """4.4.3.2, 4.4.3.3: sequence numbers stand before the first segment."""
    tags = [line.partition(":")[0] for line in playlist.lines]
    first = next((at for at, tag in enumerate(tags) if tag in _OF_SEGMENTS), len(tags))
    late = [tag for tag in tags[first:] if tag in _ONCE and tag != "#EXT-X-ENDLIST"]
    assert not late, f"4.4.3: {late} after a segment"


@one
def it_has_a_target_duration(playlist: ReadPlaylist) -> None:
    """4.4.3.1: EXT-X-TARGETDURATION is required."""
    assert playlist.target_s > 0, "4.4.3.1"


@one
def its_version_covers_its_tags(playlist: ReadPlaylist) -> None:
    """8: EXT-X-SKIP takes version 9, EXT-X-MAP 6, EXTINF with decimals 3."""
    needed = 9 if playlist.skipped else 6 if playlist.values("#EXT-X-MAP") else 3
    assert playlist.version >= needed, f"8: version {playlist.version}, needed {needed}"


@one
def a_live_playlist_has_no_type(playlist: ReadPlaylist) -> None:
    """6.2.2: no EXT-X-PLAYLIST-TYPE where segments are removed."""
    assert not playlist.values("#EXT-X-PLAYLIST-TYPE"), "6.2.2"


@one
def segments_round_to_at_most_the_target(playlist: ReadPlaylist) -> None:
    """6.2.1: a segment's duration, rounded, is at most the target."""
    for segment in playlist.closed:
        assert round(segment.duration_s) <= playlist.target_s, f"6.2.1: {segment.msn} is {segment.duration_s} s"


@one
def segments_have_a_duration(playlist: ReadPlaylist) -> None:
    """4.4.4.1: EXTINF is required for each segment."""
    assert all(segment.duration_s > 0 for segment in playlist.closed), "4.4.4.1"


@one
def segments_have_a_map(playlist: ReadPlaylist) -> None:
    """4.4.4.5: fragmented MP4 takes EXT-X-MAP; behind EXT-X-SKIP the client has it already."""
    assert playlist.skipped or all(segment.init for segment in playlist.segments), "4.4.4.5"


@one
def dates_are_of_rfc_3339(playlist: ReadPlaylist) -> None:
    """4.4.4.6: EXT-X-PROGRAM-DATE-TIME is an ISO 8601 date with a time zone."""
    assert all(_DATE.fullmatch(value) for value in playlist.values("#EXT-X-PROGRAM-DATE-TIME")), "4.4.4.6"


@one
def each_segment_is_dated(playlist: ReadPlaylist) -> None:
    """6.2.1: where dates are told, each discontinuity has one; ours dates every segment."""
    assert all(segment.date is not None for segment in playlist.segments), "6.2.1"


@one
def dates_map_to_one_moment_each(playlist: ReadPlaylist) -> None:
    """6.2.1: the mapping of dates is not ambiguous; overlaps are below a second and part of a segment."""
    for earlier, later in pairwise(playlist.closed):
        if earlier.date is None or later.date is None:
            continue
        overlap_s = earlier.date.timestamp() + earlier.duration_s - later.date.timestamp()
        assert overlap_s < min(1.0, later.duration_s) and earlier.date < later.date, f"6.2.1: {later.msn} {overlap_s}"
        assert later.discontinuity or abs(overlap_s) < 0.005, f"6.2.1: {later.msn} {overlap_s} without a discontinuity"


@one
def parts_are_announced(playlist: ReadPlaylist) -> None:
    """4.4.3.7: EXT-X-PART-INF with PART-TARGET is required where there are parts."""
    assert playlist.part_target_s > 0 or not playlist.values("#EXT-X-PART"), "4.4.3.7"


@one
def parts_have_address_and_duration(playlist: ReadPlaylist) -> None:
    """4.4.4.9: URI and DURATION are required."""
    assert all(uri and length > 0 for segment in playlist.segments for uri, length, _ in segment.parts), "4.4.4.9"


@one
def parts_are_at_most_their_target_long(playlist: ReadPlaylist) -> None:
    """4.4.4.9: no part is longer than PART-TARGET."""
    for segment in playlist.segments:
        for uri, duration_s, _ in segment.parts:
            assert duration_s <= playlist.part_target_s, f"4.4.4.9: {uri} is {duration_s} s"


@one
def parts_are_at_least_85_percent_of_it(playlist: ReadPlaylist) -> None:
    """4.4.4.9: shorter are only the last of a segment and independent ones."""
    for segment in playlist.segments:
        for uri, duration_s, independent in segment.parts[:-1]:
            assert independent or duration_s >= 0.85 * playlist.part_target_s, f"4.4.4.9: {uri} is {duration_s} s"


@one
def parts_make_up_their_segment(playlist: ReadPlaylist) -> None:
    """4.4.4.9: the parts of a segment are all of it."""
    for segment in playlist.closed:
        if segment.parts:
            total_s = sum(duration_s for _, duration_s, _ in segment.parts)
            assert abs(total_s - segment.duration_s) < _ROUNDING_S * len(segment.parts), f"4.4.4.9: {segment.msn}"


@one
def gaps_are_told_of_segment_and_parts_alike(playlist: ReadPlaylist) -> None:
    """4.4.4.7, 6.2.1: a segment is a gap when one of its parts is."""
    for segment in playlist.closed:
        if segment.parts:
            assert segment.gap == any(segment.gaps), f"4.4.4.7: {segment.msn}"


@one
def the_skip_boundary_is_six_targets_or_more(playlist: ReadPlaylist) -> None:
    """4.4.3.8: CAN-SKIP-UNTIL is at least six target durations."""
    assert float(playlist.control.get("CAN-SKIP-UNTIL", "inf")) >= 6 * playlist.target_s, "4.4.3.8"


@one
def players_are_told_how_far_to_hold_back(playlist: ReadPlaylist) -> None:
    """4.4.3.8: PART-HOLD-BACK is required, must be twice and should be three times PART-TARGET."""
    hold_back_s = float(playlist.control.get("PART-HOLD-BACK", "0"))
    assert hold_back_s >= 3 * playlist.part_target_s - 1e-9, f"4.4.3.8: PART-HOLD-BACK={hold_back_s}"


@one
def reloads_can_block(playlist: ReadPlaylist) -> None:
    """6.2.5.2: a low-latency server offers blocking reload."""
    assert playlist.control.get("CAN-BLOCK-RELOAD") == "YES", "6.2.5.2"


@one
def skips_come_only_where_offered_and_not_at_the_end(playlist: ReadPlaylist) -> None:
    """6.2.5.1: no delta update without CAN-SKIP-UNTIL, nor of a playlist with EXT-X-ENDLIST."""
    assert not playlist.skipped or ("CAN-SKIP-UNTIL" in playlist.control and not playlist.ended), "6.2.5.1"


@one
def what_lies_within_the_boundary_is_not_skipped(playlist: ReadPlaylist) -> None:
    """6.2.5.1: skipped segments lie further from the end of the last segment than CAN-SKIP-UNTIL."""
    if playlist.skipped:
        left_s = sum(segment.duration_s for segment in playlist.closed)
        assert left_s >= float(playlist.control["CAN-SKIP-UNTIL"]) - _ROUNDING_S, f"6.2.5.1: only {left_s} s are left"


@one
def there_is_one_hint_of_a_type_and_none_at_the_end(playlist: ReadPlaylist) -> None:
    """4.4.5.3: TYPE and URI are required, one of a type; a live low-latency playlist hints its next part."""
    hints = [attributes(value) for value in playlist.values("#EXT-X-PRELOAD-HINT")]
    assert all(hint.get("TYPE") in ("PART", "MAP") and hint.get("URI") for hint in hints), "4.4.5.3"
    assert len({hint["TYPE"] for hint in hints}) == len(hints), "4.4.5.3"
    if playlist.closed:
        assert bool(playlist.hint) != playlist.ended, "4.4.5.3: the next part of a live playlist"
    assert playlist.hint not in {uri for segment in playlist.segments for uri, _, _ in segment.parts}, "4.4.5.3"


@one
def nothing_follows_the_end(playlist: ReadPlaylist) -> None:
    """6.2.1: with EXT-X-ENDLIST the last segment is there, and whole."""
    assert not playlist.ended or len(playlist.closed) == len(playlist.segments), "6.2.1: a segment is left open"


@one
def rendition_reports_name_playlist_segment_and_part(playlist: ReadPlaylist) -> None:
    """4.4.5.4: URI is relative, LAST-MSN and LAST-PART are numbers."""
    for value in playlist.values("#EXT-X-RENDITION-REPORT"):
        report = attributes(value)
        assert "://" not in report.get("URI", "://"), f"4.4.5.4: {value}"
        assert report.get("LAST-MSN", "").isdigit() and report.get("LAST-PART", "").isdigit(), f"4.4.5.4: {value}"


# ---- two loads ----


@two
def the_target_stays(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """6.2.1: EXT-X-TARGETDURATION does not change, nor does PART-TARGET."""
    assert (after.target_s, after.part_target_s) == (before.target_s, before.part_target_s), "6.2.1"


@two
def sequence_numbers_never_go_back(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """6.2.2: neither sequence number decreases."""
    assert after.msn >= before.msn, "6.2.2"
    assert after.discontinuity_sequence >= before.discontinuity_sequence, "6.2.2"


@two
def discontinuities_that_leave_are_counted(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """6.2.2: EXT-X-DISCONTINUITY-SEQUENCE rises by those that left."""
    if not before.skipped and not after.skipped:
        left = sum(segment.discontinuity for segment in before.closed if segment.msn < after.msn)
        assert after.discontinuity_sequence == before.discontinuity_sequence + left, "6.2.2"


@two
def segments_stay_what_they_were(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """6.2.1: lines are only appended; so is 6.2.2's numbering by one for each removed segment."""
    known = {segment.msn: segment for segment in after.segments}
    for old in before.segments:
        new = known.get(old.msn)
        if new is None:
            continue
        assert (new.discontinuity, new.date) == (old.discontinuity, old.date), f"6.2.1: {old.msn}"
        if old.uri:
            assert (new.uri, new.duration_s) == (old.uri, old.duration_s), f"6.2.1: {old.msn} changed"


@two
def parts_are_only_appended(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """6.2.1, 6.2.2: parts are added at the end, and removed of whole old segments only."""
    known = {segment.msn: segment for segment in after.segments}
    for old in before.segments:
        new = known.get(old.msn)
        if new is not None and new.parts:
            assert new.parts[: len(old.parts)] == old.parts, f"6.2.1: parts of {old.msn}"


@two
def segments_leave_in_order_and_leave_three_targets(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """6.2.2: removal may not leave less than three target durations."""
    if before.segments and after.msn > before.msn and not after.ended and not after.skipped:
        left_s = sum(segment.duration_s for segment in after.closed)
        assert left_s >= 3 * after.target_s, f"6.2.2: {left_s} s are left"


@two
def an_end_stays_the_end(before: ReadPlaylist, after: ReadPlaylist) -> None:
    """6.2.1: a playlist that ended does not go on."""
    assert after.ended or not before.ended, "6.2.1"
