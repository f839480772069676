"""``ONAIR_DYNAMODB=local``: Amazon's own DynamoDB Local in moto's place, for what must hold against the real rules."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from functions import aws
from local.declared import Table

# What CloudFormation and CreateTable name alike; the rest of a table's properties is set by other calls.
_SHARED = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes", "BillingMode")


def running(port: int) -> AbstractContextManager[str]:
    """DynamoDB Local on ``port`` of loopback; gives its endpoint. Needs Java and the jar of tests/package.json."""
    # The jar is a dependency of the tests, and so is what starts it; only this mode of the local stack needs it.
    from tests import dynamodb_local

    return dynamodb_local.running(port)


def create_tables(tables: Iterable[Table]) -> None:
    """Create the template's tables, empty; those that stand are dropped first."""
    client = aws.client("dynamodb")
    for table in tables:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):  # at the first start
            client.delete_table(TableName=table.name)
        arguments: dict[str, Any] = {name: table.properties[name] for name in _SHARED if name in table.properties}
        stream = table.properties.get("StreamSpecification")
        if stream is not None:
            arguments["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream["StreamViewType"]}
        client.create_table(TableName=table.name, **arguments)
        if table.ttl_attribute:
            client.update_time_to_live(
                TableName=table.name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
            )
