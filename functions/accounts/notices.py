"""Notices to an account: who named, answered or follows it, who is live, newest first, and how far it has read.

A notice holds no text of a comment: what is removed from a room must not live on here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from functions import clock, messages, storage
from functions.accounts import notice_choice
from functions.accounts.notice_choice import ChoiceItem, Kind
from functions.accounts.table import PROFILE, AccountsItem, ProfileItem, account_key, counted

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# What each kind says; the name is the sender's, the title the stream's. Translations: functions/messages.
TITLES: Final[dict[Kind, str]] = {
    "mention": "{name} mentioned you",
    "reply": "{name} answered you",
    "follow": "{name} follows you",
    "go_live": "{name} is live",
}
NOTICE_PREFIX: Final = "notice#"
READ: Final = "notices_read"
KEPT_S: Final = 30 * 24 * 3600
TOLD_PREFIX: Final = "told#"
FOLLOW_AGAIN_S: Final = 24 * 3600


class Notice(msgspec.Struct, frozen=True):
    """Someone (``account``, ``handle``, ``name``) did something that concerns another account."""

    kind: Kind
    at_ms: int
    stream_id: str
    event_id: str
    account: str
    handle: str
    name: str
    # The stream's, where the notice is of a stream as a whole.
    title: str = ""

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


def put(account_id: str, notice: Notice) -> None:
    """Tell an account, for 30 days, if it wants to hear of such; putting the same again changes nothing."""
    if notice_choice.read(account_id).way(notice.kind).inbox:
        _item(account_id, notice).save()


def put_many(account_ids: Sequence[str], notice: Notice) -> None:
    """Tell accounts whose wishes the caller knows: one call for each 25. The same again changes nothing."""
    with NoticeItem.batch_write() as batch:
        for account_id in account_ids:
            batch.save(_item(account_id, notice))


def tell_follow(account_id: str, follower_id: str) -> None:
    """Tell that someone follows, at most once a day: who leaves and comes back is no news (one read, two writes)."""
    profile, choice = storage.read_across(
        [
            (ProfileItem, account_key(follower_id), PROFILE),
            (ChoiceItem, account_key(account_id), notice_choice.CHOICE),
        ]
    )
    follower = counted([profile]) if isinstance(profile, ProfileItem) else None
    chosen = notice_choice.decoded(choice if isinstance(choice, ChoiceItem) else None)
    if follower is None or not chosen.way("follow").inbox:
        return
    if claim(account_id, f"follow#{follower_id}", FOLLOW_AGAIN_S):
        event = f"follow.{follower_id}"
        notice = Notice("follow", clock.now_ms(), "", event, follower_id, follower.handle, follower.display_name)
        _item(account_id, notice).save()


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
    return messages.sentence(TITLES[notice.kind], language).format(name=notice.name)


def path_of(notice: Notice) -> str:
    """Where the page shows it."""
    return f"/watch/{notice.stream_id}" if notice.stream_id else "/me"


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
