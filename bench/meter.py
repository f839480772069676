"""Not a question: what functions of a running stack ask of AWS, and what that costs at list prices (us-east-1, 2026).

Each call is one that a real handler made, counted by functions/observe.py; units are counted by the sizes of items as
the service bills them (DynamoDB Developer Guide, "Read and write operations", "Item sizes").
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from moto.dynamodb.models import dynamodb_backends

from functions.observe import Call
from local.declared import Function
from local.deployment import ACCOUNT, REGION

MILLION: Final = 1_000_000
# Dollars for one: https://aws.amazon.com/dynamodb/pricing/on-demand/ · /sqs/pricing/ · /lambda/pricing/ ·
# /api-gateway/pricing/ · /cloudfront/pricing/ · /ivs/pricing/
PRICES: Final[dict[str, float]] = {
    "write unit": 0.625 / MILLION,
    "read unit": 0.125 / MILLION,
    "queue request": 0.50 / MILLION,
    "function call": 0.20 / MILLION,
    "GB second": 0.0000166667,
    "socket message": 1.00 / MILLION,
    "connection minute": 0.25 / MILLION,
    "REST request": 3.50 / MILLION,
}
_WRITES: Final = {"PutItem": "Item", "UpdateItem": "Key", "DeleteItem": "Key"}


@dataclass
class Meter:
    """Adds up, by function: calls, their AWS calls, units and seconds. A watcher of `local.runtime.Runtime`."""

    calls: Counter[str] = field(default_factory=Counter[str])
    operations: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    units: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    worked_s: dict[str, float] = field(default_factory=dict[str, float])
    memory_mib: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, function: Function, calls: list[Call], seconds: float, worked_s: float) -> None:
        """Take in one call of a function."""
        name = function.handler.removeprefix("functions.").removesuffix(".handle")
        with self._lock:
            self.calls[name] += 1
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            self.worked_s[name] = self.worked_s.get(name, 0.0) + worked_s
            self.memory_mib[name] = function.memory_mib
            operations = self.operations.setdefault(name, Counter())
            units = self.units.setdefault(name, Counter())
            for call in calls:
                operations[f"{call.service}.{call.operation}"] += 1
                units.update(_units(call))

    def dollars(self, name: str, *, seconds: float | None = None) -> float:
        """What a function cost so far.

        Its seconds are those of its thread's own work, unless given: moto answers in the same thread, so they stand for
        DynamoDB's answers too, and do not grow with what else this machine does.
        """
        spent = sum(PRICES[unit] * count for unit, count in self.units.get(name, Counter[str]()).items())
        time_s = self.worked_s.get(name, 0.0) if seconds is None else seconds
        memory = self.memory_mib.get(name, 0) / 1024
        return spent + self.calls[name] * PRICES["function call"] + time_s * memory * PRICES["GB second"]


def _units(call: Call) -> Counter[str]:
    if call.service == "sqs":
        return Counter({"queue request": 1})
    if call.service == "execute-api":
        return Counter({"socket message": int(call.operation == "PostConnection")})
    if call.service != "dynamodb":
        return Counter()
    asked = call.parameters
    if call.operation in _WRITES:
        return Counter({"write unit": _write(asked, asked[_WRITES[call.operation]], asked["TableName"])})
    if call.operation == "TransactWriteItems":
        found = [next(iter(entry.items())) for entry in asked["TransactItems"]]
        # A transaction writes each item twice: to prepare and to commit.
        return Counter(
            {"write unit": sum(2 * _write(one, one.get("Item") or one["Key"], one["TableName"]) for _, one in found)}
        )
    if call.operation == "BatchWriteItem":
        requests = [(table, entry) for table, entries in asked["RequestItems"].items() for entry in entries]
        units = 0
        for table, entry in requests:
            one = entry.get("PutRequest") or entry["DeleteRequest"]
            units += _write(one, one.get("Item") or one["Key"], table)
        return Counter({"write unit": units})
    return Counter({"read unit": _read(call)})


def _write(asked: dict[str, Any], given: dict[str, Any], table: str) -> int:
    item = asked["Item"] if "Item" in asked else _stored(table, given) or given
    return max(1, math.ceil(size(item) / 1024))


def _read(call: Call) -> float:
    asked, answer = call.parameters, call.answer
    if call.operation == "Query":
        whole = (
            "ProjectionExpression" not in asked and asked.get("Select") != "COUNT" and "FilterExpression" not in asked
        )
        items: list[dict[str, Any]] = answer.get("Items", [])
        read = sum(size(item) for item in items) if whole else answer.get("ScannedCount", 0) * connection_size()
        return max(1, math.ceil(read / 4096)) * (1.0 if asked.get("ConsistentRead") else 0.5)
    if call.operation == "BatchGetItem":
        units = 0.0
        for table, wanted in asked["RequestItems"].items():
            weight = 1.0 if wanted.get("ConsistentRead") else 0.5
            found = answer.get("Responses", {}).get(table, [])
            missing = len(wanted["Keys"]) - len(found)
            units += weight * (missing + sum(max(1, math.ceil(size(item) / 4096)) for item in found))
        return units
    return max(1, math.ceil(size(answer.get("Item", {})) / 4096)) * (1.0 if asked.get("ConsistentRead") else 0.5)


def _stored(table: str, key: dict[str, Any]) -> dict[str, Any] | None:
    found: Any = dynamodb_backends[ACCOUNT][REGION].get_table(table)
    items: Any = found.items.get(_attribute(key["pk"]))
    if items is None:
        return None
    item = items.get(_attribute(key["sk"])) if isinstance(items, dict) else items
    return None if item is None else dict(item.to_json()["Attributes"])


def _attribute(value: dict[str, Any]) -> Any:
    from moto.dynamodb.models.dynamo_type import DynamoType

    return DynamoType(value)


def connection_size() -> float:
    """Mean size of what is stored of a connection below its shard; what is counted or projected is paid for whole."""
    sizes = [
        size(item.to_json()["Attributes"])
        for table in dynamodb_backends[ACCOUNT][REGION].tables.values()
        for key, items in list(table.items.items())
        if "#shard#" in str(key.value) and isinstance(items, dict)
        for item in list(items.values())[:5]
    ]
    return sum(sizes) / len(sizes) if sizes else 0.0


def size(item: dict[str, Any]) -> int:
    """Bytes of an item in DynamoDB's own JSON, as the service counts them."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, held),) = value.items()
    if kind == "S":
        return len(str(held).encode())
    if kind == "N":
        return len(str(held).strip("-0.")) // 2 + 2
    if kind == "B":
        return len(held) if isinstance(held, bytes) else len(str(held)) * 3 // 4
    if kind == "L":
        return 3 + sum(1 + _value_size(each) for each in held)
    if kind == "M":
        return 3 + sum(len(name.encode()) + 1 + _value_size(each) for name, each in held.items())
    return 1 if kind in ("BOOL", "NULL") else len(str(held))
