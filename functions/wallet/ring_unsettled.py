"""Lambda, once a minute: rings the settler for creators whose gifts have waited too long, for whatever reason."""

from __future__ import annotations

from typing import Any, Final

from functions import clock, observe
from functions.wallet import settle
from functions.wallet.table import StoredLedger

WAIT_MS: Final = 15_000
# The index is read from its start each time: what is settled leaves it, so the rest comes up in the next minutes.
GIFTS_MAX: Final = 10_000


def handle(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001 -- a schedule says nothing
    """Ring every creator with a gift older than `WAIT_MS`."""
    creators = StoredLedger().unsettled_creators(clock.now_ms() - WAIT_MS, GIFTS_MAX)
    for creator in sorted(creators):
        settle.ring_settle(creator)
    if creators:
        observe.logger.info("rang for unsettled gifts", extra={"creators": len(creators)})
