"""Spending limits, gift ages and what is on offer: what a wallet may give, when, and to whom."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from functions import clock
from functions.errors import OnairError
from functions.wallet import catalogue, giving, limits, model, self_limit
from functions.wallet.giving import Giver
from functions.wallet.limits import COOLING_OFF_MS, DAY_MS, NEW_ACCOUNT_COINS_A_DAY, NEW_ACCOUNT_MS
from functions.wallet.model import LimitDetails, Transfer, Wallet
from tests.simulation.wallet.memory_ledger import MemoryLedger

NOON = 20_000 * DAY_MS + DAY_MS // 2
RICH = Wallet("viewer", coins=1_000_000, at=NOON)


def spend(wallet: Wallet, coins: int, at: int = NOON, **other: Any) -> tuple[Wallet, Transfer]:
    gift = model.Gift("g", "G", coins, "🌹", "small", "pop")
    place = {"host": "host", "stream": "s", "event_id": "e", **other}
    return model.give(wallet, gift=gift, count=1, client_id=f"{wallet.version}", at=at, **place)


def refused(wallet: Wallet, coins: int, at: int = NOON, **other: Any) -> OnairError:
    with pytest.raises(OnairError) as caught:
        spend(wallet, coins, at, **other)
    return caught.value


def test_a_limit_holds_for_the_sum_of_a_day_and_starts_anew_at_midnight_utc() -> None:
    wallet, _ = self_limit.restrict(RICH, 100, at=NOON)
    wallet, _ = spend(wallet, 60)
    wallet, _ = spend(wallet, 40)
    error = refused(wallet, 1)
    assert (error.code, error.details) == ("limit_reached", {"coins_a_day": 100, "spent": 100, "needed": 1})
    assert error.retry_after_ms == DAY_MS // 2
    tomorrow, _ = spend(wallet, 100, NOON + DAY_MS // 2)
    assert tomorrow.spent == 100


def test_a_lower_limit_holds_at_once_and_counts_what_was_given_before_it() -> None:
    wallet, _ = spend(RICH, 80)
    wallet, _ = self_limit.restrict(wallet, 100, at=NOON)
    assert refused(wallet, 21).code == "limit_reached"
    spend(wallet, 20)


@pytest.mark.parametrize("raised", [500, None])
def test_a_higher_limit_or_none_holds_only_after_a_day(raised: int | None) -> None:
    wallet, _ = self_limit.restrict(RICH, 100, at=NOON)
    wallet, entry = self_limit.restrict(wallet, raised, at=NOON)
    assert entry.details == LimitDetails(coins_a_day=raised, since=NOON + COOLING_OFF_MS)
    assert refused(wallet, 101, NOON + COOLING_OFF_MS - 1).code == "limit_reached"
    spend(wallet, 101, NOON + COOLING_OFF_MS)


def test_changing_ones_mind_downwards_while_a_raise_waits_takes_the_raise_back() -> None:
    wallet, _ = self_limit.restrict(RICH, 100, at=NOON)
    wallet, _ = self_limit.restrict(wallet, None, at=NOON)
    wallet, _ = self_limit.restrict(wallet, 50, at=NOON + 1)
    assert limits.in_force(wallet, NOON + 10 * DAY_MS) == 50


def test_a_new_account_has_a_limit_of_ours_beside_its_own() -> None:
    spend(RICH, NEW_ACCOUNT_COINS_A_DAY, created_ms=NOON - 1)
    assert refused(RICH, NEW_ACCOUNT_COINS_A_DAY + 1, created_ms=NOON - 1).code == "limit_reached"
    spend(RICH, NEW_ACCOUNT_COINS_A_DAY + 1, created_ms=NOON - NEW_ACCOUNT_MS)
    wallet, _ = self_limit.restrict(RICH, 10, at=NOON)
    assert refused(wallet, 11, created_ms=NOON - 1).code == "limit_reached"


def test_a_clock_that_runs_back_does_not_open_yesterday_again() -> None:
    wallet, _ = self_limit.restrict(RICH, 100, at=NOON)
    wallet, _ = spend(wallet, 100)
    assert refused(wallet, 1, NOON - DAY_MS).code == "limit_reached"


@pytest.mark.parametrize("coins", [-1, limits.LIMIT_MAX + 1])
def test_a_limit_out_of_bounds_is_refused(coins: int) -> None:
    with pytest.raises(OnairError) as caught:
        self_limit.restrict(RICH, coins, at=NOON)
    assert (caught.value.code, caught.value.details) == ("invalid_request", {"field": "coins_a_day"})


def test_setting_what_is_set_already_writes_nothing() -> None:
    book = MemoryLedger()
    first = self_limit.set_limit(book, "viewer", 100, random.Random(1))
    assert self_limit.set_limit(book, "viewer", 100, random.Random(1)) == first
    waiting = self_limit.set_limit(book, "viewer", None, random.Random(1))
    again = self_limit.set_limit(book, "viewer", None, random.Random(1))
    assert (waiting.coins_a_day, waiting.coins_next, waiting.changes_at) == (100, None, again.changes_at)
    wallet = book.wallet("viewer")
    assert wallet is not None
    assert wallet.version == 2


# --- catalogue ---------------------------------------------------------------------------------------------------


def test_the_catalogue_has_sixty_gifts_in_every_tier_and_names_no_market_that_is_not_one() -> None:
    gifts = catalogue.gifts().values()
    assert len(gifts) >= 60
    assert {each.tier for each in gifts} == {"small", "medium", "large", "epic"}
    assert (min(each.coins for each in gifts), max(each.coins for each in gifts)) == (1, 34_999)
    assert all(len(market) == 2 and market.isupper() for each in gifts for market in each.markets)
    assert all(each.first_day <= each.last_day for each in gifts if each.first_day and each.last_day)


@pytest.mark.parametrize(
    ("market", "day", "there"),
    [
        ("JP", date(2027, 3, 20), True),
        ("JP", date(2027, 4, 30), True),
        ("JP", date(2027, 3, 19), False),
        ("JP", date(2027, 5, 1), False),
        ("US", date(2027, 4, 1), False),
        ("", date(2027, 4, 1), False),
    ],
)
def test_a_gift_is_on_offer_in_its_days_and_markets(market: str, day: date, there: bool) -> None:
    assert ("cherry_blossom" in {each.id for each in catalogue.gifts_on_offer(market, day)}) is there


def test_a_gift_out_of_its_days_is_refused() -> None:
    snowman = catalogue.gift("snowman")
    with pytest.raises(OnairError) as caught:
        giving.check(Giver("US", 30), snowman, date(2027, 7, 1), gifts_on=True, host_badges=())
    assert caught.value.details == {"field": "gift_id"}
    giving.check(Giver("US", 30), snowman, date(2026, 12, 24), gifts_on=True, host_badges=())


@pytest.mark.parametrize(
    ("gift", "market", "needed"), [("rose", "US", 18), ("rose", "KR", 19), ("champagne", "US", 21)]
)
def test_the_age_for_gifts_is_that_of_the_market_and_of_the_gift(gift: str, market: str, needed: int) -> None:
    assert giving.age_min(catalogue.gift(gift), market) == needed
    today = clock.today_utc(NOON)
    giving.check(Giver(market, needed), catalogue.gift(gift), today, gifts_on=True, host_badges=())
    with pytest.raises(OnairError) as caught:
        giving.check(Giver(market, needed - 1), catalogue.gift(gift), today, gifts_on=True, host_badges=())
    assert (caught.value.code, caught.value.details) == ("age_restricted", {"needed": needed})
