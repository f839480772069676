"""Payouts: each is paid at most once and comes back at most once, whatever provider, clock or service do."""

from __future__ import annotations

import contextlib
import random

import pytest
from msgspec.structs import replace

from functions import clock
from functions.errors import OnairError
from functions.wallet import payout_rules, payouts
from functions.wallet.audit import audit
from functions.wallet.ledger import Posting
from functions.wallet.limits import DAY_MS
from functions.wallet.model import GiftDetails, Transfer, Wallet, gift_transfer_id, post, settle
from functions.wallet.payout_rules import KEY_VALID_MS, NEW_CREATOR_HOLD_MS, RETRY_MS, Payout, TaxProfile
from functions.wallet.payouts import PayoutRefusedError, PayoutUnknownError
from tests.simulation.wallet.memory_ledger import CrashError, MemoryLedger
from tests.unit.https import MovableClock

START = 1_794_960_000_000
PROFILE = TaxProfile("host", "US", "W-9", True, "acct_1", b"sealed", "6789", START)


class Bank:
    """A provider that keeps idempotency keys, and may lose its answer before or after paying, or refuse."""

    name = "bank"

    def __init__(self) -> None:
        self.paid: dict[str, int] = {}
        self.next: list[str] = []

    def pay(self, payout: Payout) -> str:
        mood = self.next.pop(0) if self.next else "pays"
        if mood == "lost_before":
            raise PayoutUnknownError("timed out")
        if mood == "refuses":
            raise PayoutRefusedError("account_closed")
        # A second payment under a forgotten key would show as twice the sum.
        self.paid[payout.id] = self.paid.get(payout.id, 0) + (0 if payout.id in self.paid else payout.net_cents)
        if mood == "lost_after":
            raise PayoutUnknownError("timed out")
        return f"tr_{payout.id}"

    def find(self, payout: Payout) -> str | None:
        return f"tr_{payout.id}" if payout.id in self.paid else None


class ForgetfulBank(Bank):
    """Its keys are forgotten at once: whoever asks it twice without looking pays twice."""

    def pay(self, payout: Payout) -> str:
        mood = self.next.pop(0) if self.next else "pays"
        if mood == "lost_before":
            raise PayoutUnknownError("timed out")
        self.paid[payout.id] = self.paid.get(payout.id, 0) + payout.net_cents
        if mood == "lost_after":
            raise PayoutUnknownError("timed out")
        return f"tr_{payout.id}"


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> MovableClock:
    moving = MovableClock()
    monkeypatch.setattr(clock, "clock", moving)
    return moving


@pytest.fixture
def book(time: MovableClock) -> MemoryLedger:
    """A creator with 500,000 diamonds, earned by one gift."""
    made = MemoryLedger()
    now = clock.now_ms()
    viewer, bought = _minted(now)
    made.write(Posting(None, viewer, bought))
    after, gift = post(
        viewer,
        id=gift_transfer_id("1"),
        debit="wallet/viewer",
        credit="creator/host",
        unit="coins",
        amount=1_000_000,
        reason="gift",
        reference="s",
        at=now,
        details=GiftDetails("s", "rose", 1, "e", 500_000_000),
    )
    made.write(Posting(viewer, after, gift, unsettled_key="creator#host#0"))
    host, settled = settle(Wallet("host"), [gift], at=now)
    made.write(Posting(None, host, settled, settles=(gift,)))
    made.profiles["host"] = PROFILE
    return made


def _minted(now: int) -> tuple[Wallet, Transfer]:
    from functions.wallet.model import CoinPack, purchase

    pack = CoinPack("p", 1_000_000, 1)
    return purchase(Wallet("viewer"), provider="sandbox", receipt="r", pack=pack, at=now)


def ask(book: MemoryLedger, diamonds: int = 2_000, key: str = "k") -> Payout:
    return payouts.ask(book, "host", diamonds, key, provider="bank", rng=random.Random(1))


def run(book: MemoryLedger, bank: Bank) -> None:
    payouts.run(book, bank, random.Random(1))


def state(book: MemoryLedger, payout: Payout) -> str:
    found = book.payout("host", payout.id)
    assert found is not None
    return found.state


