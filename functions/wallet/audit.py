"""The proof: each chain is whole, each balance is its chain's, each gift is credited once, no coin came or went.

``python -m functions.wallet.audit`` prints the report as JSON and fails on any difference. What is read is no snapshot,
so whatever looks wrong at first is read again, one chain at a time and strongly consistent, before it is reported.
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from functions import clock
from functions.wallet import audit_payouts, audit_receipts, chain
from functions.wallet.audit_receipts import Records, Voids
from functions.wallet.chain import Difference, Link
from functions.wallet.ledger import Ledger, Receipt
from functions.wallet.model import (
    MILLI,
    GiftDetails,
    PastTransfer,
    PayoutDetails,
    PurchaseDetails,
    RefundDetails,
    ReversalDetails,
    SettlementDetails,
    Transfer,
    Wallet,
    digest,
)
from functions.wallet.payout_rules import Payout

# Entries younger than this are left out of the cut: one of them may still be on its way into the ledger.
YOUNG_MS: Final = 60_000
# The settler is rung at once and again each minute: a gift that waits longer than this is stuck.
SETTLED_WITHIN_MS: Final = 10 * 60_000
SEGMENTS: Final = 4
PAGE: Final = 100


class AuditedLedger(Ledger, Protocol):
    """A ledger that can be read whole."""

    def payout(self, account: str, payout_id: str) -> Payout | None: ...

    def records(self, segment: int, segments: int) -> Iterable[Wallet | PastTransfer | Receipt | Payout]: ...


class Proof(Struct, frozen=True):
    """The sums as of one time: coins minted = held + unsettled + converted; milli-diamonds owed =
    held + unsettled + paid out (or put aside for it)."""

    coins_minted: int = 0
    coins_held: int = 0
    coins_unsettled: int = 0
    coins_converted: int = 0
    diamonds_owed_milli: int = 0
    diamonds_held_milli: int = 0
    diamonds_unsettled_milli: int = 0
    diamonds_paid_out_milli: int = 0


class Report(Struct, frozen=True):
    """What an audit found; no differences means that every coin is proved.

    ``receipts_compared`` purchases were compared with what their providers know, and ``voids_compared`` payments that a
    provider gave back with what the ledger knows.
    """

    as_of: str
    wallets: int
    transfers: int
    receipts: int
    payouts: int
    proof: Proof
    unsettled_oldest_ms: int
    differences: tuple[Difference, ...]
    receipts_compared: int = 0
    voids_compared: int = 0


class _Gathered:
    """All that was read, by what it is checked against."""

    def __init__(self) -> None:
        self.wallets: dict[str, Wallet] = {}
        self.chains: dict[str, list[Link]] = defaultdict(list)
        self.receipts: dict[tuple[str, str], Receipt] = {}
        self.payouts: dict[tuple[str, str], Payout] = {}

    def take(self, record: Wallet | PastTransfer | Receipt | Payout) -> None:
        if isinstance(record, Wallet):
            self.wallets[record.account] = record
        elif isinstance(record, Receipt):
            self.receipts[record.provider, record.id] = record
        elif isinstance(record, Payout):
            self.payouts[record.account, record.id] = record
        else:
            self.chains[record.transfer.account].append(chain.link(record))


def audit(
    book: AuditedLedger,
    as_of_ms: int | None = None,
    segments: int = SEGMENTS,
    records: Mapping[str, Records] | None = None,
    voids: Mapping[str, Voids] | None = None,
    rng: random.Random | None = None,
) -> Report:
    """Verify the whole ledger as of a time.

    Parameters
    ----------
    as_of_ms : int | None
        Chains are cut after this moment (ms since the Unix epoch); `YOUNG_MS` ago when None. Nothing may be written
        with an earlier time any more.
    segments : int
        How many parts of the table are read at once. Memory: about 0.5 GB a million transfers.
    records : Mapping[str, Records] | None
        Providers that are asked about a sample of purchases.
    voids : Mapping[str, Voids] | None
        Providers that are asked what they gave back.
    """
    as_of = clock.now_ms() - YOUNG_MS if as_of_ms is None else as_of_ms
    found = _gather(book, segments)
    differences: list[Difference] = []
    for account in sorted(found.wallets.keys() | found.chains.keys()):
        links = found.chains[account]
        links.sort(key=lambda each: each.version)
        if chain.verify(account, found.wallets.get(account), links):
            found.wallets.pop(account, None)
            wallet, links = _read_again(book, account, links)
            if wallet is not None:
                found.wallets[account] = wallet
            found.chains[account] = links
            differences += chain.verify(account, wallet, links)
    cut = {account: [each for each in links if each.at <= as_of] for account, links in found.chains.items()}
    differences += _receipts(book, found)
    differences += audit_payouts.check(book.payout, found.chains, found.payouts)
    links = [(account, each) for account, all_of_it in cut.items() for each in all_of_it]
    refunded = {
        (each.details.provider, each.details.receipt)
        for all_of_it in found.chains.values()
        for each in all_of_it
        if isinstance(each.details, RefundDetails)
    }
    compared, more = audit_receipts.check(records or {}, links, refunded, rng or random.Random())
    differences += more
    voids_compared, more = audit_receipts.check_voids(voids or {}, links, refunded)
    differences += more
    settled, more = _settlements(book, found, cut, as_of)
    differences += more
    proof, oldest_ms, more = _conserved(cut, settled, as_of)
    differences += more
    return Report(
        as_of=clock.rfc3339(as_of),
        wallets=len(found.wallets),
        transfers=sum(len(links) for links in cut.values()),
        receipts=len(found.receipts),
        receipts_compared=compared,
        voids_compared=voids_compared,
        payouts=len(found.payouts),
        proof=proof,
        unsettled_oldest_ms=oldest_ms,
        differences=tuple(differences),
    )


def _gather(book: AuditedLedger, segments: int) -> _Gathered:
    parts = [_Gathered() for _ in range(segments)]

    def read(segment: int) -> None:
        for record in book.records(segment, segments):
            parts[segment].take(record)

    if segments == 1:
        read(0)
        return parts[0]
    with ThreadPoolExecutor(segments) as pool:
        # Settings ride on the caller's context, which threads do not inherit.
        reading = [pool.submit(copy_context().run, read, segment) for segment in range(segments)]
    for each in reading:
        each.result()
    whole = parts[0]
    for part in parts[1:]:
        whole.wallets.update(part.wallets)
        whole.receipts.update(part.receipts)
        whole.payouts.update(part.payouts)
        for account, links in part.chains.items():
            whole.chains[account] += links
    return whole


def _read_again(book: Ledger, account: str, scanned: list[Link]) -> tuple[Wallet | None, list[Link]]:
    # First the head, then what leads to it: every entry up to that head is there, since both are written together.
    wallet = book.wallet(account)
    if wallet is None:
        return None, scanned
    links: list[Link] = []
    newest = wallet.version
    while newest > 0:
        page = book.statement(account, newest, PAGE)
        links += [chain.link(_past(book, each)) for each in page]
        if len(page) < PAGE:
            break
        newest = page[-1].version - 1
    # What stands beside the chain (a version beyond the head, or one version twice) is only seen by the scan.
    known = {each.id for each in links}
    for each in scanned:
        if each.id not in known and (each.version > wallet.version or book.transfer(account, each.id) is not None):
            later = each.version > wallet.version and _moved_on(book, account, each.version)
            if not later:
                links.append(each)
    return wallet, sorted(links, key=lambda each: each.version)


def _past(book: Ledger, each: Transfer) -> PastTransfer:
    # The statement's index does not tell by what a gift was settled: its item does.
    past = book.transfer(each.account, each.id) if isinstance(each.details, GiftDetails) else None
    return PastTransfer(each, past.settlement if past is not None else None)


def _moved_on(book: Ledger, account: str, version: int) -> bool:
    wallet = book.wallet(account)
    return wallet is not None and wallet.version >= version


def _receipts(book: Ledger, found: _Gathered) -> list[Difference]:
    wrong: list[Difference] = []
    purchases: set[tuple[str, str]] = set()
    for account, links in found.chains.items():
        for each in links:
            details = each.details
            if not isinstance(details, PurchaseDetails):
                continue
            key = (details.provider, details.receipt)
            receipt = found.receipts.get(key) or book.receipt(*key)
            if receipt is None:
                wrong.append(Difference("receipt_missing", account, each.id, "coins were minted without a receipt"))
            elif (receipt.account, receipt.transfer) != (account, each.id):
                wrong.append(Difference("receipt_mismatch", account, each.id, f"its receipt names {receipt.transfer}"))
            purchases.add(key)
    for key, receipt in found.receipts.items():
        # One without a transfer waits: its refund came before its purchase.
        if key not in purchases and receipt.transfer and book.transfer(receipt.account, receipt.transfer) is None:
            wrong.append(Difference("purchase_missing", receipt.account, receipt.transfer, "a receipt minted nothing"))
    return wrong


def _settlements(
    book: Ledger, found: _Gathered, cut: dict[str, list[Link]], as_of: int
) -> tuple[set[tuple[str, str]], list[Difference]]:
    """Check each settlement within the cut against the gifts that name it; returns which gifts are settled by then."""
    wrong: list[Difference] = []
    made: dict[tuple[str, str], Link] = {}
    for account, links in found.chains.items():
        made.update({(account, each.id): each for each in links if isinstance(each.details, SettlementDetails)})
    taken: dict[tuple[str, str], list[Link]] = defaultdict(list)
    settled: set[tuple[str, str]] = set()
    for account, links in cut.items():
        for each in links:
            if each.creator is None or each.settlement is None:
                continue
            key = (each.creator, each.settlement)
            if key not in made:
                later = book.transfer(*key)
                if later is None:
                    wrong.append(
                        Difference("settlement_missing", account, each.id, f"{key[1]} of {key[0]} is not there")
                    )
                    continue
                made[key] = chain.link(later)
            if made[key].at <= as_of:
                taken[key].append(each)
                settled.add((account, each.id))
    for (creator, name), each in made.items():
        details = each.details
        if each.at > as_of or not isinstance(details, SettlementDetails):
            continue
        gifts = taken[creator, name]
        told = (details.gifts, details.coins, details.share_milli, details.digest)
        seen = (
            len(gifts),
            -sum(gift.signed for gift in gifts),
            sum(gift.share_milli for gift in gifts),
            digest([gift.hash for gift in gifts]),
        )
        if told != seen:
            wrong.append(
                Difference(
                    "settlement_mismatch",
                    creator,
                    name,
                    f"credits {told[0]} gifts, {told[1]} coins, {told[2]} milli-diamonds; "
                    f"the gifts that name it are {seen[0]}, {seen[1]}, {seen[2]}",
                )
            )
    return settled, wrong


def _conserved(
    cut: dict[str, list[Link]], settled: set[tuple[str, str]], as_of: int
) -> tuple[Proof, int, list[Difference]]:
    minted = held = unsettled = converted = owed = held_milli = unsettled_milli = paid_out_milli = 0
    oldest_ms = 0
    wrong: list[Difference] = []
    for account, links in cut.items():
        for each in links:
            if isinstance(each.details, PurchaseDetails | RefundDetails):
                minted += each.signed
            elif isinstance(each.details, SettlementDetails):
                converted += each.details.coins
                held_milli += each.signed * MILLI
            elif isinstance(each.details, PayoutDetails | ReversalDetails):
                held_milli += each.signed * MILLI
                paid_out_milli -= each.signed * MILLI
            elif each.creator is not None:
                owed += each.share_milli
                if (account, each.id) not in settled:
                    unsettled -= each.signed
                    unsettled_milli += each.share_milli
                    oldest_ms = max(oldest_ms, as_of - each.at)
                    if as_of - each.at > SETTLED_WITHIN_MS:
                        text = f"given {as_of - each.at} ms before, still not settled to {each.creator}"
                        wrong.append(Difference("unsettled_too_long", account, each.id, text))
            held += each.signed if each.unit == "coins" else 0
        last = next((each.details for each in reversed(links) if isinstance(each.details, SettlementDetails)), None)
        held_milli += last.carried_milli if last is not None else 0
    proof = Proof(minted, held, unsettled, converted, owed, held_milli, unsettled_milli, paid_out_milli)
    if minted != held + unsettled + converted:
        text = f"minted {minted} ≠ held {held} + unsettled {unsettled} + converted {converted}"
        wrong.append(Difference("coins_not_conserved", "", "", text))
    if owed != held_milli + unsettled_milli + paid_out_milli:
        text = (
            f"owed {owed} ≠ held {held_milli} + unsettled {unsettled_milli} + paid out {paid_out_milli} (thousandths)"
        )
        wrong.append(Difference("diamonds_not_conserved", "", "", text))
    return proof, oldest_ms, wrong


def main() -> int:
    """Audit the ledger that ``LEDGER_TABLE`` names; 1 on any difference."""
    from functions.wallet.table import StoredLedger

    records, voids = audit_receipts.configured()
    report = audit(StoredLedger(), records=records, voids=voids)
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
