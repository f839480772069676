"""Tells creators what became of their payouts: paid, or back with them. The same again tells nobody twice."""

from __future__ import annotations

from typing import Final

from functions.accounts import telling
from functions.wallet.payout_rules import Payout

TOLD: Final = frozenset({"paid", "reversed"})


def tell(payout: Payout | None) -> None:
    """Have the creator told, where the payout has come to an end."""
    if payout is None or payout.state not in TOLD:
        return
    facts = {"amount": f"{payout.net_cents // 100:,}.{payout.net_cents % 100:02d}"}
    event = f"payout.{payout.id}.{payout.state}"
    telling.order(telling.of_house("payout", payout.since, event, payout.state, facts=facts), [payout.account])
