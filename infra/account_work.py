"""What accounts set going: letters and erasure (a queue), pictures that were uploaded (a bucket), the nightly proof."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ses as ses
from constructs import Construct

from infra import bundling, rules
from infra.accounts import Accounts
from infra.handler import Handler, House
from infra.interfaces import interface
from infra.rooms import Rooms
from infra.storage import index_arn, work_queue
from infra.streams import HOST_INDEX, Streams
from infra.web import Web

# A run that does not come to its end goes on: erasure with its next message, the nightly proof with the next night.
WORK_S: Final = 300
NIGHT_S: Final = 600
PICTURE_S: Final = 30
# Pillow holds a picture of the largest size that is taken (25 megapixels) twice while it is turned and made smaller.
PICTURE_MIB: Final = 1024
UPLOADS: Final = "uploads/"
IMAGES: Final = "images/"


class AccountWork(Construct):
    """Queue, bucket and the three functions behind them."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        house: House,
        accounts: Accounts,
        streams: Streams,
        rooms: Rooms,
        web: Web,
    ) -> None:
        super().__init__(scope, name)
        self._house = house
        self.queue = work_queue(self, "Work", visibility_s=WORK_S + 60, retention_s=4 * 24 * 3600)
        self.sender = house.settings.mail_from
        self._work(accounts, streams, rooms)
        self._night(accounts)
        self._pictures(accounts, streams, web)

    def let_order(self, handler: Handler) -> None:
        """Let ``handler`` have work done."""
        handler.may(["sqs:SendMessage"], on=[self.queue.queue.queue_arn])

    def _work(self, accounts: Accounts, streams: Streams, rooms: Rooms) -> None:
        self.work = Handler(
            self,
            "Work",
            house=self._house,
            entry="accounts.work.handle",
            timeout_s=WORK_S,
            environment={
                **rooms.writer_environment(),
                "ACCOUNTS_TABLE": accounts.table.table_name,
                "STREAMS_TABLE": streams.table.table_name,
                "USER_POOL_ID": accounts.pool.user_pool_id,
                "WORK_QUEUE_URL": self.queue.queue.queue_url,
                **({"MAIL_FROM": self.sender} if self.sender else {}),
            },
        )
        items = [f"dynamodb:{verb}" for verb in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")]
        self.work.may([*items, "dynamodb:Query"], on=[accounts.table.table_arn])
        self.work.may(["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], on=[streams.table.table_arn])
        self.work.may(["dynamodb:Query"], on=[index_arn(streams.table, HOST_INDEX)])
        rooms.let_close(self.work)
        self.work.may(["dynamodb:DeleteItem"], on=[rooms.table.table_arn])
        self.work.may(["cognito-idp:AdminGetUser", "cognito-idp:AdminDeleteUser"], on=[accounts.pool.user_pool_arn])
        # A text message goes to a number, which is no resource that a policy could name.
        self.work.may(["sns:Publish"], on=["*"])
        if self.sender:
            identity = ses.EmailIdentity(self, "Sender", identity=ses.Identity.email(self.sender))
            self.work.may(["ses:SendEmail"], on=[identity.email_identity_arn])
        self.let_order(self.work)
        self.work.add_event_source(
            sources.SqsEventSource(self.queue.queue, batch_size=1, report_batch_item_failures=True)
        )

    def _night(self, accounts: Accounts) -> None:
        self.reconcile = Handler(
            self,
            "Reconcile",
            house=self._house,
            entry="accounts.reconcile.handle",
            timeout_s=NIGHT_S,
            environment={
                "ACCOUNTS_TABLE": accounts.table.table_name,
                "WORK_QUEUE_URL": self.queue.queue.queue_url,
            },
        )
        self.reconcile.may(
            [f"dynamodb:{verb}" for verb in ("Scan", "Query", "GetItem", "PutItem", "UpdateItem", "DeleteItem")],
            on=[accounts.table.table_arn],
        )
        self.let_order(self.reconcile)
        events.Rule(
            self,
            "EachNight",
            description="Proves that counts of follows are the number of their entries, and repairs them",
            schedule=events.Schedule.cron(hour="3", minute="20"),
            targets=[interface(targets.LambdaFunction(interface(self.reconcile), retry_attempts=0))],
        )

    def _pictures(self, accounts: Accounts, streams: Streams, web: Web) -> None:
        self.bucket = s3.Bucket(
            self,
            "Pictures",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            removal_policy=self._house.removal,
            lifecycle_rules=[s3.LifecycleRule(prefix=UPLOADS, expiration=cdk.Duration.days(1))],
            cors=[
                # The form that an upload is asks for no credentials: what it holds is signed.
                s3.CorsRule(allowed_methods=[s3.HttpMethods.POST], allowed_origins=["*"], allowed_headers=["*"])
            ],
        )
        resource = self.bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        # By the resource's own property: the construct would add a function of CDK's that sets it by API.
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
        rules.acknowledge(
            self.bucket, "S1", "It holds pictures that are public anyway; CloudFront's metrics count who asks for them."
        )
        self.picture = Handler(
            self,
            "Picture",
            house=self._house,
            entry="accounts.picture.handle",
            timeout_s=PICTURE_S,
            memory_mib=PICTURE_MIB,
            environment={
                "ACCOUNTS_TABLE": accounts.table.table_name,
                "STREAMS_TABLE": streams.table.table_name,
                "PICTURES_BUCKET": self.bucket.bucket_name,
                "WEB_URL": web.url,
            },
        )
        self.picture.add_layers(
            interface(lambda_.LayerVersion(self, "Pillow", code=bundling.layer("pictures"), description="Pillow"))
        )
        self.picture.may(["s3:GetObject", "s3:DeleteObject"], on=[self.bucket.arn_for_objects(f"{UPLOADS}*")])
        self.picture.may(["s3:PutObject", "s3:DeleteObject"], on=[self.bucket.arn_for_objects(f"{IMAGES}*")])
        self.picture.may(["dynamodb:UpdateItem"], on=[accounts.table.table_arn])
        self.picture.may(["dynamodb:UpdateItem"], on=[streams.table.table_arn])
        # Erasing an account takes its pictures along.
        self.work.add_environment("PICTURES_BUCKET", self.bucket.bucket_name)
        self.work.may(["s3:ListBucket"], on=[self.bucket.bucket_arn])
        self.work.may(["s3:DeleteObject"], on=[self.bucket.arn_for_objects(f"{IMAGES}*")])
        bucket_id = cdk.Stack.of(self).get_logical_id(resource)
        for handler, prefix in ((self.picture, UPLOADS), (self.picture, IMAGES), (self.work, IMAGES)):
            rules.acknowledge(
                handler.role or handler,
                f"IAM5[Resource::<{bucket_id}.Arn>/{prefix}*]",
                "Each upload and each picture is an object of its own, whose name is made when it is asked for.",
            )
        events.Rule(
            self,
            "Uploaded",
            description="Makes the picture of what was uploaded",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [self.bucket.bucket_name]}, "object": {"key": [{"prefix": UPLOADS}]}},
            ),
            targets=[interface(targets.LambdaFunction(interface(self.picture), retry_attempts=2))],
        )
        web.serve_pictures(self.bucket, f"/{IMAGES}*")

    def let_upload(self, handler: Handler) -> None:
        """Let ``handler`` sign uploads: who signs must itself have the right that it passes on."""
        handler.may(["s3:PutObject"], on=[self.bucket.arn_for_objects(f"{UPLOADS}*")])
        resource = self.bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        rules.acknowledge(
            handler.role or handler,
            f"IAM5[Resource::<{cdk.Stack.of(self).get_logical_id(resource)}.Arn>/{UPLOADS}*]",
            "Each upload is an object of its own, whose name is made when it is asked for.",
        )

    @property
    def upload_url(self) -> str:
        """Where the form of an upload is sent."""
        return f"https://{self.bucket.bucket_regional_domain_name}"
