"""Lambda of the route `upvote`: counts once a member; what is counted, the next frame tells."""

from __future__ import annotations

from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.balloting import cast
from functions.rooms.messages import Ack, UpvoteMessage
from functions.rooms.model import check_present
from functions.rooms.stored import StoredRooms
from functions.rooms.voting import upvote_key


@route(UpvoteMessage)
def handle(who: Caller, message: UpvoteMessage) -> Ack:
    """Upvote; again changes nothing. ``not_found`` and ``conflict`` (answered already) as to the question."""
    rooms = StoredRooms()
    desk = rooms.desk(who.stream_id, who.account, who.connection_id)
    check_present(desk.room, desk.member, joined=desk.joined)
    found = rooms.questions(who.stream_id, [message.question_id])
    if not found:
        raise OnairError("not_found", "There is no such question.")
    if found[0].state not in ("open", "showing"):
        raise OnairError("conflict", "This question was answered already.")
    cast(who.stream_id, message.question_id, who.account, upvote_key(message.question_id))
    rooms.ring(who.stream_id)
    return Ack(message.id or message.question_id, message.question_id)
