"""What does telling a host's followers take: messages, dollars and time, and how does it grow?

Followers, a fifth of them with a phone or browser, are put into tables in moto in this process; the order goes through
the functions that Lambda calls, one message after another, and each AWS call is counted. Units by the service's rules:
a strongly consistent read of an item (or of none) is 1, an eventually consistent page 0.5 for each 4 KB, a write 1 a KB
begun; SQS takes a request to send (ten messages at most), to receive and to delete. List prices of us-east-1, 2026.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass

os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "ERROR")

import pytest

from bench.wallet_cost import LAMBDA_USD_GB_S, LAMBDA_USD_MILLION, READ_USD_MILLION, SQS_USD_MILLION, WRITE_USD_MILLION
from functions import aws, clock, observe, settings
from functions.accounts.devices import DEVICES, DevicesItem
from functions.accounts.follows import FollowItem
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.streams import announce, media, table
from functions.streams.model import MediaReport
from tests.unit import https

FOLLOWERS = (1_000, 3_000, 10_000)
ASKED = 100_000
WITH_DEVICE_EVERY = 5
WORKER_GB = 0.5
# A follow's entry, as DynamoDB counts its bytes.
ENTRY_BYTES = 130
DOLLARS_MAX = 1.00


@dataclass
class Meter:
    """What one fan-out took."""

    messages: int = 0
    requests: int = 0
    reads: float = 0.0
    writes: int = 0
    pushes: int = 0
    seconds: float = 0.0
    paging: float = 0.0

    def take(self, calls: list[observe.Call]) -> None:
        """Count calls."""
        for call in calls:
            given = call.parameters
            if call.service == "sqs":
                self.requests += 1
                self.messages += len(given.get("Entries", [given]))
                self.pushes += "PUSH" in given["QueueUrl"].upper()
            elif call.operation == "BatchGetItem":
                self.reads += sum(len(one["Keys"]) for one in given["RequestItems"].values())
            elif call.operation == "BatchWriteItem":
                self.writes += sum(len(one) for one in given["RequestItems"].values())
            elif call.operation == "Query":
                self.reads += 0.5 * -(-announce.PAGE * ENTRY_BYTES // 4096)
            else:
                self.reads += 1

    @property
    def dollars(self) -> float:
        """What it costs on AWS."""
        # Each message is received and deleted as well.
        sqs = (self.requests + 2 * self.messages) * SQS_USD_MILLION
        dynamodb = self.reads * READ_USD_MILLION + self.writes * WRITE_USD_MILLION
        runs = self.messages - self.pushes
        return (sqs + dynamodb + runs * LAMBDA_USD_MILLION) / 1e6 + self.seconds * WORKER_GB * LAMBDA_USD_GB_S


def fans(host: str, count: int) -> None:
    """Put so many followers into the table, in batches: by API it would take an hour."""
    now_ms = clock.now_ms()
    with FollowItem.batch_write() as batch:
        for number in range(count):
            batch.save(FollowItem(account_key(host), f"follower#fan-{number:06d}", at_ms=now_ms))
    with ProfileItem.batch_write() as batch:
        for number in range(count):
            batch.save(
                ProfileItem(
                    account_key(f"fan-{number:06d}"),
                    PROFILE,
                    handle=f"fan_{number:06d}",
                    display_name="Fan",
                    birth_date="1990-05-17",
                    market="US",
                    created_ms=now_ms,
                )
            )
    with DevicesItem.batch_write() as batch:
        for number in range(0, count, WITH_DEVICE_EVERY):
            batch.save(DevicesItem(account_key(f"fan-{number:06d}"), DEVICES, devices="[]", version=1))


def fan_out(client: https.Client, number: int, followers: int) -> Meter:
    """Go live for so many followers, and have all of them told."""
    host = client.host(f"host_{number}")
    fans(host.id, followers)
    stream_id = client.live(host)
    stream = table.required(stream_id)
    meter, sqs, url = Meter(), aws.client("sqs"), settings.required("NOTICES_QUEUE_URL")
    with observe.counting() as calls:
        media.take(MediaReport(stream_id, stream.generation, "flowing", clock.now_ms()))
    meter.take([call for call in calls if call.service == "sqs" and call.parameters["QueueUrl"] == url])
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            record = {"messageId": message["MessageId"], "body": message["Body"]}
            started = time.perf_counter()
            with observe.counting() as calls:
                assert announce.handle({"Records": [record]}, None) == {"batchItemFailures": []}
            took = time.perf_counter() - started
            meter.seconds += took
            meter.paging += took if b'"page"' in record["body"].encode() else 0
            meter.take(calls)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert meter.writes == followers, f"{meter.writes} notices for {followers} followers"
    return meter


def main() -> int:
    logging.disable(logging.INFO)
    print("| followers | messages | pushes' | reads | writes | dollars | time here | of it pages | batches, each |")
    print("|---|---|---|---|---|---|---|---|---|")
    last = Meter()
    for number, followers in enumerate(FOLLOWERS):
        # Tables of its own for each, so that a search through what others left does not count.
        with pytest.MonkeyPatch.context() as patch, https.made(patch) as client:
            last = fan_out(client, number, followers)
        print(
            f"| {followers:,} | {last.messages:,} | {last.pushes:,} | {last.reads:,.0f} | {last.writes:,} "
            f"| {last.dollars:.4f} | {last.seconds:.1f} s | {last.paging:.1f} s "
            f"| {(last.seconds - last.paging) / followers * 1000:.2f} ms |"
        )
    times = ASKED / FOLLOWERS[-1]
    dollars = last.dollars * times
    print(
        f"\nEach follower costs the same, so {ASKED:,} are {last.messages * times:,.0f} messages and ${dollars:.2f}"
        f" (limit ${DOLLARS_MAX:.2f}). Here one worker does one message after another; a deployment runs 20 at once"
        f" (infra/notices.py), and pages are read one after another: {ASKED // announce.PAGE} of them."
    )
    return 1 if dollars > DOLLARS_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
