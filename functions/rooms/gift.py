"""Lambda of the route `gift`: the wallet records it together with the event in the inbox; here the room is rung."""

from __future__ import annotations

from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.messages import Ack, GiftMessage
from functions.rooms.model import RoomView
from functions.rooms.stored import StoredRooms
from functions.wallet.gift_transfer import send_gift
from functions.wallet.giving import Giver


@route(GiftMessage)
def handle(who: Caller, message: GiftMessage) -> Ack:
    """Send a gift; ``send_gift`` says what is refused, and rings the settler.

    It also decides about a room that is not live: a gift that was sent before the end is answered as it was then.
    """
    rooms = StoredRooms()
    desk = rooms.desk(who.stream_id, who.account, who.connection_id)
    if desk.room is None:
        raise OnairError("not_found")
    if desk.room.live and not desk.joined:
        raise OnairError("conflict", "Join this room first.")
    host = desk.room.host
    room = RoomView(who.stream_id, host.id, desk.room.live, desk.room.settings.gifts_on, host.badges)
    answer = send_gift(who.sender, room, message, Giver(who.market, who.age_years, who.created_ms))
    rooms.ring(who.stream_id)
    return Ack(message.id, answer.event_id, answer.coins)
