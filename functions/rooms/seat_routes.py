"""HTTPS routes of seats: ask for one, invite, accept, decline, leave, mute, arrange."""

from __future__ import annotations

from typing import Final

import msgspec
from chalice.app import Blueprint, Response
from msgspec import UNSET

from functions import clock, ids, messages, parse, settings, tokens
from functions.accounts import blocks, eligibility, notices, telling, views
from functions.accounts import table as accounts
from functions.accounts.model import Account, Devices
from functions.errors import OnairError
from functions.parse import Identity
from functions.rooms import moderation, seating, seats, watching
from functions.rooms.messages import Role, SeatEventState, Sender
from functions.rooms.model import Room
from functions.rooms.seating import Decision
from functions.rooms.seats import Seat, Stage
from functions.rooms.stored import StoredRooms
from functions.rooms.table import read_room
from functions.rooms.views import SeatChange, SeatGrant, SeatPublish, SeatRequest, Seats, StageChange
from functions.security import cognito
from functions.streams import table as streams
from functions.streams import tickets
from functions.streams.model import Stream

routes = Blueprint(__name__)

INVITED_AGAIN_S: Final = 24 * 3600
# What a guest must meet of what a host must (accounts/eligibility.py): not the followers, nor how old the account is.
GUEST_REQUIREMENTS: Final = frozenset({"age", "standing"})


@routes.route("/streams/{stream_id}/seats", methods=["GET"], authorizer=cognito)
def read_seats(stream_id: str) -> Seats:
    """Who is on screen, invited or waiting; for who holds a seat, its keys; for the host, where to watch guests."""
    me = parse.identity(routes.current_request)
    stream, room, role = _present(stream_id, me)
    return _seats(stream, room, seating.read(stream.id), me, role)


@routes.route("/streams/{stream_id}/seats", methods=["POST"], authorizer=cognito)
def request_seat(stream_id: str) -> Response:
    """Ask for a seat, or as host invite ``handle``; the same seat again when repeated."""
    request = routes.current_request
    me = parse.identity(request)
    # One account has one seat, so that asking again is harmless whatever the key.
    parse.idempotency_key(request)
    given = parse.body(request, SeatRequest)
    stream, room, role = _present(stream_id, me)
    if given.handle is None:
        if role == "host":
            raise OnairError("invalid_request", "Whom do you invite? Name a `handle`.", field="handle")
        account = accounts.required(me.account)
        _check_guest(account, seating.read(stream.id))
        guest = _sender(account)
        stage = seating.change(
            stream.id, lambda before: _about(seats.ask(before, guest, ids.new(), clock.now_ms()), "asked", guest)
        )
    else:
        guest = _invited(stream, role, given.handle)
        stage = seating.change(
            stream.id, lambda before: _about(seats.invite(before, guest, ids.new()), "invited", guest)
        )
        _tell_invited(stream, room, stage, guest)
    seat = stage.of(guest.id)
    assert seat is not None, "a seat was just asked for"
    return Response(_grant(stream, room, stage, seat, me), status_code=201)


@routes.route("/streams/{stream_id}/seats", methods=["PATCH"], authorizer=cognito)
def arrange_seats(stream_id: str) -> Seats:
    """Choose how the pictures are arranged (host)."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, StageChange)
    stream, room, role = _present(stream_id, me)
    stage = seating.change(stream.id, lambda before: (seats.arrange(before, given.layout, role), "layout", None))
    return _seats(stream, room, stage, me, role)


@routes.route("/streams/{stream_id}/seats/{seat_id}", methods=["PATCH"], authorizer=cognito)
def change_seat(stream_id: str, seat_id: str) -> SeatGrant:
    """Accept, decline or mute; whoever takes a seat gets where to publish and whom to watch."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, SeatChange)
    stream, room, role = _present(stream_id, me)
    before = seating.read(stream.id)
    found = before.seat(seat_id)
    if given.state == "accepted":
        # What was right when they asked may not be so any longer.
        _check_guest(accounts.required(found.guest.id), before)
        stage = seating.change(stream.id, lambda before: _accepted(before, seat_id, me.account, role))
    elif given.state == "declined":
        stage = seating.change(stream.id, lambda before: _gone(before, seat_id, me.account, role, "declined"))
        return SeatGrant(seat=seat_id, guest=found.guest, state="declined", muted=False)
    else:
        stage = before
    if given.muted is not UNSET:
        muted = given.muted
        stage = seating.change(stream.id, lambda before: _muted(before, seat_id, muted, role))
    return _grant(stream, room, stage, stage.seat(seat_id), me)


@routes.route("/streams/{stream_id}/seats/{seat_id}", methods=["DELETE"], authorizer=cognito)
def delete_seat(stream_id: str, seat_id: str) -> None:
    """Leave the screen or ask no longer; host and moderators take someone off it. What is gone already stays gone."""
    me = parse.identity(routes.current_request)
    stream, _room, role = _present(stream_id, me)

    def decide(before: Stage) -> Decision:
        if not any(one.id == seat_id for one in before.seats):
            return before, "left", None
        own = before.seat(seat_id).guest.id == me.account
        return _gone(before, seat_id, me.account, role, "left" if own else "removed")

    seating.change(stream.id, decide)


