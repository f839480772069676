"""Shares of a stream: whose link it is, and how many came by it. What the page behind the link shows is share_page.py.

| pk           | sk             | item |
|--------------|----------------|------|
| share#{code} | share          | one person's link to one stream by one channel, and who came by it |
| stream#{id}  | shares         | both counts of all links of a stream |
| stream#{id}  | came#{account} | that this account came by a link: it is counted once |
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Final, Literal, get_args

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.transactions import TransactWrite

from functions import storage, transaction

Channel = Literal["link", "system", "message", "mail", "facebook", "telegram", "whatsapp", "x", "other"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
CODE_LENGTH: Final = 12
SHARE: Final = "share"
TALLY: Final = "shares"
# No vowels and no look-alikes: a code spells nothing and can be read out.
_ALPHABET: Final = "23456789bcdfghjkmnpqrstvwxyz"


class Share(msgspec.Struct, frozen=True):
    """One link: ``account`` shared ``stream_id`` by ``channel``, and ``arrivals`` people came by it."""

    code: str
    stream_id: str
    account: str
    channel: str
    arrivals: int = 0


class ShareCounts(msgspec.Struct, frozen=True):
    """How often a stream was shared (an account counts once a channel) and how many people came by a link."""

    shares: int = 0
    arrivals: int = 0


class SharesItem(storage.StoredItem):
    """What all items here have in common."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "STREAMS_TABLE"
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class ShareItem(SharesItem):
    """One link."""

    class Meta(SharesItem.Meta):
        table_name = "named-by-setting"

    stream = UnicodeAttribute()
    account = UnicodeAttribute()
    channel = UnicodeAttribute()
    arrivals = NumberAttribute(default=0)


class TallyItem(SharesItem):
    """The counts of one stream."""

    class Meta(SharesItem.Meta):
        table_name = "named-by-setting"

    shares = NumberAttribute(default=0)
    arrivals = NumberAttribute(default=0)


def code_of(stream_id: str, account: str, channel: Channel) -> str:
    """The code of a link: the same for the same person, stream and channel, so that sharing again makes no other."""
    number = int.from_bytes(hashlib.sha256(f"share\x1f{stream_id}\x1f{account}\x1f{channel}".encode()).digest())
    letters: list[str] = []
    for _ in range(CODE_LENGTH):
        number, at = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[at])
    return "".join(letters)


def share(stream_id: str, account: str, channel: Channel) -> str:
    """The code of this person's link, made and counted the first time."""
    code = code_of(stream_id, account, channel)

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.save(
                ShareItem(f"share#{code}", SHARE, stream=stream_id, account=account, channel=channel),
                condition=ShareItem.pk.does_not_exist(),
            )
            batch.update(TallyItem(_pk(stream_id), TALLY), actions=[TallyItem.shares.add(1)])

    _once(write)
    return code


def read(code: str) -> Share | None:
    """A link by its code."""
    try:
        item = ShareItem.get(f"share#{code}", SHARE)
    except DoesNotExist:
        return None
    return Share(code, item.stream, item.account, item.channel, int(item.arrivals))


def arrive(code: str, stream_id: str, account: str) -> bool:
    """Count who came by a link: each account once a stream, and not whoever shared it. False when not counted."""
    found = read(code)
    if found is None or found.stream_id != stream_id or found.account == account:
        return False

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.save(SharesItem(_pk(stream_id), f"came#{account}"), condition=SharesItem.pk.does_not_exist())
            batch.update(ShareItem(f"share#{code}", SHARE), actions=[ShareItem.arrivals.add(1)])
            batch.update(TallyItem(_pk(stream_id), TALLY), actions=[TallyItem.arrivals.add(1)])

    return _once(write)


def counts(stream_id: str) -> ShareCounts:
    """The counts of a stream."""
    try:
        item = TallyItem.get(_pk(stream_id), TALLY, consistent_read=True)
    except DoesNotExist:
        return ShareCounts()
    return ShareCounts(int(item.shares), int(item.arrivals))


def _once(write: Any) -> bool:
    try:
        transaction.commit(write)
    except transaction.ConditionError:
        return False
    return True


def _pk(stream_id: str) -> str:
    return f"stream#{stream_id}"
