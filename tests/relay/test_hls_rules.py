"""The validator against itself, and then each rule of it against a live relay over HTTP: one test a MUST.

A program that a test feeds gives a good playlist; each rule is broken in it by hand and must notice. Then a relay
process serves the test source, whose publisher is taken over midway, while a player follows part by part.
"""

from __future__ import annotations

import gzip
import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import av
import pytest

from tests.relay import checker
from tests.relay.checker import ReadPlaylist
from tests.relay.stack import Answer, Stack, fetch, until
from tests.relay.test_segmenter import _feed, _program
from tests.relay.watching import clock_of

_LOADS_BEFORE_TAKEOVER = 36
_LOADS_AFTER = 36
_PART = re.compile(r"#EXT-X-PART:DURATION=[\d.]+")


# ---- each rule notices when it is broken ----


def _good(ended: bool = False, skip: bool = False) -> str:
    program, _ = _program()
    _feed(program, 0, 700)
    if ended:
        program.end()
    return program.media_playlist(skip).decode()


def _without(line_start: str) -> Callable[[str], str]:
    return lambda text: "\n".join(line for line in text.split("\n") if not line.startswith(line_start))


def _sub(pattern: str, new: str, count: int = 1) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, new, text, count=count)


_BREAKERS: dict[str, Callable[[str], str]] = {
    "it_begins_with_extm3u": lambda text: "\n" + text,
    "it_has_no_control_characters_and_no_byte_order_mark": lambda text: text.replace("\n", "\t\n"),
    "it_has_only_tags_that_the_draft_knows": lambda text: text + "#EXT-X-OURS:1\n",
    "attributes_appear_once_and_are_well_formed": _sub("URI=", 'URI="twice",URI='),
    "tags_of_the_playlist_appear_once": _sub("(#EXT-X-PART-INF.*\n)", r"\1\1"),
    "tags_of_the_playlist_come_before_segments": lambda text: text + "#EXT-X-MEDIA-SEQUENCE:7\n",
    "it_has_a_target_duration": _without("#EXT-X-TARGETDURATION"),
    "its_version_covers_its_tags": _sub("VERSION:9", "VERSION:4"),
    "a_live_playlist_has_no_type": lambda text: text + "#EXT-X-PLAYLIST-TYPE:EVENT\n",
    "segments_round_to_at_most_the_target": _sub(r"#EXTINF:[\d.]+", "#EXTINF:3.51"),
    "segments_have_a_duration": _sub("#EXTINF.*\n", ""),
    "segments_have_a_map": _without("#EXT-X-MAP"),
    "dates_are_of_rfc_3339": _sub("(DATE-TIME:.*)Z", r"\1"),
    "each_segment_is_dated": _sub("#EXT-X-PROGRAM-DATE-TIME.*\n", ""),
    "dates_map_to_one_moment_each": _sub(r"DATE-TIME:\d{4}", "DATE-TIME:2100"),
    "parts_are_announced": _without("#EXT-X-PART-INF"),
    "parts_have_address_and_duration": _sub(r"(#EXT-X-PART:DURATION=[\d.]+),URI=\"[^\"]*\"", r"\1"),
    "parts_are_at_most_their_target_long": _sub(_PART.pattern, "#EXT-X-PART:DURATION=0.335"),
    "parts_are_at_least_85_percent_of_it": lambda text: re.sub(
        r"(#EXT-X-PART:DURATION=)[\d.]+(,URI=\"[^\"]*\"\n)", r"\g<1>0.2\2", text
    ),
    "parts_make_up_their_segment": _sub(_PART.pattern, "#EXT-X-PART:DURATION=0.29"),
    "gaps_are_told_of_segment_and_parts_alike": lambda text: re.sub("(#EXTINF.*)", "#EXT-X-GAP\n\\1", text),
    "the_skip_boundary_is_six_targets_or_more": _sub("CAN-SKIP-UNTIL=18", "CAN-SKIP-UNTIL=17"),
    "players_are_told_how_far_to_hold_back": _sub("PART-HOLD-BACK=1", "PART-HOLD-BACK=0"),
    "reloads_can_block": _sub("CAN-BLOCK-RELOAD=YES,", ""),
    "there_is_one_hint_of_a_type_and_none_at_the_end": _sub("(#EXT-X-PRELOAD-HINT.*\n)", r"\1\1"),
    "rendition_reports_name_playlist_segment_and_part": lambda text: text + '#EXT-X-RENDITION-REPORT:URI="b.m3u8"\n',
}
_ENDED_BREAKERS: dict[str, Callable[[str], str]] = {
    "nothing_follows_the_end": _sub(r"#EXTINF[^\n]*\n[^\n]*\n#EXT-X-ENDLIST", "#EXT-X-ENDLIST"),
    "skips_come_only_where_offered_and_not_at_the_end": _sub("(#EXT-X-DISC)", r"#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n\1"),
}
_DELTA_BREAKERS: dict[str, Callable[[str], str]] = {
    "what_lies_within_the_boundary_is_not_skipped": _sub("CAN-SKIP-UNTIL=18", "CAN-SKIP-UNTIL=99"),
}
_TWO_BREAKERS: dict[str, Callable[[str], str]] = {
    "the_target_stays": _sub("TARGETDURATION:3", "TARGETDURATION:4"),
    "sequence_numbers_never_go_back": _sub(r"MEDIA-SEQUENCE:\d+", "MEDIA-SEQUENCE:1"),
    "discontinuities_that_leave_are_counted": _sub("DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1"),
    "segments_stay_what_they_were": _sub(r"\n([0-9a-f]{8}_\d+)\.m4s", r"\n\1x.m4s"),
    "parts_are_only_appended": _sub(r'URI="([0-9a-f]{8}_\d+_\d+)\.m4s"', r'URI="\1x.m4s"'),
    "an_end_stays_the_end": lambda text: text,
}