def _tell_invited(stream: Stream, room: Room, stage: Stage, guest: Sender) -> None:
    """Have a guest told who is not looking at the room; the same invitation again is no news."""
    seat = stage.of(guest.id)
    if seat is None or seat.state != "invited" or not notices.claim(guest.id, f"seat#{seat.id}", INVITED_AGAIN_S):
        return
    host, event = room.host, f"seat.{seat.id}"
    notice = notices.Notice("seat", clock.now_ms(), stream.id, event, host.id, host.handle, host.name, stream.title)
    telling.order(notice, [guest.id])


# --- rules put to use


def _present(stream_id: str, me: Identity) -> tuple[Stream, Room, Role]:
    """The live stream, its room and as what this account is in it; raises as the room's ticket would be refused."""
    stream = streams.required(stream_id)
    if stream.state != "live":
        raise OnairError("not_live")
    tickets.admit(stream, me)
    room, member = read_room(stream_id), StoredRooms().member(stream_id, me.account)
    if room is None or not room.live:
        raise OnairError("not_live")
    if member is not None and member.banned:
        raise OnairError("banned")
    return stream, room, moderation.role_of(room, me.account, member)


def _check_guest(account: Account, stage: Stage) -> None:
    """Raises ``not_eligible`` with what is missing in ``details``, and ``blocked`` where someone there is blocked."""
    request = routes.current_request
    found = eligibility.requirements(account, Devices(camera=True, microphone=True))
    unmet = [one for one in found if one.code in GUEST_REQUIREMENTS and not one.met]
    if unmet:
        language = messages.language(request.headers.get("accept-language"))
        raise OnairError("not_eligible", details=msgspec.to_builtins(views.requirement_views(unmet, language)))
    if account.has_blocks and stage.on_screen:
        hidden = blocks.hidden_from(account.id)
        if any(one.guest.id in hidden for one in stage.on_screen):
            raise OnairError("blocked")


def _invited(stream: Stream, role: Role, handle: str) -> Sender:
    """Whom the host invites; raises for who could not come."""
    if role != "host":
        raise OnairError("forbidden")
    account_id = accounts.id_of(handle)
    if account_id is None:
        raise OnairError("not_found", "Nobody has this handle.", field="handle")
    if account_id == stream.host.id:
        raise OnairError("conflict", "You are on screen already.", field="handle")
    member = StoredRooms().member(stream.id, account_id)
    if member is not None and member.banned:
        raise OnairError("conflict", "This person is banned from your room. Let them in first.", field="handle")
    account = accounts.required(account_id)
    tickets.admit(stream, Identity(account.id, account.handle))
    _check_guest(account, seating.read(stream.id))
    return _sender(account)


def _sender(account: Account) -> Sender:
    return Sender(account.id, account.handle, account.display_name, account.badges)


def _about(after: Stage, what: SeatEventState, guest: Sender) -> Decision:
    seat = after.of(guest.id)
    # Who asked and is invited is let in.
    called: SeatEventState = "accepted" if seat is not None and seat.state == "accepted" else what
    return after, called, seat


def _accepted(before: Stage, seat_id: str, account: str, role: Role) -> Decision:
    seat = before.seat(seat_id)
    return seats.accept(before, seat, account, role), "accepted", seat


def _gone(before: Stage, seat_id: str, account: str, role: Role, what: SeatEventState) -> Decision:
    seat = before.seat(seat_id)
    return seats.give_up(before, seat, account, role, clock.now_ms()), what, seat


def _muted(before: Stage, seat_id: str, muted: bool, role: Role) -> Decision:
    seat = before.seat(seat_id)
    return seats.mute(before, seat, muted, role), "muted" if muted else "unmuted", seat


# --- answers


def _grant(stream: Stream, room: Room, stage: Stage, seat: Seat, me: Identity) -> SeatGrant:
    granted = SeatGrant(seat=seat.id, guest=seat.guest, state=seat.state, muted=seat.muted)
    if seat.state != "accepted" or seat.guest.id != me.account:
        return granted
    return msgspec.structs.replace(
        granted,
        publish=SeatPublish(f"{settings.required('RELAY_URL')}/whip/{stream.id}", tokens.seat_key(stream.id, seat.id)),
        watch=watching.watched(stream.id, room.host, stage, but=seat.id),
    )


def _seats(stream: Stream, room: Room, stage: Stage, me: Identity, role: Role) -> Seats:
    mine = stage.of(me.account)
    shown = Seats(layout=stage.layout, items=tuple(one.view() for one in stage.seats))
    if mine is not None:
        return msgspec.structs.replace(shown, mine=_grant(stream, room, stage, mine, me))
    if role == "host":
        return msgspec.structs.replace(shown, watch=watching.watched(stream.id, room.host, stage, watching.HOST_SEAT))
    return shown