def diamonds(book: MemoryLedger) -> int:
    return book.wallets["host"].diamonds


def proved(book: MemoryLedger) -> None:
    wrong = audit(book, clock.now_ms() + 1, segments=1).differences
    # The book's receipt is not kept: only its purchase is of interest here.
    assert {each.name for each in wrong} <= {"receipt_missing"}


def ready(book: MemoryLedger, time: MovableClock) -> Payout:
    """A payout whose hold is over."""
    asked = ask(book)
    time.offset_ms += NEW_CREATOR_HOLD_MS
    return asked


def test_a_first_payout_is_held_then_paid_once(book: MemoryLedger, time: MovableClock) -> None:
    bank, asked = Bank(), ask(book)
    assert (asked.state, asked.cents, asked.withheld_cents, diamonds(book)) == ("held", 1_000, 0, 498_000)
    run(book, bank)
    assert (state(book, asked), bank.paid) == ("held", {})
    time.offset_ms += NEW_CREATOR_HOLD_MS
    run(book, bank)
    run(book, bank)
    assert (state(book, asked), bank.paid) == ("paid", {asked.id: 1_000})
    proved(book)


@pytest.mark.parametrize("bank", [Bank(), ForgetfulBank()], ids=["keeps its keys", "forgets its keys"])
def test_a_provider_that_times_out_after_paying_does_not_pay_twice(
    book: MemoryLedger, time: MovableClock, bank: Bank
) -> None:
    asked = ready(book, time)
    bank.next = ["lost_after"]
    run(book, bank)
    assert (state(book, asked), diamonds(book)) == ("paying", 498_000)
    time.offset_ms += RETRY_MS
    run(book, bank)
    assert (state(book, asked), bank.paid) == ("paid", {asked.id: 1_000})
    proved(book)


def test_a_provider_that_times_out_before_paying_is_asked_again(book: MemoryLedger, time: MovableClock) -> None:
    bank, asked = Bank(), ready(book, time)
    bank.next = ["lost_before", "lost_before"]
    for _ in range(3):
        run(book, bank)
        time.offset_ms += RETRY_MS
    assert (state(book, asked), bank.paid) == ("paid", {asked.id: 1_000})


def test_once_keys_may_be_forgotten_a_person_decides(book: MemoryLedger, time: MovableClock) -> None:
    bank, asked = Bank(), ready(book, time)
    bank.next = ["lost_before"]
    run(book, bank)
    time.offset_ms += KEY_VALID_MS
    run(book, bank)
    assert (state(book, asked), bank.paid) == ("review", {})
    payouts.reject(book, bank, "host", asked.id, "never arrived", random.Random(1))
    assert (state(book, asked), diamonds(book)) == ("reversed", 500_000)
    proved(book)


def test_what_was_paid_after_all_cannot_be_rejected(book: MemoryLedger, time: MovableClock) -> None:
    bank, asked = Bank(), ready(book, time)
    bank.next = ["lost_before"]
    run(book, bank)
    time.offset_ms += KEY_VALID_MS
    run(book, bank)
    bank.paid[asked.id] = 1_000
    with pytest.raises(OnairError) as caught:
        payouts.reject(book, bank, "host", asked.id, "no", random.Random(1))
    assert caught.value.code == "conflict"
    payouts.approve(book, "host", asked.id)
    run(book, bank)
    assert (state(book, asked), bank.paid) == ("paid", {asked.id: 1_000})


def test_a_refused_payout_gives_its_diamonds_back_once(book: MemoryLedger, time: MovableClock) -> None:
    bank, asked = Bank(), ready(book, time)
    bank.next = ["refuses"]
    run(book, bank)
    run(book, bank)
    assert (state(book, asked), diamonds(book), bank.paid) == ("reversed", 500_000, {})
    proved(book)


