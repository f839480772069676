"""What do ten RTMP streams cost the relay, beside three peers, and how many does one core hold?

`python -m bench.relay_rtmp [seconds]` publishes ten streams of 720p30 at 2.5 Mb/s for that time (default 12) to the
relay (LL-HLS), nginx-rtmp (HLS of 2 s), node-media-server (RTMP alone, no HLS) and ten `ffmpeg -c copy` (HLS of 2 s).
Then the relay gets more streams until parts come late: a part's lateness is the time from its end on the stream's own
clock to its playlist at a viewer, less the least of that stream. Needs Debian's `libnginx-mod-rtmp`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.relay_delivery import encode_source, who
from tests.relay import checker
from tests.relay.stack import ROOT, Stack, fetch, free_port, stream_key, until

_STREAMS = 10
_RAMP = (10, 20, 30, 40, 50)
_RAMP_S = 10
_LATE_MS_MAX = 100
_SETTLE_S = 3
_SOURCE_S = 60
_PEER = ROOT / "bench" / "rtmp_peer"
# Debian puts modules here; NGINX_MODULES names another folder.
_MODULES = os.environ.get("NGINX_MODULES", "/usr/lib/nginx/modules")
_NGINX = """load_module {modules}/ngx_rtmp_module.so; user {user} {group}; worker_processes 1; daemon off;
pid {folder}/nginx.pid; error_log stderr crit; events {{ worker_connections 1024; }}
rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; application live {{
  live on; hls on; hls_path {folder}/hls; hls_fragment 2s; }} }} }}
