"""How many connections a second does one `deliver` post to, and what would a room of 100,000 take?

The real handler, with its own threads, signatures and HTTP, posts a frame to a shard of 400 connections at a fake of
`@connections` in another process that answers at once, or as late as the service does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from moto import mock_aws

from bench.gateway_fake import gateway
from functions import aws, clock, storage
from functions.rooms import deliver
from functions.rooms.items import ConnectionItem, RoomsItem
from functions.rooms.model import Connection, Limits, tick_ms

STREAM = "stream-1"
FRAMES = 8
BODY = (
    '{"type":"frame","epoch":"e1","seq":7,"tick_ms":2000,"events":['
    + ",".join(['{"type":"chat","text":"' + "x" * 200 + '"}'] * 10)
    + "]}"
)
# What an account has by default: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html ·
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
CALLBACK_QUOTA = 10_000
CONNECT_QUOTA = 500
CONCURRENCY_QUOTA = 1_000
BIG = 100_000


@dataclass(frozen=True)
class Found:
    """One shard served: posts a second, and seconds of the clock and of the processor for one frame to it."""

    posts_s: float
    frame_s: float
    cpu_s: float


@contextmanager
def shard(url: str, size: int) -> Iterator[None]:
    """A table with one full shard, and what `deliver` is told of its surroundings."""
    before = dict(os.environ)
    os.environ.update(
        AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench",
        POWERTOOLS_TRACE_DISABLED="true", POWERTOOLS_LOG_LEVEL="WARNING", ROOMS_TABLE="Rooms", SOCKET_CALLBACK_URL=url,
    )  # fmt: skip
    try:
        with mock_aws():
            aws.forget_clients()
            storage.forget_connections()
            RoomsItem.create_table(wait=True, billing_mode="PAY_PER_REQUEST")
            now_ms = clock.now_ms()
            with ConnectionItem.batch_write() as batch:
                for number in range(size):
                    one = Connection(f"c{number:011}=", f"account-{number}", 0, now_ms // 1000 + 600, now_ms)
                    batch.save(ConnectionItem.of_shard(STREAM, one))
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        aws.forget_clients()
        storage.forget_connections()


def measure(delay_ms: float, size: int = Limits().shard_size, frames: int = FRAMES) -> Found:
    """Post ``frames`` frames to a shard, one after the other, the first not counted (it opens the connections)."""
    event = {"room": STREAM, "shard": 0, "bodies": [BODY], "told": size, "closing": None}
    with gateway(delay_ms) as url, shard(url, size):
        deliver.handle(event, None)
        started_s, worked_s = time.perf_counter(), time.process_time()
        for _ in range(frames):
            deliver.handle(event, None)
        took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - worked_s
    return Found(size * frames / took_s, took_s / frames, cpu_s / frames)


def main() -> int:
    limits = Limits()
    print(f"One `deliver`, {limits.shard_size} connections, frames of {len(BODY)} bytes:\n")
    print("| the service answers | posts a second | a frame | processor |")
    print("|---|---|---|---|")
    found = {delay_ms: measure(delay_ms) for delay_ms in (0, 10, 25)}
    for delay_ms, one in found.items():
        print(f"| {delay_ms} ms late | {one.posts_s:.0f} | {one.frame_s * 1000:.0f} ms | {one.cpu_s * 1000:.0f} ms |")
    rate, shards = found[10].posts_s, -(-BIG // limits.shard_size)
    tick_s = tick_ms(BIG, limits) / 1000
    wanted = BIG / tick_s
    frame_s = limits.shard_size / rate
    print(
        f"\n**{BIG:,} viewers on paper**, from the middle line: {shards} shards, so as many `deliver` side by side for "
        f"{frame_s:.1f} s a frame. Posts: {BIG:,} a frame; the account's {CALLBACK_QUOTA:,} a second (API Gateway, "
        f"raised on request) allow a frame each {BIG / CALLBACK_QUOTA:.0f} s, and `tick_ms` stops at {tick_s:.0f} s, "
        f"which wants {wanted:,.0f} a second. Concurrency: {shards} of {CONCURRENCY_QUOTA:,}. Arrivals: "
        f"{BIG / CONNECT_QUOTA:.0f} s at {CONNECT_QUOTA} new connections a second. So by sockets alone a room of this "
        f"size needs the quota of posts raised to {wanted:,.0f} a second and ${wanted * 3600 / 1e6:,.0f} an hour of "
        "posts; above `stadium_viewers` frames travel in the media and neither is needed: what remains is arrivals, "
        f"pings ({BIG / limits.ping_s:,.0f} a second) and a sample of hearts ({limits.reacts_budget} a second at most)."
    )
    return 0 if found[0].posts_s >= 100 else 1


if __name__ == "__main__":
    sys.exit(main())
