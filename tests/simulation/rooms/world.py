"""A world with one room that is as unkind as the service: calls interleave, and crash before or after they take effect;
clocks differ; the queue drops rings of one slot, delivers twice and to two sequencers at once.

Everything runs in one thread, on greenlets that change places at each call, by one seeded random: a seed replays a run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import greenlet
from msgspec.structs import replace

from functions import clock
from functions.rooms.deliver import Delivery, deliver
from functions.rooms.items import inbox_item
from functions.rooms.messages import RemovedEvent, RoomEvent, Sender
from functions.rooms.model import (
    KEPT_SHARD,
    Connection,
    InboxEntry,
    Limits,
    Member,
    Room,
    RoomState,
    ShardCount,
    StoredFrame,
    slot_of,
)
from functions.rooms.port import Desk, Presence, Refused, Registration
from functions.rooms.removal import redacted_body, tombstone
from functions.rooms.sequencing import sequence
from functions.rooms.voting import Question

STREAM = "stream-1"
EPOCH = "e1"
START_MS = 1_800_000_000_000
VISIBILITY_MS = 5_000
RECEIVES_MAX = 5


class CrashError(BaseException):
    """The function died here; what it did before stands. Not an `Exception`: nothing may catch it but the world."""


@dataclass
class Plan:
    """How unkind this run is: probabilities a call, and clock differences in ms."""

    crash_before: float
    crash_after: float
    post_lost: float
    call_ms_max: int
    skew_ms_max: int
    two_at_once: float
    delete_lost: float
    shard_size: int
    inbox_read_max: int
    # From so many viewers on frames travel in the media, where each of them may miss some.
    stadium_viewers: int
    media_lost: float

    @property
    def healthy(self) -> bool:
        """Nothing dies, nothing is lost and nothing is slow; others may still come between any two calls."""
        dead = self.crash_before + self.crash_after + self.post_lost + self.media_lost + self.delete_lost
        return dead == 0 and self.call_ms_max <= 8

    @staticmethod
    def drawn(rng: random.Random) -> Plan:
        healthy = rng.random() < 0.25
        return Plan(
            crash_before=0.0 if healthy else rng.choice([0.0, 0.01, 0.04]),
            crash_after=0.0 if healthy else rng.choice([0.0, 0.01, 0.04]),
            post_lost=0.0 if healthy else rng.choice([0.0, 0.05, 0.3]),
            call_ms_max=rng.choice([1, 8] if healthy else [1, 8, 60]),
            # Two clocks may be apart by twice this: within the guard of 30 ms.
            skew_ms_max=rng.choice([0, 10, 14]),
            two_at_once=rng.choice([0.0, 0.3]),
            # A ring that was dealt with comes again, as when the poller's delete does not arrive.
            delete_lost=0.0 if healthy else rng.choice([0.0, 0.0, 0.05]),
            shard_size=rng.choice([400, 3]),
            inbox_read_max=rng.choice([500, 500, 4]),
            stadium_viewers=rng.choice([5_000, 2, 3, 4]),
            media_lost=0.0 if healthy else rng.choice([0.0, 0.1]),
        )


class Actor(greenlet.greenlet):
    """Something that runs by itself, on a host with a clock of its own."""

    wake_ms: float = 0
    skew_ms: int = 0


@dataclass
class Message:
    """A ring in the queue."""

    slot: int
    visible_ms: float
    receives: int = 0


class World:
    """Time, actors, the queue, and what is stored. Implements `clock.Clock`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.plan = Plan.drawn(self.rng)
        self.limits = Limits(
            shard_size=self.plan.shard_size,
            inbox_read_max=self.plan.inbox_read_max,
            empty_shard_ms=35_000,
            joins_a_slot=8,
            stadium_viewers=self.plan.stadium_viewers,
            # What is not shown is not lost: here every client must hold every event.
            display_lines_s=10_000,
        )
        self.now = float(START_MS)
        self.actors: list[Actor] = []
        self.calls = 0
        self.kind = False
        self.rooms = FakeRooms(self)
        self.sockets = FakeSockets(self)
        self.media = FakeMedia(self)
        self.people: list[Any] = []
        self.queue: list[Message] = []
        self.slots_seen: set[int] = set()
        self.in_flight: list[Message] = []
        self.trace: list[str] = []

    # --- time and turns

    def now_ms(self) -> int:
        return int(self.now) + getattr(greenlet.getcurrent(), "skew_ms", 0)

    def sleep_ms(self, duration_ms: float) -> None:
        actor = greenlet.getcurrent()
        assert isinstance(actor, Actor)
        actor.wake_ms = self.now + max(0.0, duration_ms)
        self.main.switch()

    def start(self, run: Callable[[], None]) -> Actor:
        actor = Actor(run, parent=self.main)
        actor.skew_ms = self.rng.randint(-self.plan.skew_ms_max, self.plan.skew_ms_max)
        actor.wake_ms = self.now + self.rng.random() * 50
        self.actors.append(actor)
        return actor

    def run_until(self, done: Callable[[], bool], bound_ms: float) -> None:
        """Let actors take turns until ``done``; fails when that takes longer than ``bound_ms``."""
        end = self.now + bound_ms
        while not done():
            self.actors = [actor for actor in self.actors if not actor.dead]
            assert self.actors, "nobody is left to do anything"
            ready = [actor for actor in self.actors if actor.wake_ms <= self.now]
            if not ready:
                self.now = min(actor.wake_ms for actor in self.actors)
                assert self.now <= end, f"seed {self.seed}: not done within {bound_ms / 1000:.0f} s"
                continue
            self.rng.choice(ready).switch()

    @property
    def main(self) -> greenlet.greenlet:
        return self._main

    def live(self) -> None:
        """Make this world the process's clock."""
        self._main = greenlet.getcurrent()
        clock.use(self)
        random.seed(self.seed)

    # --- calls

    def call(self, name: str, effect: Callable[[], Any]) -> Any:
        """One call to AWS: others may come between, and the caller may die before or after it takes effect."""
        self.calls += 1
        self.sleep_ms(self.rng.random() * self.plan.call_ms_max)
        self.trace.append(f"{self.now - START_MS:9.1f} {name}")
        if not self.kind and self.rng.random() < self.plan.crash_before:
            raise CrashError(f"before {name}")
        result = effect()
        if not self.kind and self.rng.random() < self.plan.crash_after:
            raise CrashError(f"after {name}")
        self.sleep_ms(self.rng.random() * self.plan.call_ms_max / 4)
        return result

    # --- the queue and its consumers

    def send_ring(self) -> None:
        slot = slot_of(self.now_ms(), self.limits)
        if slot not in self.slots_seen:
            self.slots_seen.add(slot)
            self.queue.append(Message(slot, self.now))

    def consume(self) -> None:
        """A poller of the queue: takes the oldest visible ring, as a FIFO group allows, or now and then against it."""
        while True:
            self.sleep_ms(5 + self.rng.random() * 20)
            visible = [one for one in self.queue if one.visible_ms <= self.now]
            busy = any(one.visible_ms > self.now for one in self.queue)
            if not visible or (busy and (self.kind or self.rng.random() > self.plan.two_at_once)):
                continue
            taken = visible[0]
            taken.receives += 1
            if taken.receives > RECEIVES_MAX:
                self.queue.remove(taken)
                continue
            taken.visible_ms = self.now + VISIBILITY_MS
            # Each container has its own clock.
            actor = greenlet.getcurrent()
            assert isinstance(actor, Actor)
            actor.skew_ms = self.rng.randint(-self.plan.skew_ms_max, self.plan.skew_ms_max)
            self.in_flight.append(taken)
            try:
                sequence(
                    self.rooms,
                    self.sockets,
                    STREAM,
                    taken.slot,
                    first_try=taken.receives == 1,
                    limits=self.limits,
                    deadline_ms=self.now_ms() + 3_000,
                )
                deleted = self.kind or self.rng.random() >= self.plan.delete_lost
                if taken in self.queue and deleted:
                    self.queue.remove(taken)
            except CrashError as error:
                self.trace.append(f"{self.now - START_MS:9.1f} sequencer died {error}")
            finally:
                self.in_flight.remove(taken)


