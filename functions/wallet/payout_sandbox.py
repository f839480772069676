"""A payout provider that moves no money: for the local stack and for stages where nobody is paid.

What becomes of a payout is chosen by its amount (`OUTCOMES`). It keeps nothing, so it works over many functions and
restarts: whatever was asked to be paid once counts as paid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Literal

from functions.wallet.payout_provider import PayeeStatus
from functions.wallet.payout_rules import Payout
from functions.wallet.payouts import PayoutRefusedError, PayoutUnknownError

NAME: Final = "sandbox"
# Diamonds → what happens: refused, or paid without an answer, so that the next look finds it. All else is paid at once.
OUTCOMES: Final[Mapping[int, Literal["refused", "unanswered"]]] = {2_002: "refused", 2_004: "unanswered"}


class SandboxPayouts:
    """Pays, refuses, or pays without an answer."""

    name = NAME

    def pay(self, payout: Payout) -> str:
        outcome = OUTCOMES.get(payout.diamonds)
        if outcome == "refused":
            raise PayoutRefusedError("account_closed")
        if outcome == "unanswered":
            raise PayoutUnknownError("the sandbox paid and does not say so")
        return _reference(payout)

    def find(self, payout: Payout) -> str | None:
        return None if OUTCOMES.get(payout.diamonds) == "refused" else _reference(payout)

    def open_account(self, account: str, country: str) -> str:
        return f"sandbox_{hashlib.sha256(f'{account}/{country}'.encode()).hexdigest()[:16]}"

    def onboarding(self, destination: str, back_url: str) -> str:  # noqa: ARG002 -- the port's shape
        return back_url

    def status(self, destination: str) -> PayeeStatus:  # noqa: ARG002 -- the port's shape
        return PayeeStatus(True)


def _reference(payout: Payout) -> str:
    return f"sandbox_{payout.id}"
