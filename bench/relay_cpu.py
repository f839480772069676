"""What does one stream cost the relay? 720p30 at 2.5 Mb/s by WHIP to LL-HLS, beside `ffmpeg -c copy` of the same bits.

`python -m bench.relay_cpu [seconds]` prints both in percent of one core, taken at the same time, and the ratio. The
relay receives SRTP, turns Opus into AAC, cuts parts and serves one viewer who follows part by part; ffmpeg reads a
file of the relay's own output at its natural pace and cuts 2 s segments.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil

from tests.relay import checker
from tests.relay.stack import Stack, fetch, until

_BIT_RATE = 2_500_000
_RECORDED_SEGMENTS = 5


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Processor time of one passthrough stream.")
    parser.add_argument("seconds", nargs="?", type=int, default=30)
    seconds: int = parser.parse_args().seconds
    with Stack() as stack, tempfile.TemporaryDirectory() as folder:
        stack.put_stream("bench")
        stack.start_source("bench", 1, "--bit-rate", str(_BIT_RATE))
        until(lambda: fetch(stack.live_url("bench")).status == 200, 30, "on air")
        recording = Path(folder, "same.mp4")
        bits = _record(stack, recording)
        output = Path(folder, "out.m3u8")
        copy = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(recording), "-c", "copy"]
        peer = subprocess.Popen([*copy, "-f", "hls", "-hls_time", "2", "-hls_flags", "delete_segments", str(output)])
        stopped = threading.Event()
        viewer = threading.Thread(target=_follow, args=(stack, stopped))
        viewer.start()
        try:
            relay_percent, peer_percent = _measure([stack.relay.pid, peer.pid], seconds)
            resident_mb = psutil.Process(stack.relay.pid).memory_info().rss / 1e6
        finally:
            stopped.set()
            viewer.join(timeout=15)
            peer.terminate()
            peer.wait(timeout=10)
    print(f"One 720p30 stream of {bits / 1e6:.1f} Mb/s, {seconds} s:\n")
    print("| | percent of one core |\n|---|---|")
    print(f"| relay: WHIP in, Opus to AAC, LL-HLS out to one viewer | {relay_percent:.1f} |")
    print(f"| `ffmpeg -c copy` to HLS | {peer_percent:.1f} |")
    print(f"\nRatio {relay_percent / max(peer_percent, 0.01):.1f}; the relay holds {resident_mb:.0f} MB.")


def _record(stack: Stack, path: Path) -> float:
    """Keep some segments as one file; returns their bits a second."""

    def enough() -> checker.ReadPlaylist | None:
        playlist = checker.read(fetch(stack.live_url("bench", "media.m3u8")).text)
        return playlist if len(playlist.closed) > _RECORDED_SEGMENTS else None

    playlist: checker.ReadPlaylist = until(enough, 60, "segments to record")
    segments = playlist.closed[-_RECORDED_SEGMENTS:]
    body = b"".join(fetch(stack.live_url("bench", segment.uri)).body for segment in segments)
    path.write_bytes(fetch(stack.live_url("bench", segments[0].init)).body + body)
    return len(body) * 8 / sum(segment.duration_s for segment in segments)


def _follow(stack: Stack, stopped: threading.Event) -> None:
    msn, part = 0, 0
    while not stopped.is_set():
        query = f"?_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=YES" if msn else ""
        playlist = checker.read(fetch(stack.live_url("bench", "media.m3u8") + query).text)
        newest = playlist.segments[-1]
        fetch(stack.live_url("bench", newest.parts[-1][0]))
        msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))


def _measure(pids: list[int], seconds: int) -> list[float]:
    processes = [psutil.Process(pid) for pid in pids]

    def used() -> list[float]:
        return [process.cpu_times().user + process.cpu_times().system for process in processes]

    before, started = used(), time.monotonic()
    threading.Event().wait(seconds)
    elapsed = time.monotonic() - started
    return [100 * (after - first) / elapsed for first, after in zip(before, used(), strict=True)]


if __name__ == "__main__":
    main()
