"""A month of a statement as a file: whole, in order, page by page, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from functions.wallet import catalogue, export, model
from functions.wallet.export import ExportQuery
from functions.wallet.ledger import Posting
from functions.wallet.model import Wallet
from functions.wallet.routes import TransferAnswer
from tests.simulation.wallet.memory_ledger import MemoryLedger


def at(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def book() -> MemoryLedger:
    """Purchases on known days, two of them in November 2026, the first at its first moment."""
    book, wallet = MemoryLedger(), None
    days = [at(2026, 10, 31), at(2026, 11, 1), at(2026, 11, 30), at(2026, 12, 1), at(2027, 2, 3)]
    for n, day in enumerate(days):
        pack = catalogue.coin_pack("coins_70")
        after, transfer = model.purchase(
            wallet or Wallet("viewer"), provider="sandbox", receipt=f"=r{n}", pack=pack, at=day
        )
        book.write(Posting(wallet, after, transfer))
        wallet = after
    return book


def versions(found: export.Export) -> list[int]:
    return [each.version for each in found.items]


@pytest.mark.parametrize(
    ("month", "there"),
    [("2026-09", []), ("2026-10", [1]), ("2026-11", [2, 3]), ("2026-12", [4]), ("2027-01", []), ("2027-02", [5])],
)
def test_an_export_holds_exactly_its_month(book: MemoryLedger, month: str, there: list[int]) -> None:
    assert versions(export.export(book, "viewer", ExportQuery(month))) == there


def test_pages_follow_each_other_without_hole_or_double(book: MemoryLedger) -> None:
    first = export.export(book, "viewer", ExportQuery("2026-11"), entries_max=1)
    assert (versions(first), first.after) == ([2], 2)
    second = export.export(book, "viewer", ExportQuery("2026-11", after=2), entries_max=1)
    assert (versions(second), second.after) == ([3], UNSET)


def test_without_a_wallet_there_is_nothing_to_export(book: MemoryLedger) -> None:
    assert versions(export.export(book, "nobody", ExportQuery("2026-11"))) == []


def test_csv_reads_back_as_it_was_and_holds_no_formula(book: MemoryLedger) -> None:
    items = export.export(book, "viewer", ExportQuery("2026-11")).items
    lines = list(csv.DictReader(io.StringIO(export.as_csv(items))))
    assert list(lines[0]) == list(TransferAnswer.__struct_fields__)
    assert [int(each["amount"]) for each in lines] == [70, 70]
    assert [each["hash"] for each in lines] == [each.hash for each in items]
    assert [each["reference"] for each in lines] == ["'=r1", "'=r2"]
