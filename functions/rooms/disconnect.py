"""Lambda of `$disconnect`: forgets the connection. Best effort by the service's own word; TTL and 410 do the rest."""

from __future__ import annotations

from typing import Any

from functions import observe
from functions.errors import OnairError
from functions.rooms.answer import caller
from functions.rooms.stored import StoredRooms


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Remove the connection from room and account, and ring: the room has one viewer less."""
    try:
        who = caller(event)
    except OnairError:
        # It never had a ticket, so it never joined.
        return {"statusCode": 200}
    rooms = StoredRooms()
    joined = [one for _, one in rooms.account_connections(who.account) if one.id == who.connection_id]
    if joined:
        rooms.forget_connections(who.stream_id, joined)
        rooms.ring(who.stream_id)
    return {"statusCode": 200}
