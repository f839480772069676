"""Who moderates all broadcasts of a host: a list of accounts beside the host's own."""

from __future__ import annotations

from typing import ClassVar, Final

from pynamodb.attributes import NumberAttribute
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.accounts.table import AccountsItem, account_key
from functions.errors import OnairError

MODERATORS_MAX: Final = 20
PREFIX: Final = "moderator#"
COUNT: Final = "moderators"


class ModeratorItem(AccountsItem):
    """``account#{host}`` / ``moderator#{account}``, and ``moderators`` with how many there are."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    at_ms = NumberAttribute(null=True)
    many = NumberAttribute(null=True)


def listed(host: str) -> list[str]:
    """Their ids, the earliest first (one call)."""
    rows = list(ModeratorItem.query(account_key(host), ModeratorItem.sk.startswith(PREFIX), consistent_read=True))
    rows.sort(key=lambda row: int(row.at_ms or 0))
    return [row.sk.removeprefix(PREFIX) for row in rows]


def add(host: str, account: str) -> None:
    """Add one; again changes nothing. Raises ``conflict`` beyond 20."""
    item = ModeratorItem(account_key(host), f"{PREFIX}{account}", at_ms=clock.now_ms())

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.save(item, condition=ModeratorItem.pk.does_not_exist())
            batch.update(
                ModeratorItem(account_key(host), COUNT),
                actions=[ModeratorItem.many.add(1)],
                condition=ModeratorItem.many.does_not_exist() | (ModeratorItem.many < MODERATORS_MAX),
            )

    try:
        transaction.commit(write)
    except transaction.ConditionError as error:
        if 0 not in error.failed:
            raise OnairError("conflict", f"A host has at most {MODERATORS_MAX} moderators.") from None


def remove(host: str, account: str) -> None:
    """Take one from the list; again changes nothing."""

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.delete(ModeratorItem(account_key(host), f"{PREFIX}{account}"), condition=ModeratorItem.pk.exists())
            batch.update(ModeratorItem(account_key(host), COUNT), actions=[ModeratorItem.many.add(-1)])

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        return
