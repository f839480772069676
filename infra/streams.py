"""Streams: their table, what the relay tells of their media, and the sweep that ends streams without media."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from infra import rules
from infra.handler import Handler, House
from infra.interfaces import interface
from infra.storage import index_arn, table, text, work_queue

if TYPE_CHECKING:
    from infra.accounts import Accounts
    from infra.rooms import Rooms

FEED_INDEX = "feed"
HOST_INDEX = "host"
REPLAYS_INDEX = "replays"
# Keys of recordings in the media bucket; CloudFront serves them below the same path.
RECORDINGS = "replay/*"


class Streams(Construct):
    """Streams table and Media queue; `watch` adds the handlers, which need rooms."""

    def __init__(self, scope: Construct, name: str, *, house: House) -> None:
        super().__init__(scope, name)
        self._house = house
        self.table = table(self, "Streams", house)
        self.table.add_global_secondary_index(
            index_name=FEED_INDEX,
            partition_key=text("feed_key"),
            sort_key=text("started_at"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        self.table.add_global_secondary_index(
            index_name=HOST_INDEX,
            partition_key=text("host_id"),
            sort_key=text("created_at"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        self.table.add_global_secondary_index(
            index_name=REPLAYS_INDEX,
            partition_key=text("replay_of"),
            sort_key=text("started_at"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        self.media = work_queue(self, "Media", visibility_s=60, retention_s=3600)
        self.downloads = work_queue(self, "Download", visibility_s=720, retention_s=86_400)

    def watch(self, rooms: Rooms, accounts: Accounts) -> None:
        """Add what turns the relay's reports, and their absence, into the state of a stream and its room."""
        told = Handler(
            self,
            "Media",
            house=self._house,
            entry="streams.media.handle",
            timeout_s=30,  # a recording of twelve hours is a list of 22 pages
            environment={"STREAMS_TABLE": self.table.table_name, **rooms.writer_environment()},
        )
        told.may(["dynamodb:GetItem", "dynamodb:UpdateItem"], on=[self.table.table_arn])
        rooms.let_tell_media(told)
        rooms.let_clear(told)
        self.let_forget(told)
        told.add_event_source(sources.SqsEventSource(self.media.queue, batch_size=10, report_batch_item_failures=True))

        self.sweep = Handler(
            self,
            "Sweep",
            house=self._house,
            entry="streams.sweep.handle",
            timeout_s=55,  # it starts each minute
            environment={
                "STREAMS_TABLE": self.table.table_name,
                "ACCOUNTS_TABLE": accounts.table.table_name,
                "MEDIA_QUEUE_URL": self.media.queue.queue_url,
                **rooms.writer_environment(),
            },
        )
        self.sweep.may(["dynamodb:Query"], on=[index_arn(self.table, FEED_INDEX)])
        self.sweep.may(["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"], on=[self.table.table_arn])
        # Whether two hosts of a match are behind a block is a read of one item.
        self.sweep.may(["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"], on=[accounts.table.table_arn])
        rooms.let_close(self.sweep)
        events.Rule(
            self,
            "EachMinute",
            description="Ends streams whose media never flowed or stays lost",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[
                interface(targets.LambdaFunction(interface(self.sweep), retry_attempts=0))
            ],  # the next minute is the retry
        )
        self.sweep.may(["sqs:SendMessage"], on=[self.media.queue.queue_arn])
        self.told = told
        self.download = Handler(
            self,
            "Download",
            house=self._house,
            entry="streams.download.handle",
            timeout_s=120,  # some gigabytes a run; more goes on in the next one
            memory_mib=1024,
            environment={
                "STREAMS_TABLE": self.table.table_name,
                "DOWNLOAD_QUEUE_URL": self.downloads.queue.queue_url,
            },
        )
        self.download.may(["dynamodb:GetItem", "dynamodb:UpdateItem"], on=[self.table.table_arn])
        self.download.may(["sqs:SendMessage"], on=[self.downloads.queue.queue_arn])
        self.download.add_event_source(
            sources.SqsEventSource(self.downloads.queue, batch_size=1, report_batch_item_failures=True)
        )

    def let_download(self, handler: Handler) -> None:
        """Let ``handler`` have a recording's files made."""
        handler.add_environment("DOWNLOAD_QUEUE_URL", self.downloads.queue.queue_url)
        handler.may(["sqs:SendMessage"], on=[self.downloads.queue.queue_arn])

    def let_forget(self, handler: Handler) -> None:
        """Let ``handler`` have taken away what a deleted stream left."""
        handler.add_environment("MEDIA_QUEUE_URL", self.media.queue.queue_url)
        handler.may(["sqs:SendMessage"], on=[self.media.queue.queue_arn])

    def record(self, bucket: s3.Bucket) -> None:
        """Have replays put together of what the relay stores in ``bucket``."""
        self.told.add_environment("MEDIA_BUCKET", bucket.bucket_name)
        self.told.may(["s3:ListBucket"], on=[bucket.bucket_arn])
        self.told.may(["s3:PutObject", "s3:DeleteObject"], on=[bucket.arn_for_objects(RECORDINGS)])
        acknowledge_recordings(self.told.role or self.told, bucket)
        self.download.add_environment("MEDIA_BUCKET", bucket.bucket_name)
        self.download.may(["s3:ListBucket"], on=[bucket.bucket_arn])
        # Parts of an upload are written with the right to write the object.
        self.download.may(
            ["s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts"], on=[bucket.arn_for_objects(RECORDINGS)]
        )
        acknowledge_recordings(self.download.role or self.download, bucket)


def acknowledge_recordings(role: IConstruct, bucket: s3.Bucket) -> None:
    """Say why a right is for all objects of recordings."""
    resource = bucket.node.default_child
    assert isinstance(resource, s3.CfnBucket)
    rules.acknowledge(
        role,
        f"IAM5[Resource::<{cdk.Stack.of(role).get_logical_id(resource)}.Arn>/{RECORDINGS}]",
        "Objects of a recording carry the stream's id and are as many as its segments.",
    )
