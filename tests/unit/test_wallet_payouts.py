"""Payouts: each is paid at most once and comes back at most once, whatever provider, clock or service do."""

from __future__ import annotations

import contextlib
import random

import msgspec
import pytest
from msgspec.structs import replace

from functions import clock
from functions.errors import OnairError
from functions.wallet import payout_checks, payout_rules, payouts, tax
from functions.wallet.audit import audit
from functions.wallet.ledger import LedgerError, Posting
from functions.wallet.limits import DAY_MS
from functions.wallet.model import (
    GiftDetails,
    Given,
    PayoutDetails,
    SettlementDetails,
    Transfer,
    Wallet,
    gift_transfer_id,
    post,
    settle,
)
from functions.wallet.payout_rules import KEY_VALID_MS, NEW_CREATOR_HOLD_MS, RETRY_MS, Payout, TaxProfile
from functions.wallet.payouts import PayoutRefusedError, PayoutUnknownError
from tests.simulation.wallet.memory_ledger import CrashError, MemoryLedger
from tests.unit.https import MovableClock

START = 1_700_000_000_000
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
    """What the queue's worker does with all that the minute's schedule rings."""
    for each in payouts.due(book):
        with contextlib.suppress(LedgerError, OnairError):
            payouts.advance(book, bank, each.account, each.id, rng=random.Random(1))


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
    payouts.reject(book, bank, "host", asked.id, "never arrived", rng=random.Random(1))
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
        payouts.reject(book, bank, "host", asked.id, "no", rng=random.Random(1))
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
    # Nobody checked a treaty's rate: what is built in withholds from everybody outside the United States.
    [("US", True, 1_001, 0), ("US", False, 1_001, 241), ("DE", False, 1_000, 300), ("DE", True, 1_001, 301)],
)
def test_what_is_withheld_is_rounded_up_to_the_cent(country: str, certified: bool, cents: int, withheld: int) -> None:
    permille = tax.permille(replace(PROFILE, country=country, certified=certified))
    assert payout_rules.withheld_cents(cents, permille) == withheld


def test_a_deployments_own_rows_replace_the_built_in_ones_and_no_built_in_row_claims_to_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not any(each.checked for each in tax.rules().values())
    own = {
        "forms": ["W-8BEN"],
        "certified_permille": 0,
        "uncertified_permille": 300,
        "source": "adviser",
        "checked": True,
    }
    monkeypatch.setenv("TAX", msgspec.json.encode({"DE": own}).decode())
    assert tax.permille(replace(PROFILE, country="DE")) == 0
    assert tax.permille(replace(PROFILE, country="FR")) == 300
    monkeypatch.setenv("TAX", msgspec.json.encode({"DE": {**own, "certified_permille": 1_001}}).decode())
    with pytest.raises(msgspec.ValidationError):
        tax.rules()


def test_the_rate_is_in_the_payout_and_sealed_in_its_entry(book: MemoryLedger) -> None:
    book.profiles["host"] = replace(PROFILE, country="DE", form="W-8BEN")
    asked = ask(book)
    assert (asked.withheld_permille, asked.withheld_cents, asked.net_cents) == (300, 300, 700)
    details = book.transfers["host", f"payout#{asked.id}"].transfer.details
    assert isinstance(details, PayoutDetails)
    assert (details.withheld_permille, details.withheld_cents) == (300, 300)


def test_a_new_destination_holds_payouts_and_an_old_one_does_not(book: MemoryLedger, time: MovableClock) -> None:
    first = ready(book, time)
    run(book, Bank())
    assert state(book, first) == "paid"
    book.profiles["host"] = replace(PROFILE, destination="acct_2", at=clock.now_ms() - 1)
    held = ask(book, key="elsewhere")
    assert held.state == "held"
    assert held.since == book.profiles["host"].at + payout_rules.NEW_DESTINATION_HOLD_MS
    time.offset_ms += payout_rules.NEW_DESTINATION_HOLD_MS
    assert ask(book, key="later").state == "ready"


def test_more_payouts_than_a_day_takes_are_refused_also_when_they_came_back(
    book: MemoryLedger, time: MovableClock
) -> None:
    bank = Bank()
    ready(book, time)
    run(book, bank)
    for n in range(payout_rules.PAYOUTS_A_DAY_MAX):
        bank.next = ["refuses"]
        assert state(book, ask(book, key=f"{n}")) == "ready"
        run(book, bank)
    with pytest.raises(OnairError) as caught:
        ask(book, key="one more")
    assert caught.value.code == "limit_reached"


