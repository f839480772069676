"""One wallet's chain, verified: seals, links, versions, times, balances, remainders and the head it leads to."""

from __future__ import annotations

from msgspec import Struct

from functions.wallet.model import (
    MILLI,
    Details,
    GiftDetails,
    PastTransfer,
    SettlementDetails,
    Unit,
    Wallet,
    creator_account,
    seal,
    wallet_account,
)


class Difference(Struct, frozen=True):
    """Something that should not be: what kind, whose, at which transfer, and the sentence about it."""

    name: str
    account: str
    transfer: str
    text: str


class Link(Struct, frozen=True, gc=False):
    """What checks need of a transfer; ``creator`` and ``share_milli`` are those of a gift."""

    id: str
    version: int
    at: int
    unit: Unit
    signed: int
    balance_after: int
    previous_hash: str
    hash: str
    sealed: bool
    directed: bool
    details: Details
    creator: str | None
    share_milli: int
    settlement: str | None


def link(past: PastTransfer) -> Link:
    """The link that a transfer is; its seal and its direction are checked here."""
    each = past.transfer
    own = wallet_account(each.account)
    gift = each.details if isinstance(each.details, GiftDetails) else None
    creator = each.credit.removeprefix(creator_account("")) if gift is not None else None
    return Link(
        id=each.id,
        version=each.version,
        at=each.at,
        unit=each.unit,
        signed=each.signed_amount(),
        balance_after=each.balance_after,
        previous_hash=each.previous_hash,
        hash=each.hash,
        sealed=seal(each) == each.hash,
        directed=each.amount >= 0 and (each.debit == own) != (each.credit == own),
        details=each.details,
        creator=creator,
        share_milli=gift.share_milli if gift is not None else 0,
        settlement=past.settlement,
    )


def verify(account: str, wallet: Wallet | None, links: list[Link]) -> list[Difference]:
    """Every difference in a chain, ``links`` in the order of their versions."""
    wrong: list[Difference] = []

    def differs(name: str, transfer: str, text: str) -> None:
        wrong.append(Difference(name, account, transfer, text))

    replayed = Wallet(account)
    for each in links:
        if not each.sealed:
            differs("entry_changed", each.id, "its hash is not that of its content")
        if not each.directed:
            differs("entry_misdirected", each.id, "it does not move an amount into or out of its wallet")
        if each.version > replayed.version + 1:
            differs("entry_missing", each.id, f"versions {replayed.version + 1} to {each.version - 1} are not there")
        elif each.version <= replayed.version:
            differs("version_doubled", each.id, f"version {each.version} is there twice")
        elif each.previous_hash != replayed.hash:
            differs("chain_broken", each.id, "it does not follow the entry before it")
        if each.at < replayed.at:
            differs("time_ran_back", each.id, f"{each.at} lies before {replayed.at}")
        coins = replayed.coins + (each.signed if each.unit == "coins" else 0)
        diamonds = replayed.diamonds + (each.signed if each.unit == "diamonds" else 0)
        carried = replayed.carried_milli
        if each.balance_after != (coins if each.unit == "coins" else diamonds):
            differs("balance_differs", each.id, f"tells {each.balance_after} {each.unit} and its chain another sum")
        if isinstance(each.details, SettlementDetails):
            rest = carried + each.details.share_milli - each.signed * MILLI
            if rest != each.details.carried_milli or not 0 <= rest < MILLI:
                differs("remainder_differs", each.id, f"carries {each.details.carried_milli}, and {rest} is left")
            carried = each.details.carried_milli
        replayed = Wallet(account, coins, diamonds, carried, each.version, each.hash, each.at)
    if wallet is None:
        differs("wallet_missing", "", "there are transfers but no wallet")
        return wrong
    fields = ("coins", "diamonds", "carried_milli", "version", "hash", "at")
    for name in fields:
        told, summed = getattr(wallet, name), getattr(replayed, name)
        if told != summed:
            differs("head_differs", "", f"{name} is {told}, and by its chain {summed}")
    if wallet.coins < 0 and not wallet.frozen:
        differs("overdrawn", "", f"{wallet.coins} coins and not frozen")
    return wrong
