"""Lambda of the route `answer`: the host shows, answers or dismisses a question, or shows any comment like one."""

from __future__ import annotations

from msgspec.structs import replace

from functions import clock, ids
from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.balloting import forget_votes, write_answer
from functions.rooms.messages import Ack, AnswerMessage, ChatEvent, QuestionEvent
from functions.rooms.model import RoomState, check_present
from functions.rooms.moderating import find_event
from functions.rooms.moderation import required_moderator
from functions.rooms.stored import StoredRooms
from functions.rooms.voting import Question, question_event, upvote_key

ATTEMPTS_MAX = 4


@route(AnswerMessage)
def handle(who: Caller, message: AnswerMessage) -> Ack:
    """Change a question's state; the state that it has already changes nothing. What was shown before is answered."""
    rooms = StoredRooms()
    ack = Ack(message.id or message.question_id, message.question_id)
    for _ in range(ATTEMPTS_MAX):
        desk = rooms.desk(who.stream_id, who.account, who.connection_id)
        check_present(desk.room, desk.member, joined=desk.joined)
        required_moderator(desk.member.role(who.role), desk.member)
        state = rooms.state(who.stream_id)
        if state is None:
            raise OnairError("not_found")
        before = next(iter(rooms.questions(who.stream_id, [message.question_id])), None)
        if before is not None and before.state == message.state:
            rooms.ring(who.stream_id)
            return ack
        now = before or _of_comment(who.stream_id, message)
        upvotes = state.votes.get(upvote_key(now.id), now.upvotes)
        after = replace(now, state=message.state, upvotes=upvotes)
        now_ms = clock.now_ms()
        event = question_event(after, upvotes, ids.new(), now_ms)
        if write_answer(state.room, before, after, event, _hidden(state, after, now_ms)):
            rooms.ring(who.stream_id)
            if after.state != "showing":
                forget_votes(who.stream_id, [upvote_key(after.id)])
            return ack
    raise OnairError("unavailable")


def _of_comment(stream_id: str, message: AnswerMessage) -> Question:
    found = find_event(stream_id, message.question_id) if message.state == "showing" else None
    if found is None or not isinstance(found.event, ChatEvent):
        raise OnairError("not_found", "There is no such question or comment.", field="question_id")
    comment = found.event
    return Question(id=comment.id, sender=comment.sender, text=comment.text, at_ms=clock.now_ms())


def _hidden(state: RoomState, after: Question, now_ms: int) -> QuestionEvent | None:
    shown = state.room.showing
    if after.state != "showing" or shown is None or shown.id == after.id:
        return None
    upvotes = state.votes.get(upvote_key(shown.id), shown.upvotes)
    return question_event(replace(shown, state="answered"), upvotes, ids.new(), now_ms)
