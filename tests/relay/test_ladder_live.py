"""The ladder of a relay process, as viewers see it over HTTP: two publishers one after the other, a worker that is
killed, one that stands still, and a viewer who came to another task."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.relay import checker, rendition_rules
from tests.relay.cluster import Cluster, Task
from tests.relay.rendition_rules import Loads, variants
from tests.relay.stack import ROOT, Stack, fetch, stream_key, until

_LADDER = {"LADDER": "480,240", "LADDER_MAX": "2", "PROCESSORS": "4", "COMPOSE_PX": "360"}
_RENDITIONS = ["media.m3u8", "480p.m3u8", "240p.m3u8", "audio.m3u8"]


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(**_LADDER) as running:
        yield running


def _get(stack: Stack, stream_id: str, name: str) -> str:
    answer = fetch(stack.live_url(stream_id, name))
    assert answer.status == 200, f"{name}: {answer.status} {answer.text}"
    return answer.text


def _loads(stack: Stack, stream_id: str) -> Loads:
    """Every media playlist, the first again at the end, each held to the rules of one."""
    return [(uri, checker.read(_get(stack, stream_id, uri))) for uri in [*_RENDITIONS, _RENDITIONS[0]]]


def _next(stack: Stack, stream_id: str, uri: str, playlist: checker.ReadPlaylist) -> checker.ReadPlaylist:
    """The playlist with one part more, by blocking reload."""
    newest = playlist.segments[-1]
    msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))
    return checker.read(_get(stack, stream_id, f"{uri}?_HLS_msn={msn}&_HLS_part={part}"))


def _workers(stack: Stack) -> list[int]:
    """Processes of the relay that make ladders."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if b"media.relay.ladder" in words and int(parent) == stack.relay.pid:
                found.append(int(entry.name))
    return found


def _on_air(stack: Stack, stream_id: str) -> None:
    stack.put_stream(stream_id)
    stack.start_source(stream_id)
    until(lambda: fetch(stack.live_url(stream_id)).status == 200, 20, "it is on air")
    until(lambda: _whole(stack, stream_id) >= 2, 30, "two segments of the lowest rendition")


def _whole(stack: Stack, stream_id: str) -> int:
    answer = fetch(stack.live_url(stream_id, "240p.m3u8"))
    if answer.status != 200:
        return 0
    return sum(not segment.gap and not any(segment.gaps) for segment in checker.parse(answer.text).closed)


def test_viewers_may_change_between_renditions_at_any_moment_while_publishers_change(stack: Stack) -> None:
    stack.put_stream("show")
    stack.start_source("show")
    until(lambda: fetch(stack.live_url("show")).status == 200, 20, "it is on air")
    first = variants(_get(stack, "show", "index.m3u8"))
    assert [*first] == _RENDITIONS, "who comes first is told of all"
    until(lambda: _whole(stack, "show") >= 1, 30, "a segment of the lowest rendition")
    before: dict[str, checker.ReadPlaylist] = {}
    for turn in range(24):
        if turn == 10:
            stack.put_stream("show", generation=2)
            stack.start_source("show", 2)
        loads = _loads(stack, "show")
        for rule in rendition_rules.ACROSS:
            rule(loads)
        for uri, playlist in loads:
            if uri in before:
                checker.check_succession(before[uri], playlist)
                rendition_rules.a_gap_stays_a_gap(before[uri], playlist)
            before[uri] = playlist
        # Each rendition is followed by a blocking reload of its own.
        uri = _RENDITIONS[turn % len(_RENDITIONS)]
        checker.check_succession(before[uri], _next(stack, "show", uri, before[uri]))
    loads = dict(_loads(stack, "show"))
    assert any(segment.discontinuity for segment in loads["240p.m3u8"].segments)
    told = variants(_get(stack, "show", "index.m3u8"))
    for uri, attributes in told.items():
        segment = next(each for each in reversed(loads[uri].closed) if not each.gap and not any(each.gaps))
        init, body = (fetch(stack.live_url("show", name)).body for name in (segment.init, segment.uri))
        rendition_rules.a_variant_is_what_it_is_said_to_be(attributes, init, body)
        size = 8 * len(body) / segment.duration_s
        assert size <= int(attributes["BANDWIDTH"]), uri
    assert (told["480p.m3u8"]["RESOLUTION"], told["240p.m3u8"]["RESOLUTION"]) == ("854x480", "426x240")
    assert 28 < float(told["240p.m3u8"]["FRAME-RATE"]) < 32
    states = [state["ladder"] for state in stack.media_states()]
    assert {"renditions": [480, 240], "refused": None} in states


