"""What the wallet relies on from ``TransactWriteItems``, held on every service that it runs on."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import Service

EXISTS_NOT = "attribute_not_exists(pk)"


def table() -> str:
    return os.environ["LEDGER_TABLE"]


def key(sk: str) -> dict[str, Any]:
    return {"pk": {"S": "p"}, "sk": {"S": sk}}


def put(sk: str, condition: str | None = None, **numbers: int) -> dict[str, Any]:
    item = {**key(sk), **{name: {"N": str(value)} for name, value in numbers.items()}}
    return {"Put": {"TableName": table(), "Item": item, **({"ConditionExpression": condition} if condition else {})}}


def raise_to(sk: str, value: int, expected: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": table(),
            "Key": key(sk),
            "UpdateExpression": "SET n = :to",
            "ConditionExpression": "n = :from",
            "ExpressionAttributeValues": {":to": {"N": str(value)}, ":from": {"N": str(expected)}},
        }
    }


def stored(service: Service, sk: str) -> dict[str, Any] | None:
    return service.client.get_item(TableName=table(), Key=key(sk), ConsistentRead=True).get("Item")


def reasons(error: ClientError) -> list[str]:
    assert error.response["Error"]["Code"] == "TransactionCanceledException"
    return [each["Code"] for each in error.response["CancellationReasons"]]


def test_all_items_are_written_when_every_condition_holds(service: Service) -> None:
    service.client.put_item(TableName=table(), Item={**key("wallet"), "n": {"N": "1"}})
    service.client.transact_write_items(TransactItems=[put("a", EXISTS_NOT), put("b"), raise_to("wallet", 2, 1)])
    assert stored(service, "a") is not None
    assert stored(service, "b") is not None
    assert stored(service, "wallet") == {**key("wallet"), "n": {"N": "2"}}


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_one_failed_condition_writes_nothing_and_is_named_by_its_place(service: Service, failing: int) -> None:
    service.client.put_item(TableName=table(), Item={**key("wallet"), "n": {"N": "1"}})
    service.client.put_item(TableName=table(), Item=key("there"))
    items = [
        put("there" if failing == 0 else "a", EXISTS_NOT),
        put("there" if failing == 1 else "b", EXISTS_NOT),
        raise_to("wallet", 2, 9 if failing == 2 else 1),
    ]
    with pytest.raises(ClientError) as caught:
        service.client.transact_write_items(TransactItems=items)
    expected = ["None", "None", "None"]
    expected[failing] = "ConditionalCheckFailed"
    assert reasons(caught.value) == expected
    assert stored(service, "a") is None
    assert stored(service, "b") is None
    assert stored(service, "wallet") == {**key("wallet"), "n": {"N": "1"}}


def test_several_failed_conditions_are_all_named(service: Service) -> None:
    service.client.put_item(TableName=table(), Item=key("there"))
    with pytest.raises(ClientError) as caught:
        service.client.transact_write_items(
            TransactItems=[put("there", EXISTS_NOT), put("new", EXISTS_NOT), raise_to("absent", 2, 1)]
        )
    assert reasons(caught.value) == ["ConditionalCheckFailed", "None", "ConditionalCheckFailed"]
    assert stored(service, "new") is None


def test_an_update_makes_the_item_where_its_condition_says_that_none_exists(service: Service) -> None:
    fresh = raise_to("wallet", 1, 0)
    fresh["Update"]["ConditionExpression"] = EXISTS_NOT
    del fresh["Update"]["ExpressionAttributeValues"][":from"]
    service.client.transact_write_items(TransactItems=[put("a"), fresh])
    assert stored(service, "wallet") == {**key("wallet"), "n": {"N": "1"}}


def test_removing_an_index_key_takes_the_item_out_of_the_index(service: Service) -> None:
    item = {**key("gift"), "unsettled_key": {"S": "creator#c#0"}, "at": {"N": "1"}, "version": {"N": "1"}}
    service.client.put_item(TableName=table(), Item=item)
    take = {
        "Update": {
            "TableName": table(),
            "Key": key("gift"),
            "UpdateExpression": "REMOVE unsettled_key SET settlement = :by",
            "ConditionExpression": "attribute_exists(unsettled_key)",
            "ExpressionAttributeValues": {":by": {"S": "settlement#1"}},
        }
    }
    assert waiting(service) == ["gift"]
    service.client.transact_write_items(TransactItems=[take])
    assert waiting(service) == []
    with pytest.raises(ClientError) as caught:
        service.client.transact_write_items(TransactItems=[take])
    assert reasons(caught.value) == ["ConditionalCheckFailed"]


def waiting(service: Service) -> list[str]:
    answer = service.client.query(
        TableName=table(),
        IndexName="unsettled",
        KeyConditionExpression="unsettled_key = :k",
        ExpressionAttributeValues={":k": {"S": "creator#c#0"}},
    )
    return [each["sk"]["S"] for each in answer["Items"]]


def test_a_hundred_items_are_taken_and_one_more_is_refused(service: Service) -> None:
    service.client.transact_write_items(TransactItems=[put(f"i{n}") for n in range(100)])
    assert stored(service, "i99") is not None
    with pytest.raises(ClientError) as caught:
        service.client.transact_write_items(TransactItems=[put(f"j{n}") for n in range(101)])
    assert caught.value.response["Error"]["Code"] in ("ValidationException", "TransactionCanceledException")
    assert stored(service, "j0") is None


def test_two_operations_on_one_item_are_refused(service: Service) -> None:
    with pytest.raises(ClientError) as caught:
        service.client.transact_write_items(TransactItems=[put("same", n=1), put("same", n=2)])
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert stored(service, "same") is None


def test_racing_transactions_on_one_item_let_one_through_each_time(isolated: Service) -> None:
    service = isolated
    service.client.put_item(TableName=table(), Item={**key("counter"), "n": {"N": "0"}})
    workers, rounds = 8, 10

    def count(worker: int) -> int:
        won = 0
        for each in range(rounds):
            item = stored(service, "counter")
            assert item is not None
            seen = int(item["n"]["N"])
            try:
                service.client.transact_write_items(
                    TransactItems=[put(f"w{worker}#{each}", EXISTS_NOT), raise_to("counter", seen + 1, seen)]
                )
                won += 1
            except ClientError as error:
                assert set(reasons(error)) <= {"None", "ConditionalCheckFailed", "TransactionConflict"}
                assert stored(service, f"w{worker}#{each}") is None
        return won

    with ThreadPoolExecutor(workers) as pool:
        won = sum(pool.map(count, range(workers)))
    item = stored(service, "counter")
    assert item is not None
    assert won > 0
    assert int(item["n"]["N"]) == won
