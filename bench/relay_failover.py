"""How many seconds of picture are lost when the relay task that owns a stream is killed?

`python -m bench.relay_failover [kills]` (default 20). A publisher and a viewer reach two tasks through one balancer.
The owner gets SIGKILL, the publisher reconnects by itself, and the viewer plays by blocking reload as hls.js does.
Beside it: one task that is started again at once, as a supervisor would. Exits with 1 when the longest freeze is over
five seconds.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from datetime import datetime, timedelta
from http.client import HTTPException

from tests.relay import checker
from tests.relay.cluster import Cluster
from tests.relay.stack import Answer, fetch, until

_KILLS = 20
_KILLS_ALONE = 5
_LIMIT_S = 5.0
_PATIENCE_S = 60.0
_STEADY_PARTS = 6


class Player:
    """Loads the playlist and its newest part again and again; knows when each came and of what time it is."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._playlist: checker.ReadPlaylist | None = None

    def next_part(self) -> tuple[float, datetime, datetime, str] | None:
        """Arrival, the first and the last moment of the newest part's picture, its run; None after a failure."""
        query = ""
        if self._playlist is not None:
            last = self._playlist.segments[-1]
            msn, part = (last.msn + 1, 0) if last.uri else (last.msn, len(last.parts))
            query = f"?_HLS_msn={msn}&_HLS_part={part}"
        answer = self._get("media.m3u8" + query)
        if answer is None:
            return None
        playlist = self._playlist = checker.read(answer.text)
        segment = playlist.segments[-1]
        uri, duration_s, _ = segment.parts[-1]
        if self._get(uri) is None or segment.date is None:
            return None
        before_s = sum(length for _, length, _ in segment.parts[:-1])
        begin = segment.date + timedelta(seconds=before_s)
        return time.monotonic(), begin, begin + timedelta(seconds=duration_s), segment.init

    def _get(self, name: str) -> Answer | None:
        try:
            answer = fetch(self._cluster.live_url("bench", name), timeout_s=12)
        except (OSError, HTTPException):
            answer = None
        if answer is None or answer.status != 200:
            time.sleep(0.1)
            return None
        return answer


def measure(tasks: int, kills: int) -> list[tuple[float, float]]:
    """For each kill: seconds that the picture stood still, and seconds of picture that nobody will see."""
    losses: list[tuple[float, float]] = []
    with Cluster(tasks, LOG_LEVEL="ERROR") as cluster:
        cluster.put_stream("bench")
        cluster.start_source("bench")
        until(lambda: fetch(cluster.live_url("bench")).status == 200, 60, "on air")
        player = Player(cluster)
        for _ in range(kills):
            seen = 0
            shown = None
            until_s = time.monotonic() + _PATIENCE_S
            while seen < _STEADY_PARTS:
                assert time.monotonic() < until_s, "the stream does not settle"
                part = player.next_part()
                if part is not None:
                    shown, seen = part, seen + 1
            assert shown is not None
            owner = cluster.owner("bench")
            assert owner is not None
            owner.kill()
            cluster.remove(owner)
            if tasks == 1:
                cluster.add()
            until_s = time.monotonic() + _PATIENCE_S
            while True:
                assert time.monotonic() < until_s, "the stream does not come back"
                part = player.next_part()
                if part is not None and part[3] != shown[3]:
                    break
                # What was in memory elsewhere still counts as seen.
                shown = part or shown
            losses.append((part[0] - shown[0], (part[1] - shown[2]).total_seconds()))
            if tasks > 1:
                cluster.add()
    return losses


def _row(name: str, losses: list[tuple[float, float]]) -> str:
    frozen, lost = (sorted(values) for values in zip(*losses, strict=True))
    middle = len(losses) // 2
    values = (frozen[middle], frozen[-1], lost[middle], lost[-1])
    return f"| {name} | {len(losses)} | " + " | ".join(f"{value:.2f} s" for value in values) + " |"


def main() -> int:
    """Entry point; the exit code says whether the limit was kept."""
    parser = argparse.ArgumentParser(description="Measure the seconds of picture lost to the death of a task.")
    parser.add_argument("kills", nargs="?", type=int, default=_KILLS)
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    two = measure(2, arguments.kills)
    alone = measure(1, min(_KILLS_ALONE, arguments.kills))
    longest = max(frozen for frozen, _ in two)
    print("| | kills | frozen p50 | frozen max | picture lost p50 | picture lost max |\n|---|---|---|---|---|---|")
    print(_row("two tasks, the owner killed", two))
    print(_row("one task, killed and started again at once", alone))
    print(f"\nLimit: frozen for at most {_LIMIT_S:.0f} s with two tasks.")
    return 0 if longest <= _LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
