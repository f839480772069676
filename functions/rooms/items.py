"""The Rooms table's items as PynamoDB models, and how each becomes a record of model.py.

| pk                     | sk                     | item |
|------------------------|------------------------|------|
| room#{stream}          | room                   | the room itself |
| room#{stream}          | viewers, viewers#{n}   | viewers told last: of all, of shard n |
| room#{stream}          | reactions#{n}          | counters of shard n |
| room#{stream}          | stage                  | seats: who is on screen, invited or waiting |
| room#{stream}          | tally#{n}              | votes and upvotes counted in shard n |
| room#{stream}          | vote#{target}#{account}| that this account voted, and what |
| room#{stream}          | question#{id}          | a question, or a comment shown like one |
| room#{stream}          | member#{account}       | an account in the room |
| room#{stream}          | inbox#{event}          | an event that is in no frame yet |
| room#{stream}          | held#{event}           | a comment that waits for a moderator |
| room#{stream}          | frame#{seq}            | a frame |
| room#{stream}#shard#{n}| connection#{id}        | an open socket, found by its room |
| room#{stream}#shard#-1 | connection#{id}        | a relay; the sockets that a stadium posts to as well |
| account#{account}      | connection#{id}        | the same, found by its account |
| seats#{account}        | room#{stream}          | that the account is on the stage there, or waits |
| nonce#{nonce}          | nonce                  | a ticket that was used |

`reactions#`, `room`, `stage`, `tally#` and `viewers` stand side by side in the key's order: one query reads a room with
its counts and seats.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pynamodb.attributes import BinaryAttribute, BooleanAttribute, NumberAttribute, UnicodeAttribute

from functions.rooms.messages import ChatEvent, RoomEvent, RoomSettings, Sender
from functions.rooms.model import KEPT_SHARD, REACTIONS, Connection, Member, Room, StoredFrame, Totals
from functions.rooms.seats import Stage
from functions.rooms.voting import Poll, Question, Told
from functions.storage import StoredItem

ROOM: Final = "room"
STAGE: Final = "stage"
VIEWERS: Final = "viewers"
REACTIONS_PREFIX: Final = "reactions#"
INBOX_PREFIX: Final = "inbox#"
HELD_PREFIX: Final = "held#"
FRAME_PREFIX: Final = "frame#"
MEMBER_PREFIX: Final = "member#"
CONNECTION_PREFIX: Final = "connection#"
BARRED: Final = "barred"
TALLY_PREFIX: Final = "tally#"
VOTE_PREFIX: Final = "vote#"
QUESTION_PREFIX: Final = "question#"
RawItem = dict[str, dict[str, Any]]
# Sorts after every key of a prefix that consists of ASCII.
LAST: Final = "~"


def room_key(stream_id: str) -> str:
    return f"room#{stream_id}"


def shard_key(stream_id: str, shard: int) -> str:
    return f"room#{stream_id}#shard#{shard}"


def account_key(account: str) -> str:
    return f"account#{account}"


def seats_key(account: str) -> str:
    return f"seats#{account}"


def frame_key(seq: int) -> str:
    return f"{FRAME_PREFIX}{seq:010d}"


class RoomsItem(StoredItem):
    """What all items of the table share."""

    class Meta(StoredItem.Meta):
        # Its own, or threads that use other tables would change the name under this one's feet.
        table_name = "rooms"

    table_setting = "ROOMS_TABLE"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class RoomItem(RoomsItem):
    """The room itself. What is no number or truth value is JSON of its type."""

    epoch = UnicodeAttribute()
    host = UnicodeAttribute()
    title = UnicodeAttribute()
    live = BooleanAttribute()
    settings = UnicodeAttribute(default="{}")
    media = UnicodeAttribute(default="waiting")
    joins = NumberAttribute(default=0)
    uniques = NumberAttribute(default=0)
    keywords = UnicodeAttribute(default="[]")
    pinned = UnicodeAttribute(null=True)
    showing = UnicodeAttribute(null=True)
    poll = UnicodeAttribute(null=True)
    version = NumberAttribute(default=0)

    def to_room(self) -> Room:
        media = self.media
        assert media in ("waiting", "flowing", "lost"), f"media {media} is not one of the stream's states"
        return Room(
            stream_id=self.pk.removeprefix("room#"),
            epoch=self.epoch,
            host=msgspec.json.decode(self.host, type=Sender),
            title=self.title,
            live=self.live,
            settings=msgspec.json.decode(self.settings, type=RoomSettings),
            media=media,
            joins=int(self.joins),
            uniques=int(self.uniques),
            keywords=msgspec.json.decode(self.keywords, type=tuple[str, ...]),
            pinned=msgspec.json.decode(self.pinned, type=ChatEvent) if self.pinned else None,
            showing=msgspec.json.decode(self.showing, type=Question) if self.showing else None,
            poll=msgspec.json.decode(self.poll, type=Poll) if self.poll else None,
            version=int(self.version),
        )


class StageItem(RoomsItem):
    """The room's seats; ``version`` stands outside the JSON for conditions."""

    version = NumberAttribute()
    stage = UnicodeAttribute()

    @classmethod
    def of(cls, stream_id: str, stage: Stage) -> StageItem:
        return cls(room_key(stream_id), STAGE, version=stage.version, stage=msgspec.json.encode(stage).decode())

    def to_stage(self) -> Stage:
        return msgspec.json.decode(self.stage, type=Stage)


