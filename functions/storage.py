"""The base of every PynamoDB model: tables named by the function's settings, one client for all, calls counted.

PynamoDB makes a connection, and with it a botocore client (~100 ms), for each model class. Here every model shares
the container's one DynamoDB client, and the table's name is read from the settings on each call, because the local
stack and the tests run many functions, and in turn many stacks, in one process.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.models import Model

from functions import aws, settings

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


def _share_client(made: Connection) -> None:
    private: Any = made
    private._client = aws.client("dynamodb")
