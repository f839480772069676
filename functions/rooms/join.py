"""Lambda of the route `join`: registers first and reads then, so that every frame is either read here or posted.

The same socket may say it again at any time, to be told what it missed.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from functions import clock, ids
from functions.errors import OnairError
from functions.rooms import matches
from functions.rooms.answer import Caller, route
from functions.rooms.limits import limits
from functions.rooms.messages import (
    Joined,
    JoinEvent,
    JoinMessage,
    MatchView,
    Me,
    PollEvent,
    QuestionEvent,
    RoomSnapshot,
)
from functions.rooms.model import (
    JOIN_EVENTS_VIEWERS_MAX,
    KEPT_SHARD,
    REACTIONS,
    RELAY_TTL_S,
    Connection,
    Limits,
    Member,
    RoomState,
    StoredFrame,
    evicted,
)
from functions.rooms.port import Presence, Registration, Rooms
from functions.rooms.resume import FRAMES_BYTES_MAX, page
from functions.rooms.stored import StoredRooms
from functions.rooms.voting import poll_event, question_event, tallies_of, upvote_key
from functions.tokens import TICKET_LIFETIME_S

# Kept twice the ticket's life, for clocks that differ.
NONCE_S: Final = 2 * TICKET_LIFETIME_S
# `bye` code for a connection that made way for a newer one of its account.
EVICTED_CODE: Final = "conflict"


class _Known(Struct, frozen=True):
    """What there was before this join."""

    connections: list[tuple[str, Connection]]
    member: Member | None
    viewers: int


def join(rooms: Rooms, who: Caller, message: JoinMessage, limits: Limits) -> Joined:
    """Come into the room, or ask again for what was missed.

    Raises
    ------
    OnairError
        ``not_found``, ``not_live``, ``banned``, ``suspended``, ``unauthenticated`` (the ticket was used by another
        socket).
    """
    nobody = who.role in ("visitor", "relay")
    presence: Presence
    member: Member | None
    head: StoredFrame | None
    presence, member, head = rooms.together(
        lambda: rooms.presence(who.account),
        lambda: None if nobody else rooms.member(who.stream_id, who.account),
        lambda: rooms.head(who.stream_id),
    )
    if presence.barred is not None:
        # Its ticket is older than its suspension.
        raise OnairError(presence.barred)
    if member is not None and member.banned:
        raise OnairError("banned")
    connections = presence.connections
    known = _Known(connections, member, head.viewers if head else 0)
    mine = [one for stream, one in connections if one.id == who.connection_id and stream == who.stream_id]
    by_socket = message.frames == "socket"
    if not mine:
        _register(rooms, who, known, limits, by_socket)
    elif mine[0].by_socket != by_socket and not mine[0].relay:
        # Also before frames are read: from here on they come by the other way, and what came before is in storage.
        rooms.choose_frames(who.stream_id, replace(mine[0], by_socket=by_socket))
    state = rooms.state(who.stream_id)
    if state is None:
        raise OnairError("not_found")
    room = state.room
    if not room.live:
        raise OnairError("not_live")
    frames = page(
        rooms, who.stream_id, room.epoch, asked=message.epoch, after=message.after, bytes_max=FRAMES_BYTES_MAX
    )
    now_ms = clock.now_ms()
    muted_ms = member.muted_until_ms if member is not None else 0
    return Joined(
        epoch=room.epoch,
        seq=frames.seq,
        server_time=clock.rfc3339(now_ms),
        ping_s=limits.ping_s,
        react_interval_ms=limits.react_interval_ms,
        reconnect_spread_ms=limits.reconnect_spread_ms,
        reaction_kinds=tuple(REACTIONS),
        room=RoomSnapshot(
            title=room.title,
            host=room.host,
            settings=room.settings,
            viewers=max(state.viewers or 0, known.viewers, 1),
            reactions=state.reactions,
            pinned=room.pinned,
            seats=tuple(one.view() for one in state.stage.seats if one.state != "asked"),
            media=room.media,
            poll=_poll(state, now_ms),
            showing=_showing(state),
            layout=state.stage.layout,
            match=_match(state, now_ms),
        ),
        me=Me(
            member.role(who.role) if member is not None else "visitor" if who.role == "relay" else who.role,
            clock.rfc3339(muted_ms) if muted_ms > now_ms else None,
        ),
        frames=frames.frames,
        resumed=frames.resumed,
        more=frames.more,
    )


def _poll(state: RoomState, now_ms: int) -> PollEvent | None:
    poll = state.room.poll
    if poll is None:
        return None
    return poll_event(poll, tallies_of(poll, state.votes), "open" if poll.open_at(now_ms) else "closed", now_ms)


def _match(state: RoomState, now_ms: int) -> MatchView | None:
    match = matches.current(state.stage, now_ms)
    return None if match is None else matches.view(match, now_ms)


def _showing(state: RoomState) -> QuestionEvent | None:
    shown = state.room.showing
    if shown is None:
        return None
    return question_event(shown, state.votes.get(upvote_key(shown.id), shown.upvotes), shown.id, shown.at_ms)


def _register(rooms: Rooms, who: Caller, known: _Known, limits: Limits, by_socket: bool) -> None:
    now_ms = clock.now_ms()
    if who.role == "relay":
        _register_relay(rooms, who, known, now_ms)
        return
    visitor = who.role == "visitor"
    first_time = known.member is None
    room = rooms.count_join(who.stream_id, unique=first_time)
    if room is None:
        state = rooms.state(who.stream_id)
        raise OnairError("not_found" if state is None else "not_live")
    connection = Connection(
        id=who.connection_id,
        account=who.account,
        shard=room.shard(limits.shard_size),
        expires_s=now_ms // 1000 + limits.connection_ttl_s,
        joined_ms=now_ms,
        sent_all=who.role == "host" or (known.member is not None and known.member.moderator),
        by_socket=by_socket,
    )
    others = {one.id: stream for stream, one in known.connections}
    going = evicted([one for _, one in known.connections], now_ms // 1000)
    event = None
    if first_time and not visitor and known.viewers < JOIN_EVENTS_VIEWERS_MAX:
        event = JoinEvent(
            id=ids.derived("join", who.stream_id, room.epoch, who.account),
            at=clock.rfc3339(now_ms),
            sender=who.sender,
        )
    registration = Registration(
        stream_id=who.stream_id,
        nonce=who.nonce,
        nonce_expires_s=now_ms // 1000 + NONCE_S,
        connection=connection,
        evicted=tuple((others[one.id], replace(one, closing=EVICTED_CODE)) for one in going),
        new_member=Member(account=who.account) if first_time and not visitor else None,
        event=event,
        member=None if visitor else who.account,
    )
    refused = rooms.register(registration)
    if refused == "member":
        # The same account came in by another socket at this moment: that one told the room.
        refused = rooms.register(replace(registration, new_member=None, event=None))
    if refused == "banned":
        raise OnairError("banned")
    if refused is not None:
        raise OnairError("unauthenticated", "This ticket was used before. Ask for a new one.")
    rooms.ring(who.stream_id)


def _register_relay(rooms: Rooms, who: Caller, known: _Known, now_ms: int) -> None:
    # It is no member and no viewer; the sequencer looks for it in its own place once the room is a stadium. Of one that
    # died nothing is left after a minute, and of three the oldest goes.
    connection = Connection(
        id=who.connection_id,
        account=who.account,
        shard=KEPT_SHARD,
        expires_s=now_ms // 1000 + RELAY_TTL_S,
        joined_ms=now_ms,
    )
    going = evicted([one for _, one in known.connections], now_ms // 1000)
    registration = Registration(
        stream_id=who.stream_id,
        nonce=who.nonce,
        nonce_expires_s=now_ms // 1000 + NONCE_S,
        connection=connection,
        evicted=tuple((who.stream_id, replace(one, closing=EVICTED_CODE)) for one in going),
        new_member=None,
        event=None,
    )
    if rooms.register(registration) is not None:
        raise OnairError("unauthenticated", "This ticket was used before.")
    rooms.ring(who.stream_id)


@route(JoinMessage, visitors=True, relays=True)
def handle(who: Caller, message: JoinMessage) -> Joined:
    return join(StoredRooms(), who, message, limits())
