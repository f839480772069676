"""How many gifts a second, does a full ledger slow them, and what do they cost beside the bare transaction?

One sender, one after another, through the function that the `gift` route calls. On the local stack's moto: with 10,000
transfers in the sender's partition beside an empty one (a ratio far below 1 would say that something copies tables). On
DynamoDB Local, in turns: beside bare ``TransactWriteItems`` of the very same three items, and beside a bare read with
that transaction, which is what a gift asks of the service.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from functions import aws, observe, storage
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import RoomView
from functions.wallet import catalogue, gift_transfer, ledger, model
from functions.wallet.giving import Giver
from functions.wallet.ledger import Posting
from functions.wallet.model import Wallet
from functions.wallet.table import WALLET_KEY, StoredLedger, TransferItem, WalletItem, transfer_item, wallet_key
from tests import dynamodb_local
from tests.contract import moto_server, tables

TRANSFERS = 10_000
GIFTS = 300
TURNS = 6
WARM = 150
SENDER = Sender("sender-in-this-bench", "sender", "Sender")
GIVER = Giver("US", 30)
BARE = "bare-one-in-this-bench"
COINS = 10_000_000


@contextmanager
def empty_tables(url: str) -> Iterator[Any]:
    """New tables at ``url``, named in the environment as the template would; gives a plain client."""
    suffix = secrets.token_hex(4)
    os.environ.update(
        AWS_ACCESS_KEY_ID="bench",
        AWS_SECRET_ACCESS_KEY="bench",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL=url,
        LEDGER_TABLE=f"Ledger-{suffix}",
        ROOMS_TABLE=f"Rooms-{suffix}",
    )
    aws.forget_clients()
    storage.forget_connections()
    client = aws.client("dynamodb")
    tables.create_ledger(client, os.environ["LEDGER_TABLE"])
    tables.create_plain(client, os.environ["ROOMS_TABLE"])
    yield client


def put_wallet(wallet: Wallet) -> None:
    WalletItem(
        wallet_key(wallet.account),
        WALLET_KEY,
        coins=wallet.coins,
        diamonds=0,
        carried_milli=0,
        head_version=wallet.version,
        head_hash=wallet.hash,
        head_at=wallet.at,
    ).save()


def fill(transfers: int) -> None:
    """Give the sender's wallet coins and a chain of this many gifts."""
    wallet = Wallet(SENDER.id, coins=COINS)
    rose = catalogue.gift("rose")
    with TransferItem.batch_write() as batch:
        for n in range(transfers):
            fields: dict[str, Any] = {"host": "host", "gift": rose, "count": 1, "stream": "s", "at": n}
            before = wallet
            wallet, transfer = model.give(wallet, client_id=f"old-{n}", event_id=f"e{n}", **fields)
            key = ledger.unsettled_key("host", f"old-{n}")
            batch.save(transfer_item(Posting(before=before, after=wallet, transfer=transfer, unsettled_key=key)))
    put_wallet(wallet)


def give(client_id: str) -> None:
    message = GiftMessage(client_id, "rose", 1)
    gift_transfer.give(StoredLedger(), SENDER, message, RoomView("stream-in-this-bench", "host", True), GIVER)


def gifts_a_second(first: int, gifts: int) -> float:
    started_s = time.perf_counter()
    for n in range(first, first + gifts):
        give(f"new-{n}")
    return gifts / (time.perf_counter() - started_s)


def on_moto(url: str) -> tuple[float, float]:
    """Gifts a second with `TRANSFERS` in the ledger, and with none, in turns: noise then falls on both."""
    names: list[dict[str, str]] = []
    taken_s = [0.0, 0.0]
    for transfers in (TRANSFERS, 0):
        with empty_tables(url):
            fill(transfers)
            names.append({each: os.environ[each] for each in ("LEDGER_TABLE", "ROOMS_TABLE")})
    gifts = GIFTS // TURNS
    for turn in range(TURNS):
        for which in (0, 1):
            os.environ.update(names[which])
            give(f"first-{turn}")  # finds its tables
            taken_s[which] += gifts / gifts_a_second(turn * gifts, gifts)
    return TURNS * gifts / taken_s[0], TURNS * gifts / taken_s[1]


def on_dynamodb_local(url: str) -> tuple[float, float, float]:
    """Gifts a second, and of the same items: bare transactions a second, and bare reads with transactions a second."""
    with empty_tables(url) as client:
        fill(0)
        put_wallet(Wallet(BARE, coins=COINS))
        gift_s = bare_s = read_s = 0.0
        key = {"pk": {"S": wallet_key(BARE)}, "sk": {"S": WALLET_KEY}}
        for turn in range(TURNS + 1):
            count = WARM if turn == 0 else GIFTS // 3
            with observe.counting() as calls:
                started_s = time.perf_counter()
                for n in range(count):
                    give(f"{turn}-{n}")
                gifts_took_s = time.perf_counter() - started_s
            items = [renamed(each.parameters["TransactItems"]) for each in calls if "Transact" in each.operation]
            assert len(items) == count
            started_s = time.perf_counter()
            for each in items:
                client.transact_write_items(TransactItems=each)
            if turn:  # the first turn warms the virtual machine
                gift_s += gifts_took_s
                bare_s += time.perf_counter() - started_s
            started_s = time.perf_counter()
            for _ in items:
                client.get_item(TableName=os.environ["LEDGER_TABLE"], Key=key, ConsistentRead=True)
            if turn:
                read_s += time.perf_counter() - started_s
        total = TURNS * (GIFTS // 3)
        return total / gift_s, total / bare_s, total / (bare_s + read_s)


def renamed(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same three items for another wallet and another room."""
    text = json.dumps(items).replace(SENDER.id, BARE).replace("room#stream-in-this-bench", "room#stream-of-the-bare")
    renamed_items: list[dict[str, Any]] = json.loads(text)
    return renamed_items


def main() -> None:
    with moto_server.running(mended=True) as url:
        full, empty = on_moto(url)
    with dynamodb_local.running() as url:
        gift, bare, read_and_bare = on_dynamodb_local(url)
    print("| gifts, one sender, one at a time | a second | beside | ratio | limit |")
    print("|---|---|---|---|---|")
    print(
        f"| moto of the local stack, {TRANSFERS:,} transfers there | {full:.0f} | empty: {empty:.0f} "
        f"| {full / empty:.2f} | ≥ 0.80 |"
    )
    print(f"| DynamoDB Local | {gift:.0f} | transaction: {bare:.0f} | {gift / bare:.2f} | ≥ 0.70 |")
    print(f"| DynamoDB Local | {gift:.0f} | read, transaction: {read_and_bare:.0f} | {gift / read_and_bare:.2f} | |")


if __name__ == "__main__":
    main()
