"""Lambda `Reconcile`, each night: proves that counts of follows are the number of their entries, and repairs them.

A count is repaired only on the condition that it did not change while its entries were counted, so that a follow of
that moment is neither lost nor counted twice. What the time of one run does not suffice for, the next goes on with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from msgspec import Struct
from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError

from functions import observe
from functions.accounts import erasing
from functions.accounts.follows import FollowItem, shard_of
from functions.accounts.table import (
    FOLLOWERS_COUNT,
    FOLLOWING_COUNT,
    PROFILE,
    AccountsItem,
    ProfileItem,
    account_key,
)
from functions.accounts.work import Work, order

ATTEMPTS_MAX: Final = 5
# A run ends this long before Lambda would end it: the account at hand is finished and the place is noted.
RESERVE_MS: Final = 60_000
PLACE_KEY: Final = "reconcile"


class PlaceItem(AccountsItem):
    """``reconcile`` / ``reconcile``: the account after which the next run goes on."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    after = UnicodeAttribute()


class Finding(Struct, frozen=True):
    """One count that was not the number of its entries (``repaired``: unless it kept moving)."""

    account: str
    count: str
    was: int
    entries: int
    repaired: bool


def check(account_id: str) -> list[Finding]:
    """Count an account's follows on both sides and repair what is wrong; reads its whole partition."""
    found: list[Finding] = []
    for attempt in range(ATTEMPTS_MAX):
        # The counts first, the entries then: a follow in between shows as a count that changed since.
        counts = {item.sk: item for item in _rows(account_id, ProfileItem, f"{PROFILE}#")}
        entries = _entries(account_id)
        wrong = [key for key in entries | counts if entries.get(key, 0) != _value(counts.get(key), key)]
        findings = [
            Finding(
                account_id,
                key,
                _value(counts.get(key), key),
                entries.get(key, 0),
                _repair(account_id, key, counts.get(key), entries.get(key, 0)),
            )
            for key in wrong
        ]
        found += [each for each in findings if each.repaired or attempt == ATTEMPTS_MAX - 1]
        if all(each.repaired for each in findings):
            break
    return found


def run(left_ms: Callable[[], int]) -> tuple[int, list[Finding]]:
    """Check account after account until all are done or time runs out; returns how many, and what was wrong."""
    checked, findings = 0, list[Finding]()
    for account_id in _accounts():
        found = check(account_id)
        for each in found:
            observe.logger.warning("count of follows was wrong", extra={"finding": repr(each)})
        findings += found
        checked += 1
        if left_ms() < RESERVE_MS:
            PlaceItem(PLACE_KEY, PLACE_KEY, after=account_id).save()
            return checked, findings
    PlaceItem(PLACE_KEY, PLACE_KEY).delete()
    return checked, findings


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(_event: dict[str, Any], context: Any) -> dict[str, int]:
    """Order again what is still being erased, then check as many accounts as time allows, on from the last run."""
    for account in erasing.unfinished():
        order(Work("erase", account=account))
    checked, findings = run(context.get_remaining_time_in_millis)
    with single_metric(name="FollowCountsWrong", unit=MetricUnit.Count, value=len(findings), namespace="Onair"):
        return {"checked": checked, "wrong": len(findings), "repaired": sum(each.repaired for each in findings)}


def _accounts() -> Iterator[str]:
    try:
        after = PlaceItem.get(PLACE_KEY, PLACE_KEY).after
    except DoesNotExist:
        after = None
    last = {"pk": {"S": account_key(after)}, "sk": {"S": PROFILE}} if after is not None else None
    for item in AccountsItem.scan(
        AccountsItem.sk == PROFILE, last_evaluated_key=cast(Any, last), attributes_to_get=["pk", "sk"]
    ):
        yield item.pk.removeprefix("account#")


def _entries(account_id: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in _rows(account_id, FollowItem, "follower#"):
        key = f"{FOLLOWERS_COUNT}{shard_of(item.sk.removeprefix('follower#'))}"
        found[key] = found.get(key, 0) + 1
    following = sum(1 for _ in _rows(account_id, FollowItem, "follows#"))
    return found | ({FOLLOWING_COUNT: following} if following else {})


def _rows(account_id: str, model: Any, prefix: str) -> Iterator[Any]:
    return iter(model.query(account_key(account_id), model.sk.startswith(prefix), consistent_read=True))


def _value(item: ProfileItem | None, key: str) -> int:
    if item is None:
        return 0
    return int(item.following if key == FOLLOWING_COUNT else item.followers)


def _repair(account_id: str, key: str, seen: ProfileItem | None, entries: int) -> bool:
    count = ProfileItem.following if key == FOLLOWING_COUNT else ProfileItem.followers
    changes = int(seen.changes or 0) if seen is not None else 0
    still = ProfileItem.changes == changes
    try:
        ProfileItem(account_key(account_id), key).update(
            [count.set(entries), ProfileItem.changes.add(1)],
            condition=still if changes else ProfileItem.changes.does_not_exist() | still,
        )
    except UpdateError as error:
        if error.cause_response_code in ("ConditionalCheckFailedException", "TransactionConflictException"):
            return False
        raise
    return True
