"""The audit's questions to App Store and Google Play, over HTTP: what they sold, and what they gave back."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from functions.wallet import audit_receipts, model, refunds
from functions.wallet.app_store import AppStoreProvider, AppStoreSettings
from functions.wallet.audit import Report, audit
from functions.wallet.audit_stores import AppStoreRecords, GooglePlayVoids
from functions.wallet.google_play import GooglePlayProvider, GooglePlaySettings, receipt_id
from functions.wallet.ledger import Posting, Receipt
from functions.wallet.model import CoinPack, Wallet
from tests.contract.app_store import AppStore
from tests.contract.google_play import GooglePlay
from tests.simulation.wallet.memory_ledger import MemoryLedger

PACK = CoinPack("coins_70", 70, 99)
DAY_MS = 24 * 3600 * 1000
NOW_MS = int(time.time() * 1000)
AT = NOW_MS - 10 * DAY_MS
BUYERS = [str(uuid.uuid5(uuid.NAMESPACE_DNS, f"viewer{n}.example")) for n in range(5)]


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


def bought(provider: str, receipts: list[str]) -> MemoryLedger:
    book = MemoryLedger()
    for account, receipt in zip(BUYERS, receipts, strict=False):
        after, each = model.purchase(Wallet(account), provider=provider, receipt=receipt, pack=PACK, at=AT)
        book.write(Posting(None, after, each, receipt=Receipt(provider, receipt, account, PACK.id, each.id)))
    return book


def take_back(book: MemoryLedger, provider: str, receipt: str, account: str) -> None:
    before = book.wallet(account)
    assert before is not None
    after, each = refunds.refund(before, provider=provider, receipt=receipt, step=1, coins=70, at=AT + 1)
    book.write(Posting(before, after, each))


def by_apple(book: MemoryLedger, fake: AppStore, **changes: Any) -> Report:
    records = AppStoreRecords(AppStoreProvider(msgspec.convert(fake.secret(**changes), AppStoreSettings)))
    return audit(book, NOW_MS, segments=1, records={"apple": records}, rng=random.Random(1))


def by_google(book: MemoryLedger, fake: GooglePlay) -> Report:
    voids = GooglePlayVoids(GooglePlayProvider(msgspec.convert(fake.secret(), GooglePlaySettings)))
    return audit(book, NOW_MS, segments=1, voids={"google": voids}, rng=random.Random(1))


def named(report: Report) -> set[tuple[str, str]]:
    return {(each.name, each.account) for each in report.differences}


def sold(fake: AppStore) -> MemoryLedger:
    for n, account in enumerate(BUYERS[:3]):
        fake.known[f"100{n}"] = fake.transaction(account.upper(), number=f"100{n}", currency="USD", price=990)
    return bought("apple", ["1000", "1001", "1002"])


def test_transactions_that_apple_sold_are_proved(apple: AppStore) -> None:
    book = sold(apple)
    apple.known["1001"] = apple.transaction(BUYERS[1], number="1001", currency="JPY", price=150_000)
    report = by_apple(book, apple)
    assert (report.receipts_compared, named(report)) == (3, set())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"price": 980}, "receipt_differs"),
        ({"productId": "coins_7000"}, "receipt_differs"),
        ({"productId": "unknown"}, "receipt_differs"),
        ({"appAccountToken": BUYERS[4]}, "receipt_differs"),
        ({"appAccountToken": None}, "receipt_differs"),
        ({"revocationDate": NOW_MS - 3 * DAY_MS}, "refund_missing"),
    ],
)
def test_a_transaction_that_apple_knows_otherwise_is_named(apple: AppStore, change: dict[str, Any], name: str) -> None:
    book = sold(apple)
    told = {"currency": "USD", "price": 990, "appAccountToken": BUYERS[1], **change}
    apple.known["1001"] = apple.transaction(BUYERS[1], number="1001", **told)
    report = by_apple(book, apple)
    assert (report.receipts_compared, named(report)) == (3, {(name, BUYERS[1])})


def test_a_transaction_that_apple_never_saw_is_named(apple: AppStore) -> None:
    book = sold(apple)
    del apple.known["1002"]
    assert named(by_apple(book, apple)) == {("receipt_unknown", BUYERS[2])}


def test_a_refund_that_the_ledger_knows_or_that_is_still_on_its_way_accuses_nobody(apple: AppStore) -> None:
    book = sold(apple)
    take_back(book, "apple", "1000", BUYERS[0])
    for n, at in ((0, NOW_MS - 3 * DAY_MS), (1, NOW_MS - DAY_MS)):
        apple.known[f"100{n}"] = apple.transaction(BUYERS[n], number=f"100{n}", revocationDate=at)
    report = by_apple(book, apple)
    assert (report.receipts_compared, named(report)) == (3, set())


@pytest.mark.parametrize("fault", [401, 404, 429, 500, "malformed", "silent"])
def test_an_apple_that_is_away_proves_nothing_and_accuses_nobody(apple: AppStore, fault: int | str) -> None:
    book = sold(apple)
    apple.faults.extend([fault] * 3)
    report = by_apple(book, apple)
    assert (report.receipts_compared, named(report)) == (0, set())


def test_what_another_chain_signed_or_no_key_can_ask_for_is_not_compared(apple: AppStore) -> None:
    book = sold(apple)
    apple.known["1000"] = AppStore().transaction(BUYERS[0], number="1000")
    assert by_apple(book, apple).receipts_compared == 2
    report = by_apple(book, apple, private_key="")
    assert (report.receipts_compared, named(report)) == (0, set())


def test_one_that_stays_silent_is_asked_three_times_only(apple: AppStore) -> None:
    book = bought("apple", [f"100{n}" for n in range(5)])
    apple.faults.extend([500] * 5)
    assert by_apple(book, apple).receipts_compared == 0
    assert len(apple.asked) == audit_receipts.SILENT_MAX


def test_google_refunds_of_which_the_ledger_knows_nothing_are_named(google: GooglePlay) -> None:
    tokens = [f"token{n}" for n in range(4)]
    book = bought("google", [receipt_id(each) for each in tokens])
    take_back(book, "google", receipt_id(tokens[0]), BUYERS[0])
    old, new = NOW_MS - 3 * DAY_MS, NOW_MS - DAY_MS
    google.voided = [(tokens[0], old), (tokens[1], old), (tokens[2], new), ("of another product", old)]
    google.page = 1
    report = by_google(book, google)
    assert (report.voids_compared, named(report)) == (3, {("refund_missing", BUYERS[1])})


@pytest.mark.parametrize("fault", [401, 403, 404, 500, "malformed", "silent"])
def test_a_google_that_is_away_proves_nothing_and_accuses_nobody(google: GooglePlay, fault: int | str) -> None:
    book = bought("google", [receipt_id("token0")])
    google.voided = [("token0", NOW_MS - 3 * DAY_MS)]
    # Its library asks again by itself on some of these.
    google.faults.extend([fault] * 20)
    report = by_google(book, google)
    assert (report.voids_compared, named(report)) == (0, set())
