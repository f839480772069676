"""The audit's question to Stripe, over HTTP: each purchase is what was paid, or is named."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from functions.wallet import model
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

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        assert (method, headers["authorization"]) == ("GET", "Bearer sk_test_audit")
        found = self.known.get(path.removeprefix("/v1/payment_intents/"))
        if found is None:
            return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such"}}
        return 200, {"object": "payment_intent", **found}


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
