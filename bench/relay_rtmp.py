"""What do ten RTMP streams cost the relay, beside three peers?

`python -m bench.relay_rtmp [seconds]` publishes ten streams of 720p30 at 2.5 Mb/s for that time (default 12) to the
relay (LL-HLS), nginx-rtmp (HLS of 2 s), node-media-server (RTMP alone, no HLS) and ten `ffmpeg -c copy` (HLS of 2 s).
The relay and node-media-server take turns three times, since the machine is never quite the same. Needs Debian's
`nginx` and `libnginx-mod-rtmp`, and says so where they are not there. How many streams a core holds: relay_streams.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.relay_delivery import encode_source, who
from tests.relay.stack import ROOT, Stack, fetch, free_port, stream_key, until

_STREAMS = 10
_ROUNDS = 3
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
        rounds = [(_relay(source, seconds), _node(folder, source, seconds)) for _ in range(_ROUNDS)]
        ours, theirs = [_middle([each[side] for each in rounds]) for side in (0, 1)]
        rows: list[tuple[str, tuple[float, float] | None]] = [("relay: LL-HLS, 333 ms parts", ours)]
        rows.append(("node-media-server: RTMP alone", theirs))
        rows.append(("nginx-rtmp: HLS, 2 s segments", _nginx(folder, source, seconds)))
        rows.append(("ten `ffmpeg -c copy`: HLS, 2 s segments", _ffmpeg(folder, source, seconds)))
    print(f"{_STREAMS} RTMP streams of 720p30, 2.5 Mb/s each, {seconds} s:\n")
    print("| | percent of one core, all ten | MB | relay ÷ this |\n|---|---|---|---|")
    for title, row in rows:
        if row is None:
            print(f"| {title} | libnginx-mod-rtmp is not installed here | | |")
        else:
            print(f"| {title} | {row[0]:.1f} | {row[1]:.0f} | {ours[0] / row[0]:.2f} |")
    ratios = ", ".join(f"{relay[0] / node[0]:.2f}" for relay, node in rounds)
    print(f"\nThe first two are medians of {_ROUNDS} turns; relay ÷ node-media-server of each: {ratios}.")
    print(f"Publishers shared {os.cpu_count()} cores, on which {load:.1f} others wanted to run at the start.")
    return 0


def _middle(measured: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(percent for percent, _ in measured), statistics.median(mb for _, mb in measured)


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


def _nginx(folder: Path, source: Path, seconds: int) -> tuple[float, float] | None:
    """None without the module, which not every system has."""
    nginx = shutil.which("nginx")
    if nginx is None or not Path(_MODULES, "ngx_rtmp_module.so").exists():
        return None
    port = free_port()
    configuration = folder / "rtmp.conf"
    configuration.write_text(_NGINX.format(modules=_MODULES, folder=folder, port=port, **who()))
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


@contextmanager
def media_server(folder: Path) -> Generator[tuple[int, int]]:
    """node-media-server with RTMP alone; its process id and port."""
    if not (_PEER / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=_PEER, check=True, capture_output=True)
    port = free_port()
    kept = folder / "node"
    kept.mkdir(exist_ok=True)
    command = ["node", str(_PEER / "server.js"), str(port), str(kept)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=kept)
    try:
        until(lambda: _listening(port), 20, "node-media-server listens")
        yield server.pid, port
    finally:
        server.terminate()
        server.wait(timeout=10)


def _node(folder: Path, source: Path, seconds: int) -> tuple[float, float]:
    addresses = [f"rtmp://127.0.0.1:{{port}}/live/s{number}" for number in range(_STREAMS)]
    with media_server(folder) as (pid, port), _publishing(source, [each.format(port=port) for each in addresses]):
        time.sleep(2 * _SETTLE_S)
        return _measure([pid], seconds)


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


if __name__ == "__main__":
    sys.exit(main())
