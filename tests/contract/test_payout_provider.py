"""Stripe Connect over HTTP against its fake: paid once whatever goes wrong, refused for good, and heard."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from moto import mock_aws

from functions import aws, clock
from functions.errors import OnairError
from functions.wallet import payout_notices, payout_provider, payout_webhooks, payouts, stripe_transfers
from functions.wallet.payout_provider import NobodyPaysError
from functions.wallet.payout_rules import KEY_VALID_MS, NEW_CREATOR_HOLD_MS, RETRY_MS, Payout, TaxProfile
from functions.wallet.provider import Delivery
from functions.wallet.stripe_transfers import StripePayouts, StripePayoutSettings
from tests.contract.stripe_connect import StripeConnect
from tests.contract.test_wallet_payouts_stored import earn
from tests.simulation.wallet.memory_ledger import MemoryLedger
from tests.unit.https import MovableClock

DIAMONDS = 4_000
NET = 2_000


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What creators are told of: here is no queue, and no creator's inbox behind it."""
    found: list[str] = []

    def tell(payout: Payout | None) -> None:
        found.append(payout.state if payout is not None else "gone")

    monkeypatch.setattr(payout_notices, "tell", tell)
    return found


@pytest.fixture
def fake() -> Iterator[StripeConnect]:
    made = StripeConnect()
    with made.running():
        yield made


@pytest.fixture
def desk(fake: StripeConnect) -> StripePayouts:
    return StripePayouts(msgspec.convert(fake.secret(), StripePayoutSettings))


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> MovableClock:
    moving = MovableClock()
    monkeypatch.setattr(clock, "clock", moving)
    return moving


@pytest.fixture
def book(time: MovableClock, fake: StripeConnect, desk: StripePayouts) -> MemoryLedger:
    """A creator with 10,000 diamonds and an account at the provider, once onboarded."""
    made = MemoryLedger()
    earn(made, 20_000)
    destination = desk.open_account("host", "US")
    fake.onboard(destination)
    made.keep_profile(TaxProfile("host", "US", "W-9", True, destination, b"sealed", "6789", 1))
    return made


def asked(book: MemoryLedger, time: MovableClock) -> Payout:
    """A payout whose hold is over."""
    made = payouts.ask(book, "host", DIAMONDS, "k", provider="stripe", rng=random.Random(1))
    time.offset_ms += NEW_CREATOR_HOLD_MS
    return made


def run(book: MemoryLedger, desk: StripePayouts) -> str:
    """One minute of the worker; the payout's step after it."""
    for each in payouts.due(book):
        with contextlib.suppress(OnairError):
            payouts.advance(book, desk, each.account, each.id, rng=random.Random(1))
    (found,) = book.payouts("host")
    return found.state


def test_a_payee_is_onboarded_and_then_ready(fake: StripeConnect, desk: StripePayouts) -> None:
    destination = desk.open_account("host", "DE")
    assert desk.open_account("host", "DE") == destination
    status = desk.status(destination)
    assert (status.ready, status.needs) == (False, ("individual.first_name", "external_account"))
    assert desk.onboarding(destination, "https://page.example/earnings").startswith("https://connect.example/")
    fake.onboard(destination)
    assert desk.status(destination) == payout_provider.PayeeStatus(True)
    with pytest.raises(OnairError) as caught:
        desk.open_account("host", "XX")
    assert (caught.value.code, caught.value.details) == ("invalid_request", {"field": "country"})


def test_a_payout_is_a_transfer_of_what_is_left_after_tax(
    book: MemoryLedger, time: MovableClock, fake: StripeConnect, desk: StripePayouts
) -> None:
    made = asked(book, time)
    assert run(book, desk) == "paid"
    (transfer,) = fake.transfers
    assert (transfer["amount"], transfer["currency"], transfer["destination"]) == (NET, "usd", made.destination)
    assert book.payouts("host")[0].reference == transfer["id"]


# What goes wrong with the worker's calls, in turn: the first pays, later ones look for the payment first.
@pytest.mark.parametrize(
    "faults",
    [
        ["lost"],  # paid, and the answer never came
        ["silent"],  # not even received
        [500],
        [503, 503],
        [429],
        ["malformed"],
        ["lost", 500, "silent"],  # paid, and then the provider is away
        ["lost", "lost"],
        [401],  # our key is wrong for a while: nothing that the payee could help
        [409],
    ],
    ids=str,
)
def test_whatever_goes_wrong_it_is_paid_exactly_once(
    book: MemoryLedger, time: MovableClock, fake: StripeConnect, desk: StripePayouts, faults: list[Any]
) -> None:
    asked(book, time)
    fake.faults.extend(faults)
    for _ in range(6):
        if run(book, desk) == "paid":
            break
        assert book.wallets["host"].diamonds == 10_000 - DIAMONDS
        time.offset_ms += RETRY_MS
    assert run(book, desk) == "paid"
    assert [each["amount"] for each in fake.transfers] == [NET]


def test_paid_without_an_answer_and_keys_forgotten_is_still_paid_once(
    book: MemoryLedger, time: MovableClock, fake: StripeConnect, desk: StripePayouts
) -> None:
    asked(book, time)
    fake.faults.append("lost")
    assert run(book, desk) == "paying"
    fake.forget_keys()
    time.offset_ms += KEY_VALID_MS + RETRY_MS
    assert run(book, desk) == "paid"
    assert len(fake.transfers) == 1


