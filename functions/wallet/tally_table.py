"""Leaderboards, galleries, months and goals in the Ledger table, as PynamoDB items: `StoredBoards`."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException
from pynamodb.expressions.update import Action
from pynamodb.indexes import IncludeProjection, LocalSecondaryIndex

from functions import storage
from functions.wallet import tables
from functions.wallet.tally import GIVER, Progress, Row, Sums

PROGRESS_KEY: Final = "progress"
GOALS_KEY: Final = "goals"


class Goal(msgspec.Struct, frozen=True):
    """A gift that the host hopes for, and how often."""

    gift_id: str
    count: int


class ByCoins(LocalSecondaryIndex["RowItem"]):
    """A board's givers by their coins: the table's one local index, whose sort key wallets use for versions."""

    class Meta:
        index_name = "by_version"
        projection = IncludeProjection(list(tables.STATEMENT_ATTRIBUTES))

    pk = UnicodeAttribute(hash_key=True)
    version = NumberAttribute(range_key=True)


class RowItem(storage.StoredItem):
    """``tally#{board}`` / a row's name; ``upto`` is the last batch that it holds, ``version`` ranks givers."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting = tables.SETTING
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    upto = NumberAttribute()
    gifts = NumberAttribute(default=0)
    coins = NumberAttribute(default=0)
    diamonds = NumberAttribute(default=0)
    paid = NumberAttribute(default=0)
    version = NumberAttribute(null=True)
    by_coins = ByCoins()

    def to_row(self) -> Row:
        sums = Sums(int(self.gifts), int(self.coins), int(self.diamonds), int(self.paid))
        return Row(self.pk.removeprefix("tally#"), self.sk, sums)


class ProgressItem(storage.StoredItem):
    """``tally#{creator}`` / ``progress``."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting = tables.SETTING
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default=PROGRESS_KEY)
    done = NumberAttribute()
    doing = NumberAttribute()


class GoalsItem(storage.StoredItem):
    """``tally#{board of a stream}`` / ``goals``."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting = tables.SETTING
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default=GOALS_KEY)
    goals = UnicodeAttribute()


_goals = msgspec.json.Decoder(list[Goal])


class StoredBoards:
    """Boards in the table that the setting ``LEDGER_TABLE`` names; reads are strongly consistent."""

    def progress(self, creator: str) -> Progress:
        try:
            item = ProgressItem.get(_key(creator), PROGRESS_KEY, consistent_read=True)
        except DoesNotExist:
            return Progress()
        return Progress(int(item.done), int(item.doing))

    def advance(self, creator: str, before: Progress, after: Progress) -> bool:
        same: Any = (ProgressItem.done == before.done) & (ProgressItem.doing == before.doing)
        if before == Progress():
            same = ProgressItem.pk.does_not_exist() | same
        return _unless_refused(
            lambda: ProgressItem(_key(creator), PROGRESS_KEY, done=after.done, doing=after.doing).save(same)
        )

    def add(self, row: Row, batch: int) -> None:
        actions: list[Action] = [RowItem.upto.set(batch)]
        for name in Sums.__struct_fields__:
            more = int(getattr(row.sums, name))
            if more:
                attribute: Any = getattr(RowItem, name)
                actions.append(attribute.add(more))
        if row.name.startswith(GIVER):
            actions.append(RowItem.version.add(row.sums.coins))
        older: Any = RowItem.upto.does_not_exist() | (RowItem.upto < batch)
        _unless_refused(lambda: RowItem(_key(row.board), row.name).update(actions, older))

    def top(self, board: str, limit: int) -> list[Row]:
        found = RowItem.by_coins.query(_key(board), consistent_read=True, scan_index_forward=False, limit=limit)
        return [each.to_row() for each in found]

    def rows(self, board: str, prefix: str) -> list[Row]:
        found = RowItem.query(_key(board), RowItem.sk.startswith(prefix), consistent_read=True)
        return [each.to_row() for each in found]

    def goals(self, board: str) -> list[Goal]:
        """What the host of a stream hopes for."""
        try:
            return _goals.decode(GoalsItem.get(_key(board), GOALS_KEY, consistent_read=True).goals)
        except DoesNotExist:
            return []

    def set_goals(self, board: str, goals: list[Goal]) -> None:
        """Replace a stream's goals."""
        GoalsItem(_key(board), GOALS_KEY, goals=msgspec.json.encode(goals).decode()).save()


def _key(board: str) -> str:
    return f"tally#{board}"


def _unless_refused(write: Any) -> bool:
    try:
        write()
    except PynamoDBException as error:
        if tables.error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True
