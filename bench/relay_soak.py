"""Does the relay grow, and do sound and picture stay in step, over a time? One stream by RTMP, one viewer.

`python -m bench.relay_soak [minutes]` (default 6) publishes 720p30 at 2.5 Mb/s by ffmpeg, follows part by part, reads
the relay's memory every two seconds and where both tracks begin in every tenth segment. The slope is that of a straight
line through all readings after the first minute. Exits with 1 when sound left its place, or a playlist broke a rule.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import psutil

from bench.relay_delivery import publish
from tests.relay import checker
from tests.relay.stack import Stack, fetch

_MINUTES = 6
_READ_EACH_S = 2.0
_WARM_S = 60.0
_SEGMENTS_EACH = 10
_FRAME_MS = 1024 / 48
# Pictures stand on ticks of 1/90,000 s, sound on samples of 1/48,000 s.
_ROUNDING_MS = 0.05


def main() -> int:
    """Entry point; the exit code says whether the limit was kept."""
    parser = argparse.ArgumentParser(description="Watch one stream for a time.")
    parser.add_argument("minutes", nargs="?", type=float, default=_MINUTES)
    minutes: float = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name, Stack(LOG_LEVEL="ERROR") as stack:
        publisher = publish(stack, "bench", Path(name))
        try:
            memory, apart, parts = _watch(stack, minutes * 60)
        finally:
            publisher.terminate()
            publisher.wait(timeout=10)
    warm = [(at_s, mb) for at_s, mb in memory if at_s >= _WARM_S] or memory
    slope_mb_h = statistics.linear_regression(*zip(*warm, strict=True)).slope * 3600
    least_ms, most_ms = 1000 * min(apart), 1000 * max(apart)
    print(f"{minutes:.0f} minutes, {parts:,} parts in a row, each playlist and step held to the rules of the draft:\n")
    print(
        "| memory after a minute | at the end | slope | a segment's sound begins after its picture |\n|---|---|---|---|"
    )
    print(
        f"| {warm[0][1]:.0f} MB | {warm[-1][1]:.0f} MB | {slope_mb_h:+.1f} MB an hour | "
        f"{least_ms:.1f} to {most_ms:.1f} ms in {len(apart)} readings |"
    )
    print(f"\nLimit: 0 to {_FRAME_MS:.1f} ms, one AAC frame: a segment takes the frames that begin in it.")
    return 0 if least_ms >= -_ROUNDING_MS and most_ms <= _FRAME_MS + _ROUNDING_MS else 1


def _watch(stack: Stack, seconds: float) -> tuple[list[tuple[float, float]], list[float], int]:
    process = psutil.Process(stack.relay.pid)
    began, read_s = time.monotonic(), 0.0
    memory: list[tuple[float, float]] = []
    apart: list[float] = []
    before = checker.read(fetch(stack.live_url("bench", "media.m3u8")).text)
    parts, measured = 0, 0
    while (now_s := time.monotonic() - began) < seconds:
        newest = before.segments[-1]
        msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))
        playlist = checker.read(fetch(stack.live_url("bench", "media.m3u8") + f"?_HLS_msn={msn}&_HLS_part={part}").text)
        checker.check_succession(before, playlist)
        before, parts = playlist, parts + 1
        if now_s - read_s >= _READ_EACH_S:
            read_s = now_s
            memory.append((now_s, process.memory_info().rss / 1e6))
        if playlist.closed and (closed := playlist.closed[-1]).msn >= measured + _SEGMENTS_EACH:
            measured = closed.msn
            apart.append(_apart_s(stack, closed))
    return memory, apart, parts


def _apart_s(stack: Stack, segment: checker.ReadSegment) -> float:
    """Seconds by which a segment's sound begins after its picture."""
    body = fetch(stack.live_url("bench", segment.init)).body + fetch(stack.live_url("bench", segment.uri)).body
    starts: dict[str, float] = {}
    with av.open(io.BytesIO(body)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                starts.setdefault(packet.stream.type, float(packet.pts * packet.time_base))
    return starts["audio"] - starts["video"]


if __name__ == "__main__":
    sys.exit(main())
