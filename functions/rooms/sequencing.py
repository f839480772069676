"""How a room's inbox becomes frames, exactly once, whatever crashes: the order of reads and writes is the whole point.

The head frame is read before the inbox. What the head holds already is only deleted, what is left is folded into frame
*n+1*, which is put on the condition that it does not exist; then it is posted, and only then are its events deleted
from the inbox. So wherever a run dies, head and inbox tell the next one what is left to do: events of the head still in
the inbox mean that it may not have been posted either, and it is posted again (clients drop what they have, by seq).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from functions import clock
from functions.rooms.fold import Folded, fold
from functions.rooms.model import (
    EMPTY_LOOKS,
    KEPT_SHARD,
    Connection,
    InboxEntry,
    Limits,
    RoomState,
    ShardCount,
    StoredFrame,
    media_serves,
    slot_over_ms,
)
from functions.rooms.port import Rooms, Sockets
from functions.rooms.removal import redacted_body, removed_in
from functions.rooms.voting import Told, raised

# A slow connection costs its room at most this long in a frame.
POST_MS_MIN: Final = 500
ATTEMPTS_MAX: Final = 5
# From a join's own time to its registration: the route's time limit of 10 s, the longest frame, and clocks.
JOIN_MS_MAX: Final = 20_000
# A stadium counts one shard a frame, each in its turn; all of them only where nothing else happened for so long.
STADIUM_QUIET_MS: Final = 10_000


class Outcome(Struct, frozen=True):
    """What a run came to: frames made, events in them, and whether the ring had been dealt with before."""

    frames: int = 0
    events: int = 0
    covered: bool = False


class Audience(Struct, frozen=True):
    """Who is there: the shards that may hold someone (the ``newest`` takes people in, those beyond it may soon), how
    many viewers in all, and, of a single shard, its connections. Of a stadium, also whom it posts to itself."""

    shards: tuple[int, ...]
    newest: int
    viewers: int
    connections: list[Connection] | None
    kept: list[Connection] = []


def sequence(
    rooms: Rooms, sockets: Sockets, stream_id: str, slot: int, *, first_try: bool, limits: Limits, deadline_ms: int
) -> Outcome:
    """Deal with one ring: read at once where the room's tick has passed, and again when its slot is over everywhere.

    The first reading is for whoever rang, who need not wait for those who may still ring in the same slot. Their rings
    the queue drops as duplicates of this one: the second reading, from `slot_over_ms` on, is for them. Where the tick
    ends later than the slot, as in every big room, one reading is both.

    Parameters
    ----------
    slot : int
        The slot that was rung for.
    first_try : bool
        False when the ring was delivered before: then its run may have died halfway, and nothing is skipped.
    deadline_ms : int
        When to stop; the room is rung again where something is left.
    """
    head = rooms.head(stream_id)
    over_ms = slot_over_ms(slot, limits)
    if first_try and head is not None and head.read_ms >= over_ms:
        return Outcome(covered=True)
    done = Outcome()
    not_before_ms = 0
    while True:
        # A tick counts from when the last frame was read, not made: else each frame's own time would push the next
        # further out. Never past the deadline: another host's clock may be far ahead, and its frame's time with it.
        tick_over_ms = head.read_ms + head.tick_ms if head else 0
        clock.sleep_ms(min(max(not_before_ms, tick_over_ms), deadline_ms) - clock.now_ms())
        read_ms = clock.now_ms()
        head, made, finished = _frames(rooms, sockets, stream_id, head, limits, deadline_ms)
        done = Outcome(done.frames + made.frames, done.events + made.events)
        if not finished:
            rooms.ring(stream_id)
            return done
        if read_ms >= over_ms:
            return done
        not_before_ms = over_ms


def _frames(
    rooms: Rooms, sockets: Sockets, stream_id: str, head: StoredFrame | None, limits: Limits, deadline_ms: int
) -> tuple[StoredFrame | None, Outcome, bool]:
    """Frames until nothing waits: the newest, what was made, and whether nothing is left."""
    made = Outcome()
    failed = 0
    while clock.now_ms() <= deadline_ms and failed < ATTEMPTS_MAX:
        step = _Step(rooms, sockets, stream_id, limits).run(head)
        if step is None:
            return head, made, True
        frame, waiting = step
        if frame is None:
            # Another sequencer was faster: its frame is the head now, and may hold what we read.
            failed += 1
            head = rooms.head(stream_id)
            continue
        head = frame
        made = replace(made, frames=made.frames + 1, events=made.events + len(frame.event_ids))
        if not waiting:
            return head, made, True
    return head, made, False


class _Step:
    """One frame, from reading to deleting."""

    def __init__(self, rooms: Rooms, sockets: Sockets, stream_id: str, limits: Limits) -> None:
        self.rooms = rooms
        self.sockets = sockets
        self.stream_id = stream_id
        self.limits = limits

    def run(self, head: StoredFrame | None) -> tuple[StoredFrame | None, bool] | None:
        """Frame and whether more waits; (None, True) when another made it; None when nothing changed."""
        rooms, stream_id = self.rooms, self.stream_id
        read_ms = clock.now_ms()
        inbox: list[InboxEntry]
        state: RoomState | None
        looked_at: list[Connection]
        stadium = head is not None and head.stadium
        inbox, state, looked_at = rooms.together(
            lambda: rooms.inbox(stream_id, self.limits.inbox_read_max),
            lambda: rooms.state(stream_id),
            lambda: rooms.connections(stream_id, KEPT_SHARD if stadium else 0),
        )
        if state is None:
            return None
        full = len(inbox) >= self.limits.inbox_read_max
        if head is not None and stadium:
            audience = self._stadium(state, head, looked_at)
        else:
            audience = self._audience(state, looked_at)
        head = self._without_removed(head, inbox)
        if head is not None:
            held = set(head.event_ids)
            left = [entry.event_id for entry in inbox if entry.event_id in held]
            if left:
                self._post(head, state, audience)
            if held and (left or full):
                # Of a full read, the head's events may lie beyond it: all go, or frame n+2 would hold them again.
                rooms.delete_inbox(stream_id, head.event_ids if full else left)
                inbox = [entry for entry in inbox if entry.event_id not in held]

        risen = raised(state.votes, head.told if head else Told())
        questions = rooms.questions(stream_id, risen) if risen else []

        def folded(viewers: int) -> Folded | None:
            return fold(
                head,
                state,
                inbox,
                questions=questions,
                viewers=viewers,
                by_media=media_serves(audience.kept, viewers, read_ms // 1000),
                read_ms=read_ms,
                now_ms=clock.now_ms(),
                limits=self.limits,
            )

        made = folded(audience.viewers)
        if made is None and not (stadium and head is not None and read_ms - head.at_ms < STADIUM_QUIET_MS):
            audience = self._recount(state, audience)
            made = folded(audience.viewers)
        if made is None:
            self._tell(state, head, audience.viewers, head.seq if head else 0)
            self._send_away(state, audience)
            return None
        frame = made.frame
        more = full or made.waiting > 0
        if more:
            # A ring for what was left behind must not take this frame as its answer.
            frame = replace(frame, read_ms=0)
        if stadium and not frame.stadium:
            # Before the frame, or a run that dies in between would leave the relay in the room for ever.
            rooms.tell_stadium(stream_id, False)
        if not rooms.put_frame(stream_id, frame):
            return None, True
        if frame.stadium and not any(one.relay for one in self._live(audience.kept)):
            # With each frame until it is there: it may have been told and have died since.
            rooms.tell_stadium(stream_id, True)
        self._post(frame, state, audience, made.shown)
        if frame.event_ids:
            rooms.delete_inbox(stream_id, frame.event_ids)
        self._tell(state, head, frame.viewers, frame.seq)
        return frame, more

    def _without_removed(self, head: StoredFrame | None, inbox: list[InboxEntry]) -> StoredFrame | None:
        # Whoever removes something takes it out of all frames that are there by then. A run that read the inbox before
        # that may put one more frame with it afterwards: this is that frame, and here is who removed it.
        removed = removed_in(inbox)
        body = redacted_body(head.body, removed) if head is not None and removed else None
        if head is None or body is None:
            return head
        self.rooms.rewrite_frame(self.stream_id, head.seq, head.body, body)
        return replace(head, body=body)

    # --- who is there

    def _live(self, connections: list[Connection]) -> list[Connection]:
        now_s = clock.now_ms() // 1000
        return [one for one in connections if one.expires_s > now_s and one.closing is None]

    def _audience(self, state: RoomState, first_shard: list[Connection] | None, stadium: bool = False) -> Audience:
        size = self.limits.shard_size
        # Who is counted in while this frame is made may open a shard that the room did not have when it was read.
        newest, coming = state.room.shard(size), state.room.shard(size, self.limits.joins_a_slot)
        if coming == 0:
            if first_shard is None:
                first_shard = self.rooms.connections(self.stream_id, 0)
            return Audience((0,), 0, len(self._live(first_shard)), first_shard)
        # A shard that was empty for long stays so, since only the newest takes anyone in. The others' numbers come from
        # those who post to them; the newest is counted, or nobody who comes in would ever be noticed.
        told = {n: one.viewers for n, one in state.shards.items()}
        empty_ms = clock.now_ms() - self.limits.empty_shard_ms
        empty = {n for n, one in state.shards.items() if n < newest and one.empty(empty_ms, stadium)}
        shards = tuple(n for n in range(coming + 1) if n not in empty)
        counted = self._count([n for n in shards if n >= newest or n not in told])
        return Audience(shards, newest, sum(counted.get(n, told.get(n, 0)) for n in shards), None)

    def _stadium(self, state: RoomState, head: StoredFrame, kept: list[Connection]) -> Audience:
        """The same of a stadium, where nobody posts to the shards and tells their numbers: one a frame is counted, each
        in its turn, so that what a frame costs does not grow with the room."""
        audience = self._audience(state, None, stadium=True)
        if audience.connections is not None:
            return replace(audience, kept=kept)
        told = [n for n in audience.shards if n < audience.newest and n in state.shards]
        untold = [n for n in audience.shards if n < audience.newest and n not in state.shards]
        turn = [told[head.seq % len(told)]] if told else []
        counted = self._count([*turn, *untold])
        viewers = audience.viewers
        now_ms = clock.now_ms()
        for shard, now in counted.items():
            before = state.shards.get(shard)
            if before is None or before.viewers != now:
                self.rooms.tell_shard(self.stream_id, shard, ShardCount(now, now_ms, looks=int(now == 0)))
            elif now == 0 and before.looks == 0:
                self.rooms.tell_shard(self.stream_id, shard, ShardCount(0, now_ms, looks=1))
            elif now == 0 and before.looks < EMPTY_LOOKS and before.at_ms < now_ms - self.limits.empty_shard_ms:
                self.rooms.tell_shard(self.stream_id, shard, replace(before, looks=EMPTY_LOOKS))
            viewers += now - before.viewers if before is not None else 0
        return replace(audience, viewers=viewers, kept=kept)

    def _recount(self, state: RoomState, audience: Audience) -> Audience:
        """The same, with every shard counted: nothing else changed, so someone left one of them, or nobody did."""
        if audience.connections is not None:
            return audience
        counted = self._count(list(audience.shards))
        for shard, viewers in counted.items():
            told = state.shards.get(shard)
            # That the newest is empty is said anew each time: it counts as empty from when it was the newest no more.
            if told is None or told.viewers != viewers or shard >= audience.newest:
                self.rooms.tell_shard(self.stream_id, shard, ShardCount(viewers, clock.now_ms()))
        return replace(audience, viewers=sum(counted.values()))

    def _count(self, shards: list[int]) -> dict[int, int]:
        now_s = clock.now_ms() // 1000

        def counter(shard: int) -> Callable[[], int]:
            return lambda: self.rooms.count_connections(self.stream_id, shard, now_s)

        return dict(zip(shards, self.rooms.together(*(counter(shard) for shard in shards)), strict=True))

    def _tell(self, state: RoomState, head: StoredFrame | None, viewers: int, seq: int) -> None:
        # What the head frame says may be told by its own sequencer only now, after this one read what was told.
        if viewers != (state.viewers or 0) or viewers != (head.viewers if head else 0):
            self.rooms.tell_viewers(self.stream_id, viewers, seq)

    # --- posting

    def _post(self, frame: StoredFrame, state: RoomState, audience: Audience, shown: str | None = None) -> None:
        closing = "not_live" if frame.ended else None
        if frame.transport == "media" and not frame.switched:
            self._post_kept(frame, shown)
            return
        if audience.kept:
            # Everyone is sent this one where they are counted, and the relay here.
            relays = [one for one in audience.kept if one.relay]
            gone = post_frame(self.sockets, frame.body, shown, self._live(relays), max(POST_MS_MIN, frame.tick_ms))
            self._dismiss([*relays, *self._going(audience.kept)], gone, closing)
        if audience.connections is None:
            for shard in audience.shards:
                self._deliver(shard, [shown or frame.body], state, audience, closing, frame.body if shown else None)
            return
        within_ms = max(POST_MS_MIN, frame.tick_ms)
        early = self._live(audience.connections)
        # Who registered after the first read and before the put has read frames without this one: a second read after
        # the put finds them, while the first are being served. Only those who began to join lately can be among them.
        gone: list[Connection]
        lately: list[Connection]
        gone, lately = self.rooms.together(
            lambda: post_frame(self.sockets, frame.body, shown, early, within_ms),
            lambda: self.rooms.connections(self.stream_id, 0, clock.now_ms() - JOIN_MS_MAX),
        )
        known = {one.id for one in audience.connections}
        late = [one for one in lately if one.id not in known]
        if late:
            gone = gone + post_frame(self.sockets, frame.body, shown, self._live(late), within_ms)
        self._dismiss([*audience.connections, *late], gone, closing)

    def _post_kept(self, frame: StoredFrame, shown: str | None) -> None:
        """Post to those who do not read frames out of the media: relays, hosts, moderators, and who asked."""
        # Read after the put: who registers later reads the frame.
        kept = self.rooms.connections(self.stream_id, KEPT_SHARD)
        parts = -(-len(kept) // self.limits.shard_size)
        if parts > 1:
            for part in range(parts):
                bodies, whole = [shown or frame.body], frame.body if shown else None
                self.sockets.deliver(self.stream_id, KEPT_SHARD, bodies, None, None, whole, part, parts)
            return
        gone = post_frame(self.sockets, frame.body, shown, self._live(kept), max(POST_MS_MIN, frame.tick_ms))
        self._dismiss(kept, gone, None)

    @staticmethod
    def _going(kept: list[Connection]) -> list[Connection]:
        return [one for one in kept if one.closing is not None and not one.relay]

    def _deliver(
        self,
        shard: int,
        bodies: list[str],
        state: RoomState,
        audience: Audience,
        closing: str | None,
        whole: str | None = None,
    ) -> None:
        told = state.shards.get(shard) if shard < audience.newest else None
        self.sockets.deliver(self.stream_id, shard, bodies, told.viewers if told else None, closing, whole)

    def _send_away(self, state: RoomState, audience: Audience) -> None:
        # A room that ended while its last run died still has people in it.
        closing = None if state.room.live else "not_live"
        if audience.kept:
            self._dismiss([*(one for one in audience.kept if one.relay), *self._going(audience.kept)], [], closing)
        if audience.connections is not None:
            self._dismiss(audience.connections, [], closing)
        elif closing is not None and audience.viewers:
            for shard in audience.shards:
                self._deliver(shard, [], state, audience, closing)

    def _dismiss(self, everyone: list[Connection], gone: list[Connection], closing: str | None) -> None:
        if dismiss(self.rooms, self.sockets, self.stream_id, everyone, gone, closing) and closing is None:
            # Fewer are here than the frame said.
            self.rooms.ring(self.stream_id)


def post_frame(
    sockets: Sockets, whole: str, shown: str | None, to: list[Connection], within_ms: int
) -> list[Connection]:
    """Post what is shown of a frame, and all of it to those who are sent all; answers who is gone."""
    if shown is None:
        return sockets.post([whole], to, within_ms)
    # They are few, and first: who moderates should not see a comment last.
    gone = sockets.post([whole], [one for one in to if one.sent_all], within_ms)
    return gone + sockets.post([shown], [one for one in to if not one.sent_all], within_ms)


def dismiss(
    rooms: Rooms,
    sockets: Sockets,
    stream_id: str,
    everyone: list[Connection],
    gone: list[Connection],
    closing: str | None,
) -> bool:
    """Forget who is gone, see off who is to go (all with ``closing``, or those marked). True when anyone was gone."""
    gone_ids = {one.id for one in gone}
    going = [
        replace(one, closing=one.closing or closing)
        for one in everyone
        if one.id not in gone_ids and (closing is not None or one.closing is not None)
    ]
    if going:
        sockets.close(going, POST_MS_MIN)
    if gone or going:
        rooms.forget_connections(stream_id, [*gone, *going])
    return bool(gone)
