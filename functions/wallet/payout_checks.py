"""What makes a person look at a payout before it is paid: standing, a frozen wallet, gifts from coins that went back.

Whoever buys coins with a stolen card gives them to an account of their own and asks for the diamonds before the card's
owner notices. The refund then claws coins back from the giver's wallet, which stands below zero and frozen; the
diamonds are the creator's. So before money leaves, the newest givers are looked at.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from functions.accounts import table as accounts
from functions.wallet import giving, payouts
from functions.wallet.model import SettlementDetails, Transfer
from functions.wallet.payout_rules import Payout
from functions.wallet.payouts import PayoutBook

# How far back gifts are looked at: the newest entries of the creator's chain, up to 98 gifts each.
ENTRIES_MAX: Final = 300
PAGE: Final = 100
# Of the givers in these, those who gave most: each is one read.
GIVERS_MAX: Final = 60


def doubts(book: PayoutBook, payout: Payout) -> str:
    """Why a person should look at it first; empty where nothing speaks against it. At most 65 reads."""
    account = accounts.read(payout.account)
    if account is None:
        return "account_gone"
    if account.standing != "good" or not giving.earns(account.badges):
        return "standing"
    return payouts.frozen(book, payout) or ("clawback" if clawed_back(book, payout.account) else "")


def clawed_back(book: PayoutBook, creator: str) -> int:
    """How many coins, among those newly given to ``creator``, their givers owe after refunds; never more than given."""
    given: dict[str, int] = defaultdict(int)
    for each in _newest(book, creator):
        details = each.details
        if isinstance(details, SettlementDetails):
            for one in details.given:
                given[one.account] += one.coins
    largest = sorted(given, key=lambda account: (-given[account], account))[:GIVERS_MAX]
    owed = 0
    for account in largest:
        wallet = book.wallet(account)
        if wallet is not None and wallet.coins < 0:
            owed += min(-wallet.coins, given[account])
    return owed


def _newest(book: PayoutBook, account: str) -> list[Transfer]:
    found: list[Transfer] = []
    newest: int | None = None
    while len(found) < ENTRIES_MAX:
        page = book.statement(account, newest, PAGE)
        found += page
        if len(page) < PAGE or page[-1].version == 1:
            break
        newest = page[-1].version - 1
    return found
