"""How many parts and playlists a second, and how soon are 5,000 viewers woken who wait for one playlist? Beside nginx.

`python -m bench.relay_delivery [seconds]` publishes 2.5 Mb/s by RTMP (ffmpeg, nothing encoded), lets wrk ask for one
part and for the gzip playlist over 50 connections for that time each (default 4), and then has 5,000 connections wait
for the same part. nginx (one worker, as the relay is one process) serves the same bytes as files. Needs Debian's
`nginx` and `wrk`.
"""

from __future__ import annotations

import argparse
import asyncio
import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import uvloop

from tests.relay import checker
from tests.relay.stack import Stack, fetch, free_port, stream_key, until

_VIEWERS = 5_000
_CONNECTIONS = 50
_AHEAD_PARTS = 4
_GZIP = {"Accept-Encoding": "gzip"}
_CONFIGURATION = """user {user} {group}; worker_processes 1; daemon off; error_log stderr crit; pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; keepalive_requests 100000000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
"""


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Measure how fast the relay hands out parts and playlists.")
    parser.add_argument("seconds", nargs="?", type=int, default=4)
    seconds: int = parser.parse_args().seconds
    missing = [name for name in ("nginx", "wrk", "ffmpeg") if shutil.which(name) is None]
    if missing:
        print(f"Needs {', '.join(missing)}: apt-get install nginx wrk ffmpeg.", file=sys.stderr)
        return 1
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, Stack() as stack:
        folder = Path(name)
        publisher = publish(stack, "bench", folder)
        try:
            newest = _newest(stack)
            segment = newest.closed[-1]
            part_url = stack.live_url("bench", segment.parts[0][0])
            playlist_url = stack.live_url("bench", "media.m3u8")
            files = folder / "files"
            files.mkdir()
            files.joinpath("part").write_bytes(fetch(part_url).body)
            files.joinpath("playlist").write_bytes(fetch(playlist_url, headers=_GZIP).body)
            sizes = [files.joinpath(kind).stat().st_size for kind in ("part", "playlist")]
            relay = [_rate(part_url, seconds), _rate(playlist_url, seconds)]
            peer = _nginx(folder, seconds)
            before_mb = _resident_mb(stack)
            waits = uvloop.new_event_loop().run_until_complete(_wake(stack))
            after_mb = _resident_mb(stack)
        finally:
            publisher.terminate()
            publisher.wait(timeout=10)
    print(f"{_CONNECTIONS} connections, {seconds} s each; answers a second:\n")
    print("| | relay | nginx, files | ratio |\n|---|---|---|---|")
    for title, size, ours, theirs in zip(("a part", "the playlist, gzip"), sizes, relay, peer, strict=True):
        print(f"| {title} ({size / 1000:.1f} kB) | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.2f} |")
    middle, late = waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000
    print(
        f"\n{len(waits):,} viewers who waited for one playlist, after the first of them was answered: "
        f"p50 {middle:.0f} ms, p99 {late:.0f} ms, last {waits[-1] * 1000:.0f} ms. "
        f"They took {after_mb - before_mb:.0f} MB of the relay's memory. "
        f"All shared {os.cpu_count()} cores, on which {load:.1f} others wanted to run at the start."
    )
    return 0


def publish(stack: Stack, stream_id: str, folder: Path) -> subprocess.Popen[bytes]:
    """Publish 720p30 of 2.5 Mb/s with AAC at its natural pace, encoded beforehand; on air when it returns."""
    source = folder / "source.flv"
    if not source.exists():
        encode_source(source)
    stack.put_stream(stream_id)
    command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(source), "-c", "copy", "-f", "flv"]
    publisher = subprocess.Popen([*command, stack.rtmp_url(stream_key(stream_id))])
    until(lambda: fetch(stack.live_url(stream_id)).status == 200, 30, f"{stream_id} is on air")
    return publisher


def encode_source(path: Path, seconds: int = 10) -> None:
    """So many seconds of a moving picture with noise, so that it has the bits that it is given."""
    picture = "testsrc2=size=1280x720:rate=30,noise=alls=20:allf=t"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=440:sample_rate=48000"]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "60"]
    rate = [
        "-b:v",
        "2500k",
        "-maxrate",
        "2500k",
        "-bufsize",
        "2500k",
        "-c:a",
        "aac",
        "-b:a",
        "128k",
        "-t",
        str(seconds),
    ]
    subprocess.run([*command, *video, *rate, "-ac", "2", str(path)], check=True, timeout=120)


def _newest(stack: Stack) -> checker.ReadPlaylist:
    def enough() -> checker.ReadPlaylist | None:
        playlist = checker.parse(fetch(stack.live_url("bench", "media.m3u8")).text)
        return playlist if len(playlist.closed) >= 4 else None

    found: checker.ReadPlaylist = until(enough, 40, "segments")
    return found


def _rate(url: str, seconds: int) -> float:
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-H", "Accept-Encoding: gzip", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found is not None and "Non-2xx" not in told, told
    return float(found[1])


def _nginx(folder: Path, seconds: int) -> list[float]:
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, **who()))
    server = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(configuration), "-e", "stderr"])
    try:
        base = f"http://127.0.0.1:{port}"
        until(lambda: _answers(f"{base}/part"), 10, "nginx answers")
        return [_rate(f"{base}/{kind}", seconds) for kind in ("part", "playlist")]
    finally:
        server.terminate()
        server.wait(timeout=10)


def who() -> dict[str, str]:
    """User and group of this process: a folder for temporary files is open to nobody else, such as nginx's own user."""
    return {"user": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


def _answers(url: str) -> bool:
    try:
        return fetch(url, timeout_s=1).status == 200
    except OSError:
        return False


def _resident_mb(stack: Stack) -> float:
    return psutil.Process(stack.relay.pid).memory_info().rss / 1e6


async def _wake(stack: Stack) -> list[float]:
    """Seconds from the first answer to each, of viewers who wait for the same part; sorted."""
    url = stack.live_url("bench", "media.m3u8")
    path = url.removeprefix(stack.relay_url)
    connections = [await asyncio.open_connection("127.0.0.1", stack.port) for _ in range(_VIEWERS)]
    answer = await asyncio.to_thread(fetch, url)
    newest = checker.parse(answer.text).segments[-1]
    # All have asked before it comes: two segments ahead is as far as one may ask.
    query = f"?_HLS_msn={newest.msn + 2}&_HLS_part=0"
    request = f"GET {path}{query} HTTP/1.1\r\nHost: relay\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    came: list[float] = []

    async def viewer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request)
        line = await asyncio.wait_for(reader.readuntil(b"\r\n"), 30)
        came.append(time.monotonic())
        assert b" 200 " in line, line

    asked_s = time.monotonic()
    work: list[Any] = [asyncio.ensure_future(viewer(*connection)) for connection in connections]
    await asyncio.gather(*work)
    for _, writer in connections:
        writer.close()
    came.sort()
    assert came[0] - asked_s > 0.5, "the first was answered before the last had asked"
    return [at - came[0] for at in came]


if __name__ == "__main__":
    sys.exit(main())
