"""The Rooms table for comments that wait for a moderator: held in place of the inbox, released into it, or rejected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace
from pynamodb.exceptions import DeleteError, DoesNotExist
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.rooms.items import (
    HELD_PREFIX,
    MEMBER_PREFIX,
    HeldItem,
    InboxItem,
    MemberItem,
    RawItem,
    inbox_item,
    raw_text,
    room_key,
)
from functions.rooms.messages import ChatEvent
from functions.rooms.model import Member
from functions.rooms.stored import CONDITION_FAILED, act_of_member, query, unchanged
from functions.rooms.views import HeldComment, HeldComments

# Nobody releases yesterday's comment, and what was held for a phone number should not lie about.
KEPT_S: Final = 24 * 3600
SHOWN_MAX: Final = 100

_comments = msgspec.json.Decoder(ChatEvent)


def hold(stream_id: str, before: Member, after: Member, event: ChatEvent, reasons: Sequence[str]) -> bool:
    """Record a comment that waits (one transaction of two items, as one that is shown); False when the member acted
    meanwhile, or this very comment is held already."""
    item = HeldItem(
        room_key(stream_id),
        f"{HELD_PREFIX}{event.id}",
        body=msgspec.json.encode(event).decode(),
        reasons=",".join(reasons),
        expires_at=clock.now_ms() // 1000 + KEPT_S,
    )

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            write.save(item, condition=HeldItem.pk.does_not_exist())
            act_of_member(write, stream_id, before, after)

    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        return False
    return True


def read(stream_id: str, event_id: str) -> HeldComment | None:
    """A comment that waits, or None."""
    try:
        item = HeldItem.get(room_key(stream_id), f"{HELD_PREFIX}{event_id}", consistent_read=True)
    except DoesNotExist:
        return None
    return _comment(item)


def waiting(stream_id: str) -> HeldComments:
    """What waits, oldest first (one query)."""
    found = [_comment(HeldItem.from_raw_data(row)) for row in _live(stream_id)]
    found.sort(key=lambda one: (one.event.at, one.event.id))
    return HeldComments(found[:SHOWN_MAX], len(found) > SHOWN_MAX)


def count(stream_id: str) -> int:
    """How many wait (one query)."""
    return len(_live(stream_id))


def release(stream_id: str, held: HeldComment, author: Member, now_ms: int) -> bool:
    """Put a held comment into the room as of now; False when someone decided before, or its author's rights changed.

    The author's version is a condition: a mute that comes at this moment keeps the comment out, as it keeps out one
    that is just being written.
    """
    event = replace(held.event, at=clock.rfc3339(now_ms))

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            write.condition_check(
                MemberItem, room_key(stream_id), f"{MEMBER_PREFIX}{author.account}", unchanged(author)
            )
            write.delete(HeldItem(room_key(stream_id), f"{HELD_PREFIX}{event.id}"), condition=HeldItem.pk.exists())
            write.save(inbox_item(stream_id, event), condition=InboxItem.pk.does_not_exist())

    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        return False
    return True


def reject(stream_id: str, event_id: str) -> bool:
    """Forget a held comment; False when someone decided before."""
    try:
        HeldItem(room_key(stream_id), f"{HELD_PREFIX}{event_id}").delete(HeldItem.pk.exists())
    except DeleteError as error:
        if error.cause_response_code == CONDITION_FAILED:
            return False
        raise
    return True


def _live(stream_id: str) -> list[RawItem]:
    rows = query(room_key(stream_id), HeldItem.sk.startswith(HELD_PREFIX))
    # TTL deletes late: what is over is over.
    now_s = clock.now_ms() // 1000
    return [row for row in rows if raw_text(row, "body") is not None and int(row["expires_at"]["N"]) > now_s]


def _comment(item: HeldItem) -> HeldComment:
    return HeldComment(_comments.decode(item.body), tuple(item.reasons.split(",")))