def _broken() -> list[tuple[str, str, Callable[[str], str]]]:
    made = [("live", name, breaker) for name, breaker in _BREAKERS.items()]
    made += [("ended", name, breaker) for name, breaker in _ENDED_BREAKERS.items()]
    return made + [("delta", name, breaker) for name, breaker in _DELTA_BREAKERS.items()]


@pytest.mark.parametrize(("kind", "name", "breaker"), _broken(), ids=lambda value: value if type(value) is str else "")
def test_a_rule_passes_a_good_playlist_and_notices_a_broken_one(
    kind: str, name: str, breaker: Callable[[str], str]
) -> None:
    text = _good(ended=kind == "ended", skip=kind == "delta")
    rule = next(rule for rule in checker.ONE if rule.__name__ == name)
    rule(checker.parse(text))
    broken = breaker(text)
    assert broken != text
    with pytest.raises(AssertionError):
        rule(checker.parse(broken))


@pytest.mark.parametrize("name", _TWO_BREAKERS)
def test_a_rule_of_two_loads_notices_a_broken_second_one(name: str) -> None:
    rule = next(rule for rule in checker.TWO if rule.__name__ == name)
    before = _good(ended=name == "an_end_stays_the_end")
    rule(checker.parse(before), checker.parse(before))
    after = _TWO_BREAKERS[name](_good() if name == "an_end_stays_the_end" else before)
    with pytest.raises(AssertionError):
        rule(checker.parse(before), checker.parse(after))


def test_removing_all_but_two_targets_is_noticed() -> None:
    before = checker.parse(_good())
    after = checker.parse(_good())
    after.segments = after.segments[-3:]
    after.msn = after.segments[0].msn
    with pytest.raises(AssertionError):
        checker.segments_leave_in_order_and_leave_three_targets(before, after)


def test_each_rule_is_broken_by_some_test_here() -> None:
    broken = {*_BREAKERS, *_ENDED_BREAKERS, *_DELTA_BREAKERS, *_TWO_BREAKERS}
    broken.add("segments_leave_in_order_and_leave_three_targets")
    assert {rule.__name__ for rule in [*checker.ONE, *checker.TWO]} == broken


# ---- a live relay ----


