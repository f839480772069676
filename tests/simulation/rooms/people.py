"""Who is in the simulated room: viewers that lose their connection and come back, senders that send until acked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from functions import clock
from functions.errors import OnairError
from functions.rooms.answer import Caller
from functions.rooms.chat import comment
from functions.rooms.join import join
from functions.rooms.messages import ChatEvent, ChatMessage, Frame, JoinMessage, MutedEvent, ReactMessage, Sender
from functions.rooms.model import KEPT_SHARD, RELAY_TTL_S
from functions.rooms.react import react
from functions.rooms.removal import removal
from functions.rooms.resume import page
from functions.rooms.voting import check_vote, option_key
from tests.simulation.rooms.world import EPOCH, STREAM, CrashError, World

GAP_MS = 2_000
# What comes in the media is seconds behind the socket, and not missing for that.
MEDIA_GAP_MS = 6_000
PING_MS = 3_000
PAGE_BYTES = 4_000


@dataclass
class Client:
    """A client of the room as protocol.md has it: keeps early frames, drops those seen, joins again on a gap."""

    world: World
    name: str
    connection: str = ""
    serial: int = 0
    seq: int | None = None
    first: int | None = None
    waiting: bool = True
    kept: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    applied: list[int] = field(default_factory=list[int])
    events: list[str] = field(default_factory=list[str])
    # Times that something was missing for so long that the client asked for it.
    healed: int = 0
    # Where the frame after the last one comes, and whether this client asked for the socket whatever it is.
    transport: str = "socket"
    by_socket: bool = False
    looked_ms: float = 0
    by_media: set[int] = field(default_factory=set[int])

    @property
    def caller(self) -> Caller:
        sender = Sender(self.name, self.name, self.name)
        return Caller(self.connection, STREAM, "h", "viewer", f"nonce-{self.connection}", sender)

    @property
    def joined(self) -> bool:
        return self.connection in self.world.sockets.mailboxes and not self.waiting

    def connect(self) -> None:
        self.serial += 1
        self.connection = f"{self.name}-{self.serial}"
        self.world.sockets.mailboxes[self.connection] = []
        self.waiting = True

    def disconnect(self) -> None:
        self.world.sockets.mailboxes.pop(self.connection, None)
        self.waiting = True
        if self.world.rng.random() < 0.5:
            return  # the service's own word: `$disconnect` is best effort
        try:
            rooms = self.world.rooms
            mine = [one for _, one in rooms.account_connections(self.name) if one.id == self.connection]
            rooms.forget_connections(STREAM, mine)
            rooms.ring(STREAM)
        except CrashError:
            return

    def join(self) -> bool:
        """Join on the open socket; False when no answer came."""
        self.waiting = True
        self.choose()
        resume = JoinMessage() if self.seq is None else JoinMessage(EPOCH, self.seq)
        resume = replace(resume, frames="socket") if self.by_socket else resume
        try:
            answer = json.loads(msgspec.json.encode(join(self.world.rooms, self.caller, resume, self.world.limits)))
            frames, seq, more = answer["frames"], answer["seq"], answer.get("more", False)
            if self.seq is None:
                self.seq = frames[0]["seq"] - 1 if frames else seq
                self.first = self.seq
            self.apply(frames)
            while more:
                found = page(self.world.rooms, STREAM, EPOCH, asked=EPOCH, after=self.seq, bytes_max=PAGE_BYTES)
                self.apply([json.loads(bytes(raw)) for raw in found.frames])
                more = self.seq < seq
        except CrashError:
            return False
        assert self.seq >= seq, f"{self.name} was told {seq} and has {self.seq}"
        self.waiting = False
        self.take()
        return True

    def apply(self, frames: list[dict[str, Any]]) -> None:
        for frame in sorted(frames, key=lambda frame: frame["seq"]):
            assert self.seq is not None
            if frame["seq"] <= self.seq:
                continue
            assert frame["seq"] == self.seq + 1, f"{self.name} has {self.seq} and storage skipped to {frame['seq']}"
            self.seq = frame["seq"]
            self.transport = frame["transport"]
            self.applied.append(frame["seq"])
            self.events += [event["id"] for event in frame["events"]]

    def take(self) -> bool:
        """Apply what came; True when there is a gap before what is kept."""
        self.look()
        mailbox = self.world.sockets.mailboxes.get(self.connection, [])
        while mailbox:
            frame = json.loads(mailbox.pop(0))
            self.kept[frame["seq"]] = frame
        if self.waiting:
            return False
        assert self.seq is not None
        while self.seq + 1 in self.kept:
            self.apply([self.kept.pop(self.seq + 1)])
        self.kept = {seq: frame for seq, frame in self.kept.items() if seq > self.seq}
        return bool(self.kept)

    def choose(self) -> None:
        """Some cannot play the picture for a while, and ask for the socket."""
        self.by_socket = not self.world.kind and self.world.rng.random() < 0.2

    def look(self) -> None:
        """See what the picture brought since the last look, to who plays it."""
        after_ms, self.looked_ms = self.looked_ms, self.world.now
        if self.by_socket or not after_ms:
            return
        for body in self.world.media.between(after_ms, self.world.now):
            frame = json.loads(body)
            if self.seq is None or (frame["seq"] > self.seq and frame["seq"] not in self.kept):
                self.by_media.add(frame["seq"])
            self.kept.setdefault(frame["seq"], frame)

    @property
    def patience_ms(self) -> float:
        """How long a frame may be missing: the next one of those that come in the media is merely not shown yet."""
        flowing = self.world.rooms.room.media == "flowing"
        return MEDIA_GAP_MS if self.transport == "media" and flowing and not self.by_socket else GAP_MS

    def run(self) -> None:
        rng = self.world.rng
        while True:
            if self.connection not in self.world.sockets.mailboxes:
                self.connect()
            if not self.join():
                if rng.random() < 0.5:
                    self.disconnect()
                self.world.sleep_ms(rng.random() * 500)
                continue
            self.stay()

    def still_behind(self, seq: int) -> bool:
        """True when that frame is not here after a while either: it may just be on its way."""
        until_ms = self.world.now + self.patience_ms
        while self.world.now < until_ms and self.connection in self.world.sockets.mailboxes:
            self.world.sleep_ms(50)
            self.take()
            if self.seq is not None and self.seq >= seq:
                return False
        return True

    def stay(self) -> None:
        """Read until the connection is lost, or a gap or a ping tells that something is missing."""
        rng = self.world.rng
        leave_ms = self.world.now + 300 + rng.random() * 6_000
        ping_ms = self.world.now + PING_MS * rng.random()
        gap_ms: float | None = None
        while self.connection in self.world.sockets.mailboxes:
            self.world.sleep_ms(20 + rng.random() * 60)
            gap_ms = (gap_ms or self.world.now) if self.take() else None
            if gap_ms is not None and self.world.now - gap_ms > self.patience_ms:
                self.healed += 1
                return
            if self.world.now > ping_ms:
                ping_ms += PING_MS
                try:
                    self.ping()
                    head = self.world.rooms.head(STREAM)
                except CrashError:
                    continue
                assert self.seq is not None
                if head is not None and head.seq > self.seq and self.still_behind(head.seq):
                    self.healed += 1
                    return
            if self.leaves(leave_ms):
                self.take()
                self.disconnect()

    def ping(self) -> None:
        """A viewer's right to be here outlasts any run."""

    def leaves(self, leave_ms: float) -> bool:
        return self.world.now > leave_ms and not self.world.kind


