"""Rules of the local stack that need no stack: schedules, batches, deduplication, transactions, addresses, ports."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws

from functions import clock, observe
from local import ports, queues, relay, tables
from local.addresses import Addresses, localize
from local.declared import Schedule
from local.faults import (
    BatchFate,
    FaultOrders,
    Faults,
    FunctionFault,
    Plan,
    PostFate,
    PostFault,
    PostPlan,
    TriggerPlan,
)
from local.ports import Ports
from local.runtime import Outcome, Runtime, SeenCall, StoppedError, seen_calls, stop_after
from local.schedules import Schedules, next_ms
from local.sockets import Bucket
from local.triggers import failed_items, matches, reordered


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("rate(1 minute)", "2026-01-01T00:00:30", "2026-01-01T00:01:30"),
        ("rate(5 minutes)", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("cron(* * * * ? *)", "2026-01-01T00:00:30", "2026-01-01T00:01:00"),
        ("cron(0/15 * * * ? *)", "2026-01-01T00:16:00", "2026-01-01T00:30:00"),
        ("cron(0 3 * * ? *)", "2026-01-01T03:00:00", "2026-01-02T03:00:00"),
        ("cron(30 8 ? * MON-FRI *)", "2026-01-02T09:00:00", "2026-01-05T08:30:00"),
        ("cron(0 0 29 2 ? *)", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("at(2026-05-01T10:00:00)", "2026-01-01T00:00:00", "2026-05-01T10:00:00"),
    ],
)
def test_a_schedule_is_due_when_eventbridge_would_call(expression: str, after: str, due: str) -> None:
    assert next_ms(expression, _ms(after)) == _ms(due)


def test_a_moment_that_is_over_is_never_due() -> None:
    assert next_ms("at(2026-05-01T10:00:00)", _ms("2026-05-01T10:00:00")) is None


@pytest.mark.parametrize(
    ("outcome", "partial", "failed"),
    [
        (Outcome(None), True, set()),
        (Outcome({"batchItemFailures": []}), True, set()),
        (Outcome({"batchItemFailures": [{"itemIdentifier": "b"}]}), True, {"b"}),
        (Outcome({"batchItemFailures": [{"itemIdentifier": "b"}]}), False, set()),
        (Outcome({"batchItemFailures": [{"itemIdentifier": "unknown"}]}), True, {"a", "b"}),
        (Outcome({"batchItemFailures": [{}]}), True, {"a", "b"}),
        (Outcome(error="ValueError"), True, {"a", "b"}),
    ],
)
def test_what_comes_again_of_a_batch(outcome: Outcome, partial: bool, failed: set[str]) -> None:
    assert failed_items(outcome, ["a", "b"], partial) == failed


def test_filters_take_equality_prefix_exists_and_anything_but() -> None:
    record = {"eventName": "INSERT", "dynamodb": {"Keys": {"sk": {"S": "frame#0001"}}}}
    assert matches(({"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "frame#"}]}}}},), record)
    assert not matches(({"eventName": ["REMOVE"]},), record)
    assert matches(({"dynamodb": {"OldImage": [{"exists": False}]}},), record)
    assert not matches(({"eventName": [{"anything-but": ["INSERT"]}]},), record)


def test_ordered_faults_are_used_up() -> None:
    faults = FaultOrders()
    faults.order(Faults({"Settle": FunctionFault(errors=1)}, PostFault(429, 2)))
    assert faults.for_function("Ring0123") is None
    assert faults.for_function("Settle0123") == FunctionFault(errors=1)
    assert faults.for_function("Settle0123") == FunctionFault(errors=0)
    assert [faults.for_post() for _ in range(3)] == [PostFate(429), PostFate(429), None]


def test_a_plan_asks_for_the_same_faults_with_the_same_seed() -> None:
    def drawn(seed: int) -> list[PostFate | BatchFate | None]:
        faults = FaultOrders()
        posts = PostPlan(gone=0.1, too_large=0.1, throttled=0.1, dropped=0.1, delayed=0.5, delay_ms=50)
        batches = TriggerPlan(redelivered=0.2, stopped=0.2, regrouped=0.2, reordered=0.2, delayed=0.2)
        faults.order(Faults(plan=Plan(seed, posts, batches)))
        return [faults.for_post() for _ in range(200)] + [faults.for_batch() for _ in range(200)]

    assert drawn(7) == drawn(7) != drawn(8)
    posts = [fate for fate in drawn(7) if isinstance(fate, PostFate)]
    assert {fate.status for fate in posts} == {None, 410, 413, 429}
    assert any(fate.lost for fate in posts)
    assert max(fate.delay_ms for fate in posts) <= 50
    batches = [fate for fate in drawn(7) if isinstance(fate, BatchFate)]
    assert any(fate.again for fate in batches)
    assert {fate.stop_after is None for fate in batches} == {True, False}


def test_reordering_keeps_the_order_within_a_group() -> None:
    items = [(group, number) for number in range(5) for group in "abc"]
    groups = [group for group, _ in items]
    orders = [reordered(items, groups, seed) for seed in range(5)]
    assert any(order != items for order in orders)
    for order in orders:
        assert sorted(order) == sorted(items)
        for group in "abc":
            assert [number for name, number in order if name == group] == list(range(5))


def test_a_stopped_function_reaches_aws_no_more() -> None:
    made: list[str] = []

    def handler() -> None:
        for operation in ("one", "two", "three"):
            with contextlib.suppress(Exception):  # what an eager handler may do
                observe.count("service", operation)
                made.append(operation)

    with observe.counting() as calls, observe.before_each(stop_after(2)), pytest.raises(StoppedError):
        handler()
    assert made == ["one", "two"]
    assert [call.operation for call in calls] == ["one", "two"]


def test_a_throttle_lets_its_burst_in_and_then_its_rate() -> None:
    bucket = Bucket(rate=0.001, burst=3)
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]


def test_a_transaction_needs_a_right_for_each_item() -> None:
    items = [{"Put": {"TableName": "rooms"}}, {"Update": {"TableName": "ledger"}}, {"Put": {"TableName": "rooms"}}]
    call = observe.Call("dynamodb", "TransactWriteItems", {"TransactItems": items})
    assert seen_calls(call) == {
        SeenCall("dynamodb", "PutItem", "rooms"),
        SeenCall("dynamodb", "UpdateItem", "ledger"),
    }


def test_each_aws_address_of_the_template_becomes_a_local_one() -> None:
    to = Addresses(Ports(8160))
    api = "abc123.execute-api.us-east-1.amazonaws.com"
    assert localize("SOCKET_URL", f"wss://{api}/live", to) == "ws://127.0.0.1:8160/live"
    assert localize("SOCKET_CALLBACK_URL", f"https://{api}/live", to) == "http://127.0.0.1:8160/live"
    assert localize("RELAY_URL", "https://dabc.cloudfront.net", to) == "http://127.0.0.1:8161"
    assert localize("WEB_URL", "https://dabc.cloudfront.net", to) == "http://127.0.0.1:8160"
    issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_x"
    assert localize("TOKEN_ISSUER", issuer, to) == issuer
    keys = localize("JWKS_URL", f"{issuer}/.well-known/jwks.json", to)
    assert keys == "http://127.0.0.1:8162/us-east-1_x/.well-known/jwks.json"


def test_a_taken_port_is_named_with_its_use_and_a_way_out() -> None:
    free = ports.free()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free.relay))
        holder.listen()
        with pytest.raises(ports.BusyPortError) as busy:
            ports.check_free(free)
    assert str(free.relay) in str(busy.value)
    assert "relay" in str(busy.value)
    assert "ONAIR_PORT=" in str(busy.value)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    tables.install()
    queues.install()
    with mock_aws():
        client: Any = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "group")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_group",
                    "KeySchema": [
                        {"AttributeName": "group", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        yield client
        # Another fixture's mock may be around this one, and then nothing is forgotten at its end.
        client.delete_table(TableName="ledger")
        sqs: Any = boto3.client("sqs", region_name="us-east-1")
        for url in sqs.list_queues(QueueNamePrefix="ring.fifo").get("QueueUrls", []):
            sqs.delete_queue(QueueUrl=url)


def _take(client: Any, amount: int, entry: str) -> None:
    client.transact_write_items(
        TransactItems=[
            {
                "Update": {
                    "TableName": "ledger",
                    "Key": {"pk": {"S": "wallet"}, "sk": {"S": "wallet"}},
                    "UpdateExpression": "SET coins = coins - :amount",
                    "ConditionExpression": "coins >= :amount",
                    "ExpressionAttributeValues": {":amount": {"N": str(amount)}},
                }
            },
            {
                "Put": {
                    "TableName": "ledger",
                    "Item": {"pk": {"S": "wallet"}, "sk": {"S": entry}, "group": {"S": "open"}},
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
        ]
    )


def test_transactions_beside_each_other_lose_and_make_nothing(dynamodb: Any) -> None:
    dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "wallet"}, "sk": {"S": "wallet"}, "coins": {"N": "30"}})
    done: list[str] = []
    refused: list[list[str]] = []

    def spend(number: int) -> None:
        for turn in range(10):
            try:
                _take(dynamodb, 1, f"gift#{number}#{turn}")
                done.append(f"{number}#{turn}")
            except dynamodb.exceptions.TransactionCanceledException as cancelled:
                refused.append([reason["Code"] for reason in cancelled.response["CancellationReasons"]])

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wallet = dynamodb.get_item(TableName="ledger", Key={"pk": {"S": "wallet"}, "sk": {"S": "wallet"}})["Item"]
    entries = dynamodb.query(
        TableName="ledger",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :gift)",
        ExpressionAttributeValues={":pk": {"S": "wallet"}, ":gift": {"S": "gift#"}},
    )["Items"]
    assert (wallet["coins"]["N"], len(done), len(entries)) == ("0", 30, 30)
    assert len(refused) == 30
    assert {tuple(codes) for codes in refused} == {("ConditionalCheckFailed", "None")}


def test_a_failed_transaction_leaves_every_item_as_it_was(dynamodb: Any) -> None:
    dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "wallet"}, "sk": {"S": "wallet"}, "coins": {"N": "5"}})
    dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "wallet"}, "sk": {"S": "gift#1"}})
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        _take(dynamodb, 1, "gift#1")
    wallet = dynamodb.get_item(TableName="ledger", Key={"pk": {"S": "wallet"}, "sk": {"S": "wallet"}})["Item"]
    assert wallet["coins"]["N"] == "5"


def test_an_index_follows_puts_updates_deletes_and_transactions(dynamodb: Any) -> None:
    def listed() -> list[str]:
        answer = dynamodb.query(
            TableName="ledger",
            IndexName="by_group",
            KeyConditionExpression="#group = :group",
            ExpressionAttributeNames={"#group": "group"},
            ExpressionAttributeValues={":group": {"S": "open"}},
        )
        return [item["sk"]["S"] for item in answer["Items"]]

    dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "wallet"}, "sk": {"S": "wallet"}, "coins": {"N": "5"}})
    for name in ("c", "a", "b"):
        dynamodb.put_item(TableName="ledger", Item={"pk": {"S": name}, "sk": {"S": name}, "group": {"S": "open"}})
    assert listed() == ["a", "b", "c"]
    dynamodb.update_item(
        TableName="ledger",
        Key={"pk": {"S": "a"}, "sk": {"S": "a"}},
        UpdateExpression="REMOVE #group",
        ExpressionAttributeNames={"#group": "group"},
    )
    dynamodb.delete_item(TableName="ledger", Key={"pk": {"S": "b"}, "sk": {"S": "b"}})
    _take(dynamodb, 1, "gift#1")
    assert listed() == ["c", "gift#1"]


def test_a_deduplication_id_holds_after_its_message_is_gone_and_within_its_group(dynamodb: Any) -> None:
    client: Any = boto3.client("sqs", region_name="us-east-1")
    url = client.create_queue(
        QueueName="ring.fifo",
        Attributes={
            "FifoQueue": "true",
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
        },
    )["QueueUrl"]

    def send(group: str, deduplication: str) -> None:
        client.send_message(QueueUrl=url, MessageBody="{}", MessageGroupId=group, MessageDeduplicationId=deduplication)

    def receive() -> list[dict[str, Any]]:
        return client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])

    send("room", "1")
    (message,) = receive()
    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    send("room", "1")
    assert receive() == []
    send("other room", "1")
    assert len(receive()) == 1


def test_a_group_with_a_message_in_flight_gives_no_other_and_groups_run_beside(dynamodb: Any) -> None:
    client: Any = boto3.client("sqs", region_name="us-east-1")
    url = client.create_queue(QueueName="ring.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for group, number in (("a", "1"), ("a", "2"), ("b", "3")):
        client.send_message(QueueUrl=url, MessageBody=number, MessageGroupId=group, MessageDeduplicationId=number)

    def receive() -> list[dict[str, Any]]:
        return client.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", [])

    (first,) = receive()
    (beside,) = receive()
    assert (first["Body"], beside["Body"], receive()) == ("1", "3", [])
    client.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert [message["Body"] for message in receive()] == ["2"]


def test_a_clock_that_is_moved_back_starts_schedules_anew() -> None:
    called: list[str] = []

    class Calls:
        def call_later(self, name: str, event: Any) -> None:
            called.append(name)

    minute = Schedule("Minute", "keep", "rate(1 minute)", None, True)
    schedules = Schedules([minute], cast(Runtime, Calls()))
    now_ms = clock.now_ms()
    schedules.call_due(now_ms + 3_600_000)
    assert called == ["keep"]
    schedules.call_due(now_ms)
    schedules.call_due(now_ms + 59_000)
    assert called == ["keep"]
    schedules.call_due(now_ms + 60_000)
    assert called == ["keep", "keep"]


@pytest.mark.parametrize(
    ("asked", "processors", "made"),
    [(None, 2, ""), (None, 4, "720,480,240"), ("480", 2, "480"), ("off", 16, ""), ("", 16, "")],
)
def test_lower_renditions_are_made_where_there_are_processors_or_where_they_are_asked_for(
    asked: str | None, processors: int, made: str
) -> None:
    assert relay.ladder(asked, "720,480,240", processors) == made