@dataclass
class FakeRooms:
    """`port.Rooms` in memory. Every method is a call that may crash on either side, with the real one's conditions."""

    world: World
    room: Room = field(
        default_factory=lambda: Room(stream_id=STREAM, epoch=EPOCH, host=Sender("h", "h", "H"), title="T", live=True)
    )
    members: dict[str, Member] = field(default_factory=dict[str, Member])
    inbox_items: dict[str, InboxEntry] = field(default_factory=dict[str, InboxEntry])
    frames: list[StoredFrame] = field(default_factory=list[StoredFrame])
    reactions: dict[str, int] = field(default_factory=dict[str, int])
    viewers: int | None = None
    viewers_seq: int = 0
    shards: dict[int, ShardCount] = field(default_factory=dict[int, ShardCount])
    by_shard: dict[tuple[int, str], Connection] = field(default_factory=dict[tuple[int, str], Connection])
    by_account: dict[tuple[str, str], Connection] = field(default_factory=dict[tuple[str, str], Connection])
    nonces: dict[str, str] = field(default_factory=dict[str, str])
    votes: dict[str, int] = field(default_factory=dict[str, int])
    voters: dict[str, int] = field(default_factory=dict[str, int])
    removals: set[str] = field(default_factory=set[str])
    # Who commented and who was muted, in the order in which it took effect.
    order: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def head(self, stream_id: str) -> StoredFrame | None:
        return self.world.call("head", lambda: self.frames[-1] if self.frames else None)

    def inbox(self, stream_id: str, limit: int) -> list[InboxEntry]:
        return self.world.call("inbox", lambda: [self.inbox_items[key] for key in sorted(self.inbox_items)][:limit])

    def state(self, stream_id: str) -> RoomState | None:
        def read() -> RoomState:
            return RoomState(self.room, dict(self.reactions), self.viewers, dict(self.shards), dict(self.votes))

        return self.world.call("state", read)

    def connections(self, stream_id: str, shard: int, since_ms: int = 0) -> list[Connection]:
        def read() -> list[Connection]:
            return [one for (n, _), one in self.by_shard.items() if n == shard and one.joined_ms >= since_ms]

        return self.world.call("connections", read)

    def count_connections(self, stream_id: str, shard: int, now_s: int) -> int:
        def read() -> int:
            mine = [one for (n, _), one in self.by_shard.items() if n == shard]
            return sum(one.expires_s > now_s and one.closing is None for one in mine)

        return self.world.call("count", read)

    def choose_frames(self, stream_id: str, one: Connection) -> bool:
        def choose() -> bool:
            home, mine = (one.shard, one.id), (one.account, one.id)
            if home not in self.by_shard or mine not in self.by_account:
                return False
            self.by_shard[home] = replace(self.by_shard[home], by_socket=one.by_socket)
            self.by_account[mine] = replace(self.by_account[mine], by_socket=one.by_socket)
            if one.kept:
                self.by_shard[KEPT_SHARD, one.id] = one
            else:
                self.by_shard.pop((KEPT_SHARD, one.id), None)
            return True

        return self.world.call("choose frames", choose)

    def tell_stadium(self, stream_id: str, stadium: bool) -> None:
        def tell() -> None:
            self.world.media.wanted = stadium

        self.world.call(f"tell stadium {stadium}", tell)

    def put_frame(self, stream_id: str, frame: StoredFrame) -> bool:
        def put() -> bool:
            if any(one.seq == frame.seq for one in self.frames):
                return False
            self.frames.append(frame)
            return True

        return self.world.call(f"put frame {frame.seq}", put)

    def questions(self, stream_id: str, question_ids: Sequence[str]) -> list[Question]:
        return self.world.call("questions", list)

    def rewrite_frame(self, stream_id: str, seq: int, before: str, after: str) -> bool:
        def rewrite() -> bool:
            if self.frames[seq - 1].body != before:
                return False
            self.frames[seq - 1] = replace(self.frames[seq - 1], body=after)
            return True

        return self.world.call(f"rewrite frame {seq}", rewrite)

    def delete_inbox(self, stream_id: str, event_ids: Sequence[str]) -> None:
        # A batch is no transaction: it may die anywhere inside.
        for event_id in event_ids:
            self.world.call("delete", lambda event_id=event_id: self.inbox_items.pop(event_id, None))

    def tell_viewers(self, stream_id: str, viewers: int, seq: int) -> None:
        def tell() -> None:
            if seq >= self.viewers_seq:
                self.viewers, self.viewers_seq = viewers, seq

        self.world.call("tell viewers", tell)

    def tell_shard(self, stream_id: str, shard: int, count: ShardCount) -> None:
        self.world.call("tell shard", lambda: self.shards.update({shard: count}))

    def forget_connections(self, stream_id: str, gone: Sequence[Connection]) -> None:
        for one in gone:
            self.world.call("forget", lambda one=one: self.by_shard.pop((one.shard, one.id), None))
            self.world.call("forget", lambda one=one: self.by_account.pop((one.account, one.id), None))
            if (one.kept or one.closing) and not one.relay:
                self.world.call("forget", lambda one=one: self.by_shard.pop((KEPT_SHARD, one.id), None))

    def desk(self, stream_id: str, account: str, connection_id: str) -> Desk:
        def read() -> Desk:
            member = self.members.get(account) or Member(account=account)
            return Desk(self.room, member, (account, connection_id) in self.by_account)

        return self.world.call("desk", read)

    def commit_comment(self, stream_id: str, before: Member, after: Member, event: RoomEvent) -> bool:
        def commit() -> bool:
            now = self.members.get(after.account)
            if event.id in self.inbox_items or (now.version if now else 0) != before.version:
                return False
            self._put(event)
            kept = now or Member(account=after.account)
            self.members[after.account] = replace(
                kept,
                version=after.version,
                arrival_ms=after.arrival_ms,
                commented_ms=after.commented_ms,
                recent=after.recent,
            )
            self.order.append(("comment", after.account))
            return True

        return self.world.call("commit comment", commit)

    def hold_comment(
        self, stream_id: str, before: Member, after: Member, event: RoomEvent, reasons: Sequence[str]
    ) -> bool:
        raise AssertionError("nobody in the simulation says what is held")

    def is_held(self, stream_id: str, event_id: str) -> bool:
        raise AssertionError("nobody in the simulation says what is held")

    def mute(self, account: str, until_ms: int, event: RoomEvent) -> None:
        """As moderating.write_member: rights, version and event in one transaction."""

        def commit() -> None:
            before = self.members.get(account) or Member(account=account)
            if before.muted_until_ms == until_ms:
                return
            self.members[account] = replace(before, muted_until_ms=until_ms, version=before.version + 1)
            self._put(event)
            self.order.append(("mute", account))

        self.world.call("mute", commit)

    def cast(self, account: str, name: str, option: int) -> None:
        """As balloting.cast: the vote and its count in one transaction."""

        def commit() -> None:
            if account not in self.voters:
                self.voters[account] = option
                self.votes[name] = self.votes.get(name, 0) + 1

        self.world.call("cast", commit)

    def remove(self, removal: RemovedEvent) -> None:
        """As moderating.remove_event: the removal first, then every frame that is there by then."""
        self.world.call("put removal", lambda: self._tell_removal(removal))
        self.world.call("rewrite inbox", lambda: self._rewrite_inbox(tombstone(removal.event_id, removal.at)))
        newest = self.world.call("newest", lambda: len(self.frames))
        for seq in range(newest, 0, -1):
            body = self.world.call("look", lambda seq=seq: self.frames[seq - 1].body)
            after = redacted_body(body, {removal.event_id})
            if after is not None:
                self.rewrite_frame(STREAM, seq, body, after)

    def follows(self, account: str, host_id: str) -> bool:
        return self.world.call("follows", lambda: False)

    def space_reactions(self, account: str, connection_id: str, now_ms: int, interval_ms: int) -> str | None:
        return self.world.call("space", lambda: None if (account, connection_id) in self.by_account else "conflict")

    def told_viewers(self, stream_id: str) -> int:
        return self.viewers or 0

    def add_reactions(self, stream_id: str, shard: int, taps: dict[str, int]) -> None:
        def add() -> None:
            for emoji, count in taps.items():
                self.reactions[emoji] = self.reactions.get(emoji, 0) + count

        self.world.call("add reactions", add)

    def member(self, stream_id: str, account: str) -> Member | None:
        return self.world.call("member", lambda: self.members.get(account))

    def presence(self, account: str) -> Presence:
        return Presence(self.account_connections(account))

    def account_connections(self, account: str) -> list[tuple[str, Connection]]:
        return self.world.call(
            "account connections",
            lambda: [(STREAM, one) for (who, _), one in self.by_account.items() if who == account],
        )

    def count_join(self, stream_id: str, unique: bool) -> Room | None:
        def count() -> Room | None:
            if not self.room.live:
                return None
            self.room = replace(self.room, joins=self.room.joins + 1, uniques=self.room.uniques + unique)
            return self.room

        return self.world.call("count join", count)

    def register(self, registration: Registration) -> Refused | None:
        def commit() -> Refused | None:
            one = registration.connection
            new = registration.new_member
            if self.nonces.get(registration.nonce, one.id) != one.id:
                return "nonce"
            if new is not None and new.account in self.members:
                return "member"
            self.nonces[registration.nonce] = one.id
            self.by_shard[one.shard, one.id] = one
            self.by_account[one.account, one.id] = one
            if one.kept:
                self.by_shard[KEPT_SHARD, one.id] = one
            for _, old in registration.evicted:
                self.by_shard[old.shard, old.id] = old
                self.by_shard[KEPT_SHARD, old.id] = old
                self.by_account.pop((old.account, old.id), None)
            if new is not None:
                self.members[new.account] = new
            if registration.event is not None:
                self._put(registration.event)
            return None

        return self.world.call("register", commit)

    def frames_after(self, stream_id: str, after: int, limit: int) -> list[StoredFrame]:
        return self.world.call("frames after", lambda: [one for one in self.frames if one.seq > after][:limit])

    def newest_frames(self, stream_id: str, limit: int) -> list[StoredFrame]:
        return self.world.call("newest frames", lambda: self.frames[-limit:])

    def ring(self, stream_id: str) -> None:
        self.world.call("ring", self.world.send_ring)

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        order = list(range(len(calls)))
        self.world.rng.shuffle(order)
        results: dict[int, Any] = {index: calls[index]() for index in order}
        return [results[index] for index in range(len(calls))]

    def _tell_removal(self, removal: RemovedEvent) -> None:
        if removal.id not in self.removals:
            self.removals.add(removal.id)
            self._put(removal)

    def _rewrite_inbox(self, event: RoomEvent) -> None:
        if event.id in self.inbox_items:
            self._put(event)

    def _put(self, event: RoomEvent) -> None:
        self.inbox_items[event.id] = InboxEntry(event.id, inbox_item(STREAM, event).body)


