"""Lambda of the route `chat`: one transaction records it, then the room is rung; only then is it acknowledged."""

from __future__ import annotations

import random
from typing import Final

from functions import clock, ids
from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.messages import Ack, ChatEvent, ChatMessage, Role
from functions.rooms.model import Room, admit, check_room, remembered
from functions.rooms.moderation import Verdict, shown_as, verdict
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
        ``slow_mode``, ``rate_limited``, ``followers_only``, ``filtered``, ``id_reused``, ``unavailable`` (send the
        same again).
    """
    text = clean_text(message.text)
    content = f"{message.reply_to or ''}\x1f{text}"
    event_id = ids.derived("chat", who.stream_id, who.account, message.id)
    for attempt in range(ATTEMPTS_MAX):
        desk = rooms.desk(who.stream_id, who.account, who.connection_id)
        role = desk.member.role(who.role)
        if remembered(desk.member, message.id, content):
            if desk.room is not None and judged(desk.room, who, role, text).rule == "held":
                return Ack(message.id, event_id, held=rooms.is_held(who.stream_id, event_id))
        else:
            room = check_room(desk.room, role, joined=desk.joined)
            now_ms = clock.now_ms()
            after = admit(desk.member, room.settings, role, client_id=message.id, content=content, now_ms=now_ms)
            found = check_text(rooms, room, who, role, text)
            event = ChatEvent(
                id=event_id,
                at=clock.rfc3339(now_ms),
                sender=shown_as(who.sender, role),
                client_id=message.id,
                text=text,
                reply_to=message.reply_to,
            )
            held = found.rule == "held"
            if held:
                done = rooms.hold_comment(who.stream_id, desk.member, after, event, found.reasons)
            else:
                done = rooms.commit_comment(who.stream_id, desk.member, after, event)
            if not done:
                # Another message of this member was faster, perhaps this very one: look again.
                clock.sleep_ms(PAUSE_MS * 2**attempt * random.random())
                continue
            if held:
                # Nothing for a frame: the stream's reader tells the host (insights.py).
                return Ack(message.id, event_id, held=True)
        rooms.ring(who.stream_id)
        return Ack(message.id, event_id)
    raise OnairError("unavailable")


def check_text(rooms: Rooms, room: Room, who: Caller, role: Role, text: str) -> Verdict:
    """Refuse what the host's settings do: ``filtered``, ``followers_only`` (one more read, only while that is on)."""
    found = judged(room, who, role, text)
    if found.rule == "refused":
        raise OnairError("filtered", details={"reasons": ",".join(found.reasons)})
    if role == "viewer" and room.settings.followers_only and not rooms.follows(who.account, room.host.id):
        raise OnairError("followers_only")
    return found


def judged(room: Room, who: Caller, role: Role, text: str) -> Verdict:
    """What becomes of a text; the rules are for viewers alone."""
    return verdict(text, room, who.market) if role == "viewer" else Verdict("allowed")


@route(ChatMessage)
def handle(who: Caller, message: ChatMessage) -> Ack:
    return comment(StoredRooms(), who, message)
