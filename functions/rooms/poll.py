"""Lambda of the route `poll`: the host or a moderator begins a poll; the sequencer ends it (voting.py)."""

from __future__ import annotations

import random
from typing import Final

from msgspec.structs import replace

from functions import clock, ids
from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.balloting import commit_poll, forget_votes
from functions.rooms.chat import ATTEMPTS_MAX, PAUSE_MS
from functions.rooms.messages import Ack, PollMessage
from functions.rooms.model import Room, admit, check_room, remembered
from functions.rooms.moderation import required_moderator, shown_as
from functions.rooms.ring import ring_later
from functions.rooms.stored import StoredRooms
from functions.rooms.voting import RESULT_GRACE_MS, option_keys, poll_event, poll_of

# A result is a frame away once its poll is over: the next poll waits for it rather than being refused.
RESULT_WAITS_MAX: Final = 12
RESULT_WAIT_MS: Final = 200


@route(PollMessage)
def handle(who: Caller, message: PollMessage) -> Ack:
    """Begin a poll, once, however often it is sent; ``conflict`` while another one runs."""
    rooms = StoredRooms()
    poll_id = ids.derived("poll", who.stream_id, who.account, message.id)
    content = "\x1f".join(["poll", message.question, *message.options, str(message.seconds)])
    for attempt in range(ATTEMPTS_MAX):
        desk = rooms.desk(who.stream_id, who.account, who.connection_id)
        if not remembered(desk.member, message.id, content):
            role = desk.member.role(who.role)
            room = check_room(desk.room, role, joined=desk.joined)
            required_moderator(role, desk.member)
            poll_of(message, poll_id, clock.now_ms())
            _wait_for_result(rooms, room)
            now_ms = clock.now_ms()
            poll = poll_of(message, poll_id, now_ms)
            after = admit(desk.member, room.settings, role, client_id=message.id, content=content, now_ms=now_ms)
            begun = poll_event(poll, (0,) * len(poll.options), "open", now_ms, poll_id)
            event = replace(begun, sender=shown_as(who.sender, role), client_id=message.id)
            if not commit_poll(room, desk.member, after, poll, event):
                clock.sleep_ms(PAUSE_MS * 2**attempt * random.random())
                continue
            if room.poll is not None:
                forget_votes(who.stream_id, option_keys(room.poll.id))
        # Its result is a ring's work like any event; what was sent before and not acknowledged is asked for again.
        ring_later(who.stream_id, clock.now_ms() + message.seconds * 1000 + RESULT_GRACE_MS)
        rooms.ring(who.stream_id)
        return Ack(message.id, poll_id)
    raise OnairError("unavailable")


def _wait_for_result(rooms: StoredRooms, room: Room) -> None:
    before = room.poll
    if before is None:
        return
    now_ms = clock.now_ms()
    if before.open_at(now_ms):
        raise OnairError("conflict", "A poll is running. It has to end first.", retry_after_ms=before.ends_ms - now_ms)
    clock.sleep_ms(before.ends_ms + RESULT_GRACE_MS - now_ms)
    rooms.ring(room.stream_id)
    for _ in range(RESULT_WAITS_MAX):
        head = rooms.head(room.stream_id)
        if head is not None and head.told.closed == before.id:
            return
        clock.sleep_ms(RESULT_WAIT_MS)
    raise OnairError("conflict", "The last poll's result is on its way. Try again.", retry_after_ms=RESULT_WAIT_MS)