"""


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Measure what RTMP streams cost.")
    parser.add_argument("seconds", nargs="?", type=int, default=12)
    seconds: int = parser.parse_args().seconds
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.flv"
        # Longer than any run: where ffmpeg begins the file again it comes late, and to all streams at once.
        encode_source(source, _SOURCE_S)
        rows = [("relay: LL-HLS, 333 ms parts", _relay(source, seconds))]
        rows.append(("nginx-rtmp: HLS, 2 s segments", _nginx(folder, source, seconds)))
        rows.append(("node-media-server: RTMP alone", _node(folder, source, seconds)))
        rows.append(("ten `ffmpeg -c copy`: HLS, 2 s segments", _ffmpeg(folder, source, seconds)))
        print(f"{_STREAMS} RTMP streams of 720p30, 2.5 Mb/s each, {seconds} s:\n")
        print("| | percent of one core, all ten | MB |\n|---|---|---|")
        for title, (percent, resident_mb) in rows:
            print(f"| {title} | {percent:.1f} | {resident_mb:.0f} |")
        print("\n| streams on one relay | percent of one core | part lateness p50 | p99 |\n|---|---|---|---|")
        held = 0
        for streams in _RAMP:
            percent, middle_ms, late_ms = _ramp(source, streams)
            print(f"| {streams} | {percent:.1f} | {middle_ms:.0f} ms | {late_ms:.0f} ms |")
            if late_ms >= _LATE_MS_MAX:
                break
            held = streams
    print(f"\nHeld with a p99 below {_LATE_MS_MAX} ms: {held} streams.")
    print(
        f"Publishers and viewers shared {os.cpu_count()} cores, on which {load:.1f} others wanted to run at the start."
    )
    return 0


@contextmanager
def _publishing(source: Path, addresses: list[str]) -> Generator[None]:
    """ffmpeg sends the file to all addresses, ten a process, at its natural pace; nothing is encoded."""
    publishers: list[subprocess.Popen[bytes]] = []
    for first in range(0, len(addresses), _STREAMS):
        command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(source)]
        for address in addresses[first : first + _STREAMS]:
            command += ["-map", "0", "-c", "copy", "-f", "flv", address]
        publishers.append(subprocess.Popen(command))
    try:
        yield
    finally:
        for publisher in publishers:
            publisher.terminate()
        for publisher in publishers:
            publisher.wait(timeout=10)


def _measure(pids: list[int], seconds: int) -> tuple[float, float]:
    """Percent of one core, and MB resident at the end, of all of them."""
    processes = [psutil.Process(pid) for pid in pids]

    def used() -> float:
        return sum(process.cpu_times().user + process.cpu_times().system for process in processes)

    before, began = used(), time.monotonic()
    time.sleep(seconds)
    percent = 100 * (used() - before) / (time.monotonic() - began)
    return percent, sum(process.memory_info().rss for process in processes) / 1e6


def _addresses(stack: Stack, count: int) -> list[str]:
    for number in range(count):
        stack.put_stream(f"bench{number}")
    return [stack.rtmp_url(stream_key(f"bench{number}")) for number in range(count)]


def _on_air(stack: Stack, count: int) -> None:
    for number in range(count):
        until(lambda name=f"bench{number}": fetch(stack.live_url(name)).status == 200, 40, f"stream {number} is on air")


def _relay(source: Path, seconds: int) -> tuple[float, float]:
    with Stack(LOG_LEVEL="ERROR") as stack, _publishing(source, _addresses(stack, _STREAMS)):
        _on_air(stack, _STREAMS)
        time.sleep(_SETTLE_S)
        return _measure([stack.relay.pid], seconds)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _nginx(folder: Path, source: Path, seconds: int) -> tuple[float, float]:
    port = free_port()
    configuration = folder / "rtmp.conf"
    configuration.write_text(_NGINX.format(modules=_MODULES, folder=folder, port=port, **who()))
    nginx = shutil.which("nginx")
    assert nginx is not None, "apt-get install nginx libnginx-mod-rtmp"
    server = subprocess.Popen([nginx, "-p", str(folder), "-c", str(configuration), "-e", "stderr"])
    try:
        until(lambda: _listening(port), 10, "nginx listens")
        with _publishing(source, [f"rtmp://127.0.0.1:{port}/live/s{number}" for number in range(_STREAMS)]):
            until(lambda: len(list((folder / "hls").glob("*.m3u8"))) == _STREAMS, 30, "nginx writes HLS")
            time.sleep(_SETTLE_S)
            workers = [child.pid for child in psutil.Process(server.pid).children()]
            return _measure([server.pid, *workers], seconds)
    finally:
        server.terminate()
        server.wait(timeout=10)


def _node(folder: Path, source: Path, seconds: int) -> tuple[float, float]:
    if not (_PEER / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=_PEER, check=True, capture_output=True)
    port = free_port()
    kept = folder / "node"
    kept.mkdir()
    command = ["node", str(_PEER / "server.js"), str(port), str(kept)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=kept)
    try:
        until(lambda: _listening(port), 20, "node-media-server listens")
        with _publishing(source, [f"rtmp://127.0.0.1:{port}/live/s{number}" for number in range(_STREAMS)]):
            time.sleep(2 * _SETTLE_S)
            return _measure([server.pid], seconds)
    finally:
        server.terminate()
        server.wait(timeout=10)


def _ffmpeg(folder: Path, source: Path, seconds: int) -> tuple[float, float]:
    ports = [free_port() for _ in range(_STREAMS)]
    servers: list[subprocess.Popen[bytes]] = []
    for port in ports:
        address = f"rtmp://127.0.0.1:{port}/live/s"
        command = ["ffmpeg", "-v", "error", "-listen", "1", "-i", address, "-c", "copy", "-f", "hls", "-hls_time", "2"]
        servers.append(subprocess.Popen([*command, "-hls_flags", "delete_segments", str(folder / f"{port}.m3u8")]))
    try:
        time.sleep(_SETTLE_S)
        with _publishing(source, [f"rtmp://127.0.0.1:{port}/live/s" for port in ports]):
            until(lambda: all((folder / f"{port}.m3u8").exists() for port in ports), 40, "ffmpeg writes HLS")
            return _measure([server.pid for server in servers], seconds)
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(timeout=10)


def _ramp(source: Path, streams: int) -> tuple[float, float, float]:
    """Percent of a core, p50 and p99 of lateness in ms, with so many streams and one viewer each."""
    settings = {"LOG_LEVEL": "ERROR", "PUBLISHERS_MAX": "200"}
    with Stack(**settings) as stack, _publishing(source, _addresses(stack, streams)):
        _on_air(stack, streams)
        time.sleep(_SETTLE_S)
        process = psutil.Process(stack.relay.pid)
        before, began = sum(process.cpu_times()[:2]), time.monotonic()
        late = asyncio.run(_follow_all(stack, streams))
        percent = 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
    late.sort()
    return percent, late[len(late) // 2] * 1000, late[len(late) * 99 // 100] * 1000


async def _follow_all(stack: Stack, streams: int) -> list[float]:
    found = await asyncio.gather(*(_follow(stack, f"bench{number}") for number in range(streams)))
    return [late for each in found for late in each]


async def _follow(stack: Stack, stream_id: str) -> list[float]:
    """Lateness of each part that came in time, in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    path = stack.live_url(stream_id, "media.m3u8").removeprefix(stack.relay_url)
    query = ""
    ages: list[float] = []
    until_s = time.monotonic() + _RAMP_S
    while time.monotonic() < until_s:
        writer.write(f"GET {path}{query} HTTP/1.1\r\nHost: relay\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        playlist = checker.parse((await reader.readexactly(length)).decode())
        now_s = time.time()
        newest = playlist.segments[-1]
        assert newest.date is not None
        if query:
            ages.append(now_s - newest.date.timestamp() - sum(duration_s for _, duration_s, _ in newest.parts))
        msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))
        query = f"?_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=YES"
    writer.close()
    return [age - min(ages) for age in ages]


if __name__ == "__main__":
    sys.exit(main())