def test_what_a_person_approved_is_not_sent_back_to_a_person(book: MemoryLedger, time: MovableClock) -> None:
    bank, asked = Bank(), ready(book, time)
    book.wallets["host"] = replace(book.wallets["host"], frozen=True)
    run(book, bank)
    payouts.approve(book, "host", asked.id)
    run(book, bank)
    assert (state(book, asked), bank.paid) == ("paid", {asked.id: 1_000})


def test_an_unanswered_payout_that_a_person_approves_is_looked_for_and_then_paid(
    book: MemoryLedger, time: MovableClock
) -> None:
    bank, asked = ForgetfulBank(), ready(book, time)
    bank.next = ["lost_before"]
    run(book, bank)
    time.offset_ms += KEY_VALID_MS
    run(book, bank)
    assert state(book, asked) == "review"
    payouts.approve(book, "host", asked.id)
    run(book, bank)
    assert (state(book, asked), bank.paid) == ("paid", {asked.id: 1_000})


def test_the_providers_own_word_confirms_and_takes_back_once(book: MemoryLedger, time: MovableClock) -> None:
    bank, asked = Bank(), ready(book, time)
    bank.next = ["lost_after"]
    run(book, bank)
    assert payouts.confirmed(book, "host", asked.id, "tr_1")
    assert not payouts.confirmed(book, "host", asked.id, "tr_1")
    assert state(book, asked) == "paid"
    assert not payouts.taken_back(book, "host", asked.id, "tr_other")
    assert payouts.taken_back(book, "host", asked.id, "tr_1")
    assert not payouts.taken_back(book, "host", asked.id, "tr_1")
    assert (state(book, asked), diamonds(book)) == ("reversed", 500_000)
    proved(book)


@pytest.mark.parametrize("state_before", ["paying", "review"])
def test_what_was_taken_back_before_its_payment_was_known_comes_back_once(
    book: MemoryLedger, time: MovableClock, state_before: str
) -> None:
    bank, asked = Bank(), ready(book, time)
    bank.next = ["lost_before"]
    run(book, bank)
    if state_before == "review":
        time.offset_ms += KEY_VALID_MS
        run(book, bank)
    assert state(book, asked) == state_before
    assert payouts.taken_back(book, "host", asked.id, "tr_1")
    # What tells of the payment itself comes late, or again.
    assert not payouts.confirmed(book, "host", asked.id, "tr_1")
    assert not payouts.taken_back(book, "host", asked.id, "tr_1")
    run(book, bank)
    assert (state(book, asked), diamonds(book), bank.paid) == ("reversed", 500_000, {})
    proved(book)


def test_what_is_taken_back_while_it_is_asked_for_again_is_told_again(book: MemoryLedger, time: MovableClock) -> None:
    bank, asked = Bank(), ready(book, time)
    bank.next = ["lost_after"]
    run(book, bank)
    time.offset_ms += KEY_VALID_MS
    paid, bank.paid = bank.paid, {}
    run(book, bank)
    bank.paid = paid
    payouts.approve(book, "host", asked.id)
    with pytest.raises(LedgerError):
        payouts.taken_back(book, "host", asked.id, f"tr_{asked.id}")
    run(book, bank)
    assert state(book, asked) == "paid"
    assert payouts.taken_back(book, "host", asked.id, f"tr_{asked.id}")
    assert (state(book, asked), diamonds(book)) == ("reversed", 500_000)
    proved(book)


def test_a_payment_after_its_diamonds_went_back_is_told_aloud(
    book: MemoryLedger, time: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    bank, asked = Bank(), ready(book, time)
    bank.next = ["refuses"]
    run(book, bank)
    assert state(book, asked) == "reversed"
    assert not payouts.confirmed(book, "host", asked.id, "tr_late")
    told = [(each.levelname, each.message) for each in caplog.records]
    assert told[-1] == ("ERROR", "paid after its diamonds went back")


def test_givers_whose_coins_went_back_send_the_payout_to_a_person(book: MemoryLedger) -> None:
    assert payout_checks.clawed_back(book, "host") == 0
    viewer = book.wallets["viewer"]
    given, owed = Given("s", "viewer", "rose", 1, 1_000_000), replace(viewer, coins=-400_000, frozen=True)
    settled = next(place for place in book.transfers if place[0] == "host")
    details = book.transfers[settled].transfer.details
    assert isinstance(details, SettlementDetails)
    assert details.given == (given,)
    book.wallets["viewer"] = owed
    assert payout_checks.clawed_back(book, "host") == 400_000


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
