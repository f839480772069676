"""The audit: a function that proves the ledger once a day, and the bucket where its reports stay."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra import rules
from infra.handler import Handler, House
from infra.interfaces import interface
from infra.storage import index_arn
from infra.wallet import STATEMENT_INDEX, Wallet

# Lambda's longest, and memory for some millions of transfers at 0.5 GB each (functions/wallet/audit.py).
TIMEOUT_S = 900
MEMORY_MIB = 3008
HOUR_UTC = "3"


class Audit(Construct):
    """Function, schedule and bucket."""

    def __init__(self, scope: Construct, name: str, *, house: House, wallet: Wallet) -> None:
        super().__init__(scope, name)
        self.bucket = s3.Bucket(
            self,
            "Reports",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=True,  # a report that is written over is still there
            removal_policy=house.removal,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="forget",
                    expiration=cdk.Duration.days(house.settings.audit_days),
                    noncurrent_version_expiration=cdk.Duration.days(house.settings.audit_days),
                )
            ],
        )
        rules.acknowledge(
            self.bucket,
            "S1",
            "Reports name accounts by opaque ids and hold nothing personal; one function writes them and one reads.",
        )
        self.prove = Handler(
            self,
            "Prove",
            house=house,
            entry="wallet.prove.handle",
            timeout_s=TIMEOUT_S,
            memory_mib=MEMORY_MIB,
            environment={"LEDGER_TABLE": wallet.table.table_name, "AUDIT_BUCKET": self.bucket.bucket_name},
        )
        # GetItem and Query: whatever looks wrong is read again before it is reported.
        self.prove.may(["dynamodb:Scan", "dynamodb:GetItem"], on=[wallet.table.table_arn])
        self.prove.may(["dynamodb:Query"], on=[index_arn(wallet.table, STATEMENT_INDEX)])
        self.prove.may(["s3:PutObject"], on=[self.bucket.arn_for_objects("audits/*")])
        # Purchases are compared with what their providers know of them (functions/wallet/audit_receipts.py).
        wallet.let_sell(self.prove)
        own = self.bucket.node.default_child
        assert isinstance(own, s3.CfnBucket)
        rules.acknowledge(
            self,
            f"IAM5[Resource::<{cdk.Stack.of(self).get_logical_id(own)}.Arn>/audits/*]",
            "Each report is a new object, named by its time: the prefix is as near as a right can come.",
        )
        events.Rule(
            self,
            "EachDay",
            description="Proves the whole ledger",
            schedule=events.Schedule.cron(minute="17", hour=HOUR_UTC),
            targets=[interface(targets.LambdaFunction(interface(self.prove), retry_attempts=1))],
        )

    def let_read(self, handler: Handler) -> None:
        """Let ``handler`` read the newest report."""
        handler.add_environment("AUDIT_BUCKET", self.bucket.bucket_name)
        handler.may(
            ["s3:GetObject"], on=[self.bucket.arn_for_objects(f"audits/newest.{ending}") for ending in ("json", "html")]
        )
