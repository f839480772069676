"""What do the eligibility check, a ticket and the right to play a recording cost: AWS calls each, time in process?

The Chalice app is called as API Gateway calls it, on tables in moto in this process: the time holds our code, botocore
and moto's answer, and no network. Target: at most 2 reads each.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import time

os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "ERROR")

import pytest

from functions import observe
from functions.streams import table
from functions.streams.model import Recorded
from tests.unit import https

RUNS, READS_MAX = 300, 2


def main() -> int:
    logging.disable(logging.INFO)
    worst = 0
    with pytest.MonkeyPatch.context() as patch, https.made(patch) as client:
        host, fan = client.host(), client.sign_up("fan")
        over, stream_id = client.live(host), client.live(client.host("host_two"))
        client.call("POST", f"/streams/{over}/end", who=host)
        assert table.set_replay(over, Recorded(60.0, 1_000_000)), "a minute was recorded"
        ticket = f"/streams/{stream_id}/ticket"
        asked = (
            ("eligibility", "GET", "/me/eligibility?devices=encoder", fan),
            ("ticket of a signed-in viewer", "POST", ticket, fan),
            ("ticket of a visitor", "POST", ticket, None),
            ("replay for a signed-in viewer", "GET", f"/streams/{over}/replay", fan),
            ("replay for a visitor", "GET", f"/streams/{over}/replay", None),
        )
        print("| check | AWS calls | p50 | p95 |\n|---|---|---|---|")
        for name, method, path, who in asked:
            client.call(method, path, who=who)  # secrets and keys are read once a container
            with observe.counting() as calls:
                answer = client.call(method, path, who=who)
            assert answer.status == 200, answer.body
            worst = max(worst, len(calls))
            times: list[float] = []
            for _ in range(RUNS):
                started = time.perf_counter()
                client.call(method, path, who=who)
                times.append((time.perf_counter() - started) * 1000)
            named = ", ".join(call.operation for call in calls)
            p95 = statistics.quantiles(times, n=20)[18]
            print(f"| {name} | {len(calls)} ({named}) | {statistics.median(times):.1f} ms | {p95:.1f} ms |")
    print(f"\n{RUNS} calls each, one after the other; target ≤{READS_MAX} reads.")
    return 1 if worst > READS_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
