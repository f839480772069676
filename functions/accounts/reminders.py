"""Reminders: who wants to be told of a broadcast that is announced, before it starts and when it is live.

| pk                | sk               | item |
|-------------------|------------------|------|
| account#{id}      | reminder#{stream}| this account wants to be reminded |
| reminders#{stream}| {account}        | the same, by broadcast: for whoever tells them |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from pynamodb.attributes import NumberAttribute
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.accounts.table import AccountsItem, account_key
from functions.errors import OnairError

REMINDER_PREFIX: Final = "reminder#"
REMINDERS_MAX: Final = 200
# A broadcast may be put off, at most 90 days ahead of any day; nobody is reminded after that.
KEPT_S: Final = 200 * 24 * 3600


class ReminderItem(AccountsItem):
    """Either side of a reminder."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    at_ms = NumberAttribute()
    expires_at = NumberAttribute()


def add(account_id: str, stream_id: str) -> None:
    """Remind an account of a broadcast; again changes nothing. Raises ``conflict`` beyond 200."""
    if len(listed_of(account_id)) >= REMINDERS_MAX and not has_among(account_id, [stream_id]):
        raise OnairError("conflict", f"You have {REMINDERS_MAX} reminders. Take some away first.")
    now_ms = clock.now_ms()
    with TransactWrite(connection=storage.connection()) as batch:
        for pk, sk in _keys(account_id, stream_id):
            batch.save(ReminderItem(pk, sk, at_ms=now_ms, expires_at=now_ms // 1000 + KEPT_S))


def remove(account_id: str, stream_id: str) -> None:
    """Remind no more; again changes nothing."""

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            for pk, sk in _keys(account_id, stream_id):
                batch.delete(ReminderItem(pk, sk))

    transaction.commit(write)


def listed_of(account_id: str) -> list[str]:
    """Broadcasts that an account wants to be reminded of (one call)."""
    found = ReminderItem.query(account_key(account_id), ReminderItem.sk.startswith(REMINDER_PREFIX))
    return [item.sk.removeprefix(REMINDER_PREFIX) for item in found]


def has_among(account_id: str, stream_ids: Sequence[str]) -> set[str]:
    """Of which of these broadcasts an account wants to be reminded (one call for each hundred, none for none)."""
    found: set[str] = set()
    for start in range(0, len(stream_ids), 100):
        some = stream_ids[start : start + 100]
        keys = [(ReminderItem, account_key(account_id), f"{REMINDER_PREFIX}{one}") for one in some]
        rows = storage.read_across(keys)
        found |= {one for one, row in zip(some, rows, strict=True) if row is not None}
    return found


def listed(stream_id: str, after: str | None, limit: int) -> tuple[list[str], str | None]:
    """Accounts that want to be reminded of a broadcast, and the one to go on after (one call)."""
    pk = f"reminders#{stream_id}"
    last = {"pk": {"S": pk}, "sk": {"S": after}} if after is not None else None
    found = ReminderItem.query(pk, limit=limit, page_size=limit, last_evaluated_key=cast(Any, last))
    rows = [item.sk for item in found]
    return rows, rows[-1] if found.last_evaluated_key and rows else None


def _keys(account_id: str, stream_id: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (account_key(account_id), f"{REMINDER_PREFIX}{stream_id}"), (f"reminders#{stream_id}", account_id)
