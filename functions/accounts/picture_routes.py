"""HTTPS routes of pictures: one's avatar, and the cover of one's stream."""

from __future__ import annotations

from chalice.app import Blueprint, Response

from functions import parse
from functions.accounts import pictures, table
from functions.accounts.table import ProfileItem
from functions.errors import OnairError
from functions.security import cognito
from functions.streams import table as streams

routes = Blueprint(__name__)


@routes.route("/me/avatar", methods=["POST"], authorizer=cognito)
def upload_avatar() -> Response:
    """A form that takes one's new avatar."""
    me = parse.identity(routes.current_request)
    table.required(me.account)
    return Response(pictures.begin(me.account, "avatar"), status_code=201)


@routes.route("/me/avatar", methods=["GET"], authorizer=cognito)
def read_avatar() -> pictures.Picture:
    """What became of the newest avatar."""
    return pictures.read(parse.identity(routes.current_request).account, "avatar")


@routes.route("/me/avatar", methods=["DELETE"], authorizer=cognito)
def delete_avatar() -> None:
    """Show no avatar; again changes nothing."""
    me = parse.identity(routes.current_request)
    table.change(me.account, [ProfileItem.avatar_url.remove()])


@routes.route("/streams/{stream_id}/cover", methods=["POST"], authorizer=cognito)
def upload_cover(stream_id: str) -> Response:
    """A form that takes the cover of one's stream."""
    me = parse.identity(routes.current_request)
    _own(stream_id, me.account)
    return Response(pictures.begin(me.account, "cover", stream_id), status_code=201)


@routes.route("/streams/{stream_id}/cover", methods=["GET"], authorizer=cognito)
def read_cover(stream_id: str) -> pictures.Picture:
    """What became of the newest cover of one's stream."""
    me = parse.identity(routes.current_request)
    _own(stream_id, me.account)
    return pictures.read(me.account, "cover", stream_id)


def _own(stream_id: str, account_id: str) -> None:
    stream = streams.required(stream_id)
    if stream.host.id != account_id:
        raise OnairError("not_found" if stream.state == "ready" else "forbidden")
