"""Lambda, once a minute: rings for what has waited too long, for whatever reason: creators' gifts, and payouts."""

from __future__ import annotations

from typing import Any, Final

from functions import clock, observe
from functions.wallet import payout_queue, settle
from functions.wallet.table import StoredLedger

WAIT_MS: Final = 15_000
# The index is read from its start each time: what is settled leaves it, so the rest comes up in the next minutes.
GIFTS_MAX: Final = 10_000


def handle(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001 -- a schedule says nothing
    """Ring every creator with a gift older than `WAIT_MS`, and every payout that is due."""
    book = StoredLedger()
    creators = book.unsettled_creators(clock.now_ms() - WAIT_MS, GIFTS_MAX)
    for creator in sorted(creators):
        settle.ring_settle(creator)
    rung = payout_queue.ring_due(book)
    if creators or rung:
        observe.logger.info("rang for what waits", extra={"creators": len(creators), "payouts": rung})