def test_a_rejected_payee_gets_the_diamonds_back(
    book: MemoryLedger, time: MovableClock, fake: StripeConnect, desk: StripePayouts
) -> None:
    made = asked(book, time)
    fake.reject(made.destination)
    assert run(book, desk) == "reversed"
    assert book.payouts("host")[0].why == "insufficient_capabilities_for_transfer"
    assert (book.wallets["host"].diamonds, fake.transfers) == (10_000, [])


def test_a_platform_without_money_refuses_nobody(
    book: MemoryLedger, time: MovableClock, fake: StripeConnect, desk: StripePayouts
) -> None:
    asked(book, time)
    fake.balance = NET - 1
    assert run(book, desk) == "paying"
    # The provider keeps that answer under the key; a person approves once there is money again.
    fake.balance = NET
    time.offset_ms += KEY_VALID_MS + RETRY_MS
    assert run(book, desk) == "review"
    fake.forget_keys()
    payouts.approve(book, "host", book.payouts("host")[0].id)
    assert run(book, desk) == "paid"
    assert len(fake.transfers) == 1


def configured(monkeypatch: pytest.MonkeyPatch, fake: StripeConnect, content: str | None = None) -> None:
    text = json.dumps(fake.secret()) if content is None else content
    arn = aws.client("secretsmanager").create_secret(Name="payouts", SecretString=text)["ARN"]
    monkeypatch.setenv("PAYOUTS_SECRET_ARN", arn)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "contract")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        aws.forget_clients()
        payout_provider.forget()
        yield
    aws.forget_clients()
    payout_provider.forget()


def test_the_provider_is_made_from_its_secret_alone(
    cloud: None, monkeypatch: pytest.MonkeyPatch, fake: StripeConnect
) -> None:
    with pytest.raises(NobodyPaysError) as caught:
        payout_provider.desk()
    assert caught.value.why == "not_configured"
    configured(monkeypatch, fake)
    desk = payout_provider.desk()
    assert desk.name == "stripe"
    assert desk.open_account("host", "US") == "acct_1"
    assert payout_provider.desk() is desk


@pytest.mark.parametrize("content", ["", "{}", '{"secret_key": "pk_live_x", "webhook_secret": "whsec_x"}', "no JSON"])
def test_a_wrong_secret_offers_nothing_and_is_not_repeated_in_the_log(
    cloud: None, monkeypatch: pytest.MonkeyPatch, fake: StripeConnect, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(monkeypatch, fake, content or " ")
    with pytest.raises(NobodyPaysError) as caught:
        payout_provider.desk()
    assert caught.value.why == "misconfigured"
    assert "pk_live_x" not in capsys.readouterr().out


def deliver(book: MemoryLedger, fake: StripeConnect, body: bytes, **sign: str) -> bool:
    return payout_webhooks.heard(book, Delivery({"stripe-signature": fake.signature(body, **sign)}, body))


def test_webhooks_confirm_what_went_unanswered_and_return_what_was_taken_back(
    cloud: None,
    monkeypatch: pytest.MonkeyPatch,
    book: MemoryLedger,
    time: MovableClock,
    fake: StripeConnect,
    desk: StripePayouts,
) -> None:
    configured(monkeypatch, fake)
    asked(book, time)
    fake.faults.append("lost")
    assert run(book, desk) == "paying"
    (transfer,) = fake.transfers
    created = fake.event("transfer.created", transfer)
    assert deliver(book, fake, created)
    assert deliver(book, fake, created)
    assert run(book, desk) == "paid"
    # A part that comes back is for a person; all of it returns the diamonds, once.
    assert deliver(book, fake, fake.event("transfer.reversed", {**transfer, "amount_reversed": 1}))
    assert run(book, desk) == "paid"
    reversal = fake.event("transfer.reversed", {**transfer, "amount_reversed": NET})
    assert deliver(book, fake, reversal)
    assert deliver(book, fake, reversal)
    assert (run(book, desk), book.wallets["host"].diamonds) == ("reversed", 10_000)


def test_what_is_forged_of_other_mode_or_of_others_is_left_alone(
    cloud: None, monkeypatch: pytest.MonkeyPatch, book: MemoryLedger, fake: StripeConnect
) -> None:
    transfer = {"id": "tr_9", "object": "transfer", "amount": 1, "metadata": {"payout": "p", "account": "host"}}
    body = fake.event("transfer.created", transfer)
    assert not deliver(book, fake, body)  # nobody pays here
    configured(monkeypatch, fake)
    assert not deliver(book, fake, body, secret="whsec_other")
    assert not payout_webhooks.heard(book, Delivery({}, body))
    assert not deliver(book, fake, fake.event("transfer.created", transfer, livemode=True))
    assert not deliver(book, fake, fake.event("charge.refunded", {"id": "ch_1"}))
    assert not deliver(book, fake, fake.event("transfer.created", {**transfer, "metadata": {}}))
    with pytest.raises(OnairError) as caught:
        deliver(book, fake, fake.event("transfer.created", {"id": 7}))
    assert caught.value.code == "invalid_request"
    assert deliver(book, fake, body)  # ours, and of a payout that is not there: nothing changes
    assert book.kept_payouts == {}


def test_no_call_waits_longer_than_a_worker_has(desk: StripePayouts) -> None:
    from infra.payouts import BATCH, TIMEOUT_S

    assert stripe_transfers.TIMEOUT_S * 3 * BATCH < TIMEOUT_S
    assert stripe_transfers.TIMEOUT_S * 3 * 1000 < RETRY_MS
