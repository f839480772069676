"""Notices to an account: who named, answered, follows or invites it, who is live or soon will be, what was decided.

Newest first, and how far it has read. A notice holds no text of a comment: what is removed from a room must not live on
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from functions import clock, messages
from functions.accounts.notice_choice import Kind
from functions.accounts.table import AccountsItem, account_key

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# What each kind says, or what it says of each outcome (``kind.what``); the name is the sender's, the rest stands in
# `Notice.facts`. Translations: functions/messages.
TITLES: Final[dict[str, str]] = {
    "mention": "{name} mentioned you",
    "reply": "{name} answered you",
    "follow": "{name} follows you",
    "go_live": "{name} is live",
    "reminder": "{name} goes live soon",
    "gift": "Gifts in your broadcast: {gifts}, diamonds: {diamonds}",
    "seat": "{name} invites you on screen",
    "payout.paid": "Your payout of ${amount} is on its way",
    "payout.reversed": "Your payout of ${amount} did not go through: its diamonds are back",
    "report.acted": "We acted on what you reported",
    "report.dismissed": "We looked at what you reported: it breaks no rule",
    "standing.strike": "You got a strike: your record tells why, and how to appeal",
    "standing.good": "Your account is in good standing",
    "standing.limited": "Your account is limited: you cannot go live for now",
    "standing.suspended": "Your account is suspended for now: your record tells until when, and how to appeal",
    "standing.banned": "Your account is banned: your record tells why, and how to appeal",
    "standing.upheld": "Your appeal was looked at: the decision stays",
    "standing.overturned": "Your appeal was right: the decision is taken back",
}
# Where the page shows what is of no broadcast.
PATHS: Final[dict[Kind, str]] = {
    "payout": "/earnings",
    "gift": "/earnings",
    "standing": "/me/standing",
    "report": "/notifications",
}
NOTICE_PREFIX: Final = "notice#"
READ: Final = "notices_read"
KEPT_S: Final = 30 * 24 * 3600
TOLD_PREFIX: Final = "told#"


class Notice(msgspec.Struct, frozen=True):
    """Someone (``account``, ``handle``, ``name``) did something that concerns another account."""

    kind: Kind
    at_ms: int
    stream_id: str
    event_id: str
    account: str
    handle: str
    name: str
    # The stream's, where the notice is of a stream as a whole; what an operator gave as reason.
    title: str = ""
    # Which of a kind's sentences, and what else stands in it.
    what: str = ""
    facts: dict[str, str] = {}

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


class ToldItem(AccountsItem):
    """``account#{id}`` / ``told#{what}``: it was told, and is not again before this ends."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

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
    title: str
    body: str
    url: str


class Notices(msgspec.Struct, frozen=True):
    """A page of notices, newest first; without ``cursor`` it is the last."""

    items: list[NoticeView]
    cursor: str | UnsetType = UNSET


class NoticesRead(msgspec.Struct, frozen=True):
    """``until``: this notice and all before it are read."""

    until: Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^\d{13}-[\x21-\x7e]+$")]


def put_many(account_ids: Sequence[str], notice: Notice) -> None:
    """Tell accounts whose wishes the caller knows: one call for each 25. The same again changes nothing."""
    with NoticeItem.batch_write() as batch:
        for account_id in account_ids:
            batch.save(_item(account_id, notice))


def claim(account_id: str, what: str, for_s: int) -> bool:
    """Whether the caller is the first to tell this in ``for_s`` seconds: of several at once, one is."""
    now_s = clock.now_ms() // 1000
    try:
        ToldItem(account_key(account_id), f"{TOLD_PREFIX}{what}", expires_at=now_s + for_s).save(
            condition=ToldItem.pk.does_not_exist() | (ToldItem.expires_at <= now_s)
        )
    except PutError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        raise
    return True


def unclaim(account_id: str, what: str) -> None:
    """It was not told after all."""
    ToldItem(account_key(account_id), f"{TOLD_PREFIX}{what}").delete()


def _item(account_id: str, notice: Notice) -> NoticeItem:
    return NoticeItem(
        account_key(account_id),
        f"{NOTICE_PREFIX}{notice.id}",
        notice=msgspec.json.encode(notice).decode(),
        expires_at=notice.at_ms // 1000 + KEPT_S,
    )


def title_of(notice: Notice, language: str) -> str:
    """What happened, in one line of the receiver's language."""
    sentence = TITLES[f"{notice.kind}.{notice.what}" if notice.what else notice.kind]
    return messages.sentence(sentence, language).format(name=notice.name, **notice.facts)


def path_of(notice: Notice) -> str:
    """Where the page shows it."""
    if notice.kind in PATHS:
        return PATHS[notice.kind]
    return f"/watch/{notice.stream_id}" if notice.stream_id else f"/@{notice.handle}"


def listed(
    account_id: str, before: str | None, limit: int, language: str = messages.ENGLISH
) -> tuple[list[NoticeView], str | None]:
    """Notices older than ``before``, newest first, and where the list goes on (two calls)."""
    upper = f"{NOTICE_PREFIX}{before}" if before is not None else f"{NOTICE_PREFIX}~"
    condition: Any = NoticeItem.sk.between(NOTICE_PREFIX, upper)
    # `between` takes in its end: one more is read, and the one that the last page ended with is left out.
    found = list(NoticeItem.query(account_key(account_id), condition, scan_index_forward=False, limit=limit + 2))
    rows = [item for item in found if item.sk != upper][: limit + 1]
    until = read_until(account_id)
    items = [_view(item, until, language) for item in rows[:limit]]
    return items, items[-1].id if len(rows) > limit else None


def _view(item: NoticeItem, until: str, language: str) -> NoticeView:
    notice = msgspec.json.decode(item.notice, type=Notice)
    return NoticeView(
        id=notice.id,
        kind=notice.kind,
        at=clock.rfc3339(notice.at_ms),
        stream_id=notice.stream_id,
        event_id=notice.event_id,
        sender=NoticeSender(notice.account, notice.handle, notice.name),
        read=notice.id <= until,
        title=title_of(notice, language),
        body=notice.title,
        url=path_of(notice),
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
