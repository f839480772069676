"""Who follows whom, and how many: both entries and both counts of a follow move in one transaction.

A host's count is spread over `SHARDS` items, each moved by the followers whose id falls to it, so that a follow meets
few others; an account is read together with them by one Query. An entry (2 WCU) and its count (2 WCU) lie in the host's
partition: 250 new follows a second (15,000 a minute) before DynamoDB splits it, and one count item takes 500 a second.
Each count knows how often it changed: the reconciler (reconcile.py) repairs only what stood still while it counted.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal, cast

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.accounts.blocks import BlockItem, block_key
from functions.accounts.model import FOLLOWING_MAX
from functions.accounts.table import FOLLOWERS_COUNT, FOLLOWING_COUNT, AccountsItem, ProfileItem, account_key
from functions.errors import OnairError

SHARDS: Final = 8
# A request to follow that nobody answers is forgotten.
REQUEST_KEPT_S: Final = 90 * 24 * 3600

Side = Literal["follows", "follower", "request"]


class FollowItem(AccountsItem):
    """``account#{id}`` / ``follows#{other}`` and ``follower#{other}``: one follow, seen from both sides.

    ``request#{other}`` (someone asks to follow a private account) and ``requested#{other}`` likewise.
    """

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    at_ms = NumberAttribute()
    expires_at = NumberAttribute(null=True)


def shard_of(follower_id: str) -> int:
    """Which of the counts of whom it follows this account moves, always the same."""
    return zlib.crc32(follower_id.encode()) % SHARDS


def follow(follower_id: str, followed_id: str) -> bool:
    """Follow; True when that is new. A request to follow is answered by it.

    Raises
    ------
    OnairError
        ``blocked`` where either blocked the other, ``conflict`` beyond `FOLLOWING_MAX`.
    """
    at_ms = clock.now_ms()

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.condition_check(
                BlockItem, account_key(follower_id), block_key(followed_id), BlockItem.pk.does_not_exist()
            )
            for entry in _entries("follow", follower_id, followed_id, at_ms):
                batch.save(entry, condition=FollowItem.pk.does_not_exist())
            batch.update(
                ProfileItem(account_key(follower_id), FOLLOWING_COUNT),
                actions=[ProfileItem.following.add(1), ProfileItem.changes.add(1)],
                condition=ProfileItem.following.does_not_exist() | (ProfileItem.following < FOLLOWING_MAX),
            )
            batch.update(
                ProfileItem(account_key(followed_id), _count_key(follower_id)),
                actions=[ProfileItem.followers.add(1), ProfileItem.changes.add(1)],
            )

    try:
        transaction.commit(write)
    except transaction.ConditionError as error:
        # Order of the request: the check, two entries, then the two counts.
        if 0 in error.failed:
            raise OnairError("blocked") from None
        if 1 in error.failed or 2 in error.failed:
            return False
        raise OnairError("conflict", f"An account follows at most {FOLLOWING_MAX} others.") from None
    return True


def unfollow(follower_id: str, followed_id: str) -> bool:
    """Follow no more; True when there was something to undo."""

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            for entry in _entries("follow", follower_id, followed_id, 0):
                batch.delete(entry, condition=FollowItem.pk.exists())
            for account, key, count in (
                (follower_id, FOLLOWING_COUNT, ProfileItem.following),
                (followed_id, _count_key(follower_id), ProfileItem.followers),
            ):
                batch.update(
                    ProfileItem(account_key(account), key), actions=[count.add(-1), ProfileItem.changes.add(1)]
                )

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        return False
    return True


def ask(follower_id: str, followed_id: str) -> bool:
    """Ask to follow a private account; True when that is new. ``blocked`` where either blocked the other."""
    at_ms = clock.now_ms()

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.condition_check(
                BlockItem, account_key(follower_id), block_key(followed_id), BlockItem.pk.does_not_exist()
            )
            # Who follows already asks nothing.
            batch.condition_check(
                FollowItem, account_key(follower_id), f"follows#{followed_id}", FollowItem.pk.does_not_exist()
            )
            for entry in _entries("request", follower_id, followed_id, at_ms):
                batch.save(entry, condition=FollowItem.pk.does_not_exist())

    try:
        transaction.commit(write)
    except transaction.ConditionError as error:
        if 0 in error.failed:
            raise OnairError("blocked") from None
        return False
    return True


def drop_request(follower_id: str, followed_id: str) -> bool:
    """Forget a request to follow; True when there was one."""

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            for entry in _entries("request", follower_id, followed_id, 0):
                batch.delete(entry, condition=FollowItem.pk.exists())

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        return False
    return True


def follows(follower_id: str, followed_id: str) -> bool:
    """Does the first follow the second?"""
    try:
        FollowItem.get(account_key(follower_id), f"follows#{followed_id}", consistent_read=True)
    except DoesNotExist:
        return False
    return True


def followed_among(follower_id: str, account_ids: Sequence[str]) -> set[str]:
    """Whom of these the account follows (one call for each hundred)."""
    prefix = "follows#"
    found = FollowItem.batch_get([(account_key(follower_id), f"{prefix}{one}") for one in account_ids])
    return {item.sk.removeprefix(prefix) for item in found}


def listed(account_id: str, side: Side, after: str | None, limit: int) -> tuple[list[str], str | None]:
    """Ids of those whom the account ``follows``, of its ``follower`` side or of who asks, and the id to go on after."""
    prefix = f"{side}#"
    last = {"pk": {"S": account_key(account_id)}, "sk": {"S": prefix + after}} if after is not None else None
    found = FollowItem.query(
        account_key(account_id),
        FollowItem.sk.startswith(prefix),
        limit=limit,
        page_size=limit,
        last_evaluated_key=cast(Any, last),
    )
    ids = [item.sk.removeprefix(prefix) for item in found]
    return ids, ids[-1] if found.last_evaluated_key and ids else None


def _entries(
    kind: Literal["follow", "request"], follower_id: str, followed_id: str, at_ms: int
) -> tuple[FollowItem, FollowItem]:
    mine, theirs = ("follows", "follower") if kind == "follow" else ("requested", "request")
    expires_at = at_ms // 1000 + REQUEST_KEPT_S if kind == "request" else None
    return (
        FollowItem(account_key(follower_id), f"{mine}#{followed_id}", at_ms=at_ms, expires_at=expires_at),
        FollowItem(account_key(followed_id), f"{theirs}#{follower_id}", at_ms=at_ms, expires_at=expires_at),
    )


def _count_key(follower_id: str) -> str:
    return f"{FOLLOWERS_COUNT}{shard_of(follower_id)}"
