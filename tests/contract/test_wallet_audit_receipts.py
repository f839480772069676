"""The audit's questions to Stripe, over HTTP: each purchase is what was paid, and what went back took coins back."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from msgspec.structs import replace

from functions.wallet import model, refunds
from functions.wallet.audit import audit
from functions.wallet.audit_receipts import StripeRecords
from functions.wallet.ledger import Posting, Receipt
from functions.wallet.model import CoinPack, Wallet
from tests.contract.provider_server import ProviderServer
from tests.simulation.wallet.memory_ledger import MemoryLedger

PACK = CoinPack("coins_70", 70, 99)
AT = 1_700_000_000_000


class Intents(ProviderServer):
    """A fake Stripe that knows payment intents."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, dict[str, Any]] = {}
        self.back: dict[str, list[dict[str, Any]]] = {"refunds": [], "disputes": []}

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        assert (method, headers["authorization"]) == ("GET", "Bearer sk_test_audit")
        listed, _, query = path.removeprefix("/v1/").partition("?")
        if listed in self.back:
            return 200, self._page(listed, dict(parse_qsl(query)))
        found = self.known.get(path.removeprefix("/v1/payment_intents/"))
        if found is None:
            return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such"}}
        return 200, {"object": "payment_intent", **found}

    def _page(self, listed: str, asked: dict[str, str]) -> dict[str, Any]:
        """Newest first, two a page whatever is asked for, as far back as asked."""
        wanted = [each for each in self.back[listed] if each["created"] >= int(asked["created[gte]"])]
        ids = [each["id"] for each in wanted]
        start = ids.index(asked["starting_after"]) + 1 if "starting_after" in asked else 0
        page = wanted[start : start + 2]
        url, more = f"/v1/{listed}", len(wanted) > start + 2
        return {"object": "list", "url": url, "has_more": more, "data": page}

    def give_back(self, listed: str, receipt: str | None, status: str, days_ago: float) -> None:
        """A refund or dispute of a payment."""
        number = len(self.back[listed])
        at = int(time.time() - days_ago * 24 * 3600)
        made = {"id": f"re_{number}", "object": listed[:-1], "status": status, "created": at, "payment_intent": receipt}
        self.back[listed].append(made)


@pytest.fixture
def stripe() -> Iterator[Intents]:
    made = Intents()
    with made.running():
        yield made


@pytest.fixture
def book(stripe: Intents) -> MemoryLedger:
    """Three purchases, each paid."""
    made = MemoryLedger()
    for n in range(3):
        account, receipt = f"viewer{n}", f"pi_{n}"
        after, bought = model.purchase(Wallet(account), provider="stripe", receipt=receipt, pack=PACK, at=AT)
        made.write(Posting(None, after, bought, receipt=Receipt("stripe", receipt, account, PACK.id, bought.id)))
        stripe.known[receipt] = {
            "id": receipt,
            "status": "succeeded",
            "amount_received": 99,
            "currency": "usd",
            "metadata": {"account": account, "pack": PACK.id},
        }
    return made


def audited(book: MemoryLedger, stripe: Intents) -> tuple[int, set[tuple[str, str]]]:
    records = StripeRecords(json.dumps({"secret_key": "sk_test_audit", "webhook_secret": "w", "api_url": stripe.url}))
    report = audit(book, AT, segments=1, records={"stripe": records}, rng=random.Random(1))
    return report.receipts_compared, {(each.name, each.account) for each in report.differences}


def test_purchases_that_were_paid_are_proved(book: MemoryLedger, stripe: Intents) -> None:
    stripe.known["pi_1"]["amount_received"] = 118  # with tax on top
    assert audited(book, stripe) == (3, set())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"amount_received": 98}, "receipt_differs"),
        ({"currency": "jpy"}, "receipt_differs"),
        ({"metadata": {"account": "somebody", "pack": "coins_70"}}, "receipt_differs"),
        ({"metadata": {"account": "viewer1", "pack": "coins_7000"}}, "receipt_differs"),
        ({"metadata": None}, "receipt_differs"),
        ({"status": "canceled"}, "receipt_unpaid"),
    ],
)
def test_a_purchase_that_was_paid_otherwise_is_named(
    book: MemoryLedger, stripe: Intents, change: dict[str, Any], name: str
) -> None:
    stripe.known["pi_1"].update(change)
    assert audited(book, stripe) == (3, {(name, "viewer1")})


