"""What settlements add up to: leaderboards of a stream and a week, a creator's gallery, and the sums of each month.

All is derived from the creator's own chain, where each settlement says who gave what, so nothing is counted on the way
of a gift. Workers agree on a batch of versions before they apply it, and each row remembers the last batch that it
holds: whoever crashes, comes late or works beside another, each settlement is in each row exactly once.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct

from functions.wallet.ledger import Ledger
from functions.wallet.model import PayoutDetails, ReversalDetails, SettlementDetails, Transfer

# A batch: some seconds of work where many give at once, and one page of the chain.
VERSIONS_MAX: Final = 100
WRITERS: Final = 8
GIVER: Final = "giver#"
GIFT: Final = "gift#"
MONTH: Final = "month#"
DAY: Final = "day#"


class Sums(Struct, frozen=True):
    """What a row counts: gifts, the coins they cost, diamonds earned, and diamonds put aside for payouts."""

    gifts: int = 0
    coins: int = 0
    diamonds: int = 0
    paid: int = 0

    def plus(self, other: Sums) -> Sums:
        return Sums(
            self.gifts + other.gifts,
            self.coins + other.coins,
            self.diamonds + other.diamonds,
            self.paid + other.paid,
        )


class Row(Struct, frozen=True):
    """One row of one board; rows of givers are ranked by their coins."""

    board: str
    name: str
    sums: Sums


class Progress(Struct, frozen=True):
    """How far a creator's chain is counted: all up to version ``done``; up to ``doing`` somebody may be at it."""

    done: int = 0
    doing: int = 0


class Boards(Protocol):
    """Where rows are kept."""

    def progress(self, creator: str) -> Progress: ...

    def advance(self, creator: str, before: Progress, after: Progress) -> bool:
        """Move on from exactly ``before``; False when somebody else did."""
        ...

    def add(self, row: Row, batch: int) -> None:
        """Add to a row what batch ``batch`` (its last version) brings, unless the row holds that batch already."""
        ...

    def top(self, board: str, limit: int) -> list[Row]:
        """The givers with the most coins, most first."""
        ...

    def rows(self, board: str, prefix: str) -> list[Row]:
        """The rows of a board whose names start so, by name."""
        ...


def stream_board(creator: str, stream: str) -> str:
    """The board of one stream."""
    return f"{creator}#stream#{stream}"


def week_board(creator: str, at_ms: int) -> str:
    """The board of the ISO week (UTC) of ``at_ms``: that in which gifts were settled, a second or two after sending."""
    year, week, _ = datetime.fromtimestamp(at_ms / 1000, UTC).isocalendar()
    return f"{creator}#week#{year}-W{week:02d}"


def month_of(at_ms: int) -> str:
    """``2026-11``, in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m}"


def day_of(at_ms: int) -> str:
    """``2026-11-25``, in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"


def folded(creator: str, transfers: list[Transfer]) -> list[Row]:
    """The rows that these entries of a creator's chain add up to, in a fixed order."""
    sums: dict[tuple[str, str], Sums] = defaultdict(Sums)

    def count(board: str, name: str, more: Sums) -> None:
        sums[board, name] = sums[board, name].plus(more)

    for each in transfers:
        details, month = each.details, MONTH + month_of(each.at)
        if isinstance(details, SettlementDetails):
            for name in (month, DAY + day_of(each.at)):
                count(creator, name, Sums(details.gifts, details.coins, each.amount))
            for given in details.given:
                more = Sums(given.count, given.coins)
                stream = stream_board(creator, given.stream)
                count(stream, GIVER + given.account, more)
                count(stream, GIFT + given.gift_id, more)
                count(week_board(creator, each.at), GIVER + given.account, more)
                count(creator, GIFT + given.gift_id, more)
        elif isinstance(details, PayoutDetails | ReversalDetails):
            count(creator, month, Sums(paid=-each.signed_amount()))
    return [Row(board, name, row) for (board, name), row in sorted(sums.items())]


def catch_up(book: Ledger, boards: Boards, creator: str, batches_max: int = 1) -> bool:
    """Count what the creator's chain has beyond what is counted; tells whether that was all.

    May raise a `LedgerError` (reads) or whatever ``boards`` raises; called again it goes on where it stood.
    """
    wallet = book.wallet(creator)
    head = wallet.version if wallet is not None else 0
    for _ in range(batches_max):
        now = boards.progress(creator)
        if now.doing <= now.done:
            if now.done >= head:
                return True
            agreed = Progress(now.done, min(head, now.done + VERSIONS_MAX))
            if not boards.advance(creator, now, agreed):
                continue
            now = agreed
        entries = _entries(book, creator, now.done, now.doing)
        rows = folded(creator, entries)
        if len(rows) > WRITERS:
            with ThreadPoolExecutor(WRITERS) as pool:
                # Settings ride on the caller's context, which threads do not inherit.
                adding = [pool.submit(copy_context().run, boards.add, row, now.doing) for row in rows]
            for each in adding:
                each.result()
        else:
            for row in rows:
                boards.add(row, now.doing)
        boards.advance(creator, now, Progress(now.doing, now.doing))
    return boards.progress(creator).done >= head


def _entries(book: Ledger, creator: str, after: int, newest: int) -> list[Transfer]:
    found = book.statement(creator, newest, newest - after)
    assert [each.version for each in found] == list(range(newest, after, -1)), "a chain has no holes"
    return found
