"""Tables, FIFO queues and secrets as this house uses them; each construct of a capability makes its own from here."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import rules
from infra.handler import House

TTL_ATTRIBUTE = "expires_at"
RECEIVES_MAX = 5


def text(name: str) -> dynamodb.Attribute:
    """A key attribute of type string."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def number(name: str) -> dynamodb.Attribute:
    """A key attribute of type number."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.NUMBER)


def table(
    scope: Construct, name: str, house: House, *, stream: dynamodb.StreamViewType | None = None
) -> dynamodb.Table:
    """An on-demand table with keys ``pk`` and ``sk``, point-in-time recovery and TTL on ``expires_at``.

    `Table` rather than `TableV2`: the local stack makes it from the template, and moto knows no global tables.
    """
    return dynamodb.Table(
        scope,
        name,
        partition_key=text("pk"),
        sort_key=text("sk"),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption=dynamodb.TableEncryption.AWS_MANAGED,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        time_to_live_attribute=TTL_ATTRIBUTE,
        stream=stream,
        removal_policy=house.removal,
        deletion_protection=house.settings.deletion_protection,
    )


def index_arn(of: dynamodb.Table, index: str) -> str:
    """The ARN of one index; the table's own grants would open all of them."""
    return f"{of.table_arn}/index/{index}"


@dataclass(frozen=True)
class WorkQueue:
    """A queue and where its messages go after five failures."""

    queue: sqs.Queue
    dead_letters: sqs.Queue


def work_queue(scope: Construct, name: str, *, visibility_s: int, retention_s: int) -> WorkQueue:
    """A FIFO queue in high-throughput mode with its dead-letter queue.

    Parameters
    ----------
    visibility_s : int
        How long a group stays blocked when its consumer dies.
    retention_s : int
        How long a message makes sense, in seconds; dead letters stay 14 days for a person to look at.
    """
    dead_letters = sqs.Queue(
        scope,
        f"{name}DeadLetters",
        fifo=True,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=cdk.Duration.days(14),
    )
    queue = sqs.Queue(
        scope,
        f"{name}Queue",
        fifo=True,
        # High-throughput mode wants both: limits and deduplication count per group, so rooms do not share one budget.
        deduplication_scope=sqs.DeduplicationScope.MESSAGE_GROUP,
        fifo_throughput_limit=sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
        content_based_deduplication=False,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        visibility_timeout=cdk.Duration.seconds(visibility_s),
        retention_period=cdk.Duration.seconds(retention_s),
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=RECEIVES_MAX),
    )
    return WorkQueue(queue, dead_letters)


def delay_queue(scope: Construct, name: str, *, visibility_s: int, retention_s: int) -> WorkQueue:
    """A standard queue whose messages each bring the time until they are seen (a FIFO queue has one for all), with its
    dead-letter queue. Parameters as `work_queue`."""
    dead_letters = sqs.Queue(
        scope,
        f"{name}DeadLetters",
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=cdk.Duration.days(14),
    )
    queue = sqs.Queue(
        scope,
        f"{name}Queue",
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        visibility_timeout=cdk.Duration.seconds(visibility_s),
        retention_period=cdk.Duration.seconds(retention_s),
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=RECEIVES_MAX),
    )
    return WorkQueue(queue, dead_letters)


def secret(scope: Construct, name: str, description: str, house: House) -> secretsmanager.Secret:
    """64 random letters and digits, made by CloudFormation and known to no person."""
    made = secretsmanager.Secret(
        scope,
        name,
        description=description,
        generate_secret_string=secretsmanager.SecretStringGenerator(password_length=64, exclude_punctuation=True),
        removal_policy=house.removal,
    )
    rules.acknowledge(
        made,
        "SMG4",
        "Rotation is a deploy: functions, relay and CloudFront must change together (docs/operate.md, Secrets).",
    )
    return made
