"""The Rooms table for those who moderate: settings, members, removals. A change and its event are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from functions import storage, transaction
from functions.rooms.items import (
    CONNECTION_PREFIX,
    FRAME_PREFIX,
    INBOX_PREFIX,
    LAST,
    MEMBER_PREFIX,
    ROOM,
    VOTE_PREFIX,
    ConnectionItem,
    FrameItem,
    MemberItem,
    QuestionItem,
    RawItem,
    RoomItem,
    RoomsItem,
    VoteItem,
    account_key,
    frame_key,
    inbox_item,
    raw_text,
    room_key,
    shard_key,
)
from functions.rooms.messages import ChatEvent, Event, Frame, QuestionEvent, RemovedEvent, RoomEvent
from functions.rooms.model import KEPT_SHARD, Connection, Member, Room
from functions.rooms.removal import redacted_body, tombstone
from functions.rooms.stored import CONDITION_FAILED, StoredRooms, batch_get, leave, unchanged
from functions.rooms.voting import Question

# Frames looked through in one call; a megabyte ends it sooner.
FRAMES_A_CALL: Final = 1_000

# What was removed already may be so again: a first removal may have died halfway.
REMOVABLE: Final = (ChatEvent, QuestionEvent, RemovedEvent)

_events = msgspec.json.Decoder(RoomEvent)
_frames = msgspec.json.Decoder(Frame)


def write_room(before: Room, after: Room, events: Sequence[RoomEvent]) -> bool:
    """Change a room's settings, keywords and pin, and tell; False when someone else did meanwhile."""
    item = RoomItem(room_key(before.stream_id), ROOM)
    actions: list[Action] = [
        RoomItem.settings.set(_json(after.settings)),
        RoomItem.keywords.set(_json(after.keywords)),
        RoomItem.pinned.remove() if after.pinned is None else RoomItem.pinned.set(_json(after.pinned)),
        RoomItem.version.set(before.version + 1),
    ]
    same: Condition = RoomItem.version == before.version
    if before.version == 0:
        same = RoomItem.version.does_not_exist() | same

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            for event in events:
                write.save(inbox_item(before.stream_id, event))
            write.update(item, actions=actions, condition=same)

    return _committed(write_all)


def write_member(
    stream_id: str, before: Member, after: Member, open_sockets: Sequence[Connection], event: RoomEvent | None
) -> bool:
    """Change a member's rights and tell; a ban marks the open sockets to be closed (the sequencer says `bye`).

    False when the member acted, or a socket closed, meanwhile: then look again.
    """
    leaving = open_sockets if after.banned else ()
    staying = open_sockets if after.moderator != before.moderator and not after.banned else ()

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            for one in leaving:
                write.delete(ConnectionItem(account_key(one.account), f"{CONNECTION_PREFIX}{one.id}"))
            if event is not None:
                write.save(inbox_item(stream_id, event))
            for one in leaving:
                leave(write, stream_id, msgspec.structs.replace(one, closing="banned"))
            for one in staying:
                for home in (shard_key(stream_id, one.shard), account_key(one.account)):
                    write.update(
                        ConnectionItem(home, f"{CONNECTION_PREFIX}{one.id}"),
                        actions=[ConnectionItem.sent_all.set(after.moderator)],
                        condition=ConnectionItem.pk.exists(),
                    )
                changed = msgspec.structs.replace(one, sent_all=after.moderator)
                if changed.kept:
                    write.save(ConnectionItem.of_kept(stream_id, changed))
                else:
                    write.delete(ConnectionItem(shard_key(stream_id, KEPT_SHARD), f"{CONNECTION_PREFIX}{one.id}"))
            write.update(
                MemberItem(room_key(stream_id), f"{MEMBER_PREFIX}{after.account}"),
                actions=[
                    MemberItem.version.set(after.version),
                    MemberItem.muted_until_ms.set(after.muted_until_ms),
                    MemberItem.banned.set(after.banned),
                    MemberItem.moderator.set(after.moderator),
                ],
                condition=unchanged(before),
            )

    return _committed(write_all)


class Mention(Struct, frozen=True):
    """A frame whose body names an event, and whether it is the one that holds it."""

    seq: int
    body: str
    holds: bool


