"""What each provider has of its own, over HTTP against its fake: rarer notifications, states, amounts, apps, stages."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from functions import clock
from functions.errors import OnairError
from functions.wallet import catalogue, purchases, webhooks
from functions.wallet.app_store import AppStoreProvider, AppStoreSettings
from functions.wallet.audit import audit
from functions.wallet.google_play import GooglePlayProvider, GooglePlaySettings, receipt_id
from functions.wallet.model import Wallet
from functions.wallet.provider import Delivery, Provider
from functions.wallet.purchases import CheckoutRequest, PurchaseRequest
from functions.wallet.stripe_checkout import StripeProvider, StripeSettings
from tests.contract.app_store import AppStore
from tests.contract.google_play import GooglePlay
from tests.contract.stripe_api import Stripe
from tests.simulation.wallet.memory_ledger import MemoryLedger

BUYER = str(uuid.uuid4())
PACK = catalogue.coin_pack("coins_70")
NOW_S = int(time.time())


@pytest.fixture
def book() -> Iterator[MemoryLedger]:
    """A ledger in memory that is proved when the test ends."""
    made = MemoryLedger()
    yield made
    assert audit(made, clock.now_ms() + 60_000).differences == ()


@pytest.fixture
def apple() -> Iterator[AppStore]:
    fake = AppStore()
    with fake.running():
        yield fake


@pytest.fixture
def google() -> Iterator[GooglePlay]:
    fake = GooglePlay()
    with fake.running():
        yield fake


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stripe]:
    monkeypatch.setenv("WEB_URL", "https://page.example")
    fake = Stripe()
    with fake.running():
        yield fake


def app_store(fake: AppStore, **changes: Any) -> Provider:
    return AppStoreProvider(msgspec.convert(fake.secret(**changes), AppStoreSettings))


def play(fake: GooglePlay, **changes: Any) -> Provider:
    return GooglePlayProvider(msgspec.convert(fake.secret(**changes), GooglePlaySettings))


def checkouts(fake: Stripe) -> Provider:
    return StripeProvider(msgspec.convert(fake.secret(), StripeSettings))


def buy(book: MemoryLedger, provider: Provider, proof: str) -> int:
    request = PurchaseRequest(provider.name, PACK.id, proof)
    return purchases.purchase(book, BUYER, request, {provider.name: provider}).coins


def hear(book: MemoryLedger, provider: Provider, delivery: Delivery) -> None:
    webhooks.hear(book, provider.name, delivery, {provider.name: provider})


def coins(book: MemoryLedger) -> int:
    return (book.wallet(BUYER) or Wallet(BUYER)).coins


def reason(caught: pytest.ExceptionInfo[OnairError]) -> str:
    assert caught.value.code == "purchase_refused"
    return str(caught.value.details["reason"])


# --- App Store ---------------------------------------------------------------------------------------------------


def told(fake: AppStore, kind: str, transaction: str | None, at_s: int = NOW_S, **changes: Any) -> Delivery:
    signed = fake.notification(kind, transaction, at_s * 1000, **changes)
    return Delivery({}, json.dumps({"signedPayload": signed}).encode())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bundleId": "com.example.other"}, "wrong_app"),
        ({"environment": "Production"}, "wrong_environment"),
        ({"environment": "Xcode"}, "wrong_environment"),
        ({"appAccountToken": None}, "wrong_account"),
        ({"appAccountToken": str(uuid.uuid4())}, "wrong_account"),
        ({"inAppOwnershipType": "FAMILY_SHARED"}, "wrong_account"),
        ({"productId": "com.example.sword"}, "wrong_product"),
        ({"type": "Auto-Renewable Subscription"}, "wrong_product"),
        ({"quantity": 2}, "wrong_amount"),
        ({"price": 10, "currency": "USD"}, "wrong_amount"),
        ({"revocationDate": NOW_S * 1000}, "refunded"),
    ],
)
def test_app_store_refuses_a_signed_transaction_of_something_else(
    apple: AppStore, book: MemoryLedger, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(OnairError) as caught:
        buy(book, app_store(apple), apple.transaction(BUYER, **changes))
    assert reason(caught) == why
    assert book.wallets == {}


def test_app_store_takes_a_price_in_another_currency_for_what_it_is(apple: AppStore, book: MemoryLedger) -> None:
    assert buy(book, app_store(apple), apple.transaction(BUYER, price=1190, currency="EUR")) == PACK.coins


@pytest.mark.parametrize("kind", ["REFUND", "REVOKE"])
def test_app_store_takes_coins_back_with_the_right_to_them(apple: AppStore, book: MemoryLedger, kind: str) -> None:
    seller = app_store(apple)
    buy(book, seller, apple.transaction(BUYER))
    for _ in range(2):
        hear(book, seller, told(apple, kind, apple.transaction(BUYER, revocationDate=NOW_S * 1000)))
    assert coins(book) == 0


def test_app_store_a_part_is_taken_back_rounded_up_and_given_back_when_reversed(
    apple: AppStore, book: MemoryLedger
) -> None:
    seller = app_store(apple)
    buy(book, seller, apple.transaction(BUYER))
    third = apple.transaction(BUYER, revocationDate=NOW_S * 1000, revocationPercentage=33_333)
    hear(book, seller, told(apple, "REFUND", third))
    assert coins(book) == PACK.coins - -(-PACK.coins * 33_333 // 100_000)
    hear(book, seller, told(apple, "REFUND_REVERSED", apple.transaction(BUYER), NOW_S + 5))
    assert coins(book) == PACK.coins
    hear(book, seller, told(apple, "REFUND", third))  # overtaken by its reversal
    assert coins(book) == PACK.coins


@pytest.mark.parametrize("kind", ["REFUND_DECLINED", "TEST", "DID_RENEW", "PRICE_INCREASE", "SOMETHING_OF_NEXT_YEAR"])
def test_app_store_what_is_no_news_of_coins_changes_nothing(apple: AppStore, book: MemoryLedger, kind: str) -> None:
    seller = app_store(apple)
    buy(book, seller, apple.transaction(BUYER))
    hear(book, seller, told(apple, kind, apple.transaction(BUYER)))
    hear(book, seller, told(apple, kind, None))
    assert coins(book) == PACK.coins


def test_app_store_asks_how_much_was_used_and_is_told_only_with_consent(apple: AppStore, book: MemoryLedger) -> None:
    buy(book, app_store(apple), apple.transaction(BUYER))
    book.wallets[BUYER] = msgspec.structs.replace(book.wallets[BUYER], coins=PACK.coins // 2)
    asked = told(apple, "CONSUMPTION_REQUEST", apple.transaction(BUYER))
    hear(book, app_store(apple, consumption_consent=False), asked)
    assert apple.consumption == {}
    hear(book, app_store(apple), asked)
    assert apple.consumption["1000"]["consumptionPercentage"] == 50_000
    book.wallets[BUYER] = msgspec.structs.replace(book.wallets[BUYER], coins=PACK.coins)


def test_app_store_a_question_about_what_nobody_bought_is_not_answered(apple: AppStore, book: MemoryLedger) -> None:
    hear(book, app_store(apple), told(apple, "CONSUMPTION_REQUEST", apple.transaction(BUYER)))
    assert apple.consumption == {}


@pytest.mark.parametrize(("fault", "again"), [(500, True), (429, True), ("silent", True), (404, False)])
def test_app_store_that_fails_to_listen_asks_again(
    apple: AppStore, book: MemoryLedger, fault: int | str, again: bool
) -> None:
    seller = app_store(apple)
    buy(book, seller, apple.transaction(BUYER))
    apple.faults.append(fault)
    asked = told(apple, "CONSUMPTION_REQUEST", apple.transaction(BUYER))
    if again:
        with pytest.raises(OnairError) as caught:
            hear(book, seller, asked)
        assert caught.value.code == "unavailable"
    else:
        hear(book, seller, asked)  # too late: sent again it would be refused again
    assert apple.consumption == {}


@pytest.mark.parametrize(
    ("changes", "why"), [({"bundleId": "com.example.other"}, "wrong_app"), ({"appAppleId": 1}, "wrong_app")]
)
def test_app_store_notifications_of_another_app_are_refused(
    apple: AppStore, book: MemoryLedger, changes: dict[str, Any], why: str
) -> None:
    # Apple's library holds a notification's app number to the configured one in Production only.
    apple.environment = "Production"
    with pytest.raises(OnairError) as caught:
        hear(book, app_store(apple), told(apple, "REFUND", apple.transaction(BUYER), **changes))
    assert reason(caught) == why


# --- Google Play -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"purchaseState": 1}, "refunded"),
        ({"purchaseState": 2}, "not_paid"),
        ({"purchaseType": 0}, "wrong_environment"),
        ({"quantity": 3}, "wrong_amount"),
        ({"obfuscatedExternalAccountId": ""}, "wrong_account"),
        ({"productId": "coins_350"}, "wrong_product"),
    ],
)
def test_google_play_refuses_a_purchase_that_is_not_this_one(
    google: GooglePlay, book: MemoryLedger, changes: dict[str, Any], why: str
) -> None:
    google.sell(BUYER, "token", **changes)
    with pytest.raises(OnairError) as caught:
        buy(book, play(google), "token")
    assert reason(caught) == why
    assert book.wallets == {}


def test_google_play_a_testers_purchase_counts_where_testers_are_meant_and_a_real_one_does_not(
    google: GooglePlay, book: MemoryLedger
) -> None:
    stage = play(google, environment="test")
    google.sell(BUYER, "tester", purchaseType=0)
    google.sell(BUYER, "real")
    assert buy(book, stage, "tester") == PACK.coins
    with pytest.raises(OnairError) as caught:
        buy(book, stage, "real")
    assert reason(caught) == "wrong_environment"


def test_google_play_coins_stay_when_consuming_fails_and_the_webhook_consumes(
    google: GooglePlay, book: MemoryLedger
) -> None:
    seller = play(google)
    google.sell(BUYER, "token")
    calls = 0
    answer = google.answer

    def failing(method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        nonlocal calls
        calls += path.endswith(":consume")
        return (503, {}) if path.endswith(":consume") and calls == 1 else answer(method, path, headers, body)

    google.answer = failing  # type: ignore[method-assign]
    assert buy(book, seller, "token") == PACK.coins
    assert google.purchases[PACK.id, "token"]["consumptionState"] == 0
    bought = {"oneTimeProductNotification": {"notificationType": 1, "purchaseToken": "token", "sku": PACK.id}}
    hear(book, seller, Delivery({"authorization": google.authorization()}, google.push(bought)))
    assert google.purchases[PACK.id, "token"]["consumptionState"] == 1
    assert coins(book) == PACK.coins
    assert buy(book, seller, "token") == PACK.coins
    assert calls == 2  # what is consumed is not consumed again


@pytest.mark.parametrize(
    "content",
    [
        {"testNotification": {"version": "1.0"}},
        {"subscriptionNotification": {"notificationType": 4, "purchaseToken": "token", "subscriptionId": "s"}},
        {"oneTimeProductNotification": {"notificationType": 2, "purchaseToken": "token", "sku": PACK.id}},
        {"oneTimeProductNotification": {"notificationType": 1, "purchaseToken": "token", "sku": "sword"}},
        {"voidedPurchaseNotification": {"purchaseToken": "token", "orderId": "GPA.1", "productType": 1}},
    ],
)
def test_google_play_what_is_no_news_of_coins_changes_nothing(
    google: GooglePlay, book: MemoryLedger, content: dict[str, Any]
) -> None:
    seller = play(google)
    google.sell(BUYER, "token")
    buy(book, seller, "token")
    hear(book, seller, Delivery({"authorization": google.authorization()}, google.push(content)))
    assert coins(book) == PACK.coins
    kept = book.receipt("google", receipt_id("token"))
    assert kept is not None
    assert kept.claims == ()


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"},
        {"iss": "https://issuer.example"},
        {"email_verified": False},
        {"exp": NOW_S - 9999, "iat": NOW_S - 99999},
    ],
)
def test_google_play_pushes_that_are_meant_for_others_or_late_are_not_believed(
    google: GooglePlay, book: MemoryLedger, claims: dict[str, Any]
) -> None:
    voided = {"voidedPurchaseNotification": {"purchaseToken": "token", "orderId": "GPA.1", "productType": 2}}
    with pytest.raises(OnairError) as caught:
        hear(book, play(google), Delivery({"authorization": google.authorization(**claims)}, google.push(voided)))
    assert caught.value.code == "unauthenticated"
    assert book.receipts == {}


# --- Stripe ------------------------------------------------------------------------------------------------------


def event(fake: Stripe, kind: str, content: dict[str, Any], at_s: int = NOW_S) -> Delivery:
    body = fake.event(kind, content, at_s)
    return Delivery({"stripe-signature": fake.signature(body)}, body)


def opened(fake: Stripe, seller: Provider, key: str = "k") -> str:
    asked = CheckoutRequest("stripe", PACK.id)
    return purchases.checkout(BUYER, asked, key, {"stripe": seller}).id


def test_stripe_a_checkout_is_the_same_page_for_its_key_and_sells_the_pack_at_our_price(
    stripe: Stripe, book: MemoryLedger
) -> None:
    seller = checkouts(stripe)
    first = opened(stripe, seller)
    assert opened(stripe, seller) == first
    assert opened(stripe, seller, "another") != first
    assert stripe.sessions[first]["amount_subtotal"] == PACK.usd_cents
    with pytest.raises(OnairError) as caught:
        buy(book, seller, first)
    assert reason(caught) == "not_paid"
    stripe.pay(first)
    assert buy(book, seller, first) == PACK.coins


@pytest.mark.parametrize("fault", [429, 500, "malformed", "silent"])
def test_stripe_that_fails_opens_no_page_and_the_same_request_opens_it_later(stripe: Stripe, fault: int | str) -> None:
    seller = checkouts(stripe)
    stripe.faults.extend([fault] * 3)
    with pytest.raises(OnairError) as caught:
        opened(stripe, seller)
    assert caught.value.code == "unavailable"
    stripe.faults.clear()
    assert opened(stripe, seller).startswith("cs_")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"amount_subtotal": 1}, "wrong_amount"),
        ({"currency": "jpy"}, "wrong_amount"),
        ({"mode": "subscription"}, "wrong_product"),
        ({"metadata": {"account": BUYER, "pack": "coins_of_yesterday"}}, "wrong_product"),
        ({"metadata": {"pack": PACK.id}}, "wrong_account"),
        ({"livemode": True}, "wrong_environment"),
    ],
)
def test_stripe_refuses_a_paid_session_that_does_not_match_the_pack(
    stripe: Stripe, book: MemoryLedger, changes: dict[str, Any], why: str
) -> None:
    seller = checkouts(stripe)
    session = stripe.pay(opened(stripe, seller))
    session.update(changes)
    with pytest.raises(OnairError) as caught:
        buy(book, seller, session["id"])
    assert reason(caught) == why
    with pytest.raises(OnairError) as caught:
        hear(book, seller, event(stripe, "checkout.session.completed", session))
    assert reason(caught) == why
    assert book.wallets == {}


def test_stripe_a_slow_payment_mints_when_it_arrives_and_not_before(stripe: Stripe, book: MemoryLedger) -> None:
    seller = checkouts(stripe)
    session = stripe.sessions[opened(stripe, seller)]
    hear(book, seller, event(stripe, "checkout.session.completed", session))
    assert coins(book) == 0
    hear(book, seller, event(stripe, "checkout.session.async_payment_failed", session))
    assert coins(book) == 0
    stripe.pay(session["id"])
    hear(book, seller, event(stripe, "checkout.session.async_payment_succeeded", session))
    assert coins(book) == PACK.coins


def disputed(fake: Stripe, status: str, kind: str, at_s: int, amount: int = PACK.usd_cents) -> Delivery:
    return event(fake, kind, {"id": "dp_1", "amount": amount, "status": status, "charge": "ch_1"}, at_s)


def paid(fake: Stripe, seller: Provider, book: MemoryLedger) -> None:
    session = fake.pay(opened(fake, seller))
    buy(book, seller, session["id"])


@pytest.mark.parametrize(("end", "left"), [("won", PACK.coins), ("lost", 0), ("prevented", PACK.coins)])
def test_stripe_a_dispute_takes_the_coins_until_it_is_won(
    stripe: Stripe, book: MemoryLedger, end: str, left: int
) -> None:
    seller = checkouts(stripe)
    paid(stripe, seller, book)
    hear(book, seller, disputed(stripe, "needs_response", "charge.dispute.created", NOW_S))
    assert coins(book) == 0
    hear(book, seller, disputed(stripe, "under_review", "charge.dispute.updated", NOW_S + 1))
    assert coins(book) == 0
    for _ in range(2):
        hear(book, seller, disputed(stripe, end, "charge.dispute.closed", NOW_S + 2))
    hear(book, seller, disputed(stripe, "needs_response", "charge.dispute.created", NOW_S))
    assert coins(book) == left


@pytest.mark.parametrize("status", ["warning_needs_response", "warning_under_review", "warning_closed"])
def test_stripe_an_inquiry_takes_nothing(stripe: Stripe, book: MemoryLedger, status: str) -> None:
    seller = checkouts(stripe)
    paid(stripe, seller, book)
    hear(book, seller, disputed(stripe, status, "charge.dispute.created", NOW_S))
    assert coins(book) == PACK.coins


def test_stripe_refund_and_dispute_together_take_no_more_than_was_bought(stripe: Stripe, book: MemoryLedger) -> None:
    seller = checkouts(stripe)
    paid(stripe, seller, book)
    half = {**stripe.charges["ch_1"], "amount_refunded": PACK.usd_cents // 2}
    hear(book, seller, event(stripe, "charge.refunded", half))
    hear(book, seller, disputed(stripe, "lost", "charge.dispute.closed", NOW_S + 1))
    assert coins(book) == 0


def test_stripe_a_refund_that_fails_after_all_gives_the_coins_back(stripe: Stripe, book: MemoryLedger) -> None:
    seller = checkouts(stripe)
    paid(stripe, seller, book)
    stripe.charges["ch_1"]["amount_refunded"] = PACK.usd_cents
    hear(book, seller, event(stripe, "charge.refunded", stripe.charges["ch_1"]))
    assert coins(book) == 0
    stripe.charges["ch_1"]["amount_refunded"] = 0
    hear(book, seller, event(stripe, "refund.failed", {"id": "re_1", "charge": "ch_1"}, NOW_S + 9))
    assert coins(book) == PACK.coins


def test_stripe_a_signature_that_is_old_is_not_believed(stripe: Stripe, book: MemoryLedger) -> None:
    seller = checkouts(stripe)
    session = stripe.pay(opened(stripe, seller))
    body = stripe.event("checkout.session.completed", session)
    with pytest.raises(OnairError) as caught:
        hear(book, seller, Delivery({"stripe-signature": stripe.signature(body, age_s=600)}, body))
    assert caught.value.code == "unauthenticated"
    assert book.wallets == {}


def test_stripe_events_of_other_business_change_nothing(stripe: Stripe, book: MemoryLedger) -> None:
    seller = checkouts(stripe)
    other = {"id": "cs_1", "livemode": False, "mode": "payment", "payment_status": "paid", "metadata": {}}
    hear(book, seller, event(stripe, "checkout.session.completed", other))
    hear(book, seller, event(stripe, "invoice.paid", {"id": "in_1"}))
    hear(book, seller, event(stripe, "charge.refunded", {"id": "ch_x", "amount": 5, "amount_refunded": 5}))
    assert book.wallets == {}
    assert book.receipts == {}
