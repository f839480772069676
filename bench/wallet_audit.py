"""How fast is the ledger proved, and what does proving a million transfers cost?

Fills a table on DynamoDB Local with honest wallets, audits it in 1 and in 4 segments, and takes the size of an entry
from the table itself: a strongly consistent scan is billed a read unit for each 4 KB.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from typing import Any

from functions import aws, clock
from functions.wallet import model, table
from functions.wallet.audit import audit
from functions.wallet.ledger import Posting, Receipt
from functions.wallet.model import CoinPack, Gift, Transfer, Wallet
from functions.wallet.table import StoredLedger
from tests import dynamodb_local
from tests.contract import tables

SETTINGS = {
    "POWERTOOLS_LOG_LEVEL": "WARNING",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
    "LEDGER_TABLE": "Ledger",
}
TRANSFERS = 10_000
GIFTS_A_WALLET = 97
ROSE = Gift("rose", "Rose", 1, "🌹", "small", "pop")
PACK = CoinPack("p", 1_000, 1_299)
# us-east-1, on demand, 2026: dollars a million read units (https://aws.amazon.com/dynamodb/pricing/on-demand/).
READ_USD_A_MILLION = 0.125
UNIT_BYTES = 4096
# https://aws.amazon.com/lambda/pricing/, arm64: dollars a GB-second, and what infra/audit.py gives the function.
LAMBDA_USD_A_GB_S = 0.0000133334
LAMBDA_GB = 3008 / 1024


def fill(transfers: int) -> int:
    """Honest wallets, each with a purchase, gifts, and their settlement to one creator; returns the entries written."""
    # Written by batch, as no posting may be: the bench is about reading.
    now, written = clock.now_ms() - 600_000, 0
    host, batch = Wallet("host"), Batch()
    for n in range(max(1, transfers // (GIFTS_A_WALLET + 2))):
        account = f"viewer{n:06d}"
        wallet, bought = model.purchase(Wallet(account), provider="sandbox", receipt=account, pack=PACK, at=now)
        batch.put(table.transfer_item(Posting(None, wallet, bought)).to_dynamodb_dict())
        batch.put(table.receipt_item(Receipt("sandbox", account, account, PACK.id, bought.id)).to_dynamodb_dict())
        gifts: list[Transfer] = []
        for m in range(GIFTS_A_WALLET):
            before = wallet
            wallet, gift = model.give(
                wallet,
                host="host",
                gift=ROSE,
                count=1,
                stream=f"s{n % 7}",
                client_id=f"{m}",
                event_id=f"e{n}-{m}",
                at=now,
            )
            gifts.append(gift)
            assert before.version + 1 == wallet.version
        before = host
        host, settled = model.settle(host, gifts, at=now)
        batch.put(table.transfer_item(Posting(before, host, settled)).to_dynamodb_dict())
        for gift in gifts:
            item = table.transfer_item(Posting(wallet, wallet, gift)).to_dynamodb_dict()
            batch.put({**item, "settlement": {"S": settled.id}})
        batch.put(wallet_item(wallet))
        written += len(gifts) + 2
    batch.put(wallet_item(host))
    batch.flush()
    return written


def wallet_item(wallet: Wallet) -> dict[str, Any]:
    """A wallet as it lies in the table."""
    item = table.WalletItem(
        table.wallet_key(wallet.account),
        coins=wallet.coins,
        diamonds=wallet.diamonds,
        carried_milli=wallet.carried_milli,
        head_version=wallet.version,
        head_hash=wallet.hash,
        head_at=wallet.at,
    )
    return item.to_dynamodb_dict()


class Batch:
    """Items on their way into the table, 25 at a time."""

    def __init__(self) -> None:
        self._items: list[dict[str, Any]] = []

    def put(self, item: dict[str, Any]) -> None:
        self._items.append({"PutRequest": {"Item": item}})
        if len(self._items) == 25:
            self.flush()

    def flush(self) -> None:
        if self._items:
            left = aws.client("dynamodb").batch_write_item(RequestItems={"Ledger": self._items})["UnprocessedItems"]
            assert not left
            self._items = []


def read_units(transfers: int) -> float:
    """Read units that a million transfers take, by the bytes of what lies in this table.

    Counted here, by the service's documented rule, rather than taken from what DynamoDB Local says it consumed.
    """
    size, page = 0, {}
    while True:
        answer = aws.client("dynamodb").scan(TableName="Ledger", **page)
        size += sum(item_bytes(item) for item in answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return size / UNIT_BYTES / transfers * 1e6
        page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def item_bytes(item: dict[str, Any]) -> int:
    """An item's size as DynamoDB counts it: names and texts by UTF-8, numbers by half their digits and one more.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    size = 0
    for name, value in item.items():
        kind, content = next(iter(value.items()))
        size += len(name.encode())
        size += len(content.encode()) if kind == "S" else (len(content) + 1) // 2 + 1 if kind == "N" else 1
    return size


def main() -> int:
    asked = argparse.ArgumentParser()
    asked.add_argument("--transfers", type=int, default=TRANSFERS)
    transfers = asked.parse_args().transfers
    os.environ.update(SETTINGS)
    with dynamodb_local.running() as url:
        os.environ["AWS_ENDPOINT_URL"] = url
        aws.forget_clients()
        tables.create_ledger(aws.client("dynamodb"), "Ledger")
        written = fill(transfers)
        units = read_units(written)
        speeds: dict[int, float] = {}
        rows: list[str] = []
        for segments in (1, 4):
            before = time.process_time()
            started = time.monotonic()
            report = audit(StoredLedger(), segments=segments)
            seconds = time.monotonic() - started
            assert report.differences == (), report.differences[:3]
            assert report.transfers == written
            speeds[segments] = written / seconds
            rows.append(
                f"| {segments} | {seconds:.1f} | {written / seconds:,.0f} "
                f"| {(time.process_time() - before) / written * 1e6:.0f} |"
            )
        # An entry that is not what was sealed must be found, or the speed would mean nothing.
        harmed = aws.client("dynamodb").get_item(
            TableName="Ledger", Key={"pk": {"S": "wallet#viewer000000"}, "sk": {"S": "gift#7"}}
        )["Item"]
        aws.client("dynamodb").put_item(TableName="Ledger", Item={**harmed, "amount": {"N": "2"}})
        found = {each.name for each in audit(StoredLedger()).differences}
        assert "entry_changed" in found, found
    best = max(speeds.values())
    reading, running = units / 1e6 * READ_USD_A_MILLION, 1e6 / best * LAMBDA_GB * LAMBDA_USD_A_GB_S
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{written:,} honest transfers on DynamoDB Local, proved:\n")
    print(
        "| segments at once | seconds | transfers a second | µs of this process's processor each |\n|---|---|---|---|"
    )
    print("\n".join(rows))
    print(
        f"\nA million transfers: {units:,.0f} read units = ${reading:.3f}, and at this speed "
        f"{1e6 / best / 60:.1f} minutes of a {LAMBDA_GB:.1f} GB function = ${running:.3f}; "
        f"together ${reading + running:.3f}. "
        f"A function's 15 minutes take {best * 900 / 1e6:.1f} million. "
        f"This process took {memory:.0f} MiB at its highest. One changed amount among them was found."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
