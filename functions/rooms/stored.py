"""`port.Rooms` on DynamoDB and SQS. Reads are strongly consistent; each method is one call where the port says so."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from pynamodb.exceptions import DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from functions import clock, settings, storage, transaction
from functions.accounts import follows
from functions.errors import OnairError
from functions.rooms import ring as ring_queue
from functions.rooms.items import (
    BARRED,
    CONNECTION_PREFIX,
    FRAME_PREFIX,
    INBOX_PREFIX,
    LAST,
    MEMBER_PREFIX,
    QUESTION_PREFIX,
    REACTIONS_PREFIX,
    ROOM,
    STAGE,
    TALLY_PREFIX,
    VIEWERS,
    BarItem,
    ConnectionItem,
    FrameItem,
    InboxItem,
    MemberItem,
    NonceItem,
    QuestionItem,
    RawItem,
    ReactionsItem,
    RoomItem,
    RoomsItem,
    StageItem,
    TallyItem,
    ViewersItem,
    account_key,
    frame_key,
    inbox_item,
    raw_text,
    room_key,
    shard_key,
)
from functions.rooms.messages import ChatEvent, RoomEvent
from functions.rooms.model import (
    KEPT_SHARD,
    REACTIONS,
    Connection,
    InboxEntry,
    Member,
    Room,
    RoomState,
    ShardCount,
    StoredFrame,
)
from functions.rooms.port import Desk, Presence, Refused, Registration
from functions.rooms.seats import Stage
from functions.rooms.voting import Question
from functions.streams import table as streams

JOIN_ATTEMPTS_MAX: Final = 5
CONDITION_FAILED: Final = "ConditionalCheckFailedException"

# Reactions need to know how big a room is, not how big to the viewer: a container reads it every few seconds.
TOLD_MS: Final = 3_000
TOLD_ROOMS_MAX: Final = 1_000

_told: dict[tuple[str, str], tuple[int, int]] = {}
_lock = threading.Lock()
_pools: list[ThreadPoolExecutor] = []


def _pool() -> ThreadPoolExecutor:
    with _lock:
        if not _pools:
            _pools.append(ThreadPoolExecutor(8, thread_name_prefix="rooms"))
        return _pools[0]


class StoredRooms:
    """The port on the Rooms table and the Ring queue."""

    # --- sequencing

    def head(self, stream_id: str) -> StoredFrame | None:
        found = self.newest_frames(stream_id, 1)
        return found[-1] if found else None

    def inbox(self, stream_id: str, limit: int) -> list[InboxEntry]:
        # Raw, not as a model: an item that is not what it should be must become a tombstone, not an exception.
        rows = query(room_key(stream_id), RoomsItem.sk.startswith(INBOX_PREFIX), limit=limit)
        return [
            InboxEntry(
                event_id=str(row["sk"]["S"]).removeprefix(INBOX_PREFIX),
                body=raw_text(row, "body"),
                diamonds_milli=int(row.get("diamonds_milli", {}).get("N", 0)),
            )
            for row in rows
        ]

    def state(self, stream_id: str) -> RoomState | None:
        rows = query(room_key(stream_id), RoomsItem.sk.between(REACTIONS_PREFIX, VIEWERS + LAST))
        room: Room | None = None
        reactions = dict[str, int]()
        viewers: int | None = None
        shards = dict[int, ShardCount]()
        votes = dict[str, int]()
        stage = Stage()
        for row in rows:
            key = str(row["sk"]["S"])
            if key == ROOM:
                room = RoomItem.from_raw_data(row).to_room()
            elif key == STAGE:
                stage = StageItem.from_raw_data(row).to_stage()
            elif key == VIEWERS:
                viewers = int(ViewersItem.from_raw_data(row).viewers)
            elif key.startswith(REACTIONS_PREFIX):
                for emoji, count in ReactionsItem.from_raw_data(row).to_counts().items():
                    reactions[emoji] = reactions.get(emoji, 0) + count
            elif key.startswith(TALLY_PREFIX):
                for name, count in TallyItem.counts(row).items():
                    votes[name] = votes.get(name, 0) + count
            else:
                shard = int(key.removeprefix(f"{VIEWERS}#"))
                told = ViewersItem.from_raw_data(row)
                shards[shard] = ShardCount(int(told.viewers), int(told.at_ms), int(told.looks))
        return None if room is None else RoomState(room, reactions, viewers, shards, votes, stage)

    def questions(self, stream_id: str, question_ids: Sequence[str]) -> list[Question]:
        rows = batch_get([(room_key(stream_id), f"{QUESTION_PREFIX}{one}") for one in question_ids])
        return [QuestionItem.from_raw_data(row).to_question() for row in rows]

    def connections(self, stream_id: str, shard: int, since_ms: int = 0) -> list[Connection]:
        # Read with each frame, so only what posting needs, and no model for each of 400.
        rows = query(
            shard_key(stream_id, shard),
            None,
            filter_condition=ConnectionItem.joined_ms >= since_ms if since_ms else None,
            only=["sk", "account", "shard", "expires_at", "closing", "sent_all", "by_socket"],
        )
        return [
            Connection(
                id=str(row["sk"]["S"]).removeprefix(CONNECTION_PREFIX),
                account=str(row["account"]["S"]),
                shard=int(row["shard"]["N"]),
                expires_s=int(row["expires_at"]["N"]),
                closing=raw_text(row, "closing"),
                sent_all=bool(row.get("sent_all", {}).get("BOOL")),
                by_socket=bool(row.get("by_socket", {}).get("BOOL")),
            )
            for row in rows
        ]

    def count_connections(self, stream_id: str, shard: int, now_s: int) -> int:
        live = (ConnectionItem.expires_at > now_s) & ConnectionItem.closing.does_not_exist()
        return ConnectionItem.count(shard_key(stream_id, shard), filter_condition=live, consistent_read=True)

    def put_frame(self, stream_id: str, frame: StoredFrame) -> bool:
        try:
            FrameItem.of(stream_id, frame).save(FrameItem.pk.does_not_exist())
        except PutError as error:
            if error.cause_response_code == CONDITION_FAILED:
                return False
            raise
        return True

    def rewrite_frame(self, stream_id: str, seq: int, before: str, after: str) -> bool:
        try:
            FrameItem(room_key(stream_id), frame_key(seq)).update([FrameItem.body.set(after)], FrameItem.body == before)
        except UpdateError as error:
            if error.cause_response_code == CONDITION_FAILED:
                return False
            raise
        return True

    def rewrite_inbox(self, stream_id: str, event: RoomEvent) -> bool:
        """Put another event in the place of one that is in the inbox still; False when it is not."""
        item = inbox_item(stream_id, event)
        try:
            item.update([InboxItem.body.set(item.body)], InboxItem.pk.exists())
        except UpdateError as error:
            if error.cause_response_code == CONDITION_FAILED:
                return False
            raise
        return True

    def delete_inbox(self, stream_id: str, event_ids: Sequence[str]) -> None:
        with InboxItem.batch_write() as batch:
            for event_id in event_ids:
                batch.delete(InboxItem(room_key(stream_id), f"{INBOX_PREFIX}{event_id}"))

    def tell_viewers(self, stream_id: str, viewers: int, seq: int) -> None:
        # The slower of two sequencers must not tell what an older frame said after what a newer one says.
        newer = ViewersItem.seq.does_not_exist() | (ViewersItem.seq <= seq)
        try:
            ViewersItem(room_key(stream_id), VIEWERS, viewers=viewers, seq=seq).save(newer)
        except PutError as error:
            if error.cause_response_code != CONDITION_FAILED:
                raise

    def tell_shard(self, stream_id: str, shard: int, count: ShardCount) -> None:
        key = f"{VIEWERS}#{shard}"
        ViewersItem(room_key(stream_id), key, viewers=count.viewers, at_ms=count.at_ms, looks=count.looks).save()

    def forget_connections(self, stream_id: str, gone: Sequence[Connection]) -> None:
        with ConnectionItem.batch_write() as batch:
            for one in gone:
                batch.delete(ConnectionItem(shard_key(stream_id, one.shard), f"{CONNECTION_PREFIX}{one.id}"))
                batch.delete(ConnectionItem(account_key(one.account), f"{CONNECTION_PREFIX}{one.id}"))
                if (one.kept or one.closing) and not one.relay:
                    batch.delete(ConnectionItem(shard_key(stream_id, KEPT_SHARD), f"{CONNECTION_PREFIX}{one.id}"))

    def choose_frames(self, stream_id: str, one: Connection) -> bool:
        key = f"{CONNECTION_PREFIX}{one.id}"
        chosen = ConnectionItem.by_socket.set(True) if one.by_socket else ConnectionItem.by_socket.remove()
        there: Condition = ConnectionItem.pk.exists()

        def write_all() -> None:
            with TransactWrite(connection=storage.connection()) as write:
                if not one.kept:
                    write.delete(ConnectionItem(shard_key(stream_id, KEPT_SHARD), key))
                for home in (shard_key(stream_id, one.shard), account_key(one.account)):
                    write.update(ConnectionItem(home, key), actions=[chosen], condition=there)
                if one.kept:
                    write.save(ConnectionItem.of_kept(stream_id, one))

        try:
            transaction.commit(write_all)
        except transaction.ConditionError:
            return False
        return True

    def tell_stadium(self, stream_id: str, stadium: bool) -> None:
        streams.tell_stadium(stream_id, stadium)

    # --- commenting, reacting

    def desk(self, stream_id: str, account: str, connection_id: str) -> Desk:
        keys = [
            (room_key(stream_id), ROOM),
            (room_key(stream_id), f"{MEMBER_PREFIX}{account}"),
            (account_key(account), f"{CONNECTION_PREFIX}{connection_id}"),
        ]
        room, member, joined = None, Member(account=account), False
        for row in batch_get(keys):
            key = str(row["sk"]["S"])
            if key == ROOM:
                room = RoomItem.from_raw_data(row).to_room()
            elif key.startswith(MEMBER_PREFIX):
                member = MemberItem.from_raw_data(row).to_member()
            else:
                joined = ConnectionItem.from_raw_data(row).stream == stream_id
        return Desk(room, member, joined)

    def commit_comment(self, stream_id: str, before: Member, after: Member, event: RoomEvent) -> bool:
        try:
            with TransactWrite(connection=storage.connection()) as write:
                act(write, stream_id, before, after, event)
        except TransactWriteError as error:
            if error.cause_response_code == "TransactionCanceledException":
                return False
            raise
        return True

    def hold_comment(
        self, stream_id: str, before: Member, after: Member, event: ChatEvent, reasons: Sequence[str]
    ) -> bool:
        from functions.rooms import holding  # which is built on this module

        return holding.hold(stream_id, before, after, event, reasons)

    def is_held(self, stream_id: str, event_id: str) -> bool:
        from functions.rooms import holding

        return holding.read(stream_id, event_id) is not None

    def follows(self, account: str, host_id: str) -> bool:
        return follows.follows(account, host_id)

    def space_reactions(self, account: str, connection_id: str, now_ms: int, interval_ms: int) -> str | None:
        mine = ConnectionItem(account_key(account), f"{CONNECTION_PREFIX}{connection_id}")
        rested = ConnectionItem.reacted_ms.does_not_exist() | (ConnectionItem.reacted_ms <= now_ms - interval_ms)
        try:
            mine.update([ConnectionItem.reacted_ms.set(now_ms)], ConnectionItem.stream.exists() & rested)
        except UpdateError as error:
            if error.cause_response_code != CONDITION_FAILED:
                raise
            there = ConnectionItem.count(
                account_key(account), ConnectionItem.sk == f"{CONNECTION_PREFIX}{connection_id}", consistent_read=True
            )
            return "rate_limited" if there else "conflict"
        return None

    def told_viewers(self, stream_id: str) -> int:
        key, now_ms = (settings.required("ROOMS_TABLE"), stream_id), clock.now_ms()
        found = _told.get(key)
        if found is None or not found[0] <= now_ms < found[0] + TOLD_MS:
            rows = query(room_key(stream_id), RoomsItem.sk == VIEWERS)
            found = now_ms, int(ViewersItem.from_raw_data(rows[0]).viewers) if rows else 0
            if len(_told) >= TOLD_ROOMS_MAX:
                _told.clear()
            _told[key] = found
        return found[1]

    def add_reactions(self, stream_id: str, shard: int, taps: dict[str, int]) -> None:
        kinds: dict[str, Any] = ReactionsItem.get_attributes()
        ReactionsItem(room_key(stream_id), f"{REACTIONS_PREFIX}{shard}").update(
            [kinds[REACTIONS[emoji]].add(count) for emoji, count in taps.items()]
        )

    # --- joining

    def member(self, stream_id: str, account: str) -> Member | None:
        try:
            found = MemberItem.get(room_key(stream_id), f"{MEMBER_PREFIX}{account}", consistent_read=True)
        except DoesNotExist:
            return None
        return found.to_member()

    def presence(self, account: str) -> Presence:
        connections, barred = list[tuple[str, Connection]](), None
        for row in query(account_key(account), None):
            if row["sk"]["S"] == BARRED:
                mark = BarItem.from_raw_data(row)
                until_ms: Any = mark.until_ms
                if until_ms is None or clock.now_ms() < until_ms:
                    barred = mark.code
            else:
                found = ConnectionItem.from_raw_data(row)
                connections.append((found.stream, found.to_connection()))
        return Presence(connections, barred)

    def account_connections(self, account: str) -> list[tuple[str, Connection]]:
        return self.presence(account).connections

    def count_join(self, stream_id: str, unique: bool) -> Room | None:
        item = RoomItem(room_key(stream_id), ROOM)
        actions: list[Action] = [RoomItem.joins.add(1)]
        if unique:
            actions.append(RoomItem.uniques.add(1))
        for attempt in range(JOIN_ATTEMPTS_MAX):
            try:
                item.update(actions, RoomItem.live == True)  # noqa: E712 - PynamoDB makes a condition of it
                return item.to_room()
            except UpdateError as error:
                if error.cause_response_code == CONDITION_FAILED:
                    return None
                # Someone changes settings or begins a poll at this moment.
                if error.cause_response_code != "TransactionConflictException":
                    raise
            clock.sleep_ms(transaction.BACKOFF_MS * 2**attempt * random.random())
        raise OnairError("unavailable")

    def register(self, registration: Registration) -> Refused | None:
        stream_id, one = registration.stream_id, registration.connection

        def write_all() -> None:
            with TransactWrite(connection=storage.connection()) as write:
                for _, old in registration.evicted:
                    write.delete(ConnectionItem(account_key(old.account), f"{CONNECTION_PREFIX}{old.id}"))
                write.save(
                    NonceItem(
                        f"nonce#{registration.nonce}",
                        "nonce",
                        connection=one.id,
                        expires_at=registration.nonce_expires_s,
                    ),
                    condition=NonceItem.pk.does_not_exist() | (NonceItem.connection == one.id),
                )
                if registration.new_member is not None:
                    key = f"{MEMBER_PREFIX}{registration.new_member.account}"
                    write.save(MemberItem(room_key(stream_id), key), condition=MemberItem.pk.does_not_exist())
                elif registration.member is not None:
                    # A ban closes the sockets that it finds: one that opens at that moment must not slip past it.
                    write.condition_check(
                        MemberItem,
                        room_key(stream_id),
                        f"{MEMBER_PREFIX}{registration.member}",
                        MemberItem.banned.does_not_exist() | (MemberItem.banned == False),  # noqa: E712
                    )
                write.save(ConnectionItem.of_shard(stream_id, one))
                write.save(ConnectionItem.of_account(stream_id, one))
                if one.kept and not one.relay:
                    write.save(ConnectionItem.of_kept(stream_id, one))
                for stream, old in registration.evicted:
                    leave(write, stream, old)
                if registration.event is not None:
                    write.save(inbox_item(stream_id, registration.event))

        try:
            transaction.commit(write_all)
        except transaction.ConditionError as error:
            # PynamoDB sends checks first, then deletes, then puts: the nonce is the first of these.
            checks = int(registration.new_member is None and registration.member is not None)
            if len(registration.evicted) + checks in error.failed:
                return "nonce"
            return "banned" if checks else "member"
        return None

    def frames_after(self, stream_id: str, after: int, limit: int) -> list[StoredFrame]:
        rows = query(room_key(stream_id), RoomsItem.sk.between(frame_key(after + 1), FRAME_PREFIX + LAST), limit=limit)
        return [FrameItem.from_raw_data(row).to_frame() for row in rows]

    def newest_frames(self, stream_id: str, limit: int) -> list[StoredFrame]:
        rows = query(room_key(stream_id), RoomsItem.sk.startswith(FRAME_PREFIX), limit=limit, newest=True)
        return [FrameItem.from_raw_data(row).to_frame() for row in reversed(rows)]

    # --- all

    def ring(self, stream_id: str) -> None:
        ring_queue.ring(stream_id)

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        # Each thread gets the caller's context: the function's settings and the call counter live there.
        waiting = [_pool().submit(copy_context().run, call) for call in calls]
        return [one.result() for one in waiting]

    def refresh(self, account: str, connection_id: str, expires_s: int) -> Connection | None:
        """Keep a connection alive until then, wherever it stands (two calls, or three); None when it is in no room."""
        mine = ConnectionItem(account_key(account), f"{CONNECTION_PREFIX}{connection_id}")
        try:
            mine.update([ConnectionItem.expires_at.set(expires_s)], ConnectionItem.stream.exists())
            found = mine.to_connection()
            for shard in {found.shard, KEPT_SHARD} if found.kept else {found.shard}:
                ConnectionItem(shard_key(mine.stream, shard), mine.sk).update(
                    [ConnectionItem.expires_at.set(expires_s)], ConnectionItem.stream.exists()
                )
        except UpdateError as error:
            if error.cause_response_code == CONDITION_FAILED:
                return None
            raise
        return found


def unchanged(before: Member) -> Condition:
    """That nobody wrote this member since it was read."""
    same: Condition = MemberItem.version == before.version
    return MemberItem.version.does_not_exist() | same if before.version == 0 else same


def leave(write: TransactWrite, stream_id: str, one: Connection) -> None:
    """Mark a connection as ``closing`` in its shard, and where a stadium finds it too: there nobody reads shards."""
    write.save(ConnectionItem.of_shard(stream_id, one))
    if not one.relay:
        write.save(ConnectionItem.of_kept(stream_id, one))


def act(write: TransactWrite, stream_id: str, before: Member, after: Member, event: RoomEvent) -> None:
    """What every act of a member writes: the event, and the member as `model.admit` made it."""
    write.save(inbox_item(stream_id, event), condition=InboxItem.pk.does_not_exist())
    act_of_member(write, stream_id, before, after)


def act_of_member(write: TransactWrite, stream_id: str, before: Member, after: Member) -> None:
    """The member as `model.admit` made it, where nobody wrote it meanwhile."""
    write.update(
        MemberItem(room_key(stream_id), f"{MEMBER_PREFIX}{after.account}"),
        actions=[
            MemberItem.version.set(after.version),
            MemberItem.arrival_ms.set(after.arrival_ms),
            MemberItem.commented_ms.set(after.commented_ms),
            MemberItem.recent.set(after.recent),
        ],
        condition=unchanged(before),
    )


def query(
    key: str,
    range_condition: Condition | None,
    limit: int | None = None,
    newest: bool = False,
    filter_condition: Condition | None = None,
    only: list[str] | None = None,
) -> list[RawItem]:
    """All raw items of a partition within the condition, ≤ ``limit`` (one call for each megabyte)."""
    rows = list[RawItem]()
    start: Any = None
    while True:
        answer: dict[str, Any] = RoomsItem._get_connection().query(
            key,
            range_key_condition=range_condition,
            filter_condition=filter_condition,
            attributes_to_get=only,
            consistent_read=True,
            exclusive_start_key=start,
            limit=None if limit is None else limit - len(rows),
            scan_index_forward=not newest,
        )
        rows += answer["Items"]
        start = answer.get("LastEvaluatedKey")
        if start is None or (limit is not None and len(rows) >= limit):
            return rows


def batch_get(keys: Sequence[tuple[str, str]]) -> list[RawItem]:
    """Raw items of ≤100 keys; asks again for what the service left out."""
    table = RoomsItem._get_connection()
    wanted: list[Any] = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys]
    rows = list[RawItem]()
    while wanted:
        request = [{"pk": key["pk"]["S"], "sk": key["sk"]["S"]} for key in wanted]
        keyed: Any = request
        answer: dict[str, Any] = table.batch_get_item(keyed, consistent_read=True)
        rows += answer["Responses"].get(table.table_name, [])
        wanted = answer.get("UnprocessedKeys", {}).get(table.table_name, {}).get("Keys", [])
    return rows
