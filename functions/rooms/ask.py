"""Lambda of the route `ask`: a question to the host, admitted like a comment."""

from __future__ import annotations

import random

from functions import clock, ids
from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.balloting import commit_question
from functions.rooms.chat import ATTEMPTS_MAX, PAUSE_MS, check_text
from functions.rooms.messages import Ack, AskMessage
from functions.rooms.model import admit, check_room, remembered
from functions.rooms.moderation import shown_as
from functions.rooms.stored import StoredRooms
from functions.rooms.text import clean_text
from functions.rooms.voting import Question, question_event


@route(AskMessage)
def handle(who: Caller, message: AskMessage) -> Ack:
    """Ask once, however often it is sent; refused as a comment is, and with ``conflict`` when too many wait."""
    rooms = StoredRooms()
    text = clean_text(message.text)
    content = f"question\x1f{text}"
    question_id = ids.derived("question", who.stream_id, who.account, message.id)
    for attempt in range(ATTEMPTS_MAX):
        desk = rooms.desk(who.stream_id, who.account, who.connection_id)
        if not remembered(desk.member, message.id, content):
            role = desk.member.role(who.role)
            room = check_room(desk.room, role, joined=desk.joined)
            now_ms = clock.now_ms()
            after = admit(desk.member, room.settings, role, client_id=message.id, content=content, now_ms=now_ms)
            if check_text(rooms, room, who, role, text).rule == "held":
                # A question is read out: one that gives something away is not kept for later, but asked again without.
                raise OnairError("filtered", "Ask without contact details or links.")
            question = Question(id=question_id, sender=shown_as(who.sender, role), text=text, at_ms=now_ms)
            event = question_event(question, 0, question_id, now_ms, client_id=message.id)
            if not commit_question(who.stream_id, desk.member, after, question, event):
                clock.sleep_ms(PAUSE_MS * 2**attempt * random.random())
                continue
        rooms.ring(who.stream_id)
        return Ack(message.id, question_id)
    raise OnairError("unavailable")
