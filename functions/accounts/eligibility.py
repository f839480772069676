"""May this account go live now? One question, asked by the screen, on create and on start alike."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from functions import clock
from functions.accounts import markets, model, views
from functions.accounts.model import Account, Devices, Requirement
from functions.errors import OnairError


def requirements(account: Account, devices: Devices) -> Sequence[Requirement]:
    """Everything it takes, by the account's market, as of now; reads nothing."""
    market = markets.find(account.market)
    return model.requirements(account, market, devices, clock.now_ms(), markets.today(account.market))


def guard(account: Account, devices: Devices, language: str) -> None:
    """Raises ``not_eligible`` with every requirement in ``details`` unless all are met."""
    found = requirements(account, devices)
    if not model.eligible(found):
        raise OnairError("not_eligible", details=msgspec.to_builtins(views.requirement_views(found, language)))
