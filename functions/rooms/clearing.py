"""Taking a room away whose broadcast was deleted: its frames, members, votes and all else that is stored of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from functions import aws, clock, settings
from functions.rooms.items import room_key

# The service takes this many in one call.
DELETED_AT_ONCE: Final = 25
ATTEMPTS_MAX: Final = 8
BACKOFF_MS: Final = 50


class ThrottledError(Exception):
    """The table did not take deletions for a while."""


def clear(stream_id: str, has_time: Callable[[], bool]) -> bool:
    """Delete what is stored of a room; False when time ran out first, and it is to be called again."""
    table = settings.required("ROOMS_TABLE")
    start: dict[str, Any] = {}
    while True:
        page: dict[str, Any] = aws.client("dynamodb").query(
            TableName=table,
            KeyConditionExpression="pk = :room",
            ExpressionAttributeValues={":room": {"S": room_key(stream_id)}},
            ProjectionExpression="pk, sk",
            ConsistentRead=True,
            **start,
        )
        keys: list[dict[str, Any]] = page["Items"]
        for at in range(0, len(keys), DELETED_AT_ONCE):
            if not has_time():
                return False
            _delete(table, keys[at : at + DELETED_AT_ONCE])
        if "LastEvaluatedKey" not in page:
            return True
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _delete(table: str, keys: list[dict[str, Any]]) -> None:
    waiting: list[dict[str, Any]] = [{"DeleteRequest": {"Key": key}} for key in keys]
    for attempt in range(ATTEMPTS_MAX):
        clock.sleep_ms(BACKOFF_MS * attempt)
        answer: dict[str, Any] = aws.client("dynamodb").batch_write_item(RequestItems={table: waiting})
        waiting = (answer.get("UnprocessedItems") or {}).get(table, [])
        if not waiting:
            return
    raise ThrottledError(table)
