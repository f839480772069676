"""What does a gift cost on AWS: write units, item by item, and dollars a million, alone and among many?

Each gift goes through the function that the `gift` route calls, then through the settler and the boards, on DynamoDB
Local. Units come from the calls seen and the sizes of the items they wrote, by the service's rule: 1 a KB begun, 2 in a
transaction. (What DynamoDB Local itself tells is four times the rule for any transaction.) AWS does not say whether a
transaction doubles its entries in indexes too: both sums are given. List prices of us-east-1, 2026. A room's frames and
deliveries are shared by all that happens in a tick, and are left out.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench import wallet_gifts
from functions import aws, observe
from functions.rooms.stored import StoredRooms
from functions.wallet import settle
from functions.wallet.model import SETTLED_AT_ONCE_MAX, Wallet
from functions.wallet.table import StoredLedger
from functions.wallet.tables import STATEMENT_ATTRIBUTES
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
    """Write units by what was done and where; entries of indexes apart, each counted once."""

    items: Counter[Place] = field(default_factory=Counter[Place])
    indexes: Counter[Place] = field(default_factory=Counter[Place])
    doubled: float = 0.0
    reads: int = 0

    @property
    def written(self) -> float:
        """All write units, an index's entry counted once."""
        return sum(self.items.values()) + sum(self.indexes.values())

    def take(self, doing: str, calls: list[observe.Call], client: Any) -> None:
        """Count what these calls consumed."""
        for call in calls:
            if call.service != "dynamodb":
                continue
            if call.operation in READING:
                self.reads += 1
            elif call.operation == "TransactWriteItems":
                for entry in call.parameters["TransactItems"]:
                    ((kind, written),) = entry.items()
                    self._wrote(doing, kind, written, 2, client)
            elif call.operation == "BatchWriteItem":
                for table, entries in call.parameters["RequestItems"].items():
                    for entry in entries:
                        ((kind, written),) = entry.items()
                        kind = kind.removesuffix("Request")
                        self._wrote(doing, kind, {"TableName": table, **written}, 1, client)
            else:
                self._wrote(doing, call.operation.removesuffix("Item"), call.parameters, 1, client)

    def _wrote(self, doing: str, kind: str, written: dict[str, Any], factor: int, client: Any) -> None:
        table = written["TableName"]
        item: dict[str, Any] = written.get("Item") or {}
        if kind == "Update":
            item = client.get_item(TableName=table, Key=written["Key"], ConsistentRead=True)["Item"]
        units = max(1, -(-size(item) // 1024))
        thing = (item.get("sk") or written["Key"]["sk"])["S"].partition("#")[0]
        self.items[doing, f"{table.partition('-')[0]}: {thing}"] += factor * units
        by_version = "version" in item and _moves(kind, written, STATEMENT_ATTRIBUTES)
        for index, there in (("by_version", by_version), ("unsettled", _in_unsettled(kind, written, item))):
            if there:
                self.indexes[doing, f"{table.partition('-')[0]}: {thing} in index {index}"] += units
                self.doubled += (factor - 1) * units


def _moves(kind: str, written: dict[str, Any], projected: tuple[str, ...]) -> bool:
    # An index is written when what it projects changes: a put brings the entry, an update may leave it alone.
    names: dict[str, str] = written.get("ExpressionAttributeNames", {})
    return kind != "Update" or any(name in projected for name in names.values())


def _in_unsettled(kind: str, written: dict[str, Any], item: dict[str, Any]) -> bool:
    # Put: the entry comes; an update that removes the key deletes it.
    names: dict[str, str] = written.get("ExpressionAttributeNames", {})
    return "unsettled_key" in item or (kind == "Update" and "unsettled_key" in names.values())


def size(item: dict[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them: names and values, numbers at two digits a byte and one more."""
    total = 0
    for name, value in item.items():
        ((kind, content),) = value.items()
        total += len(name) + (
            len(content) // 2 + 2 if kind == "N" else 1 if kind in ("BOOL", "NULL") else len(content.encode())
        )
    return total


def run(gifts: int) -> tuple[Meter, float]:
    """``gifts`` of one viewer, settled together; returns the units of all, and seconds a gift."""
    client = aws.client("dynamodb")
    meter = Meter()
    # Both wallets and the room exist, as they do in all but somebody's first minute.
    wallet_gifts.put_wallet(Wallet(wallet_gifts.SENDER.id, coins=wallet_gifts.COINS))
    wallet_gifts.give(f"before-{gifts}")
    settle.settle_all(StoredLedger(), "host")
    catch_up(StoredLedger(), StoredBoards(), "host")
    StoredRooms().delete_inbox("stream-in-this-bench", inbox())
    started_s = time.perf_counter()
    with observe.counting() as given:
        for n in range(gifts):
            wallet_gifts.give(f"{gifts}-{n}")
    gift_s = (time.perf_counter() - started_s) / gifts
    with observe.counting() as credited:
        settled, _ = settle.settle_once(StoredLedger(), "host", random.Random(0))
    assert settled == gifts
    with observe.counting() as counted:
        catch_up(StoredLedger(), StoredBoards(), "host")
    events = inbox()
    assert len(events) == gifts
    with observe.counting() as framed:
        StoredRooms().delete_inbox("stream-in-this-bench", events)
    for doing, calls in (("gift", given), ("frame made", framed), ("settlement", credited), ("boards", counted)):
        meter.take(doing, calls, client)
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
        for gifts in (1, SETTLED_AT_ONCE_MAX):
            results[gifts] = run(gifts)
    meters = {gifts: meter for gifts, (meter, _) in results.items()}
    print("| write units a gift | where | alone | among 98 |")
    print("|---|---|---|---|")
    for doing in ("gift", "frame made", "settlement", "boards"):
        for part in ("items", "indexes"):
            places = sorted({place for meter in meters.values() for place in getattr(meter, part) if place[0] == doing})
            for place in places:
                row = [getattr(meter, part)[place] / gifts for gifts, meter in meters.items()]
                print(f"| {doing} | {place[1]} | {row[0]:.2f} | {row[1]:.2f} |")
    sums = [meter.written / gifts for gifts, meter in meters.items()]
    doubled = [(meter.written + meter.doubled) / gifts for gifts, meter in meters.items()]
    print(f"| **all** | limit ≤ {WRITES_MAX:.0f} | **{sums[0]:.2f}** | **{sums[1]:.2f}** |")
    print(f"| all, were entries of indexes doubled as well | | {doubled[0]:.2f} | {doubled[1]:.2f} |")
    print("\n| dollars a million gifts | alone | among 98 |\n|---|---|---|")
    costs = [dollars_a_million(meter, gifts, gift_s) for gifts, (meter, gift_s) in results.items()]
    for service in costs[0]:
        print(f"| {service} | {costs[0][service]:.2f} | {costs[1][service]:.2f} |")
    print(f"| **all** | **{sum(costs[0].values()):.2f}** | **{sum(costs[1].values()):.2f}** |")
    if sums[1] > WRITES_MAX:
        print(f"\nOver the limit by {sums[1] - WRITES_MAX:.2f}: docs/decisions/0334 says where it could be cut.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