def test_key_frames_of_an_encoder_with_b_frames_are_those_of_every_rendition(stack: Stack) -> None:
    stack.put_stream("obs")
    command = [
        "ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30",
        "-f", "lavfi", "-i", "sine=440:r=48000", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "60",
        "-b:v", "1500k", "-c:a", "aac", "-ac", "2", "-t", "25", "-f", "flv", stack.rtmp_url(stream_key("obs")),
    ]  # fmt: skip
    encoder = subprocess.Popen(command, cwd=ROOT)
    try:
        until(lambda: fetch(stack.live_url("obs")).status == 200, 20, "it is on air")
        until(lambda: _whole(stack, "obs") >= 3, 30, "three segments of the lowest rendition")
        loads = dict(_loads(stack, "obs"))
    finally:
        encoder.terminate()
        encoder.wait(timeout=10)
    keys: dict[str, dict[int, list[str]]] = {}
    for uri in _RENDITIONS[:3]:
        keys[uri] = {
            segment.msn: _key_frames(
                b"".join(fetch(stack.live_url("obs", name)).body for name in (segment.init, segment.uri))
            )
            for segment in loads[uri].closed
            if not segment.gap and not any(segment.gaps)
        }
    shared = set.intersection(*[set(found) for found in keys.values()])
    assert len(shared) >= 2
    for msn in shared:
        assert keys["480p.m3u8"][msn] == keys["240p.m3u8"][msn] == keys["media.m3u8"][msn]
        assert len(keys["media.m3u8"][msn]) == 1


def _key_frames(media: bytes) -> list[str]:
    """Presentation times of key frames, as ffprobe reads them."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-skip_frame", "nokey",
               "-show_entries", "frame=pts", "-of", "csv=p=0", "-"]  # fmt: skip
    done = subprocess.run(command, input=media, capture_output=True, check=True, timeout=30)
    return [line.strip(",") for line in done.stdout.decode().split()]


def test_a_worker_that_is_killed_or_stands_still_leaves_gaps_and_the_source_as_punctual_as_before(
    stack: Stack,
) -> None:
    _on_air(stack, "show")
    undisturbed = _lateness(stack, 24)
    (worker,) = _workers(stack)
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(_workers(stack)) == 1 and _workers(stack) != [worker], 15, "another worker")
    until(lambda: _broken(stack) and _mended(stack), 30, "gaps, and media again")
    inits = {segment.init for segment in checker.read(_get(stack, "show", "240p.m3u8")).closed}
    assert len(inits) == 1
    (worker,) = _workers(stack)
    os.kill(worker, signal.SIGSTOP)
    disturbed = _lateness(stack, 24)
    for rule in rendition_rules.ACROSS:
        rule(_loads(stack, "show"))
    until(lambda: not _workers(stack), 40, "it is given up")
    states = [state["ladder"] for state in stack.media_states()]
    assert {"renditions": [], "refused": "too_slow"} in states
    assert [*variants(_get(stack, "show", "index.m3u8"))] == ["media.m3u8", "audio.m3u8"]
    assert all(segment.gap for segment in checker.read(_get(stack, "show", "480p.m3u8")).closed[-2:])
    # A part target is what players wait between two parts; the machine may be late by as much again.
    assert disturbed < max(2 * undisturbed, 0.334), (undisturbed, disturbed)


def test_what_is_composed_has_lower_renditions_too_and_so_has_the_host_alone_afterwards(stack: Stack) -> None:
    _on_air(stack, "show")
    stack.put_stream("show", seats=["a"])
    stack.start_guest("show", "a")
    until(lambda: _source_size(stack) == "640x360", 40, "host and guest are composed")
    breaks = _agree(stack)
    # The rung that would be bigger than the source now is of the source's size, and told to nobody who comes anew.
    until(lambda: _size(stack, "480p.m3u8") == (640, 360) and _size(stack, "240p.m3u8") == (426, 240), 40, "followed")
    assert [*variants(_get(stack, "show", "index.m3u8"))] == ["media.m3u8", "240p.m3u8", "audio.m3u8"]
    stack.put_stream("show")
    until(lambda: _source_size(stack) == "1280x720", 40, "the host alone again")
    until(lambda: _size(stack, "480p.m3u8") == (854, 480) and _size(stack, "240p.m3u8") == (426, 240), 40, "followed")
    assert _agree(stack) > breaks
    gauges = fetch(f"{stack.relay_url}/metrics").text
    assert "onair_relay_ladders 1.0" in gauges and 'onair_relay_ladders_refused{reason="too_slow"} 0.0' in gauges


def _source_size(stack: Stack) -> str:
    return variants(_get(stack, "show", "index.m3u8"))["media.m3u8"]["RESOLUTION"]


def _agree(stack: Stack) -> int:
    """All renditions agree; returns the discontinuities so far."""
    loads = _loads(stack, "show")
    for rule in rendition_rules.ACROSS:
        rule(loads)
    newest = loads[-1][1]
    return newest.discontinuity_sequence + sum(segment.discontinuity for segment in newest.segments)


def _size(stack: Stack, uri: str) -> tuple[int, int]:
    """Of the newest whole segment; zeros for a gap."""
    last = checker.read(_get(stack, "show", uri)).closed[-1]
    if last.gap or any(last.gaps):
        return 0, 0
    body = b"".join(fetch(stack.live_url("show", name)).body for name in (last.init, last.uri))
    with av.open(io.BytesIO(body)) as container:
        picture = next(container.decode(video=0))
        return picture.width, picture.height


def _broken(stack: Stack) -> bool:
    return any(segment.gap or any(segment.gaps) for segment in checker.read(_get(stack, "show", "240p.m3u8")).closed)


def _mended(stack: Stack) -> bool:
    last = checker.read(_get(stack, "show", "240p.m3u8")).closed[-1]
    return not last.gap and not any(last.gaps)


def _lateness(stack: Stack, parts: int) -> float:
    """How much longer than its length the source's latest of some parts was awaited, in seconds."""
    playlist = checker.read(_get(stack, "show", "media.m3u8"))
    came: list[float] = []
    for _ in range(parts):
        playlist = _next(stack, "show", "media.m3u8", playlist)
        came.append(time.monotonic())
    return max(later - earlier for earlier, later in pairwise(came)) - playlist.part_target_s


