"""HTTPS routes of matches: ask another live host, accept or decline, end it. Only the two hosts may, no moderator."""

from __future__ import annotations

from chalice.app import Blueprint, Response
from msgspec import UNSET

from functions import clock, ids, parse
from functions.accounts import blocks
from functions.accounts import table as accounts
from functions.errors import OnairError
from functions.parse import Identity
from functions.rooms import matches, matching, seating, watching
from functions.rooms.matches import Side, Turn
from functions.rooms.matching import Both
from functions.rooms.messages import MatchView
from functions.rooms.stored import StoredRooms
from functions.rooms.views import MatchAnswer, MatchChange, MatchQuery, MatchRequest
from functions.security import cognito
from functions.streams import table as streams
from functions.streams import tickets
from functions.streams.model import Stream

routes = Blueprint(__name__)


@routes.route("/streams/{stream_id}/match", methods=["GET"], authorizer=cognito)
def read_match(stream_id: str) -> MatchAnswer:
    """The host's match, on or asked for, and where the host watches the other one while it is on."""
    stream = _own(stream_id, parse.identity(routes.current_request))
    now_ms = clock.now_ms()
    match = matches.current(seating.read(stream.id), now_ms)
    if match is None:
        return MatchAnswer()
    on = match.state == "accepted"
    return MatchAnswer(matches.view(match, now_ms), watching.whep_url(stream.id, watching.MATCH_SEAT) if on else UNSET)


@routes.route("/streams/{stream_id}/match", methods=["POST"], authorizer=cognito)
def ask_for_match(stream_id: str) -> Response:
    """Ask another live host to appear side by side in both broadcasts; who was asked by them accepts."""
    request = routes.current_request
    me = parse.identity(request)
    key = parse.idempotency_key(request)
    given = parse.body(request, MatchRequest)
    stream = _own(stream_id, me)
    rival = _rival(stream, me, given.handle)
    match_id = ids.derived("match", stream.id, key) if key is not None else ids.new()

    def decide(both: Both) -> Turn:
        mine, theirs = _live(both)
        _check_together(mine, theirs)
        ours = Side(matching.rival(mine), both.mine), Side(matching.rival(theirs), both.theirs)
        return matches.ask(*ours, match_id, clock.now_ms())

    turn = matching.change(stream.id, rival.id, decide)
    match = matches.known(turn.mine, match_id) or turn.mine.match
    assert match is not None, "a match was just asked for"
    return Response(matches.view(match, clock.now_ms()), status_code=201)


@routes.route("/streams/{stream_id}/match", methods=["PATCH"], authorizer=cognito)
def answer_match(stream_id: str) -> MatchView:
    """Accept or decline what another host asked for; the same again changes nothing."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, MatchChange)
    stream = _own(stream_id, me)

    def decide(both: Both) -> Turn:
        now_ms = clock.now_ms()
        if given.state == "declined":
            return matches.decline(both.mine, both.theirs, me.account, given.match, now_ms)
        if matches.current(both.mine, now_ms) is not None:
            _check_together(*_live(both))
        return matches.accept(both.mine, both.theirs, me.account, given.match, now_ms)

    turn = matching.change(stream.id, None, decide)
    match = turn.mine.past if given.state == "declined" else turn.mine.match
    assert match is not None, "what was answered is the match, now or before"
    return matches.view(match, clock.now_ms())


@routes.route("/streams/{stream_id}/match", methods=["DELETE"], authorizer=cognito)
def end_match(stream_id: str) -> None:
    """End the match, take back what was asked for, or decline it; what is over stays so."""
    request = routes.current_request
    me = parse.identity(request)
    only = parse.query(request, MatchQuery)
    stream = _own(stream_id, me)

    def decide(both: Both) -> Turn:
        match = both.mine.match
        if match is None or only.match not in (None, match.id) or only.state not in (None, match.state):
            return Turn(both.mine, both.theirs)
        return matches.leave(both.mine, both.theirs, me.account, clock.now_ms())

    matching.change(stream.id, None, decide)


# --- rules put to use


def _own(stream_id: str, me: Identity) -> Stream:
    """One's own live stream."""
    stream = streams.required(stream_id)
    if stream.host.id != me.account:
        raise OnairError("not_found" if stream.state == "ready" else "forbidden")
    if stream.state != "live":
        raise OnairError("not_live")
    return stream


def _rival(stream: Stream, me: Identity, handle: str) -> Stream:
    """The live broadcast of the host who is asked; raises for one that could not be, as its ticket would be refused."""
    account_id = accounts.id_of(handle)
    account = accounts.read(account_id) if account_id is not None else None
    if account is None:
        raise OnairError("not_found", "Nobody has this handle.", field="handle")
    if account.id == me.account:
        raise OnairError("conflict", "Ask somebody else for a match.", field="handle")
    if blocks.between(me.account, account.id):
        raise OnairError("blocked")
    found = streams.read(account.live_stream) if account.live_stream is not None else None
    if found is None or found.state != "live":
        raise OnairError("not_live", "This host is not live now.", field="handle")
    # Each host sees the other's room: a match opens no door that is closed.
    tickets.admit(found, me)
    member = StoredRooms().member(stream.id, account.id)
    if member is not None and member.banned:
        raise OnairError("conflict", "This person is banned from your room. Let them in first.", field="handle")
    return found


def _live(both: Both) -> tuple[Stream, Stream]:
    mine, theirs = both.my_stream, both.their_stream
    if mine is None or mine.state != "live":
        raise OnairError("not_live")
    if theirs is None or theirs.state != "live":
        raise OnairError("not_live", "This host is not live any more.")
    return mine, theirs


def _check_together(mine: Stream, theirs: Stream) -> None:
    """Whoever may watch one may watch the other: all that is shown in a room is shown to all who are in it.

    Followers of one host are not those of the other, so that a broadcast for followers has no match at all.
    """
    if blocks.between(mine.host.id, theirs.host.id):
        raise OnairError("blocked")
    if mine.audience != "everyone" or theirs.audience != "everyone":
        raise OnairError("conflict", "Both broadcasts must be for everyone to have a match.")
    if mine.min_age != theirs.min_age:
        raise OnairError("conflict", "Both broadcasts must be for the same age to have a match.")
