"""The markets that this deployment serves: ``markets.json`` beside this file, with rows of the setting ``MARKETS``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from functions import settings
from functions.accounts.model import Market
from functions.errors import OnairError


@lru_cache(maxsize=4)
def merged(override: str) -> Mapping[str, Market]:
    """The rows of the file, with those of ``override`` (JSON of the same shape, or empty) in their place."""
    rows = msgspec.json.decode((Path(__file__).parent / "markets.json").read_bytes(), type=dict[str, Market])
    if override:
        rows.update(msgspec.json.decode(override, type=dict[str, Market]))
    return rows


def find(code: str) -> Market:
    """The market of an ISO 3166-1 alpha-2 code; ``invalid_request`` naming ``market`` where we do not serve it."""
    served = merged(settings.optional("MARKETS", ""))
    market = served.get(code)
    if market is None:
        raise OnairError(
            "invalid_request",
            "This market is not served. `details.markets` lists those that are.",
            field="market",
            details={"markets": sorted(served)},
        )
    return market
