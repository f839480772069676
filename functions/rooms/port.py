"""What a room asks of the world: storage, ring and sockets, each method one call to AWS unless it says otherwise.

What must hold through crashes (sequencing.py, chat.py, join.py, react.py) knows only these protocols, so that the
simulation can run it on fakes that crash, delay and interleave between any two calls. stored.py and posts.py are real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from functions.rooms.messages import ChatEvent, JoinEvent, RoomEvent
from functions.rooms.model import Connection, InboxEntry, Member, Room, RoomState, ShardCount, StoredFrame
from functions.rooms.voting import Question


class Desk(Struct, frozen=True):
    """What a comment needs to know; ``joined`` tells whether this connection is in this room."""

    room: Room | None
    member: Member
    joined: bool


class Presence(Struct, frozen=True):
    """Where an account is, and the code with which it is shut out of all rooms, if it is."""

    connections: list[tuple[str, Connection]]
    barred: str | None = None


Refused = Literal["nonce", "member", "banned"]


class Registration(Struct, frozen=True):
    """One transaction: a connection comes into the room (and others of its account make way).

    It is refused where another connection used the ``nonce``, where ``new_member`` is there already, or where the
    ``member`` (an account that was here before) is banned.
    """

    stream_id: str
    nonce: str
    nonce_expires_s: int
    connection: Connection
    evicted: tuple[tuple[str, Connection], ...]
    new_member: Member | None
    event: JoinEvent | None
    member: str | None = None


class Rooms(Protocol):
    """Reads are strongly consistent: correctness rests on them."""

    # sequencing
    def head(self, stream_id: str) -> StoredFrame | None: ...
    def inbox(self, stream_id: str, limit: int) -> list[InboxEntry]: ...
    def state(self, stream_id: str) -> RoomState | None: ...
    def questions(self, stream_id: str, question_ids: Sequence[str]) -> list[Question]: ...
    def connections(self, stream_id: str, shard: int, since_ms: int = 0) -> list[Connection]:
        """A shard's connections, or those that began to join at ``since_ms`` or later."""
        ...

    def choose_frames(self, stream_id: str, one: Connection) -> bool:
        """Write down whether a connection is ``by_socket``, wherever it stands; False when it is gone."""
        ...

    def tell_stadium(self, stream_id: str, stadium: bool) -> None:
        """Tell the relay, by the stream's item, whether its frames are to travel in the media."""
        ...

    def count_connections(self, stream_id: str, shard: int, now_s: int) -> int: ...
    def put_frame(self, stream_id: str, frame: StoredFrame) -> bool: ...
    def rewrite_frame(self, stream_id: str, seq: int, before: str, after: str) -> bool: ...
    def delete_inbox(self, stream_id: str, event_ids: Sequence[str]) -> None: ...
    def tell_viewers(self, stream_id: str, viewers: int, seq: int) -> None:
        """Tell how many are here by frame ``seq``, unless a newer frame told it."""
        ...

    def tell_shard(self, stream_id: str, shard: int, count: ShardCount) -> None: ...
    def forget_connections(self, stream_id: str, gone: Sequence[Connection]) -> None: ...

    # commenting, reacting
    def desk(self, stream_id: str, account: str, connection_id: str) -> Desk: ...
    def commit_comment(self, stream_id: str, before: Member, after: Member, event: RoomEvent) -> bool: ...
    def hold_comment(
        self, stream_id: str, before: Member, after: Member, event: ChatEvent, reasons: Sequence[str]
    ) -> bool:
        """As `commit_comment`, but the comment waits for a moderator and is in no inbox."""
        ...

    def is_held(self, stream_id: str, event_id: str) -> bool: ...
    def follows(self, account: str, host_id: str) -> bool: ...
    def space_reactions(self, account: str, connection_id: str, now_ms: int, interval_ms: int) -> str | None: ...
    def told_viewers(self, stream_id: str) -> int:
        """Viewers as last told; seconds old at most, and then without a call."""
        ...

    def add_reactions(self, stream_id: str, shard: int, taps: dict[str, int]) -> None: ...

    # joining
    def member(self, stream_id: str, account: str) -> Member | None: ...
    def presence(self, account: str) -> Presence: ...
    def account_connections(self, account: str) -> list[tuple[str, Connection]]: ...
    def count_join(self, stream_id: str, unique: bool) -> Room | None: ...
    def register(self, registration: Registration) -> Refused | None: ...
    def frames_after(self, stream_id: str, after: int, limit: int) -> list[StoredFrame]: ...
    def newest_frames(self, stream_id: str, limit: int) -> list[StoredFrame]: ...

    # all
    def ring(self, stream_id: str) -> None: ...
    def together(self, *calls: Callable[[], Any]) -> list[Any]: ...


class Sockets(Protocol):
    """Posting to open sockets; nothing that a socket does makes these raise."""

    def post(self, bodies: Sequence[str], to: Sequence[Connection], within_ms: int) -> list[Connection]:
        """Post each body to each connection, in order; answers those that are gone (410)."""
        ...

    def close(self, connections: Sequence[Connection], within_ms: int) -> None:
        """Say ``bye`` with each connection's ``closing`` code, then close it."""
        ...

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
        """Have another function post to one shard, without waiting for it (deliver.py names the parameters)."""
        ...
