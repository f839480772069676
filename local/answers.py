"""moto's DynamoDB answers without its detours: one walk from stored items to JSON, projections that copy nothing.

moto turns each item into plain Python, walks that once more along the service's model, looking for every member under a
dozen spellings, and has each projected attribute convert the whole item: two thirds of what a comment costs the local
stack, and of nothing that the service does. What stands in an answer is the same; tests/unit/test_local_answers.py
compares both on every kind of value. Errors, and what is no item (tables, backups), take moto's own way.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from moto.core import responses
from moto.core.responses import ActionResult
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.responses import DynamoHandler, DynamoResult

_CONTENT: Final = {"Content-Type": "application/x-amz-json-1.0"}
# What answers with items and counts alone.
ACTIONS: Final = frozenset(
    {
        "BatchGetItem",
        "BatchWriteItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    }
)


def install() -> None:
    """Replace the parts of moto named above; once (local/tables.py sees to it)."""
    any_result: Any = DynamoResult
    any_result.__init__ = _keep
    any_handler: Any = DynamoHandler
    any_handler.serialized = _serialized(DynamoHandler.serialized)
    any_item: Any = Item
    any_item.project = _projected(Item.project)
    any_responses: Any = responses
    # Which methods a class has is asked once a request, and answered by looking at each of its members.
    any_responses.method_names_from_class = functools.cache(any_responses.method_names_from_class)


def _keep(self: DynamoResult, result: object) -> None:
    any_self: Any = self
    any_self._result = result  # as it is: what is plain is made when it is written out


def _serialized(original: Callable[..., Any]) -> Callable[..., Any]:
    from moto.dynamodb.models.utilities import dynamo_to_dict

    @functools.wraps(original)
    def serialized(self: DynamoHandler, result: ActionResult) -> Any:
        any_self, any_result = cast(Any, self), cast(Any, result)
        if not isinstance(result, DynamoResult):
            return original(self, result)
        if any_self._get_action() not in ACTIONS:
            any_result._result = dynamo_to_dict(any_result._result)
            return original(self, result)
        body = msgspec.json.encode(plain(any_result._result)).decode()
        return 200, {**_CONTENT, **any_self.response_headers}, body

    return serialized


def plain(value: Any) -> Any:
    """What the wire carries of a value: items as the service writes them, members that are None left out."""
    if isinstance(value, DynamoType):
        return {value.type: _content(value)}
    if isinstance(value, dict):
        members = cast(dict[str, Any], value)
        return {name: plain(member) for name, member in members.items() if member is not None}
    if isinstance(value, list):
        return [plain(member) for member in cast(list[Any], value)]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        raise TypeError("a time in the answer of a request about items")
    if hasattr(value, "to_json"):
        return plain(value.to_json())
    return value


def _content(value: DynamoType) -> Any:
    kind, held = value.type, value.value
    if kind in ("S", "BOOL", "NULL"):
        return held
    if kind == "N":
        return str(held)
    if kind == "M":
        return {name: plain(member) for name, member in held.items()}
    if kind == "NS":
        return [str(member) for member in held]
    return plain(list(held) if kind in ("SS", "BS") else held)


def _projected(original: Callable[..., Item]) -> Callable[..., Item]:
    @functools.wraps(original)
    def project(self: Item, projection_expressions: list[list[str]]) -> Item:
        names = [path[0] for path in projection_expressions if len(path) == 1 and not path[0].endswith("]")]
        if len(names) < len(projection_expressions):
            return original(self, projection_expressions)
        attributes: Any = self.attrs
        chosen = LimitedSizeDict()
        for name in names:
            if name in attributes:
                # Past its check of the size, which the whole item stood; shared with what is stored, since an answer is
                # written out before anything else may change it (local/tables.py).
                dict.__setitem__(chosen, name, attributes[name])
        any_item: Any = Item
        made = any_item.__new__(Item)
        made.hash_key, made.range_key, made.attrs = self.hash_key, self.range_key, chosen
        return made

    return project
