"""The items of leases in the Streams table, as DynamoDB's client reads and writes them; every call blocks.

| pk          | sk    | |
|-------------|-------|-|
| stream#{id} | lease | owner, address, fence, and its numbers as they were when it was claimed or given up |
| task#{id}   | beat  | ``beats``: JSON, stream id → [time of its newest media in ms, last_msn, breaks] |
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import ClientError
from msgspec import structs

logger = logging.getLogger(__name__)

# A call that takes longer is given up: the next one says more.
_CONFIG: Final = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "max_attempts": 1})
# Of leases that are read together (BatchGetItem).
_BATCH_MAX: Final = 100
# Items outlive any break that a publisher returns from; they are small, and DynamoDB's TTL removes them. That of a
# stream which is on air for longer is written again when this little is left.
_KEPT_S: Final = 172_800
KEPT_LEAST_S: Final = 86_400
_REFUSED: Final = "ConditionalCheckFailedException"


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """What an owner tells each second: enough for another task to continue the playlist's numbers.

    An array in JSON, so that the beats of a full task fit one write unit (1 KB). ``media_ms`` is when media came last;
    0 in the lease of a stream that was given up.
    """

    media_ms: int = 0
    last_msn: int = 0
    breaks: int = 0


class Lease(msgspec.Struct, frozen=True):
    """The item as it was read or written; ``expires_s`` is when TTL may remove it, in seconds since 1970."""

    stream_id: str
    fence: int
    task: str
    address: str
    generation: int
    beat: Beat
    expires_s: int = 0

    def is_alive(self, now_ms: int, within_s: float) -> bool:
        """Whether its publisher is alive: media came within ``within_s`` of now."""
        return abs(now_ms - self.beat.media_ms) < within_s * 1000


class LeaseTable:
    """Leases and beats in the table ``name``.

    Every call raises botocore's ``BotoCoreError`` or ``ClientError`` when DynamoDB does not answer; a request takes two
    seconds at most.

    Parameters
    ----------
    name : str
        The table's.
    dynamodb : Any
        A DynamoDB client; by default one that gives up within a second.
    """

    def __init__(self, name: str, dynamodb: Any = None) -> None:
        self._name = name
        self._dynamodb: Any = dynamodb or boto3.client("dynamodb", config=_CONFIG)

    def read(self, stream_id: str) -> Lease | None:
        """The lease as it stands in its item."""
        item = self._get_item(_key(stream_id))
        return None if item is None else _lease(stream_id, item)

    def read_with_beat(self, stream_id: str) -> Lease | None:
        """The lease with what its owner told since it was written."""
        lease = self.read(stream_id)
        return None if lease is None else self.with_beat(lease)

    def with_beat(self, lease: Lease) -> Lease:
        """A lease as it was read, with what its owner told since."""
        if lease.beat.media_ms == 0:
            # Given up: nothing that was told before counts.
            return lease
        item = self._get_item(_beat_key(lease.task))
        told = None if item is None else _beats(lease.task, item).get(lease.stream_id)
        if told is None:
            return lease
        # A clock that was put right makes one of them wrong, and only the true one is near now.
        now_ms = wall_ms()
        media_ms = min(lease.beat.media_ms, told.media_ms, key=lambda at_ms: abs(now_ms - at_ms))
        return structs.replace(lease, beat=furthest(media_ms, lease.beat, told))

    def read_many(self, stream_ids: list[str]) -> dict[str, Lease | None]:
        """Leases by stream, None for those that have no item; what DynamoDB did not get to is left out."""
        table = self._name
        found: dict[str, Lease | None] = dict.fromkeys(stream_ids)
        for start in range(0, len(stream_ids), _BATCH_MAX):
            keys = [_key(stream_id) for stream_id in stream_ids[start : start + _BATCH_MAX]]
            answer: dict[str, Any] = self._dynamodb.batch_get_item(
                RequestItems={table: {"Keys": keys, "ConsistentRead": True}}
            )
            for item in answer["Responses"].get(table, []):
                stream_id = _stream_id(item)
                found[stream_id] = _lease(stream_id, item)
            for key in answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", []):
                found.pop(_stream_id(key), None)
        return found

    def claim(self, lease: Lease, seen_fence: int | None) -> bool:
        """Write the lease, as if media came now; False unless the item has ``seen_fence`` (None: there is no item)."""
        values: dict[str, Any] = {
            ":fence": {"N": str(lease.fence)},
            ":task": {"S": lease.task},
            ":address": {"S": lease.address},
            ":generation": {"N": str(lease.generation)},
            # As if media had come: negotiation takes a moment in which nobody else shall claim.
            ":media": {"N": str(wall_ms())},
            ":msn": {"N": str(lease.beat.last_msn)},
            ":breaks": {"N": str(lease.beat.breaks)},
            ":expires": {"N": str(int(time.time()) + _KEPT_S)},
        }
        condition = "attribute_not_exists(fence)"
        if seen_fence is not None:
            condition = "fence = :seen"
            values[":seen"] = {"N": str(seen_fence)}
        return self._update(
            lease.stream_id,
            "SET fence = :fence, task = :task, address = :address, generation = :generation, media_ms = :media, "
            "last_msn = :msn, breaks = :breaks, expires_at = :expires",
            condition,
            values,
        )

    def renew(self, lease: Lease, beat: Beat) -> bool:
        """Write ``beat`` into the lease; False if another task owns the stream."""
        values = {
            ":fence": {"N": str(lease.fence)},
            ":task": {"S": lease.task},
            ":media": {"N": str(beat.media_ms)},
            ":msn": {"N": str(beat.last_msn)},
            ":breaks": {"N": str(beat.breaks)},
            ":expires": {"N": str(int(time.time()) + _KEPT_S)},
        }
        update = "SET media_ms = :media, last_msn = :msn, breaks = :breaks, expires_at = :expires"
        return self._update(lease.stream_id, update, "fence = :fence AND task = :task", values)

    def tell(self, task: str, beats: dict[str, Beat]) -> None:
        """Write what a task plays, in place of what it told before."""
        # Nobody else writes this item: a task's id is its process's own (identity.py).
        self._dynamodb.update_item(
            TableName=self._name,
            Key=_beat_key(task),
            UpdateExpression="SET beats = :beats, expires_at = :expires",
            ExpressionAttributeValues={
                ":beats": {"S": msgspec.json.encode(beats).decode()},
                ":expires": {"N": str(int(time.time()) + _KEPT_S)},
            },
        )

    def _get_item(self, key: dict[str, dict[str, str]]) -> dict[str, Any] | None:
        answer: dict[str, Any] = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def _update(self, stream_id: str, update: str, condition: str, values: dict[str, Any]) -> bool:
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=_key(stream_id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == _REFUSED:
                return False
            raise
        return True


def wall_ms() -> int:
    """The wall clock's time in ms since 1970."""
    return time.time_ns() // 1_000_000


