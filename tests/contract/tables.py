"""The tables that contract tests and benches need, with the keys and indexes that infra/ declares for them."""

from __future__ import annotations

from typing import Any

from functions.wallet.tables import STATEMENT_ATTRIBUTES

KEY = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
TEXT = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]


def create_ledger(client: Any, name: str) -> None:
    """Make an empty Ledger table."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=KEY,
        AttributeDefinitions=[
            *TEXT,
            {"AttributeName": "unsettled_key", "AttributeType": "S"},
            {"AttributeName": "version", "AttributeType": "N"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by_version",
                "KeySchema": [KEY[0], {"AttributeName": "version", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": [*STATEMENT_ATTRIBUTES]},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "unsettled",
                "KeySchema": [
                    {"AttributeName": "unsettled_key", "KeyType": "HASH"},
                    {"AttributeName": "at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def create_plain(client: Any, name: str) -> None:
    """Make an empty table of keys alone, as Rooms and Accounts are."""
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=KEY, AttributeDefinitions=TEXT)
