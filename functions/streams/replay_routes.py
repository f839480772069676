"""HTTPS routes of lists of recordings: one's own, and an account's."""

from __future__ import annotations

from chalice.app import Blueprint

from functions import parse
from functions.parse import Page
from functions.security import cognito
from functions.streams import replays, views

routes = Blueprint(__name__)


@routes.route("/me/replays", methods=["GET"], authorizer=cognito)
def list_own() -> views.Replays:
    """One's own recordings, also those that nobody else sees."""
    request = routes.current_request
    me = parse.identity(request)
    return replays.own(me.account, parse.query(request, Page))


@routes.route("/accounts/{handle}/replays", methods=["GET"], authorizer=cognito)
def list_replays(handle: str) -> views.Replays:
    """An account's recordings that whoever asks may play."""
    request = routes.current_request
    me = parse.identity(request)
    return replays.of_account(handle, me.account, parse.query(request, Page))
