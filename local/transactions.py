"""``TransactWriteItems`` as the service does it: check everything, then apply everything, and nothing comes between.

moto copies every table of a transaction once per item of it, and rolls back by putting the copies in place of the
tables, so that other threads' writes of that moment are lost. Here each operation is worked out on a copy of its one
item, and only when all conditions hold and every new image is known are the images put in place, under the lock that
every DynamoDB request of the process holds (local/tables.py). Hence ``TransactionConflict`` cannot happen here, and
is not faked: tests/simulation has it. Cancellation reasons are the service's; tests/contract holds them to DynamoDB
Local.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    ConditionalCheckFailed,
    ItemSizeTooLarge,
    MockValidationException,
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.executors import UpdateExpressionExecutor
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import UpdateExpressionValidator

OPERATIONS_MAX = 100
Place = Callable[[Table, DynamoType, DynamoType | None, Item | None], None]
Reason = tuple[str | None, str | None, dict[str, Any] | None]


@dataclass(frozen=True)
class Operation:
    """One operation of a transaction on its one item, with the item as it stands."""

    kind: str
    request: dict[str, Any]
    table: Table
    hash_key: DynamoType
    range_key: DynamoType | None
    current: Item | None


def write(backend: DynamoDBBackend, transact_items: list[dict[str, Any]], place: Place) -> None:
    """Apply all operations or none; raises ``TransactionCanceledException`` with one reason an operation.

    Does the work of ``DynamoDBBackend.transact_write_items``, whose request parsing and validation come before. The
    caller holds the lock of all DynamoDB requests; ``place`` puts one image into its table.
    """
    if len(transact_items) > OPERATIONS_MAX:
        raise TooManyTransactionsException
    operations = [_located(backend, entry) for entry in transact_items]
    touched = {(op.table.name, op.hash_key, op.range_key) for op in operations}
    if len(touched) < len(operations):
        raise MultipleTransactionsException
    reasons: list[Reason] = []
    images: list[Item | None] = []
    for operation in operations:
        reason, image = _worked_out(operation)
        reasons.append(reason)
        images.append(image)
    if any(code is not None for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    for operation, image in zip(operations, images, strict=True):
        if operation.kind == "ConditionCheck" or (image is None and operation.current is None):
            continue
        place(operation.table, operation.hash_key, operation.range_key, image)
        if operation.table.stream_shard is not None:
            operation.table.stream_shard.add(operation.current, image)


def _located(backend: DynamoDBBackend, entry: dict[str, Any]) -> Operation:
    if len(entry) != 1:
        raise TransactWriteSingleOpException
    kind, request = next(iter(entry.items()))
    table = backend.get_table(request["TableName"])
    named: dict[str, Any] = request["Item"] if kind == "Put" else request["Key"]
    hash_key, range_key = backend.get_keys_value(table, named)
    for value, expected in ((hash_key, table.hash_key_type), (range_key, table.range_key_type)):
        if value is not None and value.type != expected:
            raise MockValidationException("One or more parameter values were invalid: Type mismatch for key")
    return Operation(kind, request, table, hash_key, range_key, table.get_item(hash_key, range_key))


def _worked_out(operation: Operation) -> tuple[Reason, Item | None]:
    request, current = operation.request, operation.current
    if request.get("ConditionExpression") is not None:
        condition: Any = get_filter_expression(
            request["ConditionExpression"],
            request.get("ExpressionAttributeNames"),
            request.get("ExpressionAttributeValues"),
        )
        if not condition.expr(current):
            wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and current is not None
            shown = current.to_json()["Attributes"] if wanted and current is not None else None
            return ("ConditionalCheckFailed", str(ConditionalCheckFailed().message), shown), None
    try:
        return (None, None, None), _image(operation)
    except ItemSizeTooLarge as too_large:
        return ("ValidationError", str(too_large.message), None), None
    except MockValidationException as invalid:
        return ("ValidationError", str(invalid.message), None), None


def _image(operation: Operation) -> Item | None:
    """The item as this operation leaves it, worked out aside; `None` where it leaves none."""
    request, table = operation.request, operation.table
    if operation.kind == "Put":
        any_table: Any = table
        any_table._validate_item_types(request["Item"])
        any_table._validate_key_sizes(request["Item"])
        return _item(operation, request["Item"])
    if operation.kind == "Update":
        image = copy.deepcopy(operation.current)
        if image is None:
            image = _item(operation, request["Key"])
        names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
        parsed: Any = UpdateExpressionParser.make(request["UpdateExpression"])
        any_validator: Any = UpdateExpressionValidator
        tree = any_validator(
            parsed, expression_attribute_names=names, expression_attribute_values=values, item=image, table=table
        ).validate()
        tree.normalize()
        any_executor: Any = UpdateExpressionExecutor
        any_executor(tree, image, names).execute()
        return image
    return None


def _item(operation: Operation, attributes: dict[str, Any]) -> Item:
    # moto's base class declares __new__ for itself, which hides the type of what a model's call gives.
    any_item: Any = Item
    return any_item(operation.hash_key, operation.range_key, copy.deepcopy(attributes))
