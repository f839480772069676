"""What leases are tested with: a table in memory that may be away or lose answers, and tasks that share it."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError

from media.relay.lease import Beat, Leases
from media.relay.metrics import Metrics
from media.relay.settings import Settings

ALIVE_S = 0.4


class Table:
    """One DynamoDB item a key with the calls and conditions that leases use; may be away, or lose its answers."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.away = False
        self.answers_lost: random.Random | None = None
        self.throttled: set[str] = set()
        self.writes: list[str] = []
        self.reads = 0
        self.history: list[tuple[int, str]] = []
        self._lock = threading.Lock()

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        assert ConsistentRead, "a stale read could make a dead owner look alive, or a fence go back"
        self._reach()
        with self._lock:
            self.reads += 1
            item = self.items.get(Key["pk"]["S"])
            return {} if item is None else {"Item": dict(item)}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        ((name, asked),) = RequestItems.items()
        assert asked["ConsistentRead"], "a stale read could show a fence that was passed"
        assert 0 < len(asked["Keys"]) <= 100, "DynamoDB takes no more"
        self._reach()
        with self._lock:
            self.reads += 1
            read = [key for key in asked["Keys"] if key["pk"]["S"] not in self.throttled]
            unread = [key for key in asked["Keys"] if key["pk"]["S"] in self.throttled]
            found = [{**key, **self.items[key["pk"]["S"]]} for key in read if key["pk"]["S"] in self.items]
            return {"Responses": {name: found}, "UnprocessedKeys": {name: {"Keys": unread}} if unread else {}}

    def update_item(
        self,
        *,
        TableName: str,
        Key: dict[str, Any],
        UpdateExpression: str,
        ExpressionAttributeValues: dict[str, Any],
        ConditionExpression: str = "",
    ) -> dict[str, Any]:
        self._reach()
        values = ExpressionAttributeValues
        with self._lock:
            item = self.items.get(Key["pk"]["S"], {})
            self.writes.append(Key["pk"]["S"])
            conditions = ConditionExpression.split(" AND ") if ConditionExpression else []
            assert conditions or Key["sk"]["S"] == "beat", "a lease is written under a condition alone"
            holds = all(self._holds(one, item, values) for one in conditions)
            if not holds:
                raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
            changed = dict(item)
            for assignment in UpdateExpression.removeprefix("SET ").split(", "):
                name, value = assignment.split(" = ")
                changed[name] = values[value]
            self.items[Key["pk"]["S"]] = changed
            if changed.get("fence") != item.get("fence"):
                self.history.append((int(changed["fence"]["N"]), changed["task"]["S"]))
        if self.answers_lost is not None and self.answers_lost.random() < 0.2:
            raise ConnectTimeoutError(endpoint_url="after the commit")
        return {}

    def _reach(self) -> None:
        if self.away:
            raise ConnectTimeoutError(endpoint_url="away")

    @staticmethod
    def _holds(condition: str, item: dict[str, Any], values: dict[str, Any]) -> bool:
        if condition == "attribute_not_exists(fence)":
            return "fence" not in item
        name, value = condition.split(" = ")
        return item.get(name) == values[value]


class Task:
    """Leases as one task has them; its publishers are alive as long as `alive` says."""

    def __init__(self, table: Table, name: str, address: str = "", alive_s: float = ALIVE_S) -> None:
        self.alive = True
        self.lost: list[str] = []
        settings = Settings(task=name, address=address or f"http://{name}", lost_after_s=alive_s)
        self.metrics = Metrics()
        self.leases = Leases(settings, self.metrics, table)
        self.leases.beat_of = lambda _: Beat(now_ms() if self.alive else 1, last_msn=77, breaks=2)
        self.leases.on_lost = self.lost.append

    async def renew(self) -> None:
        """What the running loop does each second."""
        await self.leases.tell()
        await self.leases.check()


def now_ms() -> int:
    return time.time_ns() // 1_000_000
