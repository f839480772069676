"""Lambda of the route `ping`: keeps a connection alive, and tells the newest frame so that a gap is noticed."""

from __future__ import annotations

from functions import clock
from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.limits import limits
from functions.rooms.messages import PingMessage, Pong
from functions.rooms.model import RELAY_TTL_S
from functions.rooms.stored import StoredRooms


@route(PingMessage, visitors=True, relays=True)
def handle(who: Caller, _message: PingMessage) -> Pong:
    rooms = StoredRooms()
    now_ms = clock.now_ms()
    ttl_s = RELAY_TTL_S if who.role == "relay" else limits().connection_ttl_s
    if rooms.refresh(who.account, who.connection_id, now_ms // 1000 + ttl_s) is None:
        raise OnairError("conflict", "Join this room first.")
    head = rooms.head(who.stream_id)
    return Pong(server_time=clock.rfc3339(now_ms), seq=head.seq if head else 0)
