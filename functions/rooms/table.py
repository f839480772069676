"""The Rooms table: what other capabilities may do with a room. The rooms' own port to it is stored.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.transactions import TransactWrite

from functions import clock, ids, storage, transaction
from functions.rooms.items import (
    ROOM,
    VIEWERS,
    VOTE_PREFIX,
    InboxItem,
    RoomItem,
    VoteItem,
    inbox_item,
    room_key,
)
from functions.rooms.messages import EndedEvent, FollowEvent, Media, RoomEvent, RoomSettings, Sender, ShareEvent
from functions.rooms.model import Member, Room, RoomSummary
from functions.rooms.ring import ring
from functions.rooms.stored import CONDITION_FAILED, StoredRooms, batch_get

BATCH_GET_MAX: Final = 100


def inbox_put(stream_id: str, event: RoomEvent, diamonds_milli: int | None = None) -> InboxItem:
    """The item that puts ``event`` into a room's inbox, for someone else's transaction.

    The caller's own condition must make it happen once (an event that is put again after it left the inbox would be
    shown twice), and the caller rings after the commit.

    Parameters
    ----------
    diamonds_milli : int | None
        What a gift brings its host, in thousandths of a diamond; kept for the summary, not shown.
    """
    return inbox_item(stream_id, event, diamonds_milli)


def open_room(stream_id: str, host: Sender, title: str, epoch: str, settings: RoomSettings | None = None) -> None:
    """Make a stream's room, or open it again: the same ``epoch`` continues its numbering, a new one voids what clients
    hold. Repeating it changes nothing more."""
    RoomItem(room_key(stream_id), ROOM).update(
        [
            RoomItem.epoch.set(epoch),
            RoomItem.host.set(msgspec.json.encode(host).decode()),
            RoomItem.title.set(title),
            RoomItem.live.set(True),
            RoomItem.settings.set(msgspec.json.encode(settings or RoomSettings()).decode()),
            RoomItem.media.set(RoomItem.media | "waiting"),
            RoomItem.joins.set(RoomItem.joins | 0),
            RoomItem.uniques.set(RoomItem.uniques | 0),
        ]
    )


def close_room(stream_id: str, reason: str | None = None) -> None:
    """End a room: it takes nothing more, and its last event is ``ended``. Repeating it only rings again."""
    event = EndedEvent(id=ids.new(), at=clock.rfc3339(clock.now_ms()), reason=reason)

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            write.save(inbox_item(stream_id, event))
            write.update(
                RoomItem(room_key(stream_id), ROOM),
                actions=[RoomItem.live.set(False)],
                condition=RoomItem.live == True,  # noqa: E712 - PynamoDB makes a condition of it
            )

    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        if read_room(stream_id) is None:
            return
    ring(stream_id)


def put_event(stream_id: str, event: RoomEvent) -> None:
    """Put an event into a room and ring (two calls). The caller sees to it that this happens once for an event."""
    inbox_item(stream_id, event).save(InboxItem.pk.does_not_exist())
    ring(stream_id)


def tell_once(stream_id: str, account: str, event: FollowEvent | ShareEvent) -> bool:
    """Put a moment of an account into a live room, once a broadcast; False when it was told before, or none is live."""
    kind = "follow" if isinstance(event, FollowEvent) else "share"
    told = VoteItem(room_key(stream_id), f"{VOTE_PREFIX}{kind}#{account}")

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            write.save(told, condition=VoteItem.pk.does_not_exist())
            write.save(inbox_item(stream_id, event))

    room = read_room(stream_id)
    if room is None or not room.live:
        return False
    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        return False
    ring(stream_id)
    return True


def set_media(stream_id: str, media: Media) -> None:
    """Tell a live room how its picture is; a room that is not live is left as it is."""
    try:
        RoomItem(room_key(stream_id), ROOM).update(
            [RoomItem.media.set(media)],
            (RoomItem.live == True) & (RoomItem.media != media),  # noqa: E712 - PynamoDB makes a condition of it
        )
    except UpdateError as error:
        if error.cause_response_code == CONDITION_FAILED:
            return
        raise
    ring(stream_id)


def read_room(stream_id: str) -> Room | None:
    """A stream's room, or None where it has none yet."""
    try:
        return RoomItem.get(room_key(stream_id), ROOM, consistent_read=True).to_room()
    except DoesNotExist:
        return None


def read_member(stream_id: str, account: str) -> Member | None:
    """An account in a room, or None where it never was there."""
    return StoredRooms().member(stream_id, account)


def read_summary(stream_id: str) -> RoomSummary:
    """A room in numbers (two calls); all zero where there is no room."""
    rooms = StoredRooms()
    state, head = rooms.state(stream_id), rooms.head(stream_id)
    if state is None:
        return RoomSummary()
    totals = head.totals if head else None
    return RoomSummary(
        viewers_peak=totals.viewers_peak if totals else 0,
        viewers_unique=state.room.uniques,
        comments=totals.comments if totals else 0,
        reactions=sum(state.reactions.values()),
        gifts=totals.gifts if totals else 0,
        gift_coins=totals.gift_coins if totals else 0,
        gift_diamonds_milli=totals.gift_diamonds_milli if totals else 0,
    )


def read_viewers(stream_ids: Sequence[str]) -> dict[str, int]:
    """Viewers of each room as last told, 0 where nobody came yet (one call for each hundred)."""
    viewers = dict.fromkeys(stream_ids, 0)
    unique = list(viewers)
    for start in range(0, len(unique), BATCH_GET_MAX):
        keys = [(room_key(stream_id), VIEWERS) for stream_id in unique[start : start + BATCH_GET_MAX]]
        for row in batch_get(keys):
            viewers[str(row["pk"]["S"]).removeprefix("room#")] = int(row["viewers"]["N"])
    return viewers
