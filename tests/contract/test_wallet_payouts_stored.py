"""Payouts over memory and DynamoDB Local: kept whole, one step at a time, and never more than the wallet holds."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from functions import clock
from functions.errors import OnairError
from functions.wallet import model, payout_rules, payouts
from functions.wallet.audit import audit
from functions.wallet.ledger import Posting, TakenError
from functions.wallet.model import CoinPack, GiftDetails, Wallet
from functions.wallet.payout_rules import NEW_CREATOR_HOLD_MS, Payout, TaxProfile
from functions.wallet.payouts import PayoutBook
from functions.wallet.table import StoredLedger
from tests.contract.conftest import Service

PROFILE = TaxProfile("host", "US", "W-9", True, "acct_1", b"\x00sealed\xff", "6789", 1)


def earn(book: PayoutBook, coins: int, host: str = "host") -> None:
    """One gift of ``coins``, settled to ``host``: half as many diamonds."""
    now = clock.now_ms()
    pack = CoinPack("p", coins, 1)
    viewer, bought = model.purchase(Wallet("viewer"), provider="sandbox", receipt="r", pack=pack, at=now)
    book.write(Posting(None, viewer, bought))
    after, gift = model.post(
        viewer,
        id=model.gift_transfer_id("1"),
        debit="wallet/viewer",
        credit=f"creator/{host}",
        unit="coins",
        amount=coins,
        reason="gift",
        reference="s",
        at=now,
        details=GiftDetails("s", "rose", 1, "e", coins * 500),
    )
    book.write(Posting(viewer, after, gift, unsettled_key=f"creator#{host}#0"))
    earned, settled = model.settle(Wallet(host), [gift], at=now)
    book.write(Posting(None, earned, settled, settles=(gift,)))


def ask(book: PayoutBook, key: str, diamonds: int = 2_000) -> Payout:
    return payouts.ask(book, "host", diamonds, key, provider="bank", rng=random.Random(key))


def test_a_payout_is_kept_whole_and_moves_only_from_its_last_version(proved_book: PayoutBook) -> None:
    earn(proved_book, 8_000)
    proved_book.keep_profile(PROFILE)
    assert proved_book.profile("host") == PROFILE
    asked = ask(proved_book, "k")
    assert proved_book.payout("host", asked.id) == asked
    assert proved_book.payouts("host") == [asked]
    assert proved_book.waiting_payouts("held", asked.since - 1, 10) == []
    assert proved_book.waiting_payouts("held", asked.since, 10) == [asked]
    released = payout_rules.release(asked, asked.since)
    proved_book.move(released)
    with pytest.raises(TakenError):
        proved_book.move(released)
    with pytest.raises(TakenError):
        proved_book.move(replace(released, version=7))
    assert proved_book.waiting_payouts("held", asked.since, 10) == []
    assert proved_book.waiting_payouts("ready", asked.since, 10) == [released]


@pytest.mark.dynamodb_local
def test_many_payouts_asked_for_at_once_take_no_more_than_there_is(real: Service) -> None:
    book = StoredLedger()
    earn(book, 14_000)
    book.keep_profile(PROFILE)

    def one(n: int) -> str:
        for _ in range(20):
            try:
                return ask(book, f"{n % 6}").id
            except OnairError as error:
                if error.code != "unavailable":
                    return error.code
        raise AssertionError("never answered")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(12)))
    assert len({each for each in answers if each != "insufficient_diamonds"}) == 3
    assert len(book.payouts("host")) == 3
    wallet = book.wallet("host")
    assert wallet is not None
    assert wallet.diamonds == 1_000
    names = {each.name for each in audit(book, clock.now_ms() + NEW_CREATOR_HOLD_MS).differences}
    assert "payout_missing" not in names
    assert "diamonds_not_conserved" not in names
