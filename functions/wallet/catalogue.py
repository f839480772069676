"""What can be given and bought: gifts.json and coin_packs.json, read once and checked when read."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec

from functions.errors import OnairError
from functions.wallet import giving
from functions.wallet.model import CoinPack, Gift

HERE = Path(__file__).parent
Item = TypeVar("Item", Gift, CoinPack)


@lru_cache(maxsize=1)
def gifts() -> dict[str, Gift]:
    """Every gift by id, cheapest first."""
    return _read("gifts.json", Gift)


@lru_cache(maxsize=1)
def coin_packs() -> dict[str, CoinPack]:
    """Every coin pack by id, smallest first."""
    return _read("coin_packs.json", CoinPack)


def gifts_on_offer(market: str, day: date) -> list[Gift]:
    """The gifts that are on offer on a day in a market (empty: in all), cheapest first."""
    return [each for each in gifts().values() if giving.offered(each, market, day)]


def gift(gift_id: str) -> Gift:
    """The gift with this id; raises `OnairError` ``invalid_request`` naming ``gift_id``."""
    found = gifts().get(gift_id)
    if found is None:
        raise OnairError("invalid_request", "This gift is not in the catalogue.", field="gift_id")
    return found


def coin_pack(pack_id: str) -> CoinPack:
    """The pack with this id; raises `OnairError` ``invalid_request`` naming ``pack``."""
    found = coin_packs().get(pack_id)
    if found is None:
        raise OnairError("invalid_request", "This coin pack is not on offer.", field="pack")
    return found


def _read(name: str, kind: type[Item]) -> dict[str, Item]:
    items: list[Item] = msgspec.json.decode((HERE / name).read_bytes(), type=list[kind])
    by_id = {each.id: each for each in sorted(items, key=lambda each: each.coins)}
    assert len(by_id) == len(items), f"{name} names an id twice"
    assert all(each.coins > 0 for each in items), f"{name} has an item without a price"
    return by_id
