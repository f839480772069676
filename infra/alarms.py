"""What wakes a person: one alarm for each way in which viewers would notice, and where it is sent.

docs/operate.md says for each what it means and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.handler import METRICS_NAMESPACE, Handler, House
from infra.interfaces import interface
from infra.relay import Relay
from infra.storage import WorkQueue

MINUTE: Final = cdk.Duration.minutes(1)
HOUR: Final = cdk.Duration.hours(1)
DAY: Final = cdk.Duration.days(1)
RING_AGE_S_MAX: Final = 10  # a comment that waits longer is late by any measure
ERRORS_A_MINUTE_MAX: Final = 5


class Alarms(Construct):
    """All alarms of the stack, sent to one topic."""

    def __init__(self, scope: Construct, name: str, *, house: House) -> None:
        super().__init__(scope, name)
        self.topic = sns.Topic(self, "Topic", display_name="Onair alarms", enforce_ssl=True)
        if house.settings.alarm_email:
            self.topic.add_subscription(interface(subscriptions.EmailSubscription(house.settings.alarm_email)))

    def watch_queues(self, queues: Mapping[str, WorkQueue]) -> None:
        """Dead letters of any queue: something failed five times, and stays undone until a person looks."""
        for name, made in queues.items():
            self._raise(
                f"{name}DeadLetters",
                made.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="max"),
                above=0,
                what=f"{name}: messages failed five times and were put aside",
            )

    def watch_ring(self, ring: WorkQueue) -> None:
        """Comments come late: rooms are rung faster than sequencers answer."""
        self._raise(
            "RingAge",
            ring.queue.metric_approximate_age_of_oldest_message(period=MINUTE, statistic="max"),
            above=RING_AGE_S_MAX,
            minutes=3,
            what="The oldest ring waits too long: comments and gifts reach screens late",
        )

    def watch_functions(self, functions: Mapping[str, Handler]) -> None:
        """Errors and throttles, one alarm a function, so that its name says where to look."""
        for name, handler in functions.items():
            failing = cloudwatch.MathExpression(
                expression="errors + throttles",
                using_metrics={
                    "errors": handler.metric_errors(period=MINUTE, statistic="sum"),
                    "throttles": handler.metric_throttles(period=MINUTE, statistic="sum"),
                },
                period=MINUTE,
                label=name,
            )
            self._raise(
                f"{name}Failing",
                failing,
                above=ERRORS_A_MINUTE_MAX,
                minutes=2,
                what=f"{name}: the function raises or is throttled; see its logs, then the account's concurrency",
            )

    def watch_api(self, metric: cloudwatch.Metric) -> None:
        """The HTTPS API answers 5XX."""
        self._raise("ApiErrors", metric, above=ERRORS_A_MINUTE_MAX, minutes=2, what="The HTTPS API answers with 5XX")

    def watch_tables(self, tables: Mapping[str, dynamodb.Table]) -> None:
        """Throttled requests of any table."""
        for name, table in tables.items():
            self._raise(
                f"{name}Throttles",
                cloudwatch.Metric(
                    namespace="AWS/DynamoDB",
                    metric_name="ThrottledRequests",
                    dimensions_map={"TableName": table.table_name},
                    period=MINUTE,
                    statistic="sum",
                ),
                above=10,
                minutes=2,
                what=f"{name}: DynamoDB throttles, one key is asked for too often",
            )

    def watch_ledger(self) -> None:
        """The daily audit found something, or did not come through."""
        metric = cloudwatch.Metric(
            namespace=METRICS_NAMESPACE, metric_name="LedgerDifferences", period=HOUR, statistic="sum"
        )
        self._raise("LedgerDiffers", metric, above=0, what="The ledger's audit found differences: no coin is proved")
        self._raise(
            "LedgerUnproved",
            metric.with_(period=DAY, statistic="n"),
            below=1,
            minutes=2,
            what="No audit of the ledger came through for two days: look at the log of Prove",
        )

    def watch_relay(self, relay: Relay) -> None:
        """No healthy relay task."""
        self._raise(
            "RelayUnhealthy",
            relay.http_targets.metrics.healthy_host_count(period=MINUTE, statistic="min"),
            below=1,
            minutes=2,
            what="No relay task is healthy: nobody can publish or watch",
        )

    def watch_recordings(self, losses: cloudwatch.Metric) -> None:
        """Segments that a recording lacks: S3 was away for longer than memory and disk of a task could hold."""
        self._raise("RecordingLosses", losses, above=0, what="Recordings lack segments: look at S3 and the relay's log")

    def _raise(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        *,
        what: str,
        above: int | None = None,
        below: int | None = None,
        minutes: int = 1,  # periods of the metric, which are minutes where nothing else is said
    ) -> None:
        threshold = above if above is not None else below
        assert threshold is not None, "an alarm has a bound on one side"
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_description=what,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
            if above is not None
            else cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=minutes,
            # A dead relay, and an audit that never ran, report nothing at all; all else is quiet when nothing happens.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING
            if above is not None
            else cloudwatch.TreatMissingData.BREACHING,
        )
        tell = interface(actions.SnsAction(interface(self.topic)))
        alarm.add_alarm_action(tell)
        alarm.add_ok_action(tell)


def functions_of(scope: Construct) -> dict[str, Handler]:
    """Every handler below ``scope``, by construct id."""
    return {node.node.id: node for node in scope.node.find_all() if isinstance(node, Handler)}