class ViewersItem(RoomsItem):
    """Live connections, as last counted, and since when there are so many; of all, also the frame that told it."""

    viewers = NumberAttribute()
    at_ms = NumberAttribute(default=0)
    seq = NumberAttribute(null=True)
    looks = NumberAttribute(default=0)


class ReactionsItem(RoomsItem):
    """Taps counted in one shard, one attribute a kind; reactions are folded from all shards."""

    heart = NumberAttribute(null=True)
    laugh = NumberAttribute(null=True)
    wow = NumberAttribute(null=True)
    sad = NumberAttribute(null=True)
    clap = NumberAttribute(null=True)
    fire = NumberAttribute(null=True)
    party = NumberAttribute(null=True)
    like = NumberAttribute(null=True)

    def to_counts(self) -> dict[str, int]:
        values = self.attribute_values
        return {emoji: int(values[name]) for emoji, name in REACTIONS.items() if values.get(name)}


class MemberItem(RoomsItem):
    """An account in the room."""

    version = NumberAttribute(default=0)
    arrival_ms = NumberAttribute(default=0)
    commented_ms = NumberAttribute(default=0)
    recent = BinaryAttribute(legacy_encoding=False, default=b"")
    muted_until_ms = NumberAttribute(default=0)
    banned = BooleanAttribute(default=False)
    moderator = BooleanAttribute(default=False)

    def to_member(self) -> Member:
        return Member(
            account=self.sk.removeprefix(MEMBER_PREFIX),
            version=int(self.version),
            arrival_ms=int(self.arrival_ms),
            commented_ms=int(self.commented_ms),
            recent=self.recent,
            muted_until_ms=int(self.muted_until_ms),
            banned=self.banned,
            moderator=self.moderator,
        )


class TallyItem(RoomsItem):
    """Votes counted in one shard: an attribute for each option and question, named by voting.py."""

    @staticmethod
    def counts(raw: RawItem) -> dict[str, int]:
        return {name: int(value["N"]) for name, value in raw.items() if "N" in value}


class VoteItem(RoomsItem):
    """That an account voted in a poll (which ``option``) or for a question."""

    option = NumberAttribute(default=0)


class QuestionItem(RoomsItem):
    """A question. ``state`` stands beside its JSON, for conditions."""

    question = UnicodeAttribute()
    state = UnicodeAttribute()

    @staticmethod
    def of(stream_id: str, question: Question) -> QuestionItem:
        return QuestionItem(
            room_key(stream_id),
            f"{QUESTION_PREFIX}{question.id}",
            question=msgspec.json.encode(question).decode(),
            state=question.state,
        )

    def to_question(self) -> Question:
        return msgspec.json.decode(self.question, type=Question)


class HeldItem(RoomsItem):
    """A comment that waits for a moderator: ``body`` is its event's JSON, ``reasons`` why, with commas between."""

    body = UnicodeAttribute()
    reasons = UnicodeAttribute()
    expires_at = NumberAttribute()


class InboxItem(RoomsItem):
    """An event that is in no frame yet: ``body`` is its JSON, ``diamonds_milli`` what a gift brings its host."""

    body = UnicodeAttribute()
    diamonds_milli = NumberAttribute(null=True)


def inbox_item(stream_id: str, event: RoomEvent, diamonds_milli: int | None = None) -> InboxItem:
    """The item that puts ``event`` into a room's inbox."""
    return InboxItem(
        room_key(stream_id),
        f"{INBOX_PREFIX}{event.id}",
        body=msgspec.json.encode(event).decode(),
        diamonds_milli=diamonds_milli,
    )