def mentions(stream_id: str, event_id: str, from_seq: int) -> Iterator[Mention]:
    """Frames that name an event, newest first, down to the one that holds it or to ``from_seq``."""
    start: Any = None
    while True:
        answer: dict[str, Any] = RoomsItem._get_connection().query(
            room_key(stream_id),
            range_key_condition=RoomsItem.sk.between(frame_key(from_seq), FRAME_PREFIX + LAST),
            filter_condition=FrameItem.body.contains(event_id),
            attributes_to_get=["sk", "body", "event_ids"],
            consistent_read=True,
            exclusive_start_key=start,
            limit=FRAMES_A_CALL,
            scan_index_forward=False,
        )
        rows: list[RawItem] = answer["Items"]
        for row in rows:
            holds = event_id in (raw_text(row, "event_ids") or "").split()
            seq = int(str(row["sk"]["S"]).removeprefix(FRAME_PREFIX))
            yield Mention(seq, raw_text(row, "body") or "{}", holds)
            if holds:
                return
        start = answer.get("LastEvaluatedKey")
        if start is None:
            return


class Found(Struct, frozen=True):
    """An event as it was sent, and the frames that name it (none while it is in the inbox)."""

    event: Event
    named_by: tuple[Mention, ...] = ()


def find_event(stream_id: str, event_id: str, seq: int | None = None) -> Found | None:
    """An event by its id: in the inbox, or in a frame; ``seq`` (no later than its frame) makes the search short."""
    # The inbox first: what leaves it meanwhile is in a frame by then.
    (waiting,) = batch_get([(room_key(stream_id), f"{INBOX_PREFIX}{event_id}")]) or [None]
    named = list(mentions(stream_id, event_id, seq or 1))
    if seq is not None and waiting is None and not any(one.holds for one in named):
        named = list(mentions(stream_id, event_id, 1))
    for one in named:
        if one.holds:
            for event in _frames.decode(one.body).events:
                if event.id == event_id:
                    return Found(event, tuple(named))
    body = raw_text(waiting, "body") if waiting is not None else None
    return None if body is None else Found(_events.decode(body))


def remove_event(room: Room, removal: RoomEvent, found: Found, gone: str) -> None:
    """Take an event's text out of everything: the room's pin and spotlight, its question, inbox and all frames.

    The removal is in the inbox first. What is put into a frame from an older read of the inbox after the frames were
    gone through here, the sequencer redacts (sequencing.py).
    """
    rooms = StoredRooms()
    actions: list[Action] = []
    pinned, showing = room.pinned, room.showing
    if pinned is not None and pinned.id == gone:
        actions.append(RoomItem.pinned.remove())
    if showing is not None and showing.id == gone:
        actions.append(RoomItem.showing.remove())
    told = VoteItem(room_key(room.stream_id), f"{VOTE_PREFIX}removed#{gone}")

    def tell() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            write.save(told, condition=VoteItem.pk.does_not_exist())
            write.save(inbox_item(room.stream_id, removal))

    # Once: a removal that is sent again finishes what the first left, and is no second event.
    _committed(tell)
    # A full inbox is read in parts, and the removal with the first of them.
    rooms.rewrite_inbox(room.stream_id, tombstone(gone, removal.at))
    if actions:
        RoomItem(room_key(room.stream_id), ROOM).update(actions)
    _blank_question(room.stream_id, gone)
    newest = found.named_by[0].seq if found.named_by else 0
    for one in [*mentions(room.stream_id, gone, newest + 1), *found.named_by]:
        body = redacted_body(one.body, {gone})
        if body is not None:
            rooms.rewrite_frame(room.stream_id, one.seq, one.body, body)


def _blank_question(stream_id: str, question_id: str) -> None:
    blank = QuestionItem.of(stream_id, Question(id=question_id, sender=None, text="", at_ms=0, state="dismissed"))
    try:
        blank.update(
            [QuestionItem.question.set(blank.question), QuestionItem.state.set(blank.state)], QuestionItem.pk.exists()
        )
    except UpdateError as error:
        # What was never asked or shown has none.
        if error.cause_response_code != CONDITION_FAILED:
            raise


def _committed(write_all: Callable[[], None]) -> bool:
    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        return False
    return True


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
