"""Erasing an account: it is gone for everyone at once, and what it left behind goes piece by piece.

`begin` hides the account and frees its handle in one transaction; `erase` does the rest, in steps that may each be
repeated, for as long as there is time. The ledger keeps the account's id, which then leads to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.accounts import blocks, device_push, devices, follows, pictures, pool, reminders
from functions.accounts.blocks import BlockItem
from functions.accounts.follows import FollowItem
from functions.accounts.table import HANDLE, PROFILE, AccountsItem, HandleItem, ProfileItem, account_key
from functions.rooms import seating, shutting_out
from functions.rooms.stored import StoredRooms
from functions.streams import forgetting, life
from functions.streams import table as streams

ENDED_BY_ERASURE: Final = "account_erased"
ERASING: Final = "erasing"
# A run ends this long before Lambda would end it.
RESERVE_MS: Final = 15_000


class OutOfTimeError(Exception):
    """The rest is for the next message."""


class ErasingItem(AccountsItem):
    """``erasing`` / ``{account}``: what is not done yet. The nightly run orders these again (reconcile.py)."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    handle = UnicodeAttribute()
    since_ms = NumberAttribute()


def begin(account_id: str, handle: str) -> None:
    """From here on the account is gone for everyone; doing so again changes nothing."""
    now_ms = clock.now_ms()

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.delete(
                HandleItem(f"handle#{handle}", HANDLE),
                condition=HandleItem.pk.does_not_exist() | (HandleItem.account == account_id),
            )
            batch.save(ErasingItem(ERASING, account_id, handle=handle, since_ms=now_ms))
            batch.update(
                ProfileItem(account_key(account_id), PROFILE),
                actions=[ProfileItem.erased_ms.set(now_ms)],
                condition=ProfileItem.handle.exists() & ProfileItem.erased_ms.does_not_exist(),
            )

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        # Begun before (then its marker stands until all is done), or gone altogether.
        return


def unfinished() -> list[str]:
    """Accounts whose erasure is not done."""
    return [item.sk for item in ErasingItem.query(ERASING)]


def erase(account_id: str, left_ms: Callable[[], int]) -> bool:
    """Take away what the account left; False when time ran out first, and it is to be called again.

    Everything found is looked up anew in each call, so a crash anywhere loses nothing.
    """

    def pause() -> None:
        if left_ms() < RESERVE_MS:
            raise OutOfTimeError

    marker = next(iter(ErasingItem.query(ERASING, ErasingItem.sk == account_id)), None)
    if marker is None:
        return True
    try:
        _leave_rooms(account_id)
        _end_streams(account_id, pause)
        _leave_graph(account_id, pause)
        while not pictures.forget(account_id):
            pause()
        pool.delete(marker.handle, account_id)
        _empty(account_id, pause)
    except OutOfTimeError:
        return False
    marker.delete()
    return True


def _leave_rooms(account_id: str) -> None:
    for stream_id in seating.rooms_of(account_id):
        seating.vacate(stream_id, account_id)
    for stream_id in {stream for stream, _ in StoredRooms().account_connections(account_id)}:
        shutting_out.shut_out(stream_id, account_id)


def _end_streams(account_id: str, pause: Callable[[], None]) -> None:
    for stream_id in streams.list_of_host(account_id):
        pause()
        stream = streams.read(stream_id)
        if stream is None:
            continue
        if stream.state in ("live", "ended"):
            life.end(stream, ENDED_BY_ERASURE)
            forgetting.order(stream_id)
        streams.delete(stream_id)


def _leave_graph(account_id: str, pause: Callable[[], None]) -> None:
    for kind, undo, mine in (
        ("follows#", follows.unfollow, True),
        ("follower#", follows.unfollow, False),
        ("requested#", follows.drop_request, True),
        ("request#", follows.drop_request, False),
    ):
        for item in _rows(account_id, FollowItem, kind):
            pause()
            other = item.sk.removeprefix(kind)
            undo(*((account_id, other) if mine else (other, account_id)))
    for device in devices.read(account_id):
        pause()
        for one in devices.remove(account_id, device.id):
            device_push.discard(one)
    for stream_id in reminders.listed_of(account_id):
        pause()
        reminders.remove(account_id, stream_id)
    for item in _rows(account_id, BlockItem, blocks.BLOCK_PREFIX):
        pause()
        other = item.sk.removeprefix(blocks.BLOCK_PREFIX)
        blocks.unblock(account_id, other)
        blocks.unblock(other, account_id)


def _empty(account_id: str, pause: Callable[[], None]) -> None:
    # The profile last: while it stands, `erased_ms` keeps the account gone for everyone.
    keys = [item.sk for item in AccountsItem.query(account_key(account_id))]
    for sk in sorted(keys, key=lambda key: key == PROFILE):
        pause()
        AccountsItem(account_key(account_id), sk).delete()


def _rows(account_id: str, model: Any, prefix: str) -> Iterator[Any]:
    return iter(list(model.query(account_key(account_id), model.sk.startswith(prefix))))
