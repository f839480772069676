"""How many passthrough streams does one core hold whose parts are less than 100 ms late (p99)?

`python -m bench.relay_streams [largest]` gives the relay one core and everything else (encoders, viewers, control
plane) the other. Encoders of 720p30 with 2.5 Mb/s are added by steps up to so many (default 150), each with one viewer
who asks ahead for every part. A part's lateness is the time at which its viewer has the playlist that names it, less
the time at which the picture after it was sent: RTMP tells no durations, so nobody knows earlier where the part ends.
What the relay adds on purpose is in it: sockets are read every 40 ms. node-media-server, which relays RTMP and makes no
HLS, then gets as many encoders on the same core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bench.relay_delivery import encode_source
from bench.relay_rtmp import media_server
from tests.relay.stack import ROOT, Stack, stream_key

_STEPS = (10, 25, 50, 75, 100, 125, 150, 200, 250)
_LARGEST = 150
_LATE_MS_MAX = 100
# Beyond this it is the encoders' core that is full, and what is measured says nothing of the relay's.
_OWN_LATE_MS_MAX = 50
_SETTLE_S = 4
_MEASURED_S = 8
_WITHIN_S = 180
_SOURCE_S = 60


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Measure how many streams one core holds.")
    parser.add_argument("largest", nargs="?", type=int, default=_LARGEST)
    largest: int = parser.parse_args().largest
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("Needs two cores: one for the relay, one for all else.", file=sys.stderr)
        return 1
    others = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source.flv"
        encode_source(source, _SOURCE_S)
        # What is started from here on begins on the second core.
        os.sched_setaffinity(0, {cores[1]})
        print("| streams | percent of the core | MB a stream | part lateness p50 | p99 |\n|---|---|---|---|---|")
        held, limit = _relay(source, cores[0], [step for step in _STEPS if step <= largest])
        percent = _node(Path(name), source, cores[0], held) if held else 0.0
    print(f"\n{limit} Held with a p99 below {_LATE_MS_MAX} ms: {held} streams.")
    print(f"node-media-server with {held} streams on the same core, RTMP alone: {percent:.1f} %.")
    print(f"{others:.1f} others wanted to run at the start.")
    return 0


class _Load:
    """The process that sends and watches (rtmp_load.py)."""

    def __init__(self, source: Path) -> None:
        command = [sys.executable, "-m", "bench.rtmp_load", str(source)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

    def __enter__(self) -> _Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def tell(self, **told: Any) -> dict[str, Any]:
        """Say one line and read the answer to it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(told) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the encoders are there"
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer


def _pin(pid: int, core: int) -> psutil.Process:
    """Give a process one core: all its threads, from which those to come have it."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
    return psutil.Process(pid)


def _used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _relay(source: Path, core: int, steps: list[int]) -> tuple[int, str]:
    """The largest step that was held, and what ended the climb."""
    held = added = 0
    until_s = time.monotonic() + _WITHIN_S
    with Stack(LOG_LEVEL="ERROR", PUBLISHERS_MAX="1000") as stack, _Load(source) as load:
        process = _pin(stack.relay.pid, core)
        empty_bytes = process.memory_info().rss
        for step in steps:
            wanted: list[dict[str, Any]] = []
            for number in range(added, step):
                stream_id = f"bench{number}"
                stack.put_stream(stream_id)
                path = stack.live_url(stream_id, "media.m3u8").removeprefix(stack.relay_url)
                wanted.append({"rtmp": stack.rtmp_port, "key": stream_key(stream_id), "http": stack.port, "path": path})
            added = load.tell(add=wanted)["encoders"]
            time.sleep(_SETTLE_S)
            before_s, began_s = _used_s(process), time.monotonic()
            measured = load.tell(measure=_MEASURED_S)
            percent = 100 * (_used_s(process) - before_s) / (time.monotonic() - began_s)
            late, own = measured["late_s"], measured["own_late_s"]
            assert measured["watched"] == step, "every stream has a viewer who is given parts"
            middle_ms, late_ms = late[len(late) // 2] * 1000, late[len(late) * 99 // 100] * 1000
            mb = (process.memory_info().rss - empty_bytes) / 1e6 / step
            print(f"| {step} | {percent:.1f} | {mb:.1f} | {middle_ms:.0f} ms | {late_ms:.0f} ms |", flush=True)
            if late_ms >= _LATE_MS_MAX:
                full = own[len(own) * 99 // 100] * 1000 >= _OWN_LATE_MS_MAX
                return held, "The encoders' core was full first." if full else "The relay was too late with more."
            held = step
            if time.monotonic() > until_s:
                return held, "Time was over before the relay was too late."
    return held, "More were not tried."


def _node(folder: Path, source: Path, core: int, streams: int) -> float:
    """Percent of the core that node-media-server takes for as many streams."""
    with media_server(folder) as (pid, port), _Load(source) as load:
        process = _pin(pid, core)
        load.tell(add=[{"rtmp": port, "key": f"s{number}"} for number in range(streams)])
        time.sleep(_SETTLE_S)
        before_s, began_s = _used_s(process), time.monotonic()
        load.tell(measure=_MEASURED_S)
        return 100 * (_used_s(process) - before_s) / (time.monotonic() - began_s)


if __name__ == "__main__":
    sys.exit(main())
