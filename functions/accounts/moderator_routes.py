"""HTTPS routes of a host's moderators: who moderates all of one's broadcasts, from the next on and in the live one."""

from __future__ import annotations

from chalice.app import Blueprint

from functions import parse
from functions.accounts import moderators, showing, table, views
from functions.errors import OnairError
from functions.rooms import members
from functions.rooms.views import MemberChange
from functions.security import cognito

routes = Blueprint(__name__)


@routes.route("/me/moderators", methods=["GET"], authorizer=cognito)
def list_moderators() -> views.Profiles:
    """Who moderates one's broadcasts, the earliest appointed first."""
    me = parse.identity(routes.current_request)
    found = moderators.listed(me.account)
    accounts = table.read_many(found)
    shown = showing.listed([accounts[one] for one in found if one in accounts], me.account)
    return views.Profiles([views.profile(one) for one in shown])


@routes.route("/me/moderators/{handle}", methods=["PUT"], authorizer=cognito)
def add_moderator(handle: str) -> None:
    """Let an account moderate all of one's broadcasts, also the one that is live."""
    me = parse.identity(routes.current_request)
    account = _other(handle, me.account)
    moderators.add(me.account, account)
    _in_live_room(me.account, account, handle, moderator=True)


@routes.route("/me/moderators/{handle}", methods=["DELETE"], authorizer=cognito)
def remove_moderator(handle: str) -> None:
    """Let an account moderate no longer."""
    me = parse.identity(routes.current_request)
    account = _other(handle, me.account)
    moderators.remove(me.account, account)
    _in_live_room(me.account, account, handle, moderator=False)


def _other(handle: str, account_id: str) -> str:
    other = table.id_of(handle)
    if other is None:
        raise OnairError("not_found")
    if other == account_id:
        raise parse.refused("handle", "You moderate your own broadcasts anyway.")
    return other


def _in_live_room(host: str, account: str, handle: str, *, moderator: bool) -> None:
    live = table.required(host).live_stream
    if live is not None:
        members.change_member(live, account, handle, MemberChange(moderator=moderator), "host")
