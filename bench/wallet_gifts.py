"""How many gifts a second, does a full ledger slow them, and what do they cost beside the bare transaction?

One sender, one after another, through the function that the `gift` route calls. On the local stack's moto: with 10,000
transfers in the sender's partition beside an empty one (a ratio far below 1 would say that something copies tables). On
DynamoDB Local, in turns: beside bare ``TransactWriteItems`` of the very same three items with the very same conditions.
A gift of a running combo asks the service for no more than that, since its container remembers the wallet; a first gift
reads the wallet before, so it also stands beside a bare read with that transaction.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from functions import aws, observe, storage
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import RoomView
from functions.wallet import catalogue, gift_transfer, ledger, model
from functions.wallet.giving import Giver
from functions.wallet.heads import Heads
from functions.wallet.ledger import Posting
from functions.wallet.model import Wallet
from functions.wallet.table import WALLET_KEY, StoredLedger, TransferItem, WalletItem, transfer_item, wallet_key
from tests import dynamodb_local
from tests.contract import moto_server, tables

TRANSFERS = 10_000
GIFTS = 300
TURNS = 6
WARM = 150
RATIO_MIN = 0.70
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


def give(client_id: str, heads: Heads | None = None) -> None:
    message = GiftMessage(client_id, "rose", 1)
    room = RoomView("stream-in-this-bench", "host", True)
    gift_transfer.give(StoredLedger(), SENDER, message, room, GIVER, heads=heads)


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


@dataclass
class OnDynamoDBLocal:
    """Seconds that the same number of each took: gifts of a running combo, gifts that read first, and bare calls."""

    combo_s: float = 0.0
    first_s: float = 0.0
    bare_s: float = 0.0
    read_s: float = 0.0


def on_dynamodb_local(url: str) -> OnDynamoDBLocal:
    """All four in turns, `TURNS` times `GIFTS` ÷ 3 of each; the turn before these warms the virtual machine."""
    taken = OnDynamoDBLocal()
    with empty_tables(url) as client:
        fill(0)
        put_wallet(Wallet(BARE, coins=COINS))
        key = {"pk": {"S": wallet_key(BARE)}, "sk": {"S": WALLET_KEY}}
        for turn in range(TURNS + 1):
            count = WARM if turn == 0 else GIFTS // 3
            lap = OnDynamoDBLocal()
            heads = Heads()
            give(f"{turn}-first", heads)
            with observe.counting() as calls, timed(lap, "combo_s"):
                for n in range(count):
                    give(f"{turn}-{n}", heads)
            items = [renamed(each.parameters["TransactItems"]) for each in calls]
            assert len(items) == count  # one call a gift, and no other
            with timed(lap, "first_s"):
                for n in range(count):
                    give(f"{turn}-{n}-reads")
            # The bare wallet follows the same versions: its own entry before these comes along.
            put_wallet(Wallet(BARE, coins=COINS, version=condition(items[0])[0], hash=condition(items[0])[1]))
            with timed(lap, "bare_s"):
                for each in items:
                    client.transact_write_items(TransactItems=each)
            with timed(lap, "read_s"):
                for _ in items:
                    client.get_item(TableName=os.environ["LEDGER_TABLE"], Key=key, ConsistentRead=True)
            for name in vars(lap):
                setattr(taken, name, getattr(taken, name) + getattr(lap, name) * (turn > 0))
    return taken


@contextmanager
def timed(lap: OnDynamoDBLocal, name: str) -> Iterator[None]:
    """Set a field of ``lap`` to the seconds that the block takes."""
    started_s = time.perf_counter()
    yield
    setattr(lap, name, time.perf_counter() - started_s)


def condition(items: list[dict[str, Any]]) -> tuple[int, str]:
    """Version and hash that a gift's transaction asks of its wallet."""
    update: dict[str, Any] = next(each["Update"] for each in items if "Update" in each)
    names: dict[str, str] = update["ExpressionAttributeNames"]
    asked: dict[str, str] = {}
    for name, value in re.findall(r"(#\d+) = (:\d+)", update["ConditionExpression"]):
        asked[names[name]] = next(iter(update["ExpressionAttributeValues"][value].values()))
    return int(asked["head_version"]), asked["head_hash"]


def renamed(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same three items for another wallet and another room."""
    text = json.dumps(items).replace(SENDER.id, BARE).replace("room#stream-in-this-bench", "room#stream-of-the-bare")
    renamed_items: list[dict[str, Any]] = json.loads(text)
    return renamed_items


def main() -> int:
    with moto_server.running(mended=True) as url:
        full, empty = on_moto(url)
    with dynamodb_local.running() as url:
        took = on_dynamodb_local(url)
    total = TURNS * (GIFTS // 3)
    combo, first, bare = total / took.combo_s, total / took.first_s, total / took.bare_s
    read_and_bare = total / (took.bare_s + took.read_s)
    print("| gifts, one sender, one at a time | a second | beside | ratio | limit |")
    print("|---|---|---|---|---|")
    print(
        f"| moto of the local stack, {TRANSFERS:,} transfers there | {full:.0f} | empty: {empty:.0f} "
        f"| {full / empty:.2f} | ≥ 0.80 |"
    )
    print(
        f"| DynamoDB Local, combo: the container remembers | {combo:.0f} | transaction: {bare:.0f} "
        f"| {combo / bare:.2f} | ≥ {RATIO_MIN} |"
    )
    print(f"| DynamoDB Local, first gift: it reads | {first:.0f} | transaction: {bare:.0f} | {first / bare:.2f} | |")
    print(
        f"| DynamoDB Local, first gift: it reads | {first:.0f} | read, transaction: {read_and_bare:.0f} "
        f"| {first / read_and_bare:.2f} | |"
    )
    return 0 if combo / bare >= RATIO_MIN else 1


if __name__ == "__main__":
    raise SystemExit(main())