def test_another_task_passes_every_rendition_on_and_asks_once_however_many_watch() -> None:
    with Cluster(2, **_LADDER) as cluster:
        cluster.put_stream("show")
        cluster.start_source("show")
        for task in cluster.tasks.values():
            until(lambda task=task: task.live("show").status == 200, 20, f"it plays on {task.name}")
        owner = cluster.owner("show")
        assert owner is not None
        edge = cluster.other(owner)
        until(lambda: [*variants(edge.live("show").text)] == _RENDITIONS, 10, "its renditions are told there")
        for uri in _RENDITIONS[1:]:
            until(lambda uri=uri: edge.live("show", uri).status == 200, 20, uri)
            playlist = checker.read(edge.live("show", uri).text)
            newest = playlist.segments[-1]
            part = next(name for segment in reversed(playlist.segments) for name, _, _ in segment.parts)
            if not newest.gaps[-1]:
                assert edge.live("show", part).body == owner.live("show", part).body
            assert edge.live("show", newest.init).status == 200
            pulled = edge.metric("pulled_bytes_total")
            for _ in range(5):
                assert edge.live("show", newest.init).status == 200
            assert edge.metric("pulled_bytes_total") == pulled, "media is fetched once"
        asked = owner.metric("playlist_answers_total")
        with ThreadPoolExecutor(8) as viewers:
            for watched in [viewers.submit(_follow, edge, 6) for _ in range(8)]:
                watched.result(timeout=30)
        # Four playlists are followed meanwhile, three of them part by part.
        assert owner.metric("playlist_answers_total") - asked < 8 * 6


def _follow(task: Task, parts: int) -> None:
    playlist = checker.read(task.live("show", "480p.m3u8").text)
    for _ in range(parts):
        newest = playlist.segments[-1]
        msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))
        answer = task.live("show", "480p.m3u8", f"?_HLS_msn={msn}&_HLS_part={part}")
        assert answer.status == 200, answer.text
        now = checker.read(answer.text)
        checker.check_succession(playlist, now)
        playlist = now