@dataclass
class FakeSockets:
    """`port.Sockets`: posts reach a client's mailbox, or are lost on the way; who is not connected is gone."""

    world: World
    mailboxes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def post(self, bodies: Sequence[str], to: Sequence[Connection], within_ms: int) -> list[Connection]:
        gone: list[Connection] = []
        for one in to:
            self.world.call("post", lambda: None)
            mailbox = self.mailboxes.get(one.id)
            if mailbox is None:
                gone.append(one)
            elif self.world.kind or self.world.rng.random() >= self.world.plan.post_lost:
                mailbox.extend(bodies)
        return gone

    def close(self, connections: Sequence[Connection], within_ms: int) -> None:
        for one in connections:
            self.world.call("close", lambda one=one: self.mailboxes.pop(one.id, None))

    def deliver(
        self,
        stream_id: str,
        shard: int,
        bodies: Sequence[str],
        told: int | None,
        closing: str | None,
        whole: str | None = None,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        delivery = Delivery(stream_id, shard, list(bodies), told, closing, whole, part, parts)
        self.world.call("deliver", lambda: self.world.start(lambda: self._deliver(delivery)))

    def _deliver(self, delivery: Delivery) -> None:
        try:
            deliver(self.world.rooms, self, delivery, self.world.limits)
        except CrashError:
            return


@dataclass
class FakeMedia:
    """The picture with the frames that the relay wrote into it: each is shown seconds later, at one time to all who
    plays. While the host's media is lost, nothing comes of what is written."""

    world: World
    wanted: bool = False
    shown: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    latency_ms: float = 1_500

    def write(self, frame: str) -> None:
        if self.world.rooms.room.media == "flowing":
            self.shown.append((self.world.now + self.latency_ms, frame))

    def between(self, after_ms: float, until_ms: float) -> list[str]:
        """What is shown to a player that looks again, without what it missed."""
        lost = 0.0 if self.world.kind else self.world.plan.media_lost
        due = [frame for at_ms, frame in self.shown if after_ms < at_ms <= until_ms]
        return [frame for frame in due if self.world.rng.random() >= lost]