@dataclass
class Load:
    """A playlist as it came, and what was asked."""

    msn: int
    part: int
    asked_s: float
    came_s: float
    playlist: ReadPlaylist


@dataclass
class Visit:
    """All that a player saw who stayed while the publisher changed."""

    stack: Stack
    loads: list[Load] = field(default_factory=list)
    deltas: list[tuple[ReadPlaylist, ReadPlaylist]] = field(default_factory=list)
    parts: dict[str, bytes] = field(default_factory=dict)
    hinted: dict[str, Answer] = field(default_factory=dict)
    ended: str = ""

    def get(self, name: str, **headers: str) -> Answer:
        return fetch(self.stack.live_url("visit", name), headers=headers)

    def step(self) -> None:
        """Load what comes next, fetch its newest part, and compare with a delta now and then."""
        msn, part = 0, 0
        if self.loads:
            newest = self.loads[-1].playlist.segments[-1]
            msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))
        asked_s = time.monotonic()
        query = f"?_HLS_msn={msn}&_HLS_part={part}" if msn else ""
        answer = self.get("media.m3u8" + query)
        assert answer.status == 200, answer.text
        self.loads.append(Load(msn, part, asked_s, time.monotonic(), checker.parse(answer.text)))
        newest = self.loads[-1].playlist.segments[-1]
        for uri, _, _ in newest.parts:
            if uri not in self.parts:
                self.parts[uri] = self.get(uri).body
        if len(self.loads) % 12 == 0:
            delta = checker.parse(self.get("media.m3u8" + query + "&_HLS_skip=YES").text)
            self.deltas.append((checker.parse(self.get("media.m3u8" + query).text), delta))

    @property
    def playlists(self) -> list[ReadPlaylist]:
        return [load.playlist for load in self.loads]

    @property
    def last(self) -> ReadPlaylist:
        return self.loads[-1].playlist


@pytest.fixture(scope="module")
def visit(stack: Stack) -> Visit:
    stack.put_stream("visit")
    stack.start_source("visit")
    until(lambda: fetch(stack.live_url("visit")).status == 200, 20, "the test picture is on air")
    seen = Visit(stack)
    for _ in range(_LOADS_BEFORE_TAKEOVER):
        seen.step()
    stack.put_stream("visit", generation=2)
    stack.start_source("visit", 2)
    for _ in range(_LOADS_AFTER):
        seen.step()
    return seen


@pytest.mark.parametrize("rule", checker.ONE, ids=lambda rule: rule.__name__)
def test_every_playlist_of_the_relay(visit: Visit, rule: checker.Rule) -> None:
    for playlist in visit.playlists:
        rule(playlist)
    for _, delta in visit.deltas:
        rule(delta)


@pytest.mark.parametrize("rule", checker.TWO, ids=lambda rule: rule.__name__)
def test_every_load_after_another(visit: Visit, rule: checker.Succession) -> None:
    for before, after in pairwise(visit.playlists):
        rule(before, after)


def test_the_visit_saw_a_discontinuity_and_a_skip(visit: Visit) -> None:
    assert sum(segment.discontinuity for segment in visit.last.segments) == 1
    assert any(delta.skipped for _, delta in visit.deltas)


def test_6_2_5_2_an_answer_holds_the_part_that_was_asked_for(visit: Visit) -> None:
    for load in visit.loads[1:]:
        parts = {segment.msn: len(segment.parts) for segment in load.playlist.segments}
        assert max(parts) > load.msn or parts[load.msn] > load.part


def test_6_2_5_2_a_part_beyond_the_last_of_its_segment_is_the_first_of_the_next(visit: Visit) -> None:
    newest = visit.last.segments[-1]
    answer = visit.get(f"media.m3u8?_HLS_msn={newest.msn}&_HLS_part=8")
    assert answer.status == 200 and checker.read(answer.text).segments[-1].msn > newest.msn


def test_6_2_5_2_the_whole_playlist_comes_for_a_segment_that_is_gone(visit: Visit) -> None:
    asked_s = time.monotonic()
    answer = visit.get("media.m3u8?_HLS_msn=5&_HLS_part=0")
    assert len(checker.read(answer.text).closed) >= 3 and time.monotonic() - asked_s < 1


