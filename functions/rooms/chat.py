"""Lambda of the route `chat`: one transaction records it, then the room is rung; only then is it acknowledged."""

from __future__ import annotations

import random
from typing import Final

from functions import clock, ids
from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.messages import Ack, ChatEvent, ChatMessage
from functions.rooms.model import admit, check_room, remembered
from functions.rooms.port import Rooms
from functions.rooms.stored import StoredRooms
from functions.rooms.text import clean_text

# A member's messages meet each other only where someone types on two devices at once.
ATTEMPTS_MAX: Final = 4
PAUSE_MS: Final = 20


def comment(rooms: Rooms, who: Caller, message: ChatMessage) -> Ack:
    """Put a comment into the room, once, however often it is sent.

    Raises
    ------
    OnairError
        ``invalid_request``, ``conflict`` (not joined), ``not_live``, ``forbidden``, ``banned``, ``muted``,
        ``slow_mode``, ``rate_limited``, ``id_reused``, ``unavailable`` (send the same again).
    """
    text = clean_text(message.text)
    content = f"{message.reply_to or ''}\x1f{text}"
    event_id = ids.derived("chat", who.stream_id, who.account, message.id)
    for attempt in range(ATTEMPTS_MAX):
        desk = rooms.desk(who.stream_id, who.account, who.connection_id)
        if not remembered(desk.member, message.id, content):
            room = check_room(desk.room, who.role, joined=desk.joined)
            now_ms = clock.now_ms()
            after = admit(desk.member, room.settings, who.role, client_id=message.id, content=content, now_ms=now_ms)
            event = ChatEvent(
                id=event_id,
                at=clock.rfc3339(now_ms),
                sender=who.sender,
                client_id=message.id,
                text=text,
                reply_to=message.reply_to,
            )
            if not rooms.commit_comment(who.stream_id, desk.member, after, event):
                # Another message of this member was faster, perhaps this very one: look again.
                clock.sleep_ms(PAUSE_MS * 2**attempt * random.random())
                continue
        rooms.ring(who.stream_id)
        return Ack(message.id, event_id)
    raise OnairError("unavailable")


@route(ChatMessage)
def handle(who: Caller, message: ChatMessage) -> Ack:
    return comment(StoredRooms(), who, message)
