"""Who blocked whom. A block hides both ways, so both sides hold an item, and one read of one's own tells of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from pynamodb.attributes import Attribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.accounts.table import PROFILE, AccountsItem, ProfileItem, account_key

BLOCK_PREFIX: Final = "block#"
# Whom a screen or a list leaves out; with more blocks than this (both ways together) the rest are refused, not hidden.
HIDDEN_MAX: Final = 1_000
ATTEMPTS_MAX: Final = 2


class BlockItem(AccountsItem):
    """``account#{id}`` / ``block#{other}``: since when this account blocks the other, is blocked by it, or both."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    mine_ms = NumberAttribute(null=True)
    theirs_ms = NumberAttribute(null=True)
    # The other's live room that this block closed to the account.
    shut_from = UnicodeAttribute(null=True)


def block_key(other: str) -> str:
    """Sort key of the block between an account and another."""
    return f"{BLOCK_PREFIX}{other}"


def block(account_id: str, other: str) -> None:
    """Block; doing so again changes nothing. Follows and sockets are the caller's to end (graph_routes.py)."""
    # First, so that a block never stands without the mark that makes readers look for it.
    for one in (account_id, other):
        _mark(one)
    now_ms = clock.now_ms()

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.update(_item(account_id, other), actions=[BlockItem.mine_ms.set(BlockItem.mine_ms | now_ms)])
            batch.update(_item(other, account_id), actions=[BlockItem.theirs_ms.set(BlockItem.theirs_ms | now_ms)])

    transaction.commit(write)


def unblock(account_id: str, other: str) -> bool:
    """Take one's block back, the other's stays; True when there was one."""
    # Whether the other blocks as well may change between the two looks: then once more.
    return any(_unblock_last(account_id, other) or _unblock_one(account_id, other) for _ in range(ATTEMPTS_MAX))


def room_closed(guest: str, host: str, stream_id: str) -> None:
    """Remember that the block between both closed a room to ``guest``; nothing happens where it is lifted by now."""
    try:
        _item(guest, host).update([BlockItem.shut_from.set(stream_id)], condition=BlockItem.pk.exists())
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise


def closed_rooms(account_id: str, other: str) -> list[tuple[str, str]]:
    """The rooms that the block between both closed, each with whom it keeps out (one read)."""
    pairs = ((account_id, other), (other, account_id))
    found = storage.read_across([(BlockItem, account_key(guest), block_key(host)) for guest, host in pairs])
    return [
        (item.shut_from, guest)
        for item, (guest, _) in zip(found, pairs, strict=True)
        if isinstance(item, BlockItem) and item.shut_from
    ]


def _unblock_one(account_id: str, other: str) -> bool:
    """Where the other blocks as well: both items stay, without this side."""
    both = BlockItem.mine_ms.exists() & BlockItem.theirs_ms.exists()

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.update(_item(account_id, other), actions=[BlockItem.mine_ms.remove()], condition=both)
            batch.update(_item(other, account_id), actions=[BlockItem.theirs_ms.remove()], condition=both)

    return _committed(write)


def _unblock_last(account_id: str, other: str) -> bool:
    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.delete(
                _item(account_id, other),
                condition=BlockItem.mine_ms.exists() & BlockItem.theirs_ms.does_not_exist(),
            )
            batch.delete(
                _item(other, account_id),
                condition=BlockItem.theirs_ms.exists() & BlockItem.mine_ms.does_not_exist(),
            )

    return _committed(write)


def _committed(write: Callable[[], None]) -> bool:
    try:
        transaction.commit(write)
    except transaction.ConditionError:
        return False
    return True


def between(account_id: str, other: str) -> bool:
    """Did either block the other? One read."""
    try:
        BlockItem.get(account_key(account_id), block_key(other), consistent_read=True)
    except DoesNotExist:
        return False
    return True


def hidden_from(account_id: str) -> frozenset[str]:
    """Whom the account blocks and who blocks it, at most `HIDDEN_MAX` (one read)."""
    found = BlockItem.query(
        account_key(account_id), BlockItem.sk.startswith(BLOCK_PREFIX), limit=HIDDEN_MAX, page_size=HIDDEN_MAX
    )
    return frozenset(item.sk.removeprefix(BLOCK_PREFIX) for item in found)


def listed(account_id: str, after: str | None, limit: int) -> tuple[list[str], str | None]:
    """Ids of those whom the account itself blocks, and the id to go on after, if any."""
    last = {"pk": {"S": account_key(account_id)}, "sk": {"S": block_key(after)}} if after is not None else None
    # One page of the index read: those who only block this account are left out, so it may hold fewer than ``limit``.
    found = BlockItem.query(
        account_key(account_id),
        BlockItem.sk.startswith(BLOCK_PREFIX),
        limit=limit,
        page_size=limit,
        last_evaluated_key=cast(Any, last),
    )
    rows = list(found)
    ids = [item.sk.removeprefix(BLOCK_PREFIX) for item in rows if item.mine_ms]
    more = rows[-1].sk.removeprefix(BLOCK_PREFIX) if found.last_evaluated_key and rows else None
    return ids, more


def _mark(account_id: str) -> None:
    mark = cast(Attribute[bool], ProfileItem.has_blocks)
    try:
        ProfileItem(account_key(account_id), PROFILE).update(
            [mark.set(True)],
            condition=ProfileItem.pk.exists() & (mark.does_not_exist() | (mark == False)),  # noqa: E712
        )
    except UpdateError as error:
        # Marked before, or gone: then nobody reads it.
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise


def _item(account_id: str, other: str) -> BlockItem:
    return BlockItem(account_key(account_id), block_key(other))
