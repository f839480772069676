"""HTTPS routes of sharing: a link of one's own, the page behind it, and what came of all links."""

from __future__ import annotations

from typing import Final

import msgspec
from chalice.app import Blueprint, Response

from functions import clock, ids, parse, settings
from functions.errors import OnairError
from functions.rooms import table as rooms
from functions.rooms.messages import Sender, ShareEvent
from functions.security import cognito
from functions.streams import share_page, shares, table, tickets, views

routes = Blueprint(__name__)

# Until it ends nobody else knows of it.
_SHARED: Final = ("scheduled", "live", "ended")


class NewShare(msgspec.Struct, frozen=True):
    """By which way the link goes out."""

    channel: shares.Channel = "link"


class ShareLink(msgspec.Struct, frozen=True):
    """One's own link: the same again for the same stream and channel."""

    url: str


@routes.route("/streams/{stream_id}/share", methods=["POST"], authorizer=cognito)
def share_stream(stream_id: str) -> ShareLink:
    """A link to the stream that counts who comes by it; tells a live room, once a broadcast."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, NewShare)
    stream = table.required(stream_id)
    if stream.state not in _SHARED:
        raise OnairError("not_found")
    _, account = tickets.admit(stream, me)
    assert account is not None, "whoever asks is signed in"
    code = shares.share(stream_id, me.account, given.channel)
    if stream.state == "live":
        who = Sender(account.id, account.handle, account.display_name, account.badges)
        event_id = ids.derived("share", stream_id, stream.epoch or "", me.account)
        rooms.tell_once(stream_id, me.account, ShareEvent(id=event_id, at=clock.rfc3339(clock.now_ms()), sender=who))
    return ShareLink(f"{settings.required('WEB_URL')}/s/{code}")


@routes.route("/streams/{stream_id}/shares", methods=["GET"], authorizer=cognito)
def read_shares(stream_id: str) -> shares.ShareCounts:
    """How often the stream was shared, and how many came by a link; for its host."""
    me = parse.identity(routes.current_request)
    if table.required(stream_id).host.id != me.account:
        raise OnairError("forbidden")
    return shares.counts(stream_id)


@routes.route("/s/{code}", methods=["GET"])
def open_share(code: str) -> Response:
    """The page behind a link: a preview card, and on to the broadcast."""
    web_url = settings.required("WEB_URL")
    found = shares.read(code) if len(code) == shares.CODE_LENGTH else None
    stream = table.read(found.stream_id) if found is not None else None
    if stream is None or stream.state not in _SHARED:
        return Response(share_page.missing(web_url), dict(share_page.HEADERS), status_code=404)
    page = share_page.page(stream, code, web_url, views.view(stream).preview_url)
    return Response(page, dict(share_page.HEADERS))
