"""The local stack's DynamoDB answers beside moto's own: the same for every kind of value and each way of asking."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

# In processes of their own: what is installed cannot be taken out again.
SCRIPT: Final = """
import json, sys
import boto3
from moto import mock_aws
if sys.argv[1] == "ours":
    from local import tables
    tables.install()
from tests.unit.test_local_answers import asked
with mock_aws():
    print(json.dumps(asked(boto3.client("dynamodb", region_name="us-east-1")), sort_keys=True, default=repr))
"""
VALUES: Final[dict[str, dict[str, Any]]] = {
    "text": {"S": "ä — 🎉 \u0000 \"'"},
    "blank": {"S": ""},
    "amount": {"N": "12.50"},
    "huge": {"N": "99999999999999999999999999999999999999"},
    "bytes": {"B": b"\x00\xff\x10"},
    "true": {"BOOL": True},
    "false": {"BOOL": False},
    "nothing": {"NULL": True},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2.5"]},
    "blobs": {"BS": [b"a", b"\xfe"]},
    "list": {"L": [{"S": "x"}, {"N": "1"}, {"M": {"deep": {"L": [{"BOOL": False}, {"B": b"z"}]}}}]},
    "tree": {"M": {"a": {"N": "1"}, "b": {"M": {"c": {"S": "d"}}}}},
}


def asked(client: Any) -> list[Any]:
    """What one client is answered, in order; an error by its code."""
    client.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "group")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_group",
                "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["amount"]},
            }
        ],
    )
    found: list[Any] = []

    def ask(operation: str, **parameters: Any) -> Any:
        try:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except client.exceptions.ClientError as error:
            answer = {"code": error.response["Error"]["Code"], "reasons": error.response.get("CancellationReasons")}
        answer.pop("ResponseMetadata", None)
        found.append([operation, answer])
        return answer

    key: Callable[[str], dict[str, Any]] = lambda sk: {"pk": {"S": "p"}, "sk": {"S": sk}}  # noqa: E731
    of_p: dict[str, Any] = {"TableName": "t", "KeyConditionExpression": "pk = :p"}
    p = {":p": {"S": "p"}}
    for sk in ("a#1", "a#2", "a#3", "b#1", "zz"):
        ask("put_item", TableName="t", Item={**key(sk), **VALUES, "group": {"S": "g"}}, ReturnConsumedCapacity="TOTAL")
    ask("put_item", TableName="t", Item={**key("a#1"), "n": {"N": "7"}}, ReturnValues="ALL_OLD")
    ask("get_item", TableName="t", Key=key("a#2"), ConsistentRead=True)
    ask("get_item", TableName="t", Key=key("none"))
    ask(
        "get_item",
        TableName="t",
        Key=key("a#2"),
        ProjectionExpression="#t, bytes",
        ExpressionAttributeNames={"#t": "text"},
    )
    ask("get_item", TableName="t", Key=key("a#2"), ProjectionExpression="list[1], tree.b.c")
    ask("query", **of_p, ExpressionAttributeValues=p)
    ask("query", **of_p, ExpressionAttributeValues=p, ScanIndexForward=False, Limit=2)
    ask("query", **of_p, ExpressionAttributeValues=p, Limit=2, ExclusiveStartKey=key("a#2"))
    ask("query", **of_p, ExpressionAttributeValues=p, Select="COUNT")
    ask("query", **of_p, ExpressionAttributeValues=p, ProjectionExpression="amount, blobs, missing")
    for condition, values in (
        ("begins_with(sk, :a)", {":a": {"S": "a#"}}),
        ("sk BETWEEN :a AND :b", {":a": {"S": "a#2"}, ":b": {"S": "b#1"}}),
        ("sk > :a", {":a": {"S": "a#3"}}),
        ("sk = :a", {":a": {"S": "b#1"}}),
        ("begins_with(sk, :a)", {":a": {"S": "none"}}),
    ):
        ranged = {**of_p, "KeyConditionExpression": f"pk = :p AND {condition}"}
        ask("query", **ranged, ExpressionAttributeValues={**p, **values}, ReturnConsumedCapacity="INDEXES")
    ask(
        "query",
        TableName="t",
        IndexName="by_group",
        KeyConditionExpression="#g = :g",
        ExpressionAttributeNames={"#g": "group"},
        ExpressionAttributeValues={":g": {"S": "g"}},
    )
    ask("scan", TableName="t", FilterExpression="attribute_exists(n)")
    ask("scan", TableName="t", Select="COUNT")
    update = {
        "UpdateExpression": "ADD n :one SET tree.a = :one REMOVE blank",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for wanted in ("ALL_NEW", "ALL_OLD", "UPDATED_NEW", "UPDATED_OLD", "NONE"):
        ask("update_item", TableName="t", Key=key("a#3"), **update, ReturnValues=wanted)
    ask(
        "batch_get_item",
        RequestItems={"t": {"Keys": [key("a#1"), key("b#1"), key("none")], "ProjectionExpression": "pk, sk, bytes"}},
    )
    ask("batch_write_item", RequestItems={"t": [{"DeleteRequest": {"Key": key("zz")}}]})
    ask("transact_get_items", TransactItems=[{"Get": {"TableName": "t", "Key": key(sk)}} for sk in ("a#1", "none")])
    put = {"TableName": "t", "Item": key("a#1"), "ConditionExpression": "attribute_not_exists(pk)"}
    ask("transact_write_items", TransactItems=[{"Put": {**put, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}])
    ask("put_item", **put)
    ask("delete_item", TableName="t", Key=key("b#1"), ReturnValues="ALL_OLD")
    ask("query", TableName="none", KeyConditionExpression="pk = :p", ExpressionAttributeValues=p)
    found.append(sorted(client.describe_table(TableName="t")["Table"]["KeySchema"][0].items()))
    return found


def _answers(whose: str) -> str:
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, whose], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_answers_are_those_of_moto_for_every_kind_of_value() -> None:
    ours, motos = (json.loads(_answers(whose)) for whose in ("ours", "moto"))
    assert len(ours) == len(motos) > 30
    for mine, theirs in zip(ours, motos, strict=True):
        assert mine == theirs
