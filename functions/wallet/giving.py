"""Who may give what to whom: age and market of the giver, days of the gift, and hosts who may not or do not want to.

What is needed of accounts was read when the ticket was signed, and rides on the connection: a gift reads nothing more.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Final

from msgspec import Struct

from functions.accounts import markets
from functions.errors import OnairError
from functions.wallet.model import Gift

# Badges of accounts that speak for public offices or for parties: gifts to them would be payments to politics.
NOT_EARNING: Final = frozenset({"government", "politician", "party"})


class Giver(Struct, frozen=True):
    """What the ticket said of who gives. ``age_years`` is that of the day it was signed."""

    market: str = ""
    age_years: int = 0
    created_ms: int = 0


def age_min(gift: Gift, market: str) -> int:
    """From which age on ``gift`` may be given in ``market``."""
    return max(gift.min_age, markets.gift_age_min(market))


def offered(gift: Gift, market: str, day: date) -> bool:
    """Whether ``gift`` is on offer on ``day`` in ``market``; where that is not known (empty), only what all have."""
    if (gift.first_day is not None and day < gift.first_day) or (gift.last_day is not None and day > gift.last_day):
        return False
    return not gift.markets or market in gift.markets


def earns(badges: Collection[str]) -> bool:
    """Whether an account with these badges may receive gifts and payouts."""
    return NOT_EARNING.isdisjoint(badges)


def check(giver: Giver, gift: Gift, day: date, *, gifts_on: bool, host_badges: Collection[str]) -> None:
    """Refuse a gift that may not be given.

    Raises
    ------
    OnairError
        ``forbidden`` (gifts are off, the host may not earn), ``age_restricted``, ``invalid_request`` (``gift_id`` is
        not on offer here and now).
    """
    if not gifts_on:
        raise OnairError("forbidden", "The host has switched gifts off.")
    if not earns(host_badges):
        raise OnairError("forbidden", "This account cannot receive gifts.")
    if not offered(gift, giver.market, day):
        raise OnairError("invalid_request", "This gift is not on offer here and now.", field="gift_id")
    needed = age_min(gift, giver.market)
    if giver.age_years < needed:
        raise OnairError("age_restricted", details={"needed": needed})