def given_back(book: MemoryLedger, stripe: Intents) -> tuple[int, set[tuple[str, str]]]:
    """Differences by what Stripe gave back alone, and how many of our purchases that were."""
    voids = StripeRecords(json.dumps({"secret_key": "sk_test_audit", "webhook_secret": "w", "api_url": stripe.url}))
    report = audit(book, int(time.time() * 1000), segments=1, voids={"stripe": voids}, rng=random.Random(1))
    return report.voids_compared, {(each.name, each.account) for each in report.differences}


def take_back(book: MemoryLedger, receipt: str, account: str) -> None:
    before = book.wallet(account)
    assert before is not None
    after, each = refunds.refund(before, provider="stripe", receipt=receipt, step=1, coins=70, at=AT + 1)
    book.write(Posting(before, after, each))


def test_money_that_went_back_and_took_no_coins_is_named(book: MemoryLedger, stripe: Intents) -> None:
    for n in range(5):  # others of the same account, over several pages
        stripe.give_back("refunds", f"pi_other{n}", "succeeded", 5)
    stripe.give_back("refunds", "pi_0", "succeeded", 5)
    stripe.give_back("refunds", None, "succeeded", 5)
    stripe.give_back("disputes", "pi_1", "lost", 5)
    assert given_back(book, stripe) == (2, {("refund_missing", "viewer0"), ("refund_missing", "viewer1")})
    take_back(book, "pi_0", "viewer0")
    take_back(book, "pi_1", "viewer1")
    assert given_back(book, stripe) == (2, set())


@pytest.mark.parametrize(
    ("listed", "status", "days_ago"),
    [("refunds", "failed", 5), ("refunds", "succeeded", 1), ("refunds", "succeeded", 40), ("disputes", "won", 5)],
)
def test_money_that_did_not_go_or_just_went_or_went_long_ago_accuses_nobody(
    book: MemoryLedger, stripe: Intents, listed: str, status: str, days_ago: float
) -> None:
    stripe.give_back(listed, "pi_0", status, days_ago)
    assert given_back(book, stripe)[1] == set()


def test_lists_that_do_not_come_accuse_nobody(book: MemoryLedger, stripe: Intents) -> None:
    stripe.give_back("refunds", "pi_0", "succeeded", 5)
    stripe.faults.extend([500, 500])
    assert given_back(book, stripe) == (0, set())


def test_a_receipt_that_its_provider_never_saw_is_named(book: MemoryLedger, stripe: Intents) -> None:
    del stripe.known["pi_2"]
    assert audited(book, stripe) == (3, {("receipt_unknown", "viewer2")})


def test_a_provider_that_is_away_proves_nothing_and_accuses_nobody(book: MemoryLedger, stripe: Intents) -> None:
    stripe.faults.extend([401, 401, 401])
    assert audited(book, stripe) == (0, set())


def test_an_amount_that_was_changed_with_its_seal_is_still_found(book: MemoryLedger, stripe: Intents) -> None:
    place = ("viewer0", "purchase#stripe#pi_0")
    transfer = book.transfers[place].transfer
    details = replace(transfer.details, pack="coins_7000", usd_cents=9_999)
    forged = replace(transfer, details=details, hash="")
    forged = replace(forged, hash=model.seal(forged))
    book.transfers[place] = replace(book.transfers[place], transfer=forged)
    book.wallets["viewer0"] = replace(book.wallets["viewer0"], hash=forged.hash)
    assert audited(book, stripe) == (3, {("receipt_differs", "viewer0")})
