"""Notices to an account: who named it or answered it, newest first, and how far it has read.

A notice holds no text of a comment: what is removed from a room must not live on here.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from functions import clock
from functions.accounts.table import AccountsItem, account_key

Kind = Literal["mention", "reply"]

NOTICE_PREFIX: Final = "notice#"
READ: Final = "notices_read"
KEPT_S: Final = 30 * 24 * 3600


class Notice(msgspec.Struct, frozen=True):
    """Someone (``account``, ``handle``, ``name``) did something that concerns another account."""

    kind: Kind
    at_ms: int
    stream_id: str
    event_id: str
    account: str
    handle: str
    name: str

    @property
    def id(self) -> str:
        """Sorts by time, and is the same however often the notice is put."""
        return f"{self.at_ms:013d}-{self.event_id}"


class NoticeItem(AccountsItem):
    """``account#{id}`` / ``notice#{time}-{event}``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    notice = UnicodeAttribute()
    expires_at = NumberAttribute()


class ReadItem(AccountsItem):
    """``account#{id}`` / ``notices_read``: the newest notice that was read."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    until = UnicodeAttribute()


class NoticeSender(msgspec.Struct, frozen=True):
    """Who it was."""

    id: str
    handle: str
    name: str


class NoticeView(msgspec.Struct, frozen=True):
    """A notice as its account sees it."""

    id: str
    kind: Kind
    at: str
    stream_id: str
    event_id: str
    sender: NoticeSender = msgspec.field(name="from")
    read: bool


class Notices(msgspec.Struct, frozen=True):
    """A page of notices, newest first; without ``cursor`` it is the last."""

    items: list[NoticeView]
    cursor: str | UnsetType = UNSET


class NoticesRead(msgspec.Struct, frozen=True):
    """``until``: this notice and all before it are read."""

    until: Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^\d{13}-[\x21-\x7e]+$")]


def put(account_id: str, notice: Notice) -> None:
    """Tell an account, for 30 days; putting the same again changes nothing."""
    NoticeItem(
        account_key(account_id),
        f"{NOTICE_PREFIX}{notice.id}",
        notice=msgspec.json.encode(notice).decode(),
        expires_at=notice.at_ms // 1000 + KEPT_S,
    ).save()


def listed(account_id: str, before: str | None, limit: int) -> tuple[list[NoticeView], str | None]:
    """Notices older than ``before``, newest first, and where the list goes on (two calls)."""
    upper = f"{NOTICE_PREFIX}{before}" if before is not None else f"{NOTICE_PREFIX}~"
    condition: Any = NoticeItem.sk.between(NOTICE_PREFIX, upper)
    # `between` takes in its end: one more is read, and the one that the last page ended with is left out.
    found = list(NoticeItem.query(account_key(account_id), condition, scan_index_forward=False, limit=limit + 2))
    rows = [item for item in found if item.sk != upper][: limit + 1]
    until = read_until(account_id)
    items = [_view(item, until) for item in rows[:limit]]
    return items, items[-1].id if len(rows) > limit else None


def _view(item: NoticeItem, until: str) -> NoticeView:
    notice = msgspec.json.decode(item.notice, type=Notice)
    return NoticeView(
        id=notice.id,
        kind=notice.kind,
        at=clock.rfc3339(notice.at_ms),
        stream_id=notice.stream_id,
        event_id=notice.event_id,
        sender=NoticeSender(notice.account, notice.handle, notice.name),
        read=notice.id <= until,
    )


def read_until(account_id: str) -> str:
    """The newest notice that was read; empty text before any was."""
    try:
        return ReadItem.get(account_key(account_id), READ, consistent_read=True).until
    except DoesNotExist:
        return ""


def mark_read(account_id: str, until: str) -> None:
    """Read up to ``until``; never back again."""
    if until > read_until(account_id):
        ReadItem(account_key(account_id), READ, until=until).save()
