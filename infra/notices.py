"""Notices: the queue by which everyone who wants to know of a stream is told, and the handler behind it."""

from __future__ import annotations

from typing import Final

from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra.accounts import Accounts
from infra.handler import Handler, House
from infra.storage import delay_queue
from infra.streams import Streams

# A batch is at most 3 reads and 4 writes; a page 1 read and 3 sends.
TIMEOUT_S: Final = 30
# Batches at once: 20 × 99 accounts keep a host with a million followers from taking the account's concurrency.
CONCURRENCY_MAX: Final = 20
# An hour later a broadcast that begins is no news (functions/streams/announce.py).
RETENTION_S: Final = 3600


class Notices(Construct):
    """Queue and handler."""

    def __init__(self, scope: Construct, name: str, *, house: House, accounts: Accounts, streams: Streams) -> None:
        super().__init__(scope, name)
        # A standard queue: order does not matter, and a FIFO group would take one batch at a time.
        self.queue = delay_queue(self, "Notices", visibility_s=TIMEOUT_S * 6, retention_s=RETENTION_S)
        self.announce = Handler(
            self,
            "Announce",
            house=house,
            entry="streams.announce.handle",
            timeout_s=TIMEOUT_S,
            environment={
                "ACCOUNTS_TABLE": accounts.table.table_name,
                "STREAMS_TABLE": streams.table.table_name,
            },
        )
        self.announce.may(
            ["dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"], on=[accounts.table.table_arn]
        )
        self.announce.may(["dynamodb:GetItem"], on=[streams.table.table_arn])
        self.let_announce(self.announce)
        self.let_announce(streams.told)
        self.announce.add_event_source(
            sources.SqsEventSource(
                self.queue.queue, batch_size=1, max_concurrency=CONCURRENCY_MAX, report_batch_item_failures=True
            )
        )

    def let_announce(self, handler: Handler) -> None:
        """Let ``handler`` have people told."""
        handler.add_environment("NOTICES_QUEUE_URL", self.queue.queue.queue_url)
        handler.may(["sqs:SendMessage"], on=[self.queue.queue.queue_arn])