def test_6_2_5_2_a_part_without_a_segment_is_refused(visit: Visit) -> None:
    assert visit.get("media.m3u8?_HLS_part=0").status == 400


def test_6_2_5_2_too_far_ahead_is_refused_at_once(visit: Visit) -> None:
    newest = checker.read(visit.get("media.m3u8").text).segments[-1].msn
    asked_s = time.monotonic()
    assert visit.get(f"media.m3u8?_HLS_msn={newest + 4}").status == 400
    assert visit.get(f"media.m3u8?_HLS_msn={newest + 1}&_HLS_part=40").status == 400
    assert time.monotonic() - asked_s < 1


def test_6_2_1_a_part_comes_within_a_part_target_of_the_one_before(visit: Visit) -> None:
    # But where the publisher was replaced; the machine may be late by as much again.
    came = [(load.came_s, load.playlist) for load in visit.loads[2:_LOADS_BEFORE_TAKEOVER]]
    steps = sorted(later[0] - earlier[0] for earlier, later in pairwise(came))
    assert steps[len(steps) // 2] < 1.2 * visit.last.part_target_s
    assert steps[-1] < 1.5 * visit.last.target_s, "6.2.1: nor a segment later than 1.5 targets"


def test_6_2_5_1_a_delta_and_what_it_skips_are_the_whole(visit: Visit) -> None:
    for full, delta in visit.deltas:
        whole = {segment.msn: segment for segment in full.segments}
        for segment in delta.closed:
            if segment.msn in whole and whole[segment.msn].uri:
                told = whole[segment.msn]
                assert (segment.uri, segment.duration_s, segment.date) == (told.uri, told.duration_s, told.date)


def test_6_2_6_a_hinted_part_is_held_until_it_is_whole(visit: Visit) -> None:
    hint = checker.read(visit.get("media.m3u8").text).hint
    early = visit.get(hint)
    assert early.status == 200 and early.body == visit.get(hint).body
    assert len(early.body) == int.from_bytes(early.body[:4], "big") + _mdat_size(early.body)


def test_6_2_6_what_is_neither_there_nor_hinted_is_not_found(visit: Visit) -> None:
    run = visit.last.hint.split("_")[0]
    for name in (f"{run}_{visit.last.segments[-1].msn + 9}_0.m4s", f"{run}_1.m4s", f"{run}_init99.mp4"):
        asked_s = time.monotonic()
        assert visit.get(name).status == 404 and time.monotonic() - asked_s < 1


def test_6_2_1_segments_and_parts_are_there_when_they_are_told(visit: Visit) -> None:
    for segment in checker.read(visit.get("media.m3u8").text).closed:
        assert visit.get(segment.uri).status == 200
        assert visit.get(segment.init).body[4:8] == b"ftyp"


def test_6_2_2_a_part_stays_three_targets_after_its_tag_left(visit: Visit) -> None:
    playlist = checker.read(visit.get("media.m3u8").text)
    bare = [segment for segment in playlist.closed if not segment.parts]
    assert bare, "tags of old parts leave the playlist"
    name = bare[0].uri.removesuffix(".m4s") + "_0.m4s"
    assert visit.get(name).status == 200


def test_4_4_4_9_a_segment_is_its_parts_one_after_the_other(visit: Visit) -> None:
    for segment in visit.last.closed[-3:]:
        assert visit.get(segment.uri).body == b"".join(visit.get(uri).body for uri, _, _ in segment.parts)


def test_4_4_4_9_independent_parts_and_no_others_begin_with_a_key_frame(visit: Visit) -> None:
    playlist = visit.last
    checked = 0
    for segment in playlist.segments:
        for uri, _, independent in segment.parts:
            first = next(iter(_packets(visit.get(segment.init).body + visit.get(uri).body, "video")), None)
            assert first is not None and bool(first.is_keyframe) == independent, uri
            checked += independent
    assert checked >= 2


def test_4_4_4_3_times_run_on_but_where_a_discontinuity_is_told(visit: Visit) -> None:
    ends: float | None = None
    for segment in visit.last.closed:
        packets = _packets(visit.get(segment.init).body + visit.get(segment.uri).body, "video")
        first, last = packets[0], packets[-1]
        assert first.dts is not None and last.dts is not None
        if ends is not None and not segment.discontinuity:
            assert abs(first.dts - ends) <= 3_000, segment.msn
        ends = last.dts + (last.duration or 3_000)


def test_4_4_4_6_the_date_of_each_segment_is_exact_to_the_frame(visit: Visit) -> None:
    # The picture shows the wall clock at which it was drawn: what lies between is the same for all of one publisher.
    late_ms: dict[bool, list[float]] = {False: [], True: []}
    after = False
    for segment in visit.last.closed:
        after = after or segment.discontinuity
        assert segment.date is not None
        body = visit.get(segment.init).body + visit.get(segment.uri).body
        with av.open(io.BytesIO(body)) as container:
            picture = next(container.decode(video=0))
        late = clock_of(picture, round(segment.date.timestamp() * 1000))
        late_ms[after].append(late if late < 1 << 31 else late - (1 << 32))
    for lates in late_ms.values():
        assert len(lates) >= 3 and max(lates) - min(lates) <= 34, lates
        assert all(-34 <= late <= 400 for late in lates), lates


def test_4_4_6_2_bandwidth_is_at_least_that_of_each_segment(visit: Visit) -> None:
    line = next(line for line in visit.get("index.m3u8").text.splitlines() if "STREAM-INF" in line)
    told = int(checker.attributes(line)["BANDWIDTH"])
    for segment in visit.last.closed[1:]:
        if segment.duration_s >= visit.last.target_s / 2:
            assert 8 * len(visit.get(segment.uri).body) / segment.duration_s <= told, segment.msn


def test_6_2_1_text_is_compressed_and_pages_of_other_origins_may_read(visit: Visit) -> None:
    for name in ("index.m3u8", "media.m3u8"):
        answer = visit.get(name, **{"Accept-Encoding": "gzip", "Origin": "https://a.example"})
        assert answer.headers["content-encoding"] == "gzip" and b"#EXTM3U" in gzip.decompress(answer.body)
        assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
        assert answer.headers["access-control-allow-origin"] == "*"


def test_caches_keep_media_for_ever_and_playlists_for_a_moment(visit: Visit) -> None:
    segment = visit.last.closed[-1]
    for name in (segment.uri, segment.init, segment.parts[0][0]):
        assert "immutable" in visit.get(name).headers["cache-control"]
    assert visit.get("media.m3u8").headers["cache-control"] == "public, max-age=1"
    assert visit.get("nothing.m4s").headers["cache-control"] == "no-store"


def test_6_2_5_at_the_end_directives_are_ignored_and_the_whole_playlist_stays(visit: Visit, stack: Stack) -> None:
    stack.put_stream("visit", state="ended", generation=2)
    until(lambda: checker.parse(visit.get("media.m3u8").text).ended, 10, "the end is told")
    asked_s = time.monotonic()
    whole = visit.get("media.m3u8").text
    last = checker.read(whole).closed[-1].msn
    for query in ("?_HLS_skip=YES", f"?_HLS_msn={last + 50}", f"?_HLS_msn={last + 1}&_HLS_part=0&_HLS_skip=v2"):
        assert visit.get("media.m3u8" + query).text == whole
    assert time.monotonic() - asked_s < 2
    assert visit.get(checker.read(whole).closed[-1].uri).status == 200, "6.2.1: segments remain after the end"


def _mdat_size(body: bytes) -> int:
    at = int.from_bytes(body[:4], "big")
    assert body[at + 4 : at + 8] == b"mdat"
    return int.from_bytes(body[at : at + 4], "big")


def _packets(body: bytes, kind: str) -> list[av.Packet]:
    with av.open(io.BytesIO(body)) as container:
        return [packet for packet in container.demux() if packet.stream.type == kind and packet.dts is not None]
