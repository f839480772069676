"""HTTPS routes of reminders: be told of an announced broadcast before it starts and when it is live."""

from __future__ import annotations

from chalice.app import Blueprint

from functions import parse
from functions.accounts import reminders
from functions.errors import OnairError
from functions.security import cognito
from functions.streams import table, tickets

routes = Blueprint(__name__)


@routes.route("/streams/{stream_id}/reminder", methods=["PUT"], authorizer=cognito)
def remind(stream_id: str) -> None:
    """Be reminded; again changes nothing. Refused as the broadcast's ticket would be."""
    me = parse.identity(routes.current_request)
    stream = table.required(stream_id)
    if stream.state == "ready":
        raise OnairError("not_found")
    if stream.state != "scheduled":
        raise OnairError("conflict", "Only a broadcast that has not begun can be reminded of.")
    if stream.host.id == me.account:
        raise parse.refused("stream_id", "This does not work on yourself.")
    tickets.admit(stream, me)
    if len(known := reminders.listed_of(me.account)) >= reminders.REMINDERS_MAX:
        _forget_past(me.account, known)
    reminders.add(me.account, stream_id)


@routes.route("/streams/{stream_id}/reminder", methods=["DELETE"], authorizer=cognito)
def remind_no_more(stream_id: str) -> None:
    """Be reminded no more; again changes nothing."""
    reminders.remove(parse.identity(routes.current_request).account, stream_id)


def _forget_past(account_id: str, known: list[str]) -> None:
    """Take away what is over, so that only what is still to come counts against the limit."""
    streams = table.read_many(known)
    for stream_id in known:
        if stream_id not in streams or streams[stream_id].state != "scheduled":
            reminders.remove(account_id, stream_id)