def test_a_function_that_dies_at_any_write_neither_loses_nor_doubles_a_payout(
    book: MemoryLedger, time: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, asked = Bank(), ready(book, time)
    move, dies = MemoryLedger.move, iter([False, True, True, False, True])

    def dying(self: MemoryLedger, after: Payout) -> None:
        move(self, after)
        if next(dies, False):
            raise CrashError

    monkeypatch.setattr(MemoryLedger, "move", dying)
    for _ in range(8):
        with contextlib.suppress(CrashError):
            run(book, bank)
        time.offset_ms += RETRY_MS
    assert (state(book, asked), bank.paid) == ("paid", {asked.id: 1_000})
    proved(book)


def test_a_frozen_wallet_sends_its_payout_to_review(book: MemoryLedger, time: MovableClock) -> None:
    asked = ready(book, time)
    book.wallets["host"] = replace(book.wallets["host"], frozen=True)
    run(book, Bank())
    found = book.payout("host", asked.id)
    assert found is not None
    assert (found.state, found.why) == ("review", "frozen")


def test_the_same_key_is_the_same_payout_and_never_another(book: MemoryLedger) -> None:
    assert ask(book) == ask(book)
    assert diamonds(book) == 498_000
    with pytest.raises(OnairError) as caught:
        ask(book, 4_000)
    assert caught.value.code == "id_reused"


@pytest.mark.parametrize(
    ("asked", "code"),
    [(1_998, "invalid_request"), (2_001, "invalid_request"), (-2_000, "invalid_request"), (200_002, "limit_reached")],
)
def test_a_payout_out_of_bounds_changes_nothing(book: MemoryLedger, asked: int, code: str) -> None:
    with pytest.raises(OnairError) as caught:
        ask(book, asked)
    assert (caught.value.code, diamonds(book), book.kept_payouts) == (code, 500_000, {})


def test_a_payout_above_the_balance_or_the_days_limit_is_refused(book: MemoryLedger, time: MovableClock) -> None:
    for n, code in enumerate(["", "limit_reached"]):
        try:
            ask(book, 150_000, f"{n}")
        except OnairError as error:
            assert error.code == code
    time.offset_ms += DAY_MS
    ask(book, 200_000, "next day")
    time.offset_ms += DAY_MS
    with pytest.raises(OnairError) as caught:
        ask(book, 150_002, "too much")
    assert caught.value.code == "insufficient_diamonds"


def test_without_a_tax_profile_nothing_is_paid_out(book: MemoryLedger) -> None:
    del book.profiles["host"]
    with pytest.raises(OnairError) as caught:
        ask(book)
    assert caught.value.code == "not_eligible"


@pytest.mark.parametrize(
    ("country", "certified", "cents", "withheld"),
    [("US", True, 1_001, 0), ("US", False, 1_001, 241), ("DE", False, 1_000, 300), ("DE", True, 1_000, 0)],
)
def test_what_is_withheld_is_rounded_up_to_the_cent(country: str, certified: bool, cents: int, withheld: int) -> None:
    profile = replace(PROFILE, country=country, certified=certified)
    assert payout_rules.withheld_cents(cents, profile) == withheld


def change(book: MemoryLedger, payout: Payout, **fields: object) -> None:
    book.kept_payouts["host", payout.id] = replace(book.kept_payouts["host", payout.id], **fields)


def test_the_audit_names_what_was_done_to_a_payout(book: MemoryLedger, time: MovableClock) -> None:
    asked, bank = ready(book, time), Bank()
    run(book, bank)
    whole = dict(book.kept_payouts)

    def names() -> set[str]:
        found = {each.name for each in audit(book, clock.now_ms() + 1, segments=1).differences} - {"receipt_missing"}
        book.kept_payouts = dict(whole)
        return found

    change(book, asked, diamonds=4_000)
    assert names() == {"payout_changed"}
    change(book, asked, withheld_cents=1)
    assert names() == {"payout_changed"}
    change(book, asked, reference="")
    assert names() == {"payout_unproved"}
    change(book, asked, state="reversed")
    assert names() == {"reversal_missing"}
    book.kept_payouts.clear()
    assert names() == {"payout_missing"}
    book.kept_payouts["host", "made_up"] = replace(whole["host", asked.id], id="made_up")
    assert names() == {"payout_unfounded"}
    assert names() == set()
