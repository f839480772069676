"""Notices: the queue by which everyone who wants to know of a stream is told, that of pushes, and their handlers."""

from __future__ import annotations

from typing import Final

from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra import rules
from infra.accounts import Accounts
from infra.handler import Handler, House
from infra.storage import delay_queue, secret
from infra.streams import Streams
from infra.web import Web

# A batch is at most 4 reads, 4 writes and 4 sends; a page 1 read and 3 sends.
TIMEOUT_S: Final = 30
# Batches at once: 20 × 100 accounts keep a host with a million followers from taking the account's concurrency.
CONCURRENCY_MAX: Final = 20
# An hour later a broadcast that begins is no news (functions/streams/announce.py).
RETENTION_S: Final = 3600
# An order is 25 accounts of at most ten browsers, ten posts of at most 5 s at once.
PUSH_TIMEOUT_S: Final = 150
PUSH_CONCURRENCY_MAX: Final = 20


class Notices(Construct):
    """Queues, handlers, and the secret that pushes are signed by."""

    def __init__(
        self, scope: Construct, name: str, *, house: House, accounts: Accounts, streams: Streams, web: Web
    ) -> None:
        super().__init__(scope, name)
        self._house = house
        self._secret = secret(self, "PushSecret", "Onair: signs pushes to browsers", house)
        self._push(accounts, web)
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
        self.let_push(self.announce)
        self.announce.add_event_source(
            sources.SqsEventSource(
                self.queue.queue, batch_size=1, max_concurrency=CONCURRENCY_MAX, report_batch_item_failures=True
            )
        )

    def let_announce(self, handler: Handler) -> None:
        """Let ``handler`` have people told."""
        handler.add_environment("NOTICES_QUEUE_URL", self.queue.queue.queue_url)
        handler.may(["sqs:SendMessage"], on=[self.queue.queue.queue_arn])

    def let_push(self, handler: Handler) -> None:
        """Let ``handler`` have pushes sent."""
        handler.add_environment("PUSH_QUEUE_URL", self.pushes.queue.queue_url)
        handler.may(["sqs:SendMessage"], on=[self.pushes.queue.queue_arn])

    def let_register(self, handler: Handler) -> None:
        """Let ``handler`` take browsers' subscriptions and phones' tokens, and tell browsers the key."""
        handler.add_environment("PUSH_SECRET_ARN", self._secret.secret_arn)
        handler.add_environment("PUSH_HOSTS", self._house.settings.push_hosts)
        handler.may(["secretsmanager:GetSecretValue"], on=[self._secret.secret_arn])
        for name, application in self._house.settings.push_environment().items():
            handler.add_environment(name, application)
            handler.may(["sns:CreatePlatformEndpoint"], on=[application])
        self.let_reach_phones(handler, "SetEndpointAttributes", "DeleteEndpoint")

    def let_reach_phones(self, handler: Handler, *actions: str) -> None:
        """Let ``handler`` do this with the endpoints of phones, where the operator has platform applications."""
        given = self._house.settings.push_environment()
        for name, application in given.items():
            endpoints = application.replace(":app/", ":endpoint/")
            handler.may([f"sns:{action}" for action in actions], on=[f"{endpoints}/*"])
            rules.acknowledge(
                handler.role or handler,
                f"IAM5[Resource::{endpoints}/*]",
                f"Each phone is an endpoint of its own, which SNS names when it is registered ({name}).",
            )

    def _push(self, accounts: Accounts, web: Web) -> None:
        # What waits for a push service comes again after the visibility timeout, five times in all.
        self.pushes = delay_queue(self, "Push", visibility_s=PUSH_TIMEOUT_S + 30, retention_s=RETENTION_S)
        self.push = Handler(
            self,
            "Push",
            house=self._house,
            entry="accounts.push.handle",
            timeout_s=PUSH_TIMEOUT_S,
            environment={
                "ACCOUNTS_TABLE": accounts.table.table_name,
                "WEB_URL": web.url,
                **self._house.settings.markets_environment(),
            },
        )
        self.push.may(
            [f"dynamodb:{verb}" for verb in ("BatchGetItem", "GetItem", "PutItem", "DeleteItem")],
            on=[accounts.table.table_arn],
        )
        self.push.add_environment("PUSH_SECRET_ARN", self._secret.secret_arn)
        self.push.may(["secretsmanager:GetSecretValue"], on=[self._secret.secret_arn])
        self.let_reach_phones(self.push, "Publish", "DeleteEndpoint")
        self.push.add_event_source(
            sources.SqsEventSource(
                self.pushes.queue, batch_size=1, max_concurrency=PUSH_CONCURRENCY_MAX, report_batch_item_failures=True
            )
        )
