"""Payouts over memory and DynamoDB Local: kept whole, one step at a time, and never more than the wallet holds."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from functions import clock
from functions.accounts import trail
from functions.errors import OnairError
from functions.parse import Identity
from functions.wallet import model, payout_rules, payouts, purchases, refunds
from functions.wallet.audit import audit
from functions.wallet.ledger import Claim, LedgerError, Posting, Receipt, TakenError
from functions.wallet.model import CoinPack, GiftDetails, Wallet
from functions.wallet.payout_rules import NEW_CREATOR_HOLD_MS, Payout, TaxProfile
from functions.wallet.payouts import PayoutBook
from functions.wallet.table import StoredLedger
from tests.contract.conftest import Service

PROFILE = TaxProfile("host", "US", "W-9", True, "acct_1", b"\x00sealed\xff", "6789", 1)


def earn(book: PayoutBook, coins: int, host: str = "host", *, receipt: bool = False) -> None:
    """One gift of ``coins``, settled to ``host``: half as many diamonds; its purchase with a ``receipt`` or without."""
    now = clock.now_ms()
    pack = CoinPack("p", coins, 1)
    viewer, bought = model.purchase(Wallet("viewer"), provider="sandbox", receipt="r", pack=pack, at=now)
    kept = Receipt("sandbox", "r", "viewer", "p", bought.id) if receipt else None
    book.write(Posting(None, viewer, bought, receipt=kept))
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


@pytest.mark.dynamodb_local
def test_payouts_racing_refunds_leave_a_whole_chain_and_no_diamond_twice(real: Service) -> None:
    """The host buys coins too: refunds of these move the same wallet as the payouts, in both directions."""
    book = StoredLedger()
    earn(book, 24_000, receipt=True)
    book.keep_profile(PROFILE)
    pack = CoinPack("coins_350", 350, 499)
    for n in range(6):
        purchases.mint(book, "sandbox", f"host{n}", "host", pack)

    def one(n: int) -> str:
        for _ in range(30):
            try:
                if n % 2:
                    # Taken back, and given again when the dispute is won.
                    receipt, order = f"host{n // 2 % 6}", n // 12
                    refunds.claim(book, "sandbox", receipt, Claim("dispute", (1 - order % 2) * refunds.WHOLE, order))
                    return "refunded"
                return ask(book, f"{n}").state
            except OnairError as error:
                if error.code != "unavailable":
                    return error.code
        raise AssertionError("never answered")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(48)))
    wallet, made = book.wallet("host"), book.payouts("host")
    assert wallet is not None
    refused = {"insufficient_diamonds", "limit_reached", "forbidden"}
    assert set(answers) <= {"refunded", "held", *refused}
    # Five payouts a day are the limit, and six would be the diamonds.
    assert len(made) == answers.count("held") <= payout_rules.PAYOUTS_A_DAY_MAX
    assert wallet.diamonds == 12_000 - 2_000 * len(made)
    assert audit(book, clock.now_ms() + 1).differences == ()


@pytest.mark.dynamodb_local
def test_the_same_payout_asked_for_at_once_is_one_payout(real: Service) -> None:
    book = StoredLedger()
    earn(book, 14_000)
    book.keep_profile(PROFILE)

    def one(_: int) -> Payout:
        for _attempt in range(20):
            try:
                return ask(book, "same")
            except OnairError as error:
                assert error.code == "unavailable"
        raise AssertionError("never answered")

    with ThreadPoolExecutor(12) as pool:
        assert len({each.id for each in pool.map(one, range(12))}) == 1
    wallet = book.wallet("host")
    assert wallet is not None
    assert (wallet.diamonds, len(book.payouts("host"))) == (5_000, 1)


class Bank:
    """Pays; counts how often it was asked to."""

    name = "bank"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pay(self, payout: Payout) -> str:
        self.asked.append(payout.id)
        return f"tr_{payout.id}"

    def find(self, payout: Payout) -> str | None:
        return f"tr_{payout.id}" if payout.id in self.asked else None


@pytest.mark.dynamodb_local
def test_workers_at_the_same_payout_ask_the_provider_once(real: Service) -> None:
    book, bank = StoredLedger(), Bank()
    earn(book, 14_000)
    book.keep_profile(PROFILE)
    asked = ask(book, "k")
    book.move(replace(asked, state="ready", version=2, since=1))

    def work(_: int) -> None:
        # A lost race is a `TakenError`, as the queue's worker has it: the ring goes back.
        with contextlib.suppress(LedgerError):
            payouts.advance(book, bank, "host", asked.id)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert bank.asked == [asked.id]
    paid = book.payout("host", asked.id)
    assert paid is not None
    assert paid.state == "paid"


@pytest.mark.dynamodb_local
def test_a_refusal_and_an_approval_at_once_are_one_decision_with_one_note(real: Service) -> None:
    book, bank = StoredLedger(), Bank()
    earn(book, 14_000)
    book.keep_profile(PROFILE)
    asked = ask(book, "k")
    book.move(replace(asked, state="review", version=2, since=1))

    def decide(n: int) -> str:
        by = Identity(f"operator{n}", f"operator{n}")
        note = trail.entry(by, "payout.decide", asked.id, "why")
        try:
            if n % 2:
                return payouts.approve(book, "host", asked.id, note).state
            return payouts.reject(book, bank, "host", asked.id, "why", note).state
        except OnairError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(decide, range(8)))
    decided = [each for each in answers if each in ("ready", "reversed")]
    assert len(set(decided)) == 1
    notes, _ = trail.listed(None, 10)
    assert len(notes) == 1
    wallet = book.wallet("host")
    assert wallet is not None
    assert wallet.diamonds == (5_000 if decided[0] == "ready" else 7_000)
