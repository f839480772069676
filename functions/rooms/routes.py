"""HTTPS routes of rooms: what happened in a room, page by page, and what those do who moderate it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from chalice.app import Blueprint, Response
from msgspec import UNSET
from msgspec.structs import replace

from functions import clock, ids, parse
from functions.accounts import table as accounts
from functions.errors import OnairError
from functions.rooms import holding, members, moderating, moderation, seating, views, voting
from functions.rooms.balloting import open_questions
from functions.rooms.messages import (
    ChatEvent,
    FramesPage,
    HeldTold,
    PinnedEvent,
    RemovedEvent,
    Role,
    RoomEvent,
    SettingsEvent,
)
from functions.rooms.model import Member, Room
from functions.rooms.posts import sockets
from functions.rooms.removal import removal
from functions.rooms.resume import page
from functions.rooms.ring import ring
from functions.rooms.stored import StoredRooms
from functions.rooms.table import read_room
from functions.rooms.viewers import list_viewers
from functions.rooms.views import FramesQuery
from functions.security import cognito
from functions.streams import table as streams
from functions.streams import tickets

routes = Blueprint(__name__)

# API Gateway takes 10 MB; a page that a phone reads in one go is far smaller.
PAGE_BYTES_MAX = 256 * 1024
# Changes of one room meet each other only where two people moderate at once.
ATTEMPTS_MAX: Final = 8


@routes.route("/streams/{stream_id}/frames", methods=["GET"])
def frames(stream_id: str) -> Response:
    """The frames of a room in order; open to whom its ticket would be, live or not."""
    request = routes.current_request
    asked = parse.query(request, FramesQuery)
    tickets.admit(streams.required(stream_id), parse.optional_identity(request))
    room = read_room(stream_id)
    if room is None:
        raise OnairError("not_found")
    if asked.epoch is not None and asked.epoch != room.epoch:
        raise OnairError("conflict", "This room's numbering began anew. Join it again.", details={"epoch": room.epoch})
    found = page(StoredRooms(), stream_id, room.epoch, asked=room.epoch, after=asked.after, bytes_max=PAGE_BYTES_MAX)
    body = msgspec.json.encode(FramesPage(room.epoch, found.seq, found.frames, found.more))
    return Response(body=body.decode(), headers={"Content-Type": "application/json"})


@routes.route("/streams/{stream_id}/room", methods=["PATCH"], authorizer=cognito)
def change_room(stream_id: str) -> views.RoomControls:
    """Change how a live room is moderated: slow mode, followers only, keywords, comments, pin."""
    request = routes.current_request
    me = parse.identity(request)
    change = parse.body(request, views.RoomChange)
    keywords = None if change.keywords is UNSET else moderation.clean_keywords(change.keywords)
    for _ in range(ATTEMPTS_MAX):
        room, _role = _moderated(stream_id, me.account)
        if not room.live:
            raise OnairError("not_live")
        after = replace(
            room,
            settings=moderation.changed_settings(room.settings, change),
            keywords=room.keywords if keywords is None else keywords,
            pinned=_pinned(room, change.pinned),
        )
        events: list[RoomEvent] = []
        at = clock.rfc3339(clock.now_ms())
        if after.settings != room.settings:
            events.append(SettingsEvent(id=ids.new(), at=at, settings=after.settings))
        if after.pinned != room.pinned:
            events.append(PinnedEvent(id=ids.new(), at=at, pinned=after.pinned))
        if after == room:
            return _controls(room)
        if moderating.write_room(room, after, events):
            if events:
                ring(stream_id)
            return _controls(after)
    raise OnairError("unavailable")


def _controls(room: Room) -> views.RoomControls:
    return views.RoomControls(room.settings, room.keywords, room.pinned)


def _pinned(room: Room, wanted: str | msgspec.UnsetType | None) -> ChatEvent | None:
    if wanted is UNSET or (room.pinned is not None and room.pinned.id == wanted):
        return room.pinned
    if wanted is None:
        return None
    found = moderating.find_event(room.stream_id, wanted)
    if found is None or not isinstance(found.event, ChatEvent):
        raise OnairError("not_found", "There is no such comment.", field="pinned")
    return found.event


def _moderated(stream_id: str, account: str) -> tuple[Room, Role]:
    """The room, where this account hosts or moderates it."""
    room, member = read_room(stream_id), StoredRooms().member(stream_id, account)
    if room is None:
        raise OnairError("not_found")
    role = moderation.role_of(room, account, member)
    moderation.required_moderator(role, member)
    return room, role


@routes.route("/streams/{stream_id}/members/{handle}", methods=["PUT"], authorizer=cognito)
def change_member(stream_id: str, handle: str) -> views.MemberView:
    """Mute, ban or let in a member; the host also makes moderators."""
    request = routes.current_request
    me = parse.identity(request)
    change = parse.body(request, views.MemberChange)
    room, by = _moderated(stream_id, me.account)
    account = accounts.id_of(handle)
    if account is None:
        raise OnairError("not_found", "Nobody has this handle.", field="handle")
    if account in (me.account, room.host.id):
        raise OnairError("forbidden", "This does not work on yourself or on the host.", field="handle")
    after = members.change_member(stream_id, account, handle, change, by)
    if after.banned:
        seating.vacate(stream_id, account)
    return views.MemberView(handle, after.banned, after.moderator, members.muted_until(after, clock.now_ms()))


@routes.route("/streams/{stream_id}/events/{event_id}", methods=["DELETE"], authorizer=cognito)
def delete_event(stream_id: str, event_id: str) -> None:
    """Remove a comment or question everywhere (host, moderators, and whoever wrote it); again changes nothing."""
    request = routes.current_request
    me = parse.identity(request)
    asked = parse.query(request, views.EventQuery)
    room, member = read_room(stream_id), StoredRooms().member(stream_id, me.account)
    if room is None:
        raise OnairError("not_found")
    found = moderating.find_event(stream_id, event_id, asked.seq)
    role = moderation.role_of(room, me.account, member)
    own = found is not None and found.event.sender is not None and found.event.sender.id == me.account
    if found is not None and isinstance(found.event, RemovedEvent) and role == "viewer":
        # Whoever wrote it removed it before, or someone else did.
        return
    if not own:
        moderation.required_moderator(role, member)
    if found is None:
        raise OnairError("not_found", "There is no such event.")
    if not isinstance(found.event, moderating.REMOVABLE):
        raise OnairError("forbidden", "Only comments and questions can be removed.")
    moderating.remove_event(room, removal(stream_id, event_id, clock.now_ms()), found, event_id)
    ring(stream_id)


@routes.route("/streams/{stream_id}/held", methods=["GET"], authorizer=cognito)
def list_held(stream_id: str) -> views.HeldComments:
    """Comments that wait for a decision (host and moderators), oldest first."""
    _moderated(stream_id, parse.identity(routes.current_request).account)
    return holding.waiting(stream_id)


@routes.route("/streams/{stream_id}/held/{event_id}", methods=["PUT"], authorizer=cognito)
def decide_held(stream_id: str, event_id: str) -> None:
    """Release a held comment into the room, or reject it (host and moderators). The author is told."""
    request = routes.current_request
    room, _role = _moderated(stream_id, parse.identity(request).account)
    decision = parse.body(request, views.HeldDecision)
    held = holding.read(stream_id, event_id)
    if held is None:
        raise OnairError("not_found", "This comment waits no longer: someone decided, or it is a day old.")
    if decision.state == "rejected":
        holding.reject(stream_id, event_id)
    else:
        _release(room, held)
    _tell_author(stream_id, held, decision.state)


def _release(room: Room, held: views.HeldComment) -> None:
    if not room.live:
        raise OnairError("not_live")
    sender = held.event.sender
    assert sender is not None, "a comment has an author"
    author = StoredRooms().member(room.stream_id, sender.id) or Member(account=sender.id)
    now_ms = clock.now_ms()
    if author.banned or author.muted_until_ms > now_ms:
        raise OnairError("conflict", "Whoever wrote this is muted or banned by now. Reject it.")
    if not holding.release(room.stream_id, held, author, now_ms):
        raise OnairError("conflict")
    ring(room.stream_id)


def _tell_author(stream_id: str, held: views.HeldComment, state: Literal["released", "rejected"]) -> None:
    assert held.event.sender is not None
    mine = [one for stream, one in StoredRooms().account_connections(held.event.sender.id) if stream == stream_id]
    if mine:
        told = HeldTold(event_id=held.event.id, client_id=held.event.client_id, state=state)
        sockets().post([msgspec.json.encode(told).decode()], mine, members.TELL_MS)


@routes.route("/streams/{stream_id}/questions", methods=["GET"])
def questions(stream_id: str) -> views.Questions:
    """Questions that wait or are shown, most upvotes first; open to whom the room's ticket would be."""
    tickets.admit(streams.required(stream_id), parse.optional_identity(routes.current_request))
    state = StoredRooms().state(stream_id)
    if state is None:
        raise OnairError("not_found")
    found = [(state.votes.get(voting.upvote_key(one.id), one.upvotes), one) for one in open_questions(stream_id)]
    found.sort(key=lambda pair: (-pair[0], pair[1].at_ms, pair[1].id))
    return views.Questions([voting.question_event(one, count, one.id, one.at_ms) for count, one in found])


@routes.route("/streams/{stream_id}/viewers", methods=["GET"], authorizer=cognito)
def viewers(stream_id: str) -> views.Viewers:
    """Who is in a live room: everybody for those who moderate, for others whom they follow."""
    request = routes.current_request
    me = parse.identity(request)
    asked = parse.query(request, views.ViewersQuery)
    tickets.admit(streams.required(stream_id), me)
    room, member = read_room(stream_id), StoredRooms().member(stream_id, me.account)
    if room is None:
        raise OnairError("not_found")
    if not room.live:
        raise OnairError("not_live")
    if member is not None and member.banned:
        raise OnairError("banned")
    return list_viewers(room, me.account, moderation.role_of(room, me.account, member), asked.limit)
