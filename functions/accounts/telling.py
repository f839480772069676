"""Telling accounts something: an order in the Notices queue, and who of them may and wants to hear it.

Whoever has news orders it and goes on; the queue's worker (streams/announce.py) reads wishes, blocks and devices, puts
it into inboxes and orders pushes. The same order again tells nobody twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from functions import aws, clock, settings, storage
from functions.accounts import devices, model, notice_choice, notices, push
from functions.accounts.blocks import BlockItem, block_key
from functions.accounts.devices import DevicesItem
from functions.accounts.follows import FollowItem
from functions.accounts.model import Account
from functions.accounts.notice_choice import ChoiceItem, Kind, Preferences
from functions.accounts.notices import Notice
from functions.accounts.table import PROFILE, ProfileItem, account_key, counted

# Accounts of one order, and of one call: five items an account are read, a hundred at a time.
ACCOUNTS_MAX: Final = 100
READ_AT_ONCE: Final = 20
FOLLOW_AGAIN_S: Final = 24 * 3600
# What still reaches who is shut out of Onair: it is about themselves.
ABOUT_ONESELF: Final[frozenset[Kind]] = frozenset({"standing", "payout", "report"})


class Tell(Struct, frozen=True, tag="tell"):
    """Tell these accounts."""

    notice: Notice
    accounts: list[str]


class Receiver(Struct, frozen=True):
    """Someone who may be told."""

    account: Account
    choice: Preferences
    devices: bool


def order(notice: Notice, account_ids: Sequence[str]) -> None:
    """Have accounts told; ordering it again tells nobody twice."""
    for start in range(0, len(account_ids), ACCOUNTS_MAX):
        body = msgspec.json.encode(Tell(notice, list(account_ids[start : start + ACCOUNTS_MAX]))).decode()
        aws.client("sqs").send_message(QueueUrl=settings.required("NOTICES_QUEUE_URL"), MessageBody=body)


def order_follow(account_id: str, follower_id: str) -> None:
    """Have it told that someone follows, at most once a day: who leaves and comes back is no news."""
    (profile,) = storage.read_across([(ProfileItem, account_key(follower_id), PROFILE)])
    follower = counted([profile]) if profile is not None else None
    if follower is None or not notices.claim(account_id, f"follow#{follower_id}", FOLLOW_AGAIN_S):
        return
    event = f"follow.{follower_id}"
    notice = Notice("follow", clock.now_ms(), "", event, follower_id, follower.handle, follower.display_name)
    order(notice, [account_id])


def of_house(kind: Kind, at_ms: int, event: str, what: str, *, title: str = "", facts: dict[str, str]) -> Notice:
    """A notice that comes from no account."""
    return Notice(kind, at_ms, "", event, "", "", "Onair", title, what, facts)


def tell(notice: Notice, found: Sequence[Receiver]) -> None:
    """Put a notice into the inboxes of those who want it, and have their devices told."""
    told = [one for one in found if one.choice.way(notice.kind).inbox]
    notices.put_many([one.account.id for one in told], notice)
    push.order(notice, [one.account.id for one in told if one.devices and one.choice.way(notice.kind).push])


def receivers(
    notice: Notice, account_ids: Sequence[str], *, min_age: int = 0, followers: bool = False
) -> list[Receiver]:
    """Those who may hear of it: here, not shut out of Onair, old enough, no block between them and who did it.

    ``followers``: only those who follow who did it.
    """
    found: list[Receiver] = []
    today = clock.today_utc(clock.now_ms())
    for start in range(0, len(account_ids), READ_AT_ONCE):
        some = account_ids[start : start + READ_AT_ONCE]
        keys: list[tuple[type[storage.StoredItem], str, str]] = []
        for one in some:
            pk = account_key(one)
            keys += [
                (ProfileItem, pk, PROFILE),
                (ChoiceItem, pk, notice_choice.CHOICE),
                (DevicesItem, pk, devices.DEVICES),
                (BlockItem, pk, block_key(notice.account)),
                (FollowItem, pk, f"follows#{notice.account}"),
            ]
        rows = storage.read_across(keys)
        for place in range(0, len(rows), 5):
            profile, choice, listed, block, follow = rows[place : place + 5]
            account = counted([profile]) if isinstance(profile, ProfileItem) else None
            if account is None or block is not None or (followers and follow is None):
                continue
            if account.standing in ("suspended", "banned") and notice.kind not in ABOUT_ONESELF:
                continue
            if model.age_years(account.birth_date, today) < min_age:
                continue
            chosen = notice_choice.decoded(choice if isinstance(choice, ChoiceItem) else None)
            found.append(Receiver(account, chosen, listed is not None))
    return found
