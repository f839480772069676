"""Refunds and disputes: coins taken back with their payment, given back when that is reversed, each once, in any order.

A provider's word about a payment is a `Claim` in one matter. The receipt holds the newest claim of each matter and how
many coins were taken back; a posting moves both together, so that what was taken always fits what is claimed.
"""

from __future__ import annotations

import random
from typing import Final

from msgspec.structs import replace

from functions import clock
from functions.errors import OnairError
from functions.wallet import ledger, model
from functions.wallet.ledger import Claim, Ledger, LedgerError, Posting, Receipt
from functions.wallet.model import RefundDetails, Transfer, Wallet

WHOLE: Final = 1_000_000
# A payment has one refund and few disputes; more matters than this on one receipt are nonsense.
MATTERS_MAX: Final = 20


def refund(wallet: Wallet, *, provider: str, receipt: str, step: int, coins: int, at: int) -> tuple[Wallet, Transfer]:
    """Take back coins whose payment was refunded, whether they are still there or not.

    Parameters
    ----------
    step : int
        Tells the changes of one receipt apart, so that each is posted once.
    coins : int
        What leaves the wallet; negative when a refund was itself reversed and coins come back.
    """
    assert coins != 0
    own, house = model.wallet_account(wallet.account), model.house_account(provider)
    after, transfer = model.post(
        wallet,
        id=f"refund#{provider}#{receipt}#{step}",
        debit=own if coins > 0 else house,
        credit=house if coins > 0 else own,
        unit="coins",
        amount=abs(coins),
        reason="refund" if coins > 0 else "refund_reversed",
        reference=receipt,
        at=at,
        details=RefundDetails(provider=provider, receipt=receipt, step=step),
    )
    # Whoever owes coins may not spend until they are paid back.
    return replace(after, frozen=after.coins < 0), transfer


def claimed_millionths(claims: tuple[Claim, ...]) -> int:
    """The part of a payment that its payer has back or demands, in all matters together; never more than all of it."""
    return min(WHOLE, sum(each.millionths for each in claims))


def claimed_coins(minted: int, claims: tuple[Claim, ...]) -> int:
    """How many of ``minted`` coins go back with that; rounded up, in the ledger's favour."""
    return -(-minted * claimed_millionths(claims) // WHOLE)


def claim(book: Ledger, provider: str, receipt_id: str, news: Claim | None, rng: random.Random | None = None) -> int:
    """Bring a receipt in line with what its provider claims; the same claim, or an older one, changes nothing.

    Parameters
    ----------
    news : Claim | None
        None brings a purchase in line with claims that came before it.

    Returns
    -------
    int
        The coins that this call took back (negative: gave back).

    Raises
    ------
    OnairError
        ``unavailable`` when the ledger stays busy: the provider sends again.
    """
    assert news is None or 0 <= news.millionths <= WHOLE
    for _ in ledger.attempts(rng or random.Random()):
        try:
            found = book.receipt(provider, receipt_id)
            claims = _with(() if found is None else found.claims, news)
            if found is None or not found.transfer:
                if claims != (() if found is None else found.claims):
                    book.keep(_next(found or Receipt(provider, receipt_id, "", "", ""), found, claims, 0))
                return 0
            purchase = book.transfer(found.account, found.transfer)
            assert purchase is not None, "receipt and transfer are written together"
            target = claimed_coins(purchase.transfer.amount, claims)
            owed = target - found.clawed
            changed = _next(found, found, claims, target)
            if owed == 0:
                if claims != found.claims:
                    book.keep(changed)
                return 0
            before = book.wallet(found.account)
            assert before is not None, "a wallet with a purchase exists"
            after, transfer = refund(
                before, provider=provider, receipt=receipt_id, step=changed.revision, coins=owed, at=clock.now_ms()
            )
            book.write(Posting(before=before, after=after, transfer=transfer, receipt=changed))
            return owed
        except LedgerError:
            continue  # the receipt, read first, tells what became of it
    raise OnairError("unavailable")


def _with(claims: tuple[Claim, ...], news: Claim | None) -> tuple[Claim, ...]:
    if news is None:
        return claims
    known = next((each for each in claims if each.matter == news.matter), None)
    if known is not None and known.order >= news.order:
        return claims
    rest = tuple(each for each in claims if each.matter != news.matter)
    assert len(rest) < MATTERS_MAX
    return (*rest, news)


def _next(receipt: Receipt, found: Receipt | None, claims: tuple[Claim, ...], clawed: int) -> Receipt:
    return replace(receipt, claims=claims, clawed=clawed, revision=0 if found is None else found.revision + 1)
