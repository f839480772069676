"""The base of every PynamoDB model: tables named by the function's settings, one client for all, calls counted.

PynamoDB makes a connection, and with it a botocore client (~100 ms), for each model class. Here every model shares
the container's one DynamoDB client, and the table's name is read from the settings on each call, because the local
stack and the tests run many functions, and in turn many stacks, in one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, TypeVar

from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.models import Model

from functions import aws, clock, settings
from functions.errors import OnairError

READ_ATTEMPTS_MAX: Final = 4
READ_BACKOFF_MS: Final = 20

_transactions: list[Connection] = []
_bound: dict[type[Model], TableConnection] = {}


def connection() -> Connection:
    """The container's connection, for ``TransactWrite`` and ``TransactGet``."""
    if not _transactions:
        made = Connection()
        _share_client(made)
        _transactions.append(made)
    return _transactions[0]


def forget_connections() -> None:
    """Drop every connection (local stack and tests, when endpoints or credentials change)."""
    _transactions.clear()
    for model in _bound:
        model._connection = None
    _bound.clear()


class StoredItem(Model):
    """A model of the table that the setting ``table_setting`` names (for example ``ROOMS_TABLE``).

    Subclasses give ``class Meta`` (may be empty but for index names), ``table_setting`` and their attributes.
    """

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride] PynamoDB fills in what is not given
        table_name = "named-by-setting"

    table_setting: ClassVar[str]

    @classmethod
    def _get_connection(cls) -> TableConnection:
        # PynamoDB's one hook for a table name that is not a constant; the version is pinned, and tests/contract
        # holds it.
        meta: Any = cls.Meta
        meta.table_name = settings.required(cls.table_setting)
        found = super()._get_connection()
        if _bound.get(cls) is not found:
            _share_client(found.connection)
            _bound[cls] = found
        return found


Item = TypeVar("Item", bound=StoredItem)


def read_across(wanted: Sequence[tuple[type[Item], str, str]]) -> list[Item | None]:
    """Items of several tables in one call (at most 100), strongly consistent, in the order asked; None where absent.

    Raises
    ------
    OnairError
        ``unavailable`` when the service keeps leaving some out.
    """
    waiting: dict[str, dict[str, Any]] = {}
    for model, pk, sk in wanted:
        table = waiting.setdefault(settings.required(model.table_setting), {"Keys": [], "ConsistentRead": True})
        table["Keys"].append({"pk": {"S": pk}, "sk": {"S": sk}})
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for attempt in range(READ_ATTEMPTS_MAX):
        clock.sleep_ms(READ_BACKOFF_MS * attempt)
        answer: dict[str, Any] = aws.client("dynamodb").batch_get_item(RequestItems=waiting)
        for name, rows in answer["Responses"].items():
            found |= {(name, row["pk"]["S"], row["sk"]["S"]): row for row in rows}
        waiting = answer.get("UnprocessedKeys") or {}
        if not waiting:
            break
    else:
        raise OnairError("unavailable")
    rows = [(model, found.get((settings.required(model.table_setting), pk, sk))) for model, pk, sk in wanted]
    return [None if row is None else model.from_raw_data(row) for model, row in rows]


def _share_client(made: Connection) -> None:
    private: Any = made
    private._client = aws.client("dynamodb")