def furthest(media_ms: int, *beats: Beat) -> Beat:
    """The highest numbers that were told of a stream, with the time of its media."""
    last_msn, breaks = max(beat.last_msn for beat in beats), max(beat.breaks for beat in beats)
    return Beat(media_ms=media_ms, last_msn=last_msn, breaks=breaks)


def _lease(stream_id: str, item: dict[str, Any]) -> Lease:
    def number(name: str) -> int:
        return int(item.get(name, {}).get("N", "0"))

    return Lease(
        stream_id=stream_id,
        fence=number("fence"),
        task=str(item.get("task", {}).get("S", "")),
        address=str(item.get("address", {}).get("S", "")),
        generation=number("generation"),
        beat=Beat(media_ms=number("media_ms"), last_msn=number("last_msn"), breaks=number("breaks")),
        expires_s=number("expires_at"),
    )


def _beats(task: str, item: dict[str, Any]) -> dict[str, Beat]:
    """What a task told of its streams; nothing, as if it were silent, where that cannot be read."""
    try:
        return msgspec.json.decode(item["beats"]["S"], type=dict[str, Beat])
    except (KeyError, msgspec.DecodeError) as error:
        logger.warning("what task %s tells of its streams cannot be read: %s", task, error)
        return {}


def _key(stream_id: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"stream#{stream_id}"}, "sk": {"S": "lease"}}


def _stream_id(item: dict[str, Any]) -> str:
    return str(item["pk"]["S"]).removeprefix("stream#")


def _beat_key(task: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"task#{task}"}, "sk": {"S": "beat"}}
