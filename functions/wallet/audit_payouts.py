"""Payouts, audited: each was reserved once, for its amount, and its diamonds came back exactly if it was reversed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from functions.wallet.chain import Difference, Link
from functions.wallet.model import PayoutDetails, ReversalDetails
from functions.wallet.payout_rules import Payout

Read = Callable[[str, str], Payout | None]


def check(read: Read, chains: Mapping[str, list[Link]], scanned: Mapping[tuple[str, str], Payout]) -> list[Difference]:
    """Every difference between payouts and the entries of their creators' chains.

    Parameters
    ----------
    read : Read
        A payout as of now: a scan is no snapshot, so what looks wrong is read again.
    """
    reserved: dict[tuple[str, str], Link] = {}
    returned: dict[tuple[str, str], Link] = {}
    for account, links in chains.items():
        for each in links:
            if isinstance(each.details, PayoutDetails):
                reserved[account, each.details.payout] = each
            elif isinstance(each.details, ReversalDetails):
                returned[account, each.details.payout] = each
    wrong: list[Difference] = []
    for key in sorted(reserved.keys() | returned.keys() | scanned.keys()):
        found = _compared(key, scanned.get(key), reserved.get(key), returned.get(key))
        if found:
            # Younger than the chains as they were read, or really wrong: as of now the two must fit.
            wrong += _compared(key, read(*key), reserved.get(key), returned.get(key))
    return wrong


def _compared(key: tuple[str, str], payout: Payout | None, reserve: Link | None, back: Link | None) -> list[Difference]:
    account, payout_id = key
    name = f"payout#{payout_id}"
    if payout is None:
        return [Difference("payout_missing", account, name, "diamonds were put aside for a payout that is not there")]
    if reserve is None:
        return [Difference("payout_unfounded", account, name, f"{payout.state}, and nothing was put aside for it")]
    wrong: list[Difference] = []
    told = (payout.diamonds, payout.cents, payout.withheld_cents, payout.withheld_permille)
    details = reserve.details
    assert isinstance(details, PayoutDetails)
    kept = (-reserve.signed, details.cents, details.withheld_cents, details.withheld_permille)
    if told != kept:
        wrong.append(Difference("payout_changed", account, name, f"says {told}, and its entry {kept}"))
    if payout.state == "reversed" and back is None:
        wrong.append(Difference("reversal_missing", account, name, "reversed, and its diamonds did not come back"))
    if payout.state != "reversed" and back is not None:
        wrong.append(Difference("reversal_unfounded", account, name, f"{payout.state}, and its diamonds came back"))
    if back is not None and back.signed != -reserve.signed:
        wrong.append(Difference("reversal_differs", account, name, f"{back.signed} of {-reserve.signed} came back"))
    if payout.state == "paid" and not payout.reference:
        wrong.append(Difference("payout_unproved", account, name, "paid, without the provider's reference"))
    return wrong
