"""The audit finds what somebody did to the ledger, and names it: each test does one such thing."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import RoomView
from functions.wallet import gift_transfer, model, purchases, settle
from functions.wallet.audit import SETTLED_WITHIN_MS, Report, audit
from functions.wallet.giving import Giver
from functions.wallet.model import GiftDetails, PastTransfer, Transfer
from functions.wallet.purchases import PurchaseRequest, SandboxProvider
from tests.simulation.wallet.memory_ledger import MemoryLedger

VIEWER = Sender("viewer", "viewer", "Viewer")


@pytest.fixture
def book() -> MemoryLedger:
    """A small ledger: one purchase, three gifts settled together, one that waits, one more purchase."""
    book = MemoryLedger()
    buy(book, "viewer", "p1")
    for n in range(3):
        give(book, f"{n}")
    assert settle.settle_all(book, "host", rng=random.Random(1))
    give(book, "waiting")
    buy(book, "other", "p2")
    return book


def buy(book: MemoryLedger, account: str, proof: str) -> None:
    purchases.purchase(
        book, account, PurchaseRequest("sandbox", "coins_70", proof), {"sandbox": SandboxProvider()}, random.Random(1)
    )


def give(book: MemoryLedger, client_id: str) -> None:
    message = GiftMessage(client_id, "heart", 1)
    gift_transfer.give(book, VIEWER, message, RoomView("s", "host", True), Giver("US", 30), rng=random.Random(1))


def names(report: Report) -> set[tuple[str, str, str]]:
    return {(each.name, each.account, each.transfer) for each in report.differences}


def test_an_honest_ledger_is_proved(book: MemoryLedger) -> None:
    report = audit(book, now(book))
    assert report.differences == ()
    proof = report.proof
    assert (proof.coins_minted, proof.coins_held, proof.coins_unsettled, proof.coins_converted) == (140, 120, 5, 15)
    assert (proof.diamonds_owed_milli, proof.diamonds_held_milli, proof.diamonds_unsettled_milli) == (
        10_000,
        7_500,
        2_500,
    )
    assert (report.wallets, report.transfers, report.receipts) == (3, 7, 2)


def now(book: MemoryLedger) -> int:
    return max(each.transfer.at for each in book.transfers.values())


def change(book: MemoryLedger, account: str, transfer_id: str, **fields: Any) -> None:
    past = book.transfers[account, transfer_id]
    book.transfers[account, transfer_id] = replace(past, transfer=replace(past.transfer, **fields))


def flip_a_bit(book: MemoryLedger) -> None:
    change(book, "viewer", "gift#1", hash=f"{int(book.transfers['viewer', 'gift#1'].transfer.hash, 16) ^ 1:064x}")


def raise_an_amount(book: MemoryLedger) -> None:
    change(book, "viewer", "gift#1", amount=6)


def raise_a_share(book: MemoryLedger) -> None:
    given = book.transfers["viewer", "gift#1"].transfer.details
    assert isinstance(given, GiftDetails)
    change(book, "viewer", "gift#1", details=replace(given, share_milli=5_000))


def raise_an_amount_and_seal_it_anew(book: MemoryLedger) -> None:
    transfer = replace(book.transfers["viewer", "gift#1"].transfer, amount=6)
    change(book, "viewer", "gift#1", amount=6, hash=model.seal(transfer))


def delete_an_entry(book: MemoryLedger) -> None:
    del book.transfers["viewer", "gift#1"]
    book.chains["viewer"].remove("gift#1")


def delete_the_newest_entry(book: MemoryLedger) -> None:
    del book.transfers["viewer", "gift#waiting"]
    book.chains["viewer"].remove("gift#waiting")


def delete_a_wallet(book: MemoryLedger) -> None:
    del book.wallets["host"]


def raise_a_balance(book: MemoryLedger) -> None:
    book.wallets["other"] = replace(book.wallets["other"], coins=71)


def raise_a_remainder(book: MemoryLedger) -> None:
    book.wallets["host"] = replace(book.wallets["host"], carried_milli=999)


def credit_twice(book: MemoryLedger) -> None:
    """A settlement of gifts that are settled already, well-formed in every other way."""
    gifts = [book.transfers["viewer", f"gift#{n}"].transfer for n in range(3)]
    append(book, *model.settle(book.wallets["host"], gifts, at=now(book)))


def append(book: MemoryLedger, after: model.Wallet, transfer: Transfer) -> None:
    book.wallets[after.account] = after
    book.transfers[after.account, transfer.id] = PastTransfer(transfer)
    book.chains.setdefault(after.account, []).append(transfer.id)


def mint_without_a_receipt(book: MemoryLedger) -> None:
    pack = model.CoinPack("coins_70", 70, 99)
    append(book, *model.purchase(book.wallets["other"], provider="sandbox", receipt="x", pack=pack, at=now(book)))


def lose_a_purchase(book: MemoryLedger) -> None:
    (place,) = [place for place in book.transfers if place[0] == "other"]
    del book.transfers[place], book.wallets["other"], book.chains["other"]


def mark_a_gift_settled_by_nothing(book: MemoryLedger) -> None:
    past = book.transfers["viewer", "gift#waiting"]
    book.transfers["viewer", "gift#waiting"] = replace(past, settlement="settlement#9999999999")


def unmark_a_settled_gift(book: MemoryLedger) -> None:
    past = book.transfers["viewer", "gift#1"]
    book.transfers["viewer", "gift#1"] = replace(past, settlement=None)


def overdraw(book: MemoryLedger) -> None:
    gift = model.Gift("g", "G", 100, "🌹", "small", "pop")
    rich = replace(book.wallets["other"], coins=1_000)
    _, transfer = model.give(
        rich, host="host", gift=gift, count=1, stream="s", client_id="y", event_id="e", at=now(book)
    )
    transfer = replace(transfer, balance_after=-30)
    transfer = replace(transfer, hash=model.seal(transfer))
    wallet = replace(book.wallets["other"], coins=-30, version=2, hash=transfer.hash, at=transfer.at)
    append(book, wallet, transfer)


Damage = Callable[[MemoryLedger], None]
DAMAGES: list[tuple[Damage, tuple[str, str, str]]] = [
    (flip_a_bit, ("entry_changed", "viewer", "gift#1")),
    (raise_an_amount, ("entry_changed", "viewer", "gift#1")),
    (raise_a_share, ("entry_changed", "viewer", "gift#1")),
    (raise_an_amount_and_seal_it_anew, ("chain_broken", "viewer", "gift#2")),
    (delete_an_entry, ("entry_missing", "viewer", "gift#2")),
    (delete_the_newest_entry, ("head_differs", "viewer", "")),
    (delete_a_wallet, ("wallet_missing", "host", "")),
    (raise_a_balance, ("head_differs", "other", "")),
    (raise_a_remainder, ("head_differs", "host", "")),
    (credit_twice, ("settlement_mismatch", "host", "settlement#0000000002")),
    (mint_without_a_receipt, ("receipt_missing", "other", "purchase#sandbox#x")),
    (mark_a_gift_settled_by_nothing, ("settlement_missing", "viewer", "gift#waiting")),
    (unmark_a_settled_gift, ("settlement_mismatch", "host", "settlement#0000000001")),
    (overdraw, ("overdrawn", "other", "")),
]


@pytest.mark.parametrize(("damage", "named"), DAMAGES, ids=lambda each: getattr(each, "__name__", ""))
def test_damage_is_found_and_named(book: MemoryLedger, damage: Damage, named: tuple[str, str, str]) -> None:
    damage(book)
    assert named in names(audit(book, now(book)))


def test_a_purchase_that_was_taken_away_is_named(book: MemoryLedger) -> None:
    (transfer_id,) = [transfer_id for account, transfer_id in book.transfers if account == "other"]
    lose_a_purchase(book)
    assert names(audit(book, now(book))) == {("purchase_missing", "other", transfer_id)}


def test_a_gift_that_waits_too_long_is_named(book: MemoryLedger) -> None:
    late = now(book) + SETTLED_WITHIN_MS + 1
    assert names(audit(book, late)) == {("unsettled_too_long", "viewer", "gift#waiting")}


def test_a_cut_between_gift_and_settlement_counts_the_gift_as_unsettled(book: MemoryLedger) -> None:
    at = now(book)
    settlement = book.transfers["host", "settlement#0000000001"].transfer
    later = replace(settlement, at=at + 5_000)
    later = replace(later, hash=model.seal(later))
    book.transfers["host", "settlement#0000000001"] = PastTransfer(later)
    book.wallets["host"] = replace(book.wallets["host"], at=later.at, hash=later.hash)
    report = audit(book, at)
    assert report.differences == ()
    assert (report.proof.coins_unsettled, report.proof.coins_converted) == (20, 0)
    assert audit(book, at + 5_000).proof.coins_converted == 15
