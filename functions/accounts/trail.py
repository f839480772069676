"""The operators' audit trail: who did what to whom, when and why. Entries are added, never changed, never deleted.

Whoever acts for an operator puts `item` into the transaction of the act itself, so that neither is without the other.
The policy of the API's function denies it to update or delete in this partition (infra/api.py).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, cast

import msgspec
from msgspec import UNSET, UnsetType
from pynamodb.attributes import UnicodeAttribute
from pynamodb.expressions.condition import Condition

from functions import clock, ids
from functions.accounts.table import AccountsItem
from functions.parse import Identity

# One partition: a thousand entries a second is more than operators write.
PARTITION: Final = "trail"
REASON_LENGTH_MAX: Final = 500


class Entry(msgspec.Struct, frozen=True):
    """One act. ``target`` is a handle, or what was acted on (a stream, a payout); ``details`` is JSON-ready."""

    id: str
    at_ms: int
    operator: str
    operator_handle: str
    action: str
    target: str
    reason: str
    details: dict[str, Any] = {}


class TrailItem(AccountsItem):
    """``trail`` / ``{time}#{id}``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    entry = UnicodeAttribute()


class EntryView(msgspec.Struct, frozen=True):
    """An entry as operators see it."""

    id: str
    at: str
    operator: str
    action: str
    target: str
    reason: str
    details: dict[str, Any]


class Entries(msgspec.Struct, frozen=True):
    """A page of the trail, newest first; without ``cursor`` it is the last."""

    items: list[EntryView]
    cursor: str | UnsetType = UNSET


# For a transaction: an entry never takes the place of another.
IS_NEW: Final = cast(Condition, TrailItem.pk.does_not_exist())


def entry(by: Identity, action: str, target: str, reason: str, details: dict[str, Any] | None = None) -> Entry:
    """A new entry of now."""
    return Entry(
        id=ids.new(),
        at_ms=clock.now_ms(),
        operator=by.account,
        operator_handle=by.handle,
        action=action,
        target=target,
        reason=reason,
        details=details or {},
    )


def item(of: Entry) -> TrailItem:
    """The item of an entry: ``batch.save(trail.item(entry), condition=trail.IS_NEW)``."""
    return TrailItem(PARTITION, f"{of.at_ms:013d}#{of.id}", entry=msgspec.json.encode(of).decode())


def write(of: Entry) -> None:
    """Add an entry by itself, where what it tells of is no write to DynamoDB."""
    item(of).save(IS_NEW)


def listed(after: str | None, limit: int) -> tuple[list[EntryView], str | None]:
    """Entries older than the one whose key is ``after``, newest first, and the key to go on after (one call)."""
    last = {"pk": {"S": PARTITION}, "sk": {"S": after}} if after is not None else None
    found = TrailItem.query(
        PARTITION, scan_index_forward=False, limit=limit, page_size=limit, last_evaluated_key=cast(Any, last)
    )
    rows = list(found)
    views = [_view(msgspec.json.decode(row.entry, type=Entry)) for row in rows]
    return views, rows[-1].sk if found.last_evaluated_key and rows else None


def _view(of: Entry) -> EntryView:
    return EntryView(
        of.id, clock.rfc3339(of.at_ms), of.operator_handle, of.action, of.target, of.reason, dict(of.details)
    )
