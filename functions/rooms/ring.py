"""Waking a room's sequencer: one message to a FIFO queue, however much happened in its slot; or one that waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from functions import aws, clock, settings
from functions.rooms.limits import limits
from functions.rooms.model import slot_of

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
BATCH_MAX: Final = 10
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html
DELAY_S_MAX: Final = 900


RUNG_ROOMS_MAX: Final = 1_000
# The slot in which this container rang a room last, and by which client: the queue has that ring.
_rung: dict[tuple[str, str, str], tuple[Any, int]] = {}


class Ring(Struct, frozen=True):
    """A ring's body: what was committed in ``slot`` of this room waits to be put into a frame."""

    room: str
    slot: int


class Later(Struct, frozen=True):
    """The body of a message that waits: which room to ring."""

    room: str


def ring(stream_id: str) -> None:
    """Ring the room for what was committed before this call.

    The slot is that of now, after the commit: the sequencer reads once more when the slot is over, so a ring that the
    queue drops as a duplicate of an earlier one in the same slot loses nothing. One that this container knows to be
    such is not sent at all: hearts would ring a busy room dozens of times a slot, and each time is paid for.
    """
    slot = slot_of(clock.now_ms(), limits())
    queue_url, queues = settings.required("RING_QUEUE_URL"), aws.client("sqs")
    # By function too: where all run in one process, each still is a container of its own.
    key = (settings.optional("AWS_LAMBDA_FUNCTION_NAME", ""), queue_url, stream_id)
    if _rung.get(key) == (queues, slot):
        return
    queues.send_message(QueueUrl=queue_url, **_message(stream_id, slot))
    if len(_rung) >= RUNG_ROOMS_MAX:
        _rung.clear()
    _rung[key] = (queues, slot)


def ring_later(stream_id: str, at_ms: int) -> None:
    """Have the room rung at ``at_ms`` or up to a second later: for what changes by time alone, a poll that ends.

    By a queue of its own: a FIFO queue delays all its messages alike. Beyond 15 minutes the schedule's ring is first.
    """
    delay_s = min(max(0, -(-(at_ms - clock.now_ms()) // 1000)), DELAY_S_MAX)
    queue_url, body = settings.required("LATER_QUEUE_URL"), msgspec.json.encode(Later(stream_id)).decode()
    aws.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body, DelaySeconds=delay_s)


def ring_all(stream_ids: Sequence[str]) -> list[str]:
    """Ring many rooms, ten a call; answers those that the queue did not take."""
    queue_url, refused = settings.required("RING_QUEUE_URL"), list[str]()
    for start in range(0, len(stream_ids), BATCH_MAX):
        batch = stream_ids[start : start + BATCH_MAX]
        slot = slot_of(clock.now_ms(), limits())
        entries = [{"Id": str(index), **_message(stream_id, slot)} for index, stream_id in enumerate(batch)]
        answer: dict[str, Any] = aws.client("sqs").send_message_batch(QueueUrl=queue_url, Entries=entries)
        refused += [batch[int(failed["Id"])] for failed in answer.get("Failed", [])]
    return refused


def _message(stream_id: str, slot: int) -> dict[str, str]:
    return {
        "MessageBody": msgspec.json.encode(Ring(stream_id, slot)).decode(),
        "MessageGroupId": stream_id,
        "MessageDeduplicationId": f"{stream_id}#{slot}",
    }