class FrameItem(RoomsItem):
    """A frame: ``body`` as clients get it, the rest what the next frame builds on."""

    epoch = UnicodeAttribute()
    at_ms = NumberAttribute()
    read_ms = NumberAttribute()
    tick_ms = NumberAttribute()
    viewers = NumberAttribute()
    media = UnicodeAttribute()
    reactions = UnicodeAttribute()
    totals = UnicodeAttribute()
    event_ids = UnicodeAttribute(null=True)
    body = UnicodeAttribute()
    ended = BooleanAttribute(default=False)
    told = UnicodeAttribute(default="{}")
    lines_ms = NumberAttribute(default=0)
    stadium = BooleanAttribute(default=False)
    transport = UnicodeAttribute(default="socket")
    switched = BooleanAttribute(default=False)

    @staticmethod
    def of(stream_id: str, frame: StoredFrame) -> FrameItem:
        return FrameItem(
            room_key(stream_id),
            frame_key(frame.seq),
            epoch=frame.epoch,
            at_ms=frame.at_ms,
            read_ms=frame.read_ms,
            tick_ms=frame.tick_ms,
            viewers=frame.viewers,
            media=frame.media,
            reactions=msgspec.json.encode(frame.reactions).decode(),
            totals=msgspec.json.encode(frame.totals).decode(),
            event_ids=" ".join(frame.event_ids) or None,
            body=frame.body,
            ended=frame.ended,
            told=msgspec.json.encode(frame.told).decode(),
            lines_ms=frame.lines_ms,
            stadium=frame.stadium,
            transport=frame.transport,
            switched=frame.switched,
        )

    def to_frame(self) -> StoredFrame:
        media = self.media
        assert media in ("waiting", "flowing", "lost"), f"media {media} is not one of the stream's states"
        transport = self.transport
        assert transport in ("socket", "media"), f"transport {transport} is none"
        return StoredFrame(
            seq=int(self.sk.removeprefix(FRAME_PREFIX)),
            epoch=self.epoch,
            at_ms=int(self.at_ms),
            read_ms=int(self.read_ms),
            tick_ms=int(self.tick_ms),
            viewers=int(self.viewers),
            media=media,
            reactions=msgspec.json.decode(self.reactions, type=dict[str, int]),
            totals=msgspec.json.decode(self.totals, type=Totals),
            event_ids=tuple((self.event_ids or "").split()),
            body=self.body,
            ended=self.ended,
            told=msgspec.json.decode(self.told, type=Told),
            lines_ms=float(self.lines_ms),
            stadium=self.stadium,
            transport=transport,
            switched=self.switched,
        )


class ConnectionItem(RoomsItem):
    """An open socket; kept twice, under its room's shard and under its account, and a third time for stadiums where
    it is one of those that they post to. ``reacted_ms`` spaces out reactions."""

    stream = UnicodeAttribute()
    account = UnicodeAttribute()
    shard = NumberAttribute()
    joined_ms = NumberAttribute()
    reacted_ms = NumberAttribute(null=True)
    closing = UnicodeAttribute(null=True)
    sent_all = BooleanAttribute(null=True)
    by_socket = BooleanAttribute(null=True)
    expires_at = NumberAttribute()

    @staticmethod
    def of_shard(stream_id: str, one: Connection) -> ConnectionItem:
        return _connection_item(shard_key(stream_id, one.shard), stream_id, one)

    @staticmethod
    def of_kept(stream_id: str, one: Connection) -> ConnectionItem:
        return _connection_item(shard_key(stream_id, KEPT_SHARD), stream_id, one)

    @staticmethod
    def of_account(stream_id: str, one: Connection) -> ConnectionItem:
        return _connection_item(account_key(one.account), stream_id, one)

    def to_connection(self) -> Connection:
        return Connection(
            id=self.sk.removeprefix(CONNECTION_PREFIX),
            account=self.account,
            shard=int(self.shard),
            expires_s=int(self.expires_at),
            joined_ms=int(self.joined_ms),
            closing=self.closing,
            sent_all=bool(self.sent_all),
            by_socket=bool(self.by_socket),
        )


def _connection_item(key: str, stream_id: str, one: Connection) -> ConnectionItem:
    return ConnectionItem(
        key,
        f"{CONNECTION_PREFIX}{one.id}",
        stream=stream_id,
        account=one.account,
        shard=one.shard,
        joined_ms=one.joined_ms,
        closing=one.closing,
        sent_all=one.sent_all or None,
        by_socket=one.by_socket or None,
        expires_at=one.expires_s,
    )


class BarItem(RoomsItem):
    """``account#{id}`` / ``barred``: with which code, and until when (absent: until it is let in again)."""

    code = UnicodeAttribute()
    until_ms = NumberAttribute(null=True)


class SeatItem(RoomsItem):
    """That an account is on a room's stage: how its seats are found when it has no socket open. Broadcasts end without
    emptying their stages, so it goes by itself as well."""

    expires_at = NumberAttribute()


class NonceItem(RoomsItem):
    """A ticket that was used, and by which connection: the same socket may say `join` again."""

    connection = UnicodeAttribute()
    expires_at = NumberAttribute()


def raw_text(raw: RawItem, name: str) -> str | None:
    """An attribute of a raw item where it is text; None for anything else."""
    value = raw.get(name, {}).get("S")
    return value if isinstance(value, str) else None
