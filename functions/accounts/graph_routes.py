"""HTTPS routes between accounts: profiles, follows, requests to follow, blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from chalice.app import Blueprint
from msgspec import UNSET

from functions import clock, ids, parse, storage
from functions.accounts import blocks, follows, model, showing, table, views
from functions.accounts.blocks import BlockItem, block_key
from functions.accounts.follows import FollowItem
from functions.accounts.model import Account
from functions.accounts.table import account_key
from functions.errors import OnairError
from functions.parse import Page
from functions.rooms import matching, shutting_out
from functions.rooms import table as rooms
from functions.rooms.messages import FollowEvent, Sender
from functions.security import cognito
from functions.streams import table as streams

routes = Blueprint(__name__)

COUNTS: Final = (
    table.FOLLOWING_COUNT,
    *(f"{table.FOLLOWERS_COUNT}{shard}" for shard in range(follows.SHARDS)),
)


@routes.route("/accounts/{handle}", methods=["GET"], authorizer=cognito)
def read_account(handle: str) -> views.Profile:
    """A public profile, and how one stands to it."""
    me = parse.identity(routes.current_request)
    account = table.by_handle(handle)
    if account.id == me.account:
        return _with_next(views.profile(account), follower=True)
    mine = account_key(me.account)
    block, follow, followed_by, requested = storage.read_across(
        [
            (BlockItem, mine, block_key(account.id)),
            (FollowItem, mine, f"follows#{account.id}"),
            (FollowItem, mine, f"follower#{account.id}"),
            (FollowItem, mine, f"requested#{account.id}"),
        ]
    )
    blocked = isinstance(block, BlockItem) and bool(block.mine_ms)
    if isinstance(block, BlockItem) and not blocked:
        raise OnairError("blocked")
    relation = views.Relation(
        following=follow is not None,
        followed_by=followed_by is not None,
        requested=follow is None and requested is not None,
        blocked=blocked,
    )
    open_to_me = not blocked and (relation.following or not _private(account))
    shown = account if open_to_me else msgspec.structs.replace(account, live_stream=None)
    profile = msgspec.structs.replace(views.profile(shown), relation=relation)
    return _with_next(profile, follower=relation.following) if open_to_me else profile


def _with_next(profile: views.Profile, *, follower: bool) -> views.Profile:
    """With the broadcast that is announced next, if any (two calls)."""
    found = streams.next_of_host(profile.id, clock.now_ms(), follower=follower)
    return profile if found is None else msgspec.structs.replace(profile, next_stream=found.id)


@routes.route("/accounts/{handle}/follow", methods=["PUT"], authorizer=cognito)
def follow(handle: str) -> None:
    """Follow, or ask to where the account is private; again changes nothing."""
    me = parse.identity(routes.current_request)
    other = _other(handle, me.account)
    people = table.read_many([me.account, other])
    if me.account not in people:
        raise OnairError("unauthenticated")
    if other not in people:
        raise OnairError("not_found")
    if _private(people[other]) and not follows.follows(me.account, other):
        follows.ask(me.account, other)
    elif follows.follow(me.account, other):
        _tell_follow(people[me.account], people[other])


def _tell_follow(who: Account, followed: Account) -> None:
    if followed.live_stream is None:
        return
    event = FollowEvent(
        id=ids.derived("follow", followed.live_stream, who.id),
        at=clock.rfc3339(clock.now_ms()),
        sender=Sender(who.id, who.handle, who.display_name, who.badges),
    )
    rooms.tell_once(followed.live_stream, who.id, event)


@routes.route("/accounts/{handle}/follow", methods=["DELETE"], authorizer=cognito)
def unfollow(handle: str) -> None:
    """Follow no more, or ask no more; doing so again changes nothing."""
    me = parse.identity(routes.current_request)
    other = _other(handle, me.account)
    if not follows.unfollow(me.account, other):
        follows.drop_request(me.account, other)


@routes.route("/accounts/{handle}/follower", methods=["DELETE"], authorizer=cognito)
def remove_follower(handle: str) -> None:
    """Have an account follow one no more; doing so again changes nothing."""
    me = parse.identity(routes.current_request)
    follows.unfollow(_other(handle, me.account), me.account)


@routes.route("/me/follow-requests", methods=["GET"], authorizer=cognito)
def list_requests() -> views.Profiles:
    """Who asks to follow one."""
    request = routes.current_request
    me = parse.identity(request)
    page = parse.query(request, Page)
    place = parse.cursor(page.cursor, parts=1)
    found, after = follows.listed(me.account, "request", place[0] if place else None, page.limit)
    return _profiles(found, after, me.account)


@routes.route("/me/follow-requests/{handle}", methods=["PUT"], authorizer=cognito)
def accept_request(handle: str) -> None:
    """Let someone who asked follow one; again changes nothing."""
    me = parse.identity(routes.current_request)
    other = _other(handle, me.account)
    if follows.follows(other, me.account):
        return
    # Taken away first: of two answers at once, only one finds a request to say yes to.
    if not follows.drop_request(other, me.account):
        raise OnairError("not_found", "Nobody with this handle asks to follow you.")
    follows.follow(other, me.account)


@routes.route("/me/follow-requests/{handle}", methods=["DELETE"], authorizer=cognito)
def refuse_request(handle: str) -> None:
    """Do not let someone who asked follow one; again changes nothing."""
    me = parse.identity(routes.current_request)
    follows.drop_request(_other(handle, me.account), me.account)


@routes.route("/accounts/{handle}/block", methods=["PUT"], authorizer=cognito)
def block(handle: str) -> None:
    """Block: both follows end, both live rooms close to the other, and neither sees the other; again finishes that."""
    me = parse.identity(routes.current_request)
    other = _other(handle, me.account)
    # The block first: from here on no new follow, request or ticket comes to be.
    blocks.block(me.account, other)
    for follower, followed in ((me.account, other), (other, me.account)):
        follows.unfollow(follower, followed)
        follows.drop_request(follower, followed)
    people = table.read_many([me.account, other])
    for host, guest in ((me.account, other), (other, me.account)):
        live = people[host].live_stream if host in people else None
        # Who was banned there before stays so when the block is lifted: else blocking a host would undo their ban.
        if live is None:
            continue
        matching.part(live, guest)
        if shutting_out.shut_out(live, guest):
            blocks.room_closed(guest, host, live)


@routes.route("/accounts/{handle}/block", methods=["DELETE"], authorizer=cognito)
def unblock(handle: str) -> None:
    """Block no more; what the block ended (follows) does not come back. Again changes nothing."""
    me = parse.identity(routes.current_request)
    other = _other(handle, me.account)
    closed = blocks.closed_rooms(me.account, other)
    if not blocks.unblock(me.account, other) or blocks.between(me.account, other):
        return
    for stream_id, guest in closed:
        shutting_out.let_in(stream_id, guest)


@routes.route("/me/blocks", methods=["GET"], authorizer=cognito)
def list_blocks() -> views.Profiles:
    """Whom one blocks."""
    request = routes.current_request
    me = parse.identity(request)
    page = parse.query(request, Page)
    place = parse.cursor(page.cursor, parts=1)
    found, after = blocks.listed(me.account, place[0] if place else None, page.limit)
    return _profiles(found, after, me.account)


@routes.route("/accounts/{handle}/followers", methods=["GET"], authorizer=cognito)
def list_followers(handle: str) -> views.Profiles:
    """Who follows this account."""
    return _listed(handle, "follower")


@routes.route("/accounts/{handle}/following", methods=["GET"], authorizer=cognito)
def list_following(handle: str) -> views.Profiles:
    """Whom this account follows."""
    return _listed(handle, "follows")


def _listed(handle: str, side: follows.Side) -> views.Profiles:
    request = routes.current_request
    me = parse.identity(request)
    page = parse.query(request, Page)
    account, hidden = showing.shown(handle, me.account)
    place = parse.cursor(page.cursor, parts=1)
    found, after = follows.listed(account.id, side, place[0] if place else None, page.limit)
    return _profiles([one for one in found if one not in hidden], after, me.account)


def _profiles(found: Sequence[str], after: str | None, viewer: str) -> views.Profiles:
    accounts = table.read_counted(found, COUNTS) if found else {}
    shown = showing.listed([accounts[one] for one in found if one in accounts], viewer)
    items = [views.profile(one) for one in shown]
    return views.Profiles(items, parse.make_cursor(after) if after is not None else UNSET)


def _private(account: Account) -> bool:
    return model.is_private(account, clock.today_utc(clock.now_ms()))


def _other(handle: str, account_id: str) -> str:
    other = table.id_of(handle)
    if other is None:
        raise OnairError("not_found")
    if other == account_id:
        raise parse.refused("handle", "This does not work on yourself.")
    return other
