"""The wallet's rules: sums hold in whatever order, remainders are never lost, seals show any change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import OnairError
from functions.wallet import catalogue, chain, model
from functions.wallet.model import Gift, GiftDetails, PastTransfer, Transfer, Wallet

PACKS = list(catalogue.coin_packs().values())
GIFTS = list(catalogue.gifts().values())


def bought(account: str = "viewer", pack: str = "coins_17500", receipt: str = "r") -> tuple[Wallet, Transfer]:
    return model.purchase(
        Wallet(account), provider="sandbox", receipt=receipt, pack=catalogue.coin_pack(pack), at=1_000
    )


def gift(wallet: Wallet, client_id: str = "1", coins: int = 1, **other: Any) -> tuple[Wallet, Transfer]:
    kind = Gift("g", "G", coins, "🌹", "small", "pop")
    fields = {"host": "host", "gift": kind, "count": 1, "stream": "s", "event_id": "e", "at": 2_000, **other}
    return model.give(wallet, client_id=client_id, **fields)


@given(st.lists(st.tuples(st.sampled_from(["buy", "give"]), st.integers(0, 50), st.integers(1, 999)), max_size=30))
def test_every_chain_leads_to_its_wallet_and_conserves_coins(steps: list[tuple[str, int, int]]) -> None:
    wallet = Wallet("viewer")
    transfers: list[Transfer] = []
    minted = spent = 0
    for n, (step, which, count) in enumerate(steps):
        before = wallet
        try:
            if step == "buy":
                pack = PACKS[which % len(PACKS)]
                wallet, transfer = model.purchase(wallet, provider="sandbox", receipt=f"{n}", pack=pack, at=n)
                minted += pack.coins
            else:
                chosen = GIFTS[which % len(GIFTS)]
                wallet, transfer = gift(wallet, f"{n}", gift=chosen, count=count, at=n)
                spent += chosen.coins * count
        except OnairError as error:
            assert error.code == "insufficient_coins"
            assert wallet is before
            continue
        transfers.append(transfer)
    assert wallet.coins == minted - spent >= 0
    links = [chain.link(PastTransfer(each)) for each in transfers]
    assert chain.verify("viewer", wallet, links) == []


@given(
    st.lists(st.lists(st.integers(1, 34_999), min_size=1, max_size=10), max_size=12),
    st.integers(0, 1000),
)
def test_no_thousandth_is_lost_however_gifts_are_batched(batches: list[list[int]], permille: int) -> None:
    host = Wallet("host")
    settlements: list[Transfer] = []
    owed = 0
    for n, prices in enumerate(batches):
        gifts: list[Transfer] = []
        for m, price in enumerate(prices):
            viewer = Wallet("viewer", coins=price)
            gifts.append(gift(viewer, f"{n}-{m}", price, permille=permille)[1])
            owed += price * permille
        host, transfer = model.settle(host, gifts, at=n)
        settlements.append(transfer)
    assert host.diamonds * 1000 + host.carried_milli == owed
    assert 0 <= host.carried_milli < 1000
    assert sum(each.amount for each in settlements) == host.diamonds
    assert chain.verify("host", host, [chain.link(PastTransfer(each)) for each in settlements]) == []


def test_batching_decides_nothing_about_the_sum() -> None:
    gifts = [gift(Wallet("v", coins=9), f"{n}", 9, permille=333)[1] for n in range(6)]
    at_once, _ = model.settle(Wallet("host"), gifts, at=1)
    one_by_one = Wallet("host")
    for each in gifts:
        one_by_one, _ = model.settle(one_by_one, [each], at=1)
    assert (at_once.diamonds, at_once.carried_milli) == (one_by_one.diamonds, one_by_one.carried_milli) == (17, 982)


@pytest.mark.parametrize("count", [0, -1, 1000, 1.0, "3", True, None, 2**70])
def test_a_count_that_is_no_whole_number_in_range_is_refused(count: Any) -> None:
    with pytest.raises(OnairError) as caught:
        gift(bought()[0], count=count)
    assert (caught.value.code, caught.value.details) == ("invalid_request", {"field": "count"})


def test_a_gift_needs_its_whole_price() -> None:
    wallet, _ = gift(Wallet("v", coins=10), coins=10)
    assert wallet.coins == 0
    with pytest.raises(OnairError) as caught:
        gift(Wallet("v", coins=9), coins=10)
    assert (caught.value.code, caught.value.details) == ("insufficient_coins", {"needed": 10, "coins": 9})


def test_a_frozen_wallet_spends_nothing_and_still_receives() -> None:
    frozen = msgspec.structs.replace(bought()[0], frozen=True)
    with pytest.raises(OnairError) as caught:
        gift(frozen)
    assert caught.value.code == "forbidden"
    given, transfer = model.settle(
        msgspec.structs.replace(frozen, account="host"), [gift(Wallet("v", coins=1))[1]], at=1
    )
    assert given.frozen
    assert transfer.details == model.SettlementDetails(
        1, 1, 500, 500, model.digest([gift(Wallet("v", coins=1))[1].hash]), (model.Given("s", "v", "g", 1, 1),)
    )


def test_a_gift_to_oneself_is_refused() -> None:
    with pytest.raises(OnairError) as caught:
        gift(bought()[0], host="viewer")
    assert caught.value.code == "forbidden"


def test_an_entry_never_lies_before_the_one_it_follows() -> None:
    wallet, first = bought()
    _, second = gift(wallet, at=first.at - 500)
    assert second.at == first.at


def test_a_settlement_never_lies_before_its_gifts() -> None:
    late = gift(bought()[0], at=9_000)[1]
    _, settlement = model.settle(Wallet("host"), [late], at=5_000)
    assert settlement.at == 9_000


CHANGES: list[dict[str, Any]] = [
    {"amount": 2},
    {"version": 3},
    {"at": 1},
    {"credit": "creator/somebody"},
    {"debit": "house/sandbox"},
    {"balance_after": 1},
    {"reference": "other"},
    {"previous_hash": "1" * 64},
    {"account": "other"},
    {"id": "gift#2"},
    {"details": GiftDetails("s", "g", 1, "e", 501)},
    {"details": GiftDetails("s", "g", 1, "e", 500, combo="c")},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change}"[:40])
def test_any_changed_field_breaks_the_seal(change: dict[str, Any]) -> None:
    transfer = gift(bought()[0])[1]
    assert model.seal(transfer) == transfer.hash
    assert model.seal(msgspec.structs.replace(transfer, **change)) != transfer.hash


def test_a_seal_stays_what_it_was_when_it_was_first_written() -> None:
    """A ledger lives for years: whoever changes this constant breaks every chain there is."""
    transfer = gift(bought()[0])[1]
    assert transfer.previous_hash == "56e851f54fe1025a43a540997b64d047c83e8a7188ad9c5ce46d48a1fafd6068"
    assert transfer.hash == "6b151516acdb67680a23aa6ca5638c5ee082e0400c9997158c6370c1eee92072"


def test_a_combo_counts_on_within_one_gift_in_one_stream() -> None:
    wallet, _ = bought()
    seen: list[int] = []
    for n, other in enumerate(
        [{"combo": "a"}, {"combo": "a", "count": 2}, {"combo": "a", "stream": "t"}, {"combo": None}, {"combo": "a"}]
    ):
        wallet, _ = gift(wallet, f"{n}", **other)
        seen.append(wallet.combo_count)
    assert seen == [1, 3, 1, 1, 1]


def test_a_combo_that_was_ended_starts_anew_under_the_same_name() -> None:
    wallet, _ = bought()
    wallet, _ = gift(wallet, "1", combo="c", count=3)
    wallet, _ = gift(wallet, "2", combo="c", combo_end=True)
    assert wallet.combo_count == 4
    wallet, _ = gift(wallet, "3", combo="c", count=2)
    assert wallet.combo_count == 2


def test_the_catalogue_runs_from_a_rose_to_the_universe() -> None:
    prices = {each.id: each.coins for each in GIFTS}
    assert len(GIFTS) >= 24
    assert (GIFTS[0].coins, prices["rose"], prices["universe"], max(prices.values())) == (1, 1, 34_999, 34_999)
    assert {each.tier for each in GIFTS} == {"small", "medium", "large", "epic"}
    assert all(each.id == each.id.lower() and each.emoji and each.name for each in GIFTS)


def test_the_dearest_gift_many_times_stays_exact() -> None:
    price = 34_999 * 999
    wallet, transfer = gift(Wallet("v", coins=price), gift=catalogue.gift("universe"), count=999)
    assert wallet.coins == 0
    assert transfer.amount == price
    assert isinstance(transfer.details, GiftDetails)
    assert transfer.details.share_milli == price * 500
