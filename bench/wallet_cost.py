"""What does a gift cost on AWS: write units, item by item, and dollars a million, alone and among many?

Each gift goes through the function that the `gift` route calls, then through the settler, on DynamoDB Local, which
tells the consumed units of every call by table and index, as the service does. Prices are list prices (us-east-1,
2026). What a room's frames and deliveries cost is shared by all that happens in a tick, and is left out.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import wallet_gifts
from functions import aws
from functions.rooms.stored import StoredRooms
from functions.wallet import settle
from functions.wallet.model import SETTLED_AT_ONCE_MAX, Wallet
from functions.wallet.table import StoredLedger
from functions.wallet.tally import catch_up
from functions.wallet.tally_table import StoredBoards
from tests import dynamodb_local

WRITE_USD_MILLION = 0.625
READ_USD_MILLION = 0.125
SQS_USD_MILLION = 0.50
SOCKET_USD_MILLION = 1.00
LAMBDA_USD_MILLION = 0.20
LAMBDA_USD_GB_S = 0.0000166667
GIFT_GB = 0.5
WRITES_MAX = 12.0
READING = ("GetItem", "Query", "BatchGetItem", "Scan")
Place = tuple[str, str]


@dataclass
class Meter:
    """Units by what was done and where, as the service told them."""

    writes: Counter[Place]
    reads: float = 0.0

    @property
    def written(self) -> float:
        """All write units."""
        return sum(self.writes.values())


@contextmanager
def metered(client: Any, doing: str, meter: Meter) -> Iterator[None]:
    """Have every call of the block tell what it consumed."""

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"

    def told(parsed: dict[str, Any], model: Any, **_: Any) -> None:
        found = parsed.get("ConsumedCapacity", [])
        for each in found if isinstance(found, list) else [found]:
            if model.name in READING:
                meter.reads += each["CapacityUnits"]
                continue
            table = each["TableName"].partition("-")[0]
            parts = {"item": each["Table"], **each.get("LocalSecondaryIndexes", {})}
            parts.update(each.get("GlobalSecondaryIndexes", {}))
            for name, units in parts.items():
                if units["CapacityUnits"]:
                    meter.writes[doing, f"{table} {name}"] += units["CapacityUnits"]

    events = client.meta.events
    events.register("provide-client-params.dynamodb.*", ask, unique_id="meter-ask")
    events.register("after-call.dynamodb.*", told, unique_id="meter-told")
    try:
        yield
    finally:
        events.unregister("provide-client-params.dynamodb.*", unique_id="meter-ask")
        events.unregister("after-call.dynamodb.*", unique_id="meter-told")


def run(gifts: int) -> tuple[Meter, float]:
    """``gifts`` of one viewer, settled together; returns the units of all, and seconds a gift."""
    client = aws.client("dynamodb")
    meter = Meter(Counter())
    # Both wallets and the room exist, as they do in all but somebody's first minute.
    wallet_gifts.put_wallet(Wallet(wallet_gifts.SENDER.id, coins=wallet_gifts.COINS))
    wallet_gifts.give(f"before-{gifts}")
    settle.settle_all(StoredLedger(), "host")
    catch_up(StoredLedger(), StoredBoards(), "host")
    StoredRooms().delete_inbox("stream-in-this-bench", inbox())
    started_s = time.perf_counter()
    with metered(client, "gift", meter):
        for n in range(gifts):
            wallet_gifts.give(f"{gifts}-{n}")
    gift_s = (time.perf_counter() - started_s) / gifts
    with metered(client, "settlement", meter):
        settle.settle_once(StoredLedger(), "host", random.Random(0))
    with metered(client, "boards", meter):
        catch_up(StoredLedger(), StoredBoards(), "host")
    events = inbox()
    assert len(events) == gifts
    with metered(client, "frame made", meter):
        StoredRooms().delete_inbox("stream-in-this-bench", events)
    return meter, gift_s


def inbox() -> list[str]:
    """Ids of the events that wait in the room."""
    return [each.event_id for each in StoredRooms().inbox("stream-in-this-bench", 500)]


def dollars_a_million(meter: Meter, gifts: int, gift_s: float) -> dict[str, float]:
    """US dollars for a million gifts of such runs, by service."""
    return {
        "DynamoDB writes": meter.written / gifts * WRITE_USD_MILLION,
        "DynamoDB reads": meter.reads / gifts * READ_USD_MILLION,
        # Each gift rings its room and its creator; what is received and deleted is shared by a slot's gifts.
        "SQS": (2 + 4 / gifts) * SQS_USD_MILLION,
        "Lambda": (1 + 2 / gifts) * LAMBDA_USD_MILLION + gift_s * GIFT_GB * LAMBDA_USD_GB_S * 1e6,
        "WebSocket in and out": 2 * SOCKET_USD_MILLION,
    }


def main() -> int:
    results: dict[int, tuple[Meter, float]] = {}
    with dynamodb_local.running() as url, wallet_gifts.empty_tables(url):
        os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
        for gifts in (1, SETTLED_AT_ONCE_MAX):
            results[gifts] = run(gifts)
    many = results[SETTLED_AT_ONCE_MAX][0]
    print("| write units a gift | where | alone | among 98 |")
    print("|---|---|---|---|")
    places = sorted({place for meter, _ in results.values() for place in meter.writes})
    for doing, where in places:
        row = [results[gifts][0].writes[doing, where] / gifts for gifts in results]
        print(f"| {doing} | {where} | {row[0]:.2f} | {row[1]:.2f} |")
    sums = [meter.written / gifts for gifts, (meter, _) in results.items()]
    print(f"| **all** | limit ≤ {WRITES_MAX:.0f} | **{sums[0]:.2f}** | **{sums[1]:.2f}** |")
    print("\n| dollars a million gifts | alone | among 98 |\n|---|---|---|")
    costs = [dollars_a_million(meter, gifts, gift_s) for gifts, (meter, gift_s) in results.items()]
    for service in costs[0]:
        print(f"| {service} | {costs[0][service]:.2f} | {costs[1][service]:.2f} |")
    print(f"| **all** | **{sum(costs[0].values()):.2f}** | **{sum(costs[1].values()):.2f}** |")
    return 0 if many.written / SETTLED_AT_ONCE_MAX <= WRITES_MAX else 1


if __name__ == "__main__":
    raise SystemExit(main())
