"""A statement to keep: one's own chain of a month as CSV or JSON, oldest first, in pages that link to the next."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from chalice.app import Blueprint, Response
from msgspec import UNSET, Meta, Struct, UnsetType

from functions import parse, security
from functions.wallet.ledger import Ledger
from functions.wallet.routes import TransferAnswer, transfer_answer, tried
from functions.wallet.table import StoredLedger

routes = Blueprint(__name__)

# About 1.5 MB of CSV: a function's answer takes 6 MB.
ENTRIES_MAX: Final = 5_000
PAGE: Final = 500
COLUMNS: Final = TransferAnswer.__struct_fields__


class ExportQuery(Struct, frozen=True):
    """Which month (UTC), in which form, and from which entry on (``after`` of the page before)."""

    month: Annotated[str, Meta(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
    format: Literal["csv", "json"] = "json"
    after: Annotated[int, Meta(ge=0, le=2**53)] = 0


class Export(Struct, frozen=True):
    """A month's entries, oldest first; ``after`` is there while there are more."""

    month: str
    items: list[TransferAnswer]
    after: int | UnsetType = UNSET


@routes.route("/wallet/export", methods=["GET"], authorizer=security.cognito)
def read_export() -> Response:
    """A month of one's own statement, as a file."""
    who = parse.identity(routes.current_request)
    asked = parse.query(routes.current_request, ExportQuery)
    found = export(StoredLedger(), who.account, asked)
    name = f"onair-{asked.month}.{asked.format}"
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}"'}
    if found.after is not UNSET:
        # RFC 8288: CSV has no place for a cursor.
        headers["Link"] = f'</wallet/export?month={asked.month}&format={asked.format}&after={found.after}>; rel="next"'
    if asked.format == "csv":
        return Response(as_csv(found.items), {**headers, "Content-Type": "text/csv; charset=utf-8"})
    return Response(msgspec.json.encode(found).decode(), {**headers, "Content-Type": "application/json; charset=utf-8"})


def export(book: Ledger, account: str, asked: ExportQuery, entries_max: int = ENTRIES_MAX) -> Export:
    """The month's entries beyond version ``asked.after``.

    Times never run back along a chain, so the month's first version is found by halving: about 20 reads for a million
    entries, whatever month it is.
    """
    start_ms, end_ms = bounds(asked.month)
    wallet = tried(lambda: book.wallet(account))
    head = wallet.version if wallet is not None else 0
    first = max(_first_since(book, account, head, start_ms), asked.after + 1)
    last = _first_since(book, account, head, end_ms) - 1
    items: list[TransferAnswer] = []
    while first <= last and len(items) < entries_max:
        newest = min(last, first + min(PAGE, entries_max - len(items)) - 1)
        page = tried(lambda newest=newest, count=newest - first + 1: book.statement(account, newest, count))
        items += [transfer_answer(each) for each in reversed(page)]
        first = newest + 1
    return Export(asked.month, items, first - 1 if first <= last else UNSET)


def bounds(month: str) -> tuple[int, int]:
    """The first moment of a month and the first after it, in ms since the Unix epoch."""
    year, number = int(month[:4]), int(month[5:])
    following = (year + 1, 1) if number == 12 else (year, number + 1)
    start, end = (int(datetime(*each, 1, tzinfo=UTC).timestamp() * 1000) for each in ((year, number), following))
    return start, end


def as_csv(items: list[TransferAnswer]) -> str:
    """RFC 4180, with a line of names. Text that a spreadsheet would take for a formula is marked as text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for each in items:
        values = [getattr(each, name) for name in COLUMNS]
        writer.writerow([_plain(value) if isinstance(value, str) else value for value in values])
    return out.getvalue()


def _plain(text: str) -> str:
    # https://owasp.org/www-community/attacks/CSV_Injection: client ids are chosen by people.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _first_since(book: Ledger, account: str, head: int, at_ms: int) -> int:
    """The first version whose time is not before ``at_ms``; ``head + 1`` when there is none."""
    low, high = 1, head + 1
    while low < high:
        middle = (low + high) // 2
        found = tried(lambda middle=middle: book.statement(account, middle, 1))
        if found[0].at < at_ms:
            low = middle + 1
        else:
            high = middle
    return low
