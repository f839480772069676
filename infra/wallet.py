"""Wallet: the ledger, and settlement of creators on a queue of its own."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from functions.wallet.tables import STATEMENT_ATTRIBUTES
from infra.handler import Handler, House
from infra.interfaces import interface
from infra.storage import index_arn, number, table, text, work_queue

STATEMENT_INDEX = "by_version"
UNSETTLED_INDEX = "unsettled"


class Wallet(Construct):
    """Ledger table, Settle queue, and the two handlers that credit creators."""

    def __init__(self, scope: Construct, name: str, *, house: House) -> None:
        super().__init__(scope, name)
        self.table = table(self, "Ledger", house)
        self.table.add_local_secondary_index(
            index_name=STATEMENT_INDEX,
            sort_key=number("version"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=[*STATEMENT_ATTRIBUTES],
        )
        self.table.add_global_secondary_index(
            index_name=UNSETTLED_INDEX,
            partition_key=text("unsettled_key"),
            sort_key=number("at"),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self._secrets = {
            "APPLE_SECRET_ARN": house.settings.apple_secret_arn,
            "GOOGLE_SECRET_ARN": house.settings.google_secret_arn,
            "STRIPE_SECRET_ARN": house.settings.stripe_secret_arn,
        }
        self.settlements = work_queue(self, "Settle", visibility_s=60, retention_s=4 * 24 * 3600)
        environment = {
            "LEDGER_TABLE": self.table.table_name,
            "SETTLE_QUEUE_URL": self.settlements.queue.queue_url,
        }

        self.settle = Handler(
            self, "Settle", house=house, entry="wallet.settle.handle", timeout_s=30, environment=environment
        )
        self.settle.may(
            ["dynamodb:Query"],
            on=[index_arn(self.table, UNSETTLED_INDEX), index_arn(self.table, STATEMENT_INDEX)],
        )
        self.settle.may(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], on=[self.table.table_arn])
        self.settle.may(["sqs:SendMessage"], on=[self.settlements.queue.queue_arn])
        self.settle.add_event_source(
            sources.SqsEventSource(self.settlements.queue, batch_size=10, report_batch_item_failures=True)
        )

        self.ring_unsettled = Handler(
            self,
            "RingUnsettled",
            house=house,
            entry="wallet.ring_unsettled.handle",
            timeout_s=55,  # it starts each minute
            environment=environment,
        )
        self.ring_unsettled.may(["dynamodb:Scan"], on=[index_arn(self.table, UNSETTLED_INDEX)])
        self.ring_unsettled.may(["sqs:SendMessage"], on=[self.settlements.queue.queue_arn])
        events.Rule(
            self,
            "EachMinute",
            description="Rings for gifts whose own ring was lost",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[
                interface(targets.LambdaFunction(interface(self.ring_unsettled), retry_attempts=0))
            ],  # the next minute is the retry
        )

    def let_sell(self, seller: Handler) -> None:
        """Let a function take payments for coins, or ask about them, by every provider whose secret the operator named.

        A provider without a secret has no variable either: the function then says that it is not offered.
        """
        for variable, arn in self._secrets.items():
            if arn:
                seller.add_environment(variable, arn)
                seller.may(["secretsmanager:GetSecretValue"], on=[arn])