@dataclass
class Relay(Client):
    """The relay as a member: joins where the room is a stadium, writes its frames into the media, dies at times.

    What it has not seen it asks for at once: others wait for it.
    """

    @property
    def caller(self) -> Caller:
        return replace(super().caller, role="relay")

    @property
    def patience_ms(self) -> float:
        return 500

    def choose(self) -> None:
        """It reads no picture."""

    def look(self) -> None:
        """Nor does it look at one."""

    def apply(self, frames: list[dict[str, Any]]) -> None:
        before = self.seq
        super().apply(frames)
        for frame in sorted(frames, key=lambda frame: frame["seq"]):
            if frame["transport"] == "media" and before is not None and frame["seq"] > before:
                self.world.media.write(json.dumps(frame))

    def run(self) -> None:
        rng = self.world.rng
        while True:
            if not self.world.media.wanted:
                self.take()
                self.disconnect()
                self.world.sleep_ms(200 + rng.random() * 800)
                continue
            if self.connection not in self.world.sockets.mailboxes:
                # Another task: it knows nothing of what the one before it read.
                self.seq = self.first = None
                self.kept.clear()
                self.connect()
            if not self.join():
                self.disconnect()
                self.world.sleep_ms(rng.random() * 500)
                continue
            self.stay()

    def ping(self) -> None:
        rooms, place = self.world.rooms, (KEPT_SHARD, self.connection)

        def refresh() -> None:
            if place in rooms.by_shard:
                rooms.by_shard[place] = replace(rooms.by_shard[place], expires_s=clock.now_ms() // 1000 + RELAY_TTL_S)

        self.world.call("refresh", refresh)

    def leaves(self, leave_ms: float) -> bool:
        return not self.world.media.wanted or (super().leaves(leave_ms) and not self.world.plan.healthy)


@dataclass
class Moderator:
    """Mutes one talker and removes some of what was said, each again until it is done."""

    world: World
    target: str
    removed: set[str] = field(default_factory=set[str])
    done: bool = False

    def moderate(self) -> None:
        rng = self.world.rng
        self.world.sleep_ms(500 + rng.random() * 4_000)
        now_ms = clock.now_ms()
        event = MutedEvent(id="m-1", at=clock.rfc3339(now_ms), account=self.target)
        self.again(lambda: self.world.rooms.mute(self.target, now_ms + 10**10, event))
        for _ in range(rng.randint(0, 3)):
            self.world.sleep_ms(rng.random() * 1_500)
            rooms = self.world.rooms
            framed = [event.id for stored in rooms.frames for event in comments_of(stored.body)]
            waiting = [entry.event_id for entry in rooms.inbox_items.values() if '"type":"chat"' in (entry.body or "")]
            left = sorted({*framed, *waiting} - self.removed)
            if left:
                event_id = rng.choice(left)
                self.removed.add(event_id)
                taken = removal(STREAM, event_id, clock.now_ms())
                self.again(lambda taken=taken: self.world.rooms.remove(taken))
        self.done = True

    def again(self, act: Callable[[], None]) -> None:
        while True:
            try:
                act()
                self.world.rooms.ring(STREAM)
                return
            except CrashError:
                self.world.sleep_ms(self.world.rng.random() * 200)


def comments_of(body: str) -> list[ChatEvent]:
    """The comments that a frame's body holds."""
    return [event for event in msgspec.json.decode(body, type=Frame).events if isinstance(event, ChatEvent)]


@dataclass
class Talker(Client):
    """A client that also comments and reacts. What was acknowledged is kept; what was not is sent again."""

    comments: int = 5
    texts: dict[str, str] = field(default_factory=dict[str, str])
    acknowledged: dict[str, str] = field(default_factory=dict[str, str])
    acknowledged_ms: dict[str, float] = field(default_factory=dict[str, float])
    refused: list[str] = field(default_factory=list[str])
    done: bool = False
    option: int | None = None
    voted: bool = False

    def vote(self) -> None:
        """Vote, as often as it takes to be told that it counted; the poll may be over first."""
        rooms, poll = self.world.rooms, self.world.rooms.room.poll
        while not self.voted:
            try:
                assert poll is not None and self.option is not None
                check_vote(poll, poll.id, self.option, clock.now_ms())
                rooms.cast(self.name, option_key(poll.id, self.option), self.option)
                rooms.ring(STREAM)
                self.voted = True
            except CrashError:
                self.world.sleep_ms(self.world.rng.random() * 100)
            except OnairError as error:
                assert error.code == "conflict"
                return

    def talk(self) -> None:
        rng = self.world.rng
        for number in range(self.comments):
            self.world.sleep_ms(rng.random() * 1_500)
            client_id, text = f"{self.name}-{number}", f"{self.name} says {number}"
            if self.option is not None and rng.random() < 0.5:
                self.vote()
            while client_id not in self.acknowledged and client_id not in self.refused:
                self.send(client_id, text)
                self.world.sleep_ms(50 + rng.random() * 200)
        self.done = True

    def send(self, client_id: str, text: str) -> None:
        rng = self.world.rng
        try:
            if rng.random() < 0.3:
                react(self.world.rooms, self.caller, ReactMessage({"🔥": rng.randint(1, 9)}), self.world.limits)
            for _ in range(1 + (rng.random() < 0.1)):
                event_id = comment(self.world.rooms, self.caller, ChatMessage(client_id, text)).event_id
                assert event_id is not None
                assert self.acknowledged.setdefault(client_id, event_id) == event_id
                self.acknowledged_ms.setdefault(event_id, self.world.now)
        except CrashError:
            return
        except OnairError as error:
            if error.code == "muted":
                self.refused.append(client_id)
            elif error.code not in ("rate_limited", "conflict", "unavailable"):
                raise
