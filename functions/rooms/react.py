"""Lambda of the route `react`: adds taps to the room's counters. Hearts are of the moment: none is sent late."""

from __future__ import annotations

from functions import clock
from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.limits import limits
from functions.rooms.messages import ReactMessage
from functions.rooms.model import Limits, count_reactions, react_sample, react_weight, reaction_shard
from functions.rooms.port import Rooms
from functions.rooms.stored import StoredRooms


def react(rooms: Rooms, who: Caller, message: ReactMessage, limits: Limits) -> None:
    """Count taps, from a connection at most twice in an interval (networks bunch messages up).

    Where only a sample of clients sends (`model.react_sample`), each tap stands for as many as were not sent.

    Raises
    ------
    OnairError
        ``invalid_request``, ``conflict`` (not joined), ``rate_limited``.
    """
    taps = count_reactions(message.counts)
    interval_ms = limits.react_interval_ms // 2
    refusal = rooms.space_reactions(who.account, who.connection_id, clock.now_ms(), interval_ms)
    if refusal == "rate_limited":
        raise OnairError("rate_limited", retry_after_ms=limits.react_interval_ms)
    if refusal is not None:
        raise OnairError("conflict", "Join this room first.")
    weight = react_weight(message.sample, react_sample(rooms.told_viewers(who.stream_id), limits))
    weighted = {emoji: count * weight for emoji, count in taps.items()}
    rooms.add_reactions(who.stream_id, reaction_shard(who.account), weighted)
    rooms.ring(who.stream_id)


@route(ReactMessage)
def handle(who: Caller, message: ReactMessage) -> None:
    react(StoredRooms(), who, message, limits())
