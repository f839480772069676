"""How long until a gift is the host's diamonds, at 200 gifts a second to one host, with nothing else on the machine?

The local stack takes fewer gifts a second than that: all its handlers and its tables share one Python process. Here
senders and settler are processes of their own, as functions are, on DynamoDB Local; the Settle queue is moto's, in a
process too. Twenty viewers send ten roses a second each through the function that the ``gift`` route calls; the settler
is the handler itself, given what the queue gives. No rooms, no sockets. The lag is what the ledger says. Where the
machine does not take 200 a second, the rate that it took is what the table says.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from typing import Any, Final

from bench import wallet_gifts
from bench.wallet_settle import lags, quantile
from functions import aws
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import RoomView
from functions.wallet import gift_transfer, settle
from functions.wallet.model import Wallet
from tests import dynamodb_local
from tests.contract import moto_server

VIEWERS: Final = 20
SENDERS: Final = 2
RATE: Final = 200
SECONDS: Final = 10
SETTLED_WITHIN_S: Final = 60
START_S: Final = 8.0
HOST: Final = "host"
STREAM: Final = "stream-in-this-bench"


def send(viewers: range, begin_s: float) -> list[float]:
    """Each viewer's part of the rate until `SECONDS` after ``begin_s``; how long each gift took (ms)."""
    with ThreadPoolExecutor(len(viewers)) as pool:
        return [each for took in pool.map(lambda viewer: _send(viewer, begin_s), viewers) for each in took]


def _send(viewer: int, begin_s: float) -> list[float]:
    sender, room = Sender(f"viewer-{viewer}", f"viewer_{viewer}", "Viewer"), RoomView(STREAM, HOST, True)
    took: list[float] = []
    while time.time() < begin_s + SECONDS:
        time.sleep(max(0.0, begin_s + len(took) * VIEWERS / RATE - time.time()))
        started_s = time.perf_counter()
        message = GiftMessage(f"{viewer}-{len(took)}", "rose", 1)
        gift_transfer.send_gift(sender, room, message, wallet_gifts.GIVER)
        took.append((time.perf_counter() - started_s) * 1000)
    return took


def settle_until(over: Event) -> None:
    """Hand the queue's messages to the settler as Lambda does, until ``over`` and nothing came for a second."""
    queues, url = aws.client("sqs"), os.environ["SETTLE_QUEUE_URL"]
    while True:
        asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        found = queues.receive_message(**asked, AttributeNames=["All"]).get("Messages", [])
        if not found and over.is_set():
            return
        records = [_record(each) for each in found]
        failed = settle.handle({"Records": records}, None)["batchItemFailures"] if records else []
        kept = {each["itemIdentifier"] for each in failed}
        for each in found:
            if each["MessageId"] not in kept:
                queues.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])


def _record(message: dict[str, Any]) -> dict[str, Any]:
    named = {"messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "eventSource": "aws:sqs"}
    return {**named, "body": message["Body"], "attributes": message["Attributes"]}


def ledger_of(client: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All items, and the gifts among them."""
    pages = client.get_paginator("scan").paginate(TableName=os.environ["LEDGER_TABLE"], ConsistentRead=True)
    items = [each for page in pages for each in page["Items"]]
    return items, [each for each in items if each.get("reference", {}).get("S") == STREAM]


def evening(client: Any) -> tuple[list[float], float, list[int]]:
    """How long gifts took (ms), in how many seconds all were sent, and the lag of each (ms)."""
    for viewer in range(VIEWERS):
        wallet_gifts.put_wallet(Wallet(f"viewer-{viewer}", coins=wallet_gifts.COINS))
    processes = multiprocessing.get_context("spawn")
    over = processes.Event()
    settler = processes.Process(target=settle_until, args=(over,))
    settler.start()
    try:
        begin_s = time.time() + START_S  # all have started by then
        parts = [range(first, VIEWERS, SENDERS) for first in range(SENDERS)]
        with processes.Pool(SENDERS) as pool:
            took = [each for part in pool.starmap(send, [(part, begin_s) for part in parts]) for each in part]
        sent_s = time.time() - begin_s
        until_s = time.monotonic() + SETTLED_WITHIN_S
        items, gifts = ledger_of(client)
        while any("settlement" not in each for each in gifts) and time.monotonic() < until_s:
            time.sleep(0.5)
            items, gifts = ledger_of(client)
        over.set()
        settler.join(SETTLED_WITHIN_S)
    finally:
        settler.kill()
    assert len(gifts) == len(took), f"{len(took)} gifts were answered and {len(gifts)} are there"
    waiting = sum("settlement" not in each for each in gifts)
    assert waiting == 0, f"{waiting} gifts are not settled after {SETTLED_WITHIN_S} s"
    return took, sent_s, lags(items, gifts)


def main() -> int:
    with dynamodb_local.running() as url, moto_server.running() as queues_url, wallet_gifts.empty_tables(url) as client:
        os.environ["AWS_ENDPOINT_URL_SQS"] = queues_url
        aws.forget_clients()
        attributes = {"FifoQueue": "true", "DeduplicationScope": "messageGroup"}
        made = aws.client("sqs").create_queue(QueueName="Settle.fifo", Attributes=attributes)
        os.environ["SETTLE_QUEUE_URL"] = made["QueueUrl"]
        took, sent_s, found = evening(client)
    print(
        f"{len(took)} gifts of {VIEWERS} viewers in {SENDERS} processes, at most {RATE} a second; all answered, "
        f"**{len(took) / sent_s:.0f} a second**.\n"
    )
    print("| | p50 | p95 | p99 |\n|---|---|---|---|")
    for name, values in (("gift → settled, by the ledger", found), ("gift → answered", took)):
        print(f"| {name} | " + " | ".join(f"{quantile(values, part):.0f} ms" for part in (0.5, 0.95, 0.99)) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
