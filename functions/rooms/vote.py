"""Lambda of the route `vote`: one vote a member, once and for all; the next frame has the tallies."""

from __future__ import annotations

from functions import clock
from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.balloting import cast
from functions.rooms.messages import Ack, VoteMessage
from functions.rooms.model import check_present
from functions.rooms.stored import StoredRooms
from functions.rooms.voting import check_vote, option_key


@route(VoteMessage)
def handle(who: Caller, message: VoteMessage) -> Ack:
    """Vote; the same again is the same, another option is ``conflict``, as is a poll that is over."""
    rooms = StoredRooms()
    desk = rooms.desk(who.stream_id, who.account, who.connection_id)
    room = check_present(desk.room, desk.member, joined=desk.joined)
    try:
        poll = check_vote(room.poll, message.poll_id, message.option, clock.now_ms())
    except OnairError as error:
        if error.code == "conflict":
            # In a room where nothing else happens, this brings the result.
            rooms.ring(who.stream_id)
        raise
    counted = cast(who.stream_id, poll.id, who.account, option_key(poll.id, message.option), message.option)
    if counted != message.option:
        raise OnairError("conflict", "You voted already.", details={"option": counted})
    rooms.ring(who.stream_id)
    return Ack(message.id or message.poll_id, message.poll_id)
