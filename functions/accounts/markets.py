"""The markets that this deployment serves: ``markets.json`` beside this file, changed by the setting ``MARKETS``.

The one place for what differs by country: followers, ages of hosts, members and givers, payouts, the market's day. The
row ``*`` is the base of every row; a row or a column that the setting gives takes the place of the file's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from functions import clock, settings
from functions.accounts.model import Market
from functions.errors import OnairError

BASE: Final = "*"


@lru_cache(maxsize=4)
def merged(override: str) -> Mapping[str, Market]:
    """The rows of the file, changed by ``override``: JSON, market → columns (all or some), or empty.

    A column that is given so counts as the operator's own: it leaves the file's ``sources``.

    Raises
    ------
    msgspec.ValidationError
        For a column of a wrong type or out of bounds.
    """
    rows = msgspec.json.decode((Path(__file__).parent / "markets.json").read_bytes(), type=dict[str, dict[str, Any]])
    given = msgspec.json.decode(override, type=dict[str, dict[str, Any]]) if override else {}
    everywhere = given.pop(BASE, {})
    for code, columns in {code: {**everywhere, **given.get(code, {})} for code in {*rows, *given}}.items():
        rows[code] = _changed(rows.get(code, rows[BASE]), columns)
    return {code: msgspec.convert(row, Market) for code, row in rows.items() if code != BASE}


def _changed(row: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    kept = {name: source for name, source in row.get("sources", {}).items() if name not in columns}
    return {**row, "sources": kept, **columns}


def served() -> Mapping[str, Market]:
    """All markets by their ISO 3166-1 alpha-2 code."""
    return merged(settings.optional("MARKETS", ""))


def find(code: str) -> Market:
    """The market of an ISO 3166-1 alpha-2 code; ``invalid_request`` naming ``market`` where we do not serve it."""
    market = served().get(code)
    if market is None:
        raise OnairError(
            "invalid_request",
            "This market is not served. `details.markets` lists those that are.",
            field="market",
            details={"markets": sorted(served())},
        )
    return market


def today(code: str) -> date:
    """The calendar day of now in a market; in one that is no longer served, that of UTC."""
    market = served().get(code)
    return clock.today_in(market.time_zone if market is not None else "UTC", clock.now_ms())


def gift_age_min(code: str) -> int:
    """From which age on one gives in a market; where it is not known (empty, no longer served), the oldest of all."""
    market = served().get(code)
    return market.gift_age_min if market is not None else max(row.gift_age_min for row in served().values())


def payout_countries() -> frozenset[str]:
    """Countries to which diamonds are paid out."""
    return frozenset(code for code, row in served().items() if row.payout)
