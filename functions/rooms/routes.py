"""HTTPS routes of rooms: what happened in a room, page by page."""

from __future__ import annotations

from typing import Annotated

import msgspec
from chalice.app import Blueprint, Response
from msgspec import Meta, Struct

from functions import parse
from functions.errors import OnairError
from functions.rooms.messages import FramesPage
from functions.rooms.resume import page
from functions.rooms.stored import StoredRooms
from functions.rooms.table import read_room
from functions.streams import table as streams
from functions.streams import tickets

routes = Blueprint(__name__)

# API Gateway takes 10 MB; a page that a phone reads in one go is far smaller.
PAGE_BYTES_MAX = 256 * 1024


class FramesQuery(Struct, frozen=True):
    """Where to go on: after frame ``after`` of ``epoch``; without either, the newest frames."""

    epoch: Annotated[str, Meta(max_length=64)] | None = None
    after: Annotated[int, Meta(ge=0, le=2**53)] | None = None


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
