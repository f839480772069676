"""HTTPS routes of notices: the inbox, how far it is read, and what one wants to hear of."""

from __future__ import annotations

from chalice.app import Blueprint
from msgspec import UNSET

from functions import messages, parse
from functions.accounts import notice_choice, notices
from functions.accounts.notice_choice import Preferences
from functions.parse import Page
from functions.security import cognito

routes = Blueprint(__name__)


@routes.route("/me/notifications", methods=["GET"], authorizer=cognito)
def list_notices() -> notices.Notices:
    """Who named, answered or follows one and who is live, newest first."""
    request = routes.current_request
    me = parse.identity(request)
    page = parse.query(request, Page)
    place = parse.cursor(page.cursor, parts=1)
    language = messages.language(request.headers.get("accept-language"))
    items, after = notices.listed(me.account, place[0] if place else None, page.limit, language)
    return notices.Notices(items, parse.make_cursor(after) if after is not None else UNSET)


@routes.route("/me/notifications", methods=["PUT"], authorizer=cognito)
def read_notices() -> None:
    """Mark notices as read, up to one of them."""
    request = routes.current_request
    notices.mark_read(parse.identity(request).account, parse.body(request, notices.NoticesRead).until)


@routes.route("/me/notifications/preferences", methods=["GET"], authorizer=cognito)
def read_preferences() -> Preferences:
    """What one wants to hear of, kind by kind, and when no push may come."""
    me = parse.identity(routes.current_request)
    return notice_choice.whole(notice_choice.read(me.account), notices.KINDS)


@routes.route("/me/notifications/preferences", methods=["PUT"], authorizer=cognito)
def write_preferences() -> Preferences:
    """Say it anew, all of it; kinds that are not named are told both ways."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, Preferences)
    problem = notice_choice.zone_problem(given.time_zone) if given.time_zone is not None else None
    if problem:
        raise parse.refused("time_zone", problem)
    notice_choice.write(me.account, given)
    return notice_choice.whole(given, notices.KINDS)
