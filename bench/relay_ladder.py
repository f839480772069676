"""What do lower renditions of 720p30 cost, and are the source's parts as punctual beside them? With `ffmpeg` as peer.

`python -m bench.relay_ladder [seconds]`: the same broadcast first without a ladder, then with 480p and 240p, followed
part by part by a viewer of every rendition; then `ffmpeg` makes the same renditions of the relay's own output at its
natural pace, with the same preset, quality and bounds. Percent are of one core. A part is late by how much longer it
took to come than the earliest did; a rendition's lag is from the source's part to its own, as those viewers saw both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from media.relay.settings import Settings
from tests.relay import checker
from tests.relay.stack import Stack, fetch, until

_BIT_RATE = 2_500_000
_RUNGS = (480, 240)
_STREAM = "bench"
_SOURCE = "media.m3u8"
# Limits: players hold back three parts of 0.333 s, so that a rendition within two of them plays without a pause.
_LAG_P99_MAX_S = 0.67
_LATE_MORE_MAX_S = 0.1
_RECORDED_SEGMENTS = 5


class Viewer(threading.Thread):
    """Follows one rendition by blocking reload and notes when each part came."""

    def __init__(self, stack: Stack, uri: str) -> None:
        super().__init__(daemon=True)
        self.came: dict[tuple[int, int], tuple[float, float]] = {}
        self.gaps = 0
        self._stack = stack
        self._uri = uri
        self._stopped = threading.Event()

    def run(self) -> None:
        query, media_s = "", 0.0
        while not self._stopped.is_set():
            answer = fetch(self._stack.live_url(_STREAM, self._uri) + query)
            if answer.status != 200:
                continue
            now = time.monotonic()
            playlist = checker.parse(answer.text)
            for segment in playlist.segments:
                for index, (_, length_s, _) in enumerate(segment.parts):
                    if (segment.msn, index) not in self.came:
                        media_s += length_s
                        self.came[segment.msn, index] = (now, media_s)
                        self.gaps += segment.gaps[index]
            newest = playlist.segments[-1]
            msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))
            query = f"?_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=YES"

    def stop(self) -> None:
        """Ends with the next part."""
        self._stopped.set()

    def late_s(self) -> list[float]:
        """How late each part came, after those that were there at the start."""
        began = min(came for came, _ in self.came.values())
        offsets = [came - media for came, media in self.came.values() if came > began]
        return [offset - min(offsets) for offset in offsets]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Processor time, lag and punctuality with lower renditions.")
    parser.add_argument("seconds", nargs="?", type=int, default=30)
    seconds: int = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "same.mp4")
        bare_relay, _, bare = _broadcast("", seconds, recording)
        relay, worker, viewers = _broadcast(",".join(map(str, _RUNGS)), seconds, None)
        peer = _peer(recording, Path(folder), seconds)
    print(f"One 720p30 stream of {_BIT_RATE / 1e6:.1f} Mb/s, {seconds} s each, {os.cpu_count()} processors:\n")
    print("| percent of one core | without | with 480p and 240p |\n|---|---|---|")
    print(f"| relay, with a viewer of each rendition | {bare_relay:.1f} | {relay:.1f} |")
    print(f"| its ladder | | {worker:.1f} |")
    print(f"| `ffmpeg` making the same two | | {peer:.1f} |")
    print("\n| | p50 ms | p99 ms |\n|---|---|---|")
    before, after = bare[_SOURCE].late_s(), viewers[_SOURCE].late_s()
    print(f"| the source's parts late, without a ladder | {_ms(before)} |")
    print(f"| the source's parts late, with it | {_ms(after)} |")
    lags: dict[int, list[float]] = {}
    for rung in _RUNGS:
        source, lower = viewers[_SOURCE].came, viewers[f"{rung}p.m3u8"].came
        began = max(min(came for came, _ in source.values()), min(came for came, _ in lower.values())) + 0.01
        lags[rung] = [lower[key][0] - source[key][0] for key in lower if key in source and source[key][0] > began]
        print(f"| {rung}p behind the source | {_ms(lags[rung])} |")
    gaps = sum(viewer.gaps for viewer in viewers.values())
    more_s = _p99(after) - _p99(before)
    slowest_s = max(_p99(lag) for lag in lags.values())
    print(f"\nLadder ÷ `ffmpeg` {worker / max(peer, 0.01):.2f}; {gaps} parts were gaps.")
    print(
        f"Limits: parts later by at most {_LATE_MORE_MAX_S * 1000:.0f} ms at the 99th percentile "
        f"({more_s * 1000:+.0f} ms), renditions at most {_LAG_P99_MAX_S * 1000:.0f} ms behind "
        f"({slowest_s * 1000:.0f} ms)."
    )
    if more_s > _LATE_MORE_MAX_S or slowest_s > _LAG_P99_MAX_S or gaps:
        raise SystemExit(1)


def _broadcast(ladder: str, seconds: int, recording: Path | None) -> tuple[float, float, dict[str, Viewer]]:
    """Percent of the relay and of its ladder, and what viewers of each rendition saw."""
    with Stack(LADDER=ladder, PROCESSORS=str(max(2, os.cpu_count() or 1))) as stack:
        stack.put_stream(_STREAM)
        stack.start_source(_STREAM, 1, "--bit-rate", str(_BIT_RATE))
        uris = [_SOURCE, *[f"{rung}p.m3u8" for rung in _RUNGS if ladder]]
        for uri in uris:
            until(lambda uri=uri: _whole(stack, uri) >= 2, 60, f"two segments of {uri}")
        if recording is not None:
            _record(stack, recording)
        viewers = {uri: Viewer(stack, uri) for uri in uris}
        for viewer in viewers.values():
            viewer.start()
        relay = psutil.Process(stack.relay.pid)
        workers = [child for child in relay.children() if "media.relay.ladder" in child.cmdline()]
        percents = _measure([relay, *workers], seconds)
        for viewer in viewers.values():
            viewer.stop()
        for viewer in viewers.values():
            viewer.join(timeout=15)
    return percents[0], sum(percents[1:]), viewers


def _whole(stack: Stack, uri: str) -> int:
    answer = fetch(stack.live_url(_STREAM, uri))
    return 0 if answer.status != 200 else sum(not each.gap for each in checker.parse(answer.text).closed[-2:])


def _record(stack: Stack, path: Path) -> None:
    """Keep some segments as one file."""
    until(lambda: _closed(stack) > _RECORDED_SEGMENTS, 60, "segments to record")
    segments = checker.parse(fetch(stack.live_url(_STREAM, _SOURCE)).text).closed[-_RECORDED_SEGMENTS:]
    names = [segments[0].init, *[segment.uri for segment in segments]]
    path.write_bytes(b"".join(fetch(stack.live_url(_STREAM, name)).body for name in names))


def _closed(stack: Stack) -> int:
    return len(checker.parse(fetch(stack.live_url(_STREAM, _SOURCE)).text).closed)


def _peer(recording: Path, folder: Path, seconds: int) -> float:
    """Percent of one core that ffmpeg takes for the same renditions."""
    settings = Settings()
    split = f"[0:v]split={len(_RUNGS)}" + "".join(f"[s{rung}]" for rung in _RUNGS)
    scaled = [f"[s{rung}]scale=-2:{rung}:flags=bilinear[v{rung}]" for rung in _RUNGS]
    command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-threads", "1", "-i", str(recording),
               "-filter_complex", ";".join([split, *scaled])]  # fmt: skip
    for rung in _RUNGS:
        most = str(settings.ladder_bit_rates[rung])
        command += [
            "-map", f"[v{rung}]", "-map", "0:a", "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency",
            "-profile:v", "main", "-crf", "25", "-maxrate", most, "-bufsize", most, "-g", "60", "-sc_threshold", "0",
            "-threads", "1", "-c:a", "copy", "-f", "hls", "-hls_time", "2", "-hls_flags", "delete_segments",
            str(folder / f"{rung}.m3u8"),
        ]  # fmt: skip
    made = subprocess.Popen(command)
    try:
        return _measure([psutil.Process(made.pid)], seconds)[0]
    finally:
        made.terminate()
        made.wait(timeout=10)


def _measure(processes: Sequence[psutil.Process], seconds: int) -> list[float]:
    def used() -> list[float]:
        return [process.cpu_times().user + process.cpu_times().system for process in processes]

    before, started = used(), time.monotonic()
    threading.Event().wait(seconds)
    elapsed = time.monotonic() - started
    return [100 * (after - first) / elapsed for first, after in zip(before, used(), strict=True)]


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def _ms(values: Sequence[float]) -> str:
    return f"{statistics.median(values) * 1000:.0f} | {_p99(values) * 1000:.0f}"


if __name__ == "__main__":
    main()
