"""What is to be done for an account at a time to come: its standing changes by itself, or it is no longer days old.

Each item is put in the transaction of what makes it necessary, and deleted when its work is through, so whatever died
in between is found by the next minute (keep.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import ClassVar, Final

from msgspec import Struct
from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from functions.accounts.table import AccountsItem

# Partitions, so that accounts made in bulk that all follow at once do not share one.
SHARDS: Final = 4


class DueItem(AccountsItem):
    """``due#{shard}`` / ``{time}#{account}``; ``after`` tells how far the work has come."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    account = UnicodeAttribute()
    at_ms = NumberAttribute()
    after = UnicodeAttribute(null=True)


class Due(Struct, frozen=True):
    """One account at one time; of its follows, those up to ``after`` are counted anew."""

    account: str
    at_ms: int
    after: str | None = None


def item(due: Due) -> DueItem:
    """The item of one; the same account at the same time has one."""
    shard = zlib.crc32(due.account.encode()) % SHARDS
    key = f"{due.at_ms:013d}#{due.account}"
    return DueItem(f"due#{shard}", key, account=due.account, at_ms=due.at_ms, after=due.after)


def put(due: Due) -> None:
    """Have it done at its time."""
    item(due).save()


def done(due: Due) -> None:
    """Forget it."""
    item(due).delete()


def until(now_ms: int, limit: int) -> Iterator[Due]:
    """What is due now, oldest first in each partition, at most ``limit`` of each."""
    for shard in range(SHARDS):
        for row in DueItem.query(
            f"due#{shard}", DueItem.sk < f"{now_ms + 1:013d}", limit=limit, page_size=limit, consistent_read=True
        ):
            yield Due(row.account, int(row.at_ms), row.after)
