"""The tables that contract tests and benches need, with the keys and indexes that infra/ declares for them."""

from __future__ import annotations

from typing import Any


def create(client: Any, ledger: str, rooms: str) -> None:
    """Make an empty Ledger and an empty Rooms table under these names."""
    key = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    text = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    client.create_table(
        TableName=ledger,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key,
        AttributeDefinitions=[
            *text,
            {"AttributeName": "unsettled_key", "AttributeType": "S"},
            {"AttributeName": "version", "AttributeType": "N"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by_version",
                "KeySchema": [key[0], {"AttributeName": "version", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
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
    client.create_table(TableName=rooms, BillingMode="PAY_PER_REQUEST", KeySchema=key, AttributeDefinitions=text)
