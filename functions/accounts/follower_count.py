"""Lambda on the Accounts table's stream: keeps ``followers_counted``, the number of followers that count, and tells
who is followed.

Whether a follow counts depends on the follower's age and standing, which change without the follow. So each follow
that counts has an item of its own (`CountedItem`), and its count moves in one transaction with it: whatever is
repeated, late or doubled, an item is there or it is not. Eligibility then reads one number of one profile and scans
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, ClassVar, Final

from msgspec import Struct
from pynamodb.attributes import NumberAttribute
from pynamodb.transactions import TransactWrite

from functions import clock, observe, storage, transaction
from functions.accounts import due, model, table, telling
from functions.accounts.due import Due
from functions.accounts.follows import FollowItem
from functions.accounts.model import Account
from functions.accounts.table import PROFILE, AccountsItem, ProfileItem, account_key

FOLLOWER_PREFIX: Final = "follower#"
# At most four items of each are read in one call of at most 100.
PAIRS_AT_ONCE: Final = 25
ATTEMPTS_MAX: Final = 5


class CountedItem(AccountsItem):
    """``account#{followed}`` / ``counted#{follower}``: this follow is in ``followers_counted``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    at_ms = NumberAttribute()


class Pair(Struct, frozen=True, order=True):
    """Someone followed, and who follows (or did)."""

    followed: str
    follower: str


class Change(Struct, frozen=True):
    """A pair whose item is not as it should be."""

    pair: Pair
    counts: bool


def count(pairs: Iterable[Pair]) -> int:
    """Put the counts of these pairs right, as things stand now; returns how many changed. Repeating changes nothing."""
    wanted, changed = sorted(set(pairs)), 0
    for start in range(0, len(wanted), PAIRS_AT_ONCE):
        some = wanted[start : start + PAIRS_AT_ONCE]
        for _ in range(ATTEMPTS_MAX):
            changes = _changes(some)
            left: list[Pair] = []
            for _followed, group in groupby(changes, key=lambda one: one.pair.followed):
                mine = list(group)
                if _write(mine):
                    changed += len(mine)
                else:
                    left += [one.pair for one in mine]
            if not left:
                break
            some = left
        else:
            # The stream, or the minute's work, comes again with them.
            raise transaction.ConditionError(frozenset())
    return changed


def _changes(pairs: Sequence[Pair]) -> list[Change]:
    keys: list[tuple[type[storage.StoredItem], str, str]] = []
    for pair in pairs:
        keys.append((FollowItem, account_key(pair.followed), f"{FOLLOWER_PREFIX}{pair.follower}"))
        keys.append((CountedItem, account_key(pair.followed), f"counted#{pair.follower}"))
    # Each profile once: DynamoDB refuses a key that is asked for twice.
    named = sorted({name for pair in pairs for name in (pair.follower, pair.followed)})
    keys += [(ProfileItem, account_key(name), PROFILE) for name in named]
    found = storage.read_across(keys)
    profiles: dict[str, Account | None] = {
        name: table.counted([row]) if isinstance(row, ProfileItem) else None
        for name, row in zip(named, found[2 * len(pairs) :], strict=True)
    }
    now_ms, changes = clock.now_ms(), list[Change]()
    for at, pair in enumerate(pairs):
        follows, counted = found[2 * at] is not None, found[2 * at + 1] is not None
        account = profiles[pair.follower]
        counts = follows and account is not None and model.counts_as_follower(account, now_ms)
        if follows and account is not None and now_ms < model.comes_of_age_ms(account):
            due.put(Due(account.id, model.comes_of_age_ms(account)))
        # Of an account that is gone nothing is counted any more.
        if counts != counted and profiles[pair.followed] is not None:
            changes.append(Change(pair, counts))
    return changes


def _write(changes: Sequence[Change]) -> bool:
    """Changes of one followed account and its count in one transaction; False when someone else made one meanwhile."""
    followed = changes[0].pair.followed
    by = sum(1 if change.counts else -1 for change in changes)

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            for change in changes:
                entry = CountedItem(account_key(followed), f"counted#{change.pair.follower}", at_ms=clock.now_ms())
                if change.counts:
                    batch.save(entry, condition=CountedItem.pk.does_not_exist())
                else:
                    batch.delete(entry, condition=CountedItem.pk.exists())
            batch.update(
                ProfileItem(account_key(followed), PROFILE),
                actions=[ProfileItem.followers_counted.add(by)],
                condition=table.PRESENT,
            )

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        return False
    return True


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Follows that came or went."""
    pairs, new = list[Pair](), list[Pair]()
    for record in event["Records"]:
        keys = record["dynamodb"]["Keys"]
        pk, sk = str(keys["pk"]["S"]), str(keys["sk"]["S"])
        if sk.startswith(FOLLOWER_PREFIX):
            pairs.append(Pair(pk.removeprefix("account#"), sk.removeprefix(FOLLOWER_PREFIX)))
            if record["eventName"] == "INSERT":
                new.append(pairs[-1])
    changed = count(pairs)
    # After the counts, which eligibility waits for.
    for pair in new:
        telling.order_follow(pair.followed, pair.follower)
    return {"changed": changed}
