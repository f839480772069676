"""HTTPS routes of operators about accounts. Each asks for the group `operators`; each act is in the trail."""

from __future__ import annotations

from chalice.app import Blueprint
from msgspec import UNSET

from functions import parse, security
from functions.accounts import trail
from functions.parse import Page
from functions.security import cognito

routes = Blueprint(__name__)


@routes.route("/operator/audit", methods=["GET"], authorizer=cognito)
def list_trail() -> trail.Entries:
    """What operators did, newest first."""
    request = routes.current_request
    security.operator(request)
    page = parse.query(request, Page)
    place = parse.cursor(page.cursor, parts=1)
    items, after = trail.listed(place[0] if place else None, page.limit)
    return trail.Entries(items, parse.make_cursor(after) if after is not None else UNSET)
