"""What providers tell by themselves: payments that nobody brought, refunds, disputes, questions; each settled once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from functions import observe
from functions.errors import OnairError
from functions.wallet import catalogue, ledger, offers, purchases, refunds
from functions.wallet.ledger import Ledger, LedgerError
from functions.wallet.provider import Claimed, ConsumptionAsked, Delivery, Payment, Provider

# A notification with two signed transactions takes about 20 KB, a charge with everything in it less than 100.
BODY_BYTES_MAX: Final = 256 * 1024
PERMILLE: Final = 1000


def hear(
    book: Ledger,
    name: str,
    delivery: Delivery,
    offered: Mapping[str, Provider] | None = None,
    rng: random.Random | None = None,
) -> None:
    """Take in one webhook; the same one again, or one that was overtaken, changes nothing.

    Raises
    ------
    OnairError
        ``not_found`` (no such provider here), ``unauthenticated`` (not signed by it), ``purchase_refused``,
        ``conflict``, ``invalid_request``, ``too_large``; ``unavailable``: whoever sent it should send it again.
    """
    if len(delivery.body) > BODY_BYTES_MAX:
        raise OnairError("too_large", details={"bytes_max": BODY_BYTES_MAX})
    provider = offers.provider(name) if offered is None else offered.get(name)
    if provider is None:
        raise OnairError("not_found", "There is no such route.")
    for notice in provider.hear(delivery):
        if isinstance(notice, Payment):
            pack = catalogue.coin_pack(notice.pack)
            purchases.mint(book, provider.name, notice.receipt, notice.account, pack, rng)
            provider.finish(pack.id, notice.proof)
            observe.logger.info("payment heard", provider=name, receipt=notice.receipt, account=notice.account)
        elif isinstance(notice, Claimed):
            taken = refunds.claim(book, provider.name, notice.receipt, notice.claim, rng)
            observe.logger.info(
                "claim heard",
                provider=name,
                receipt=notice.receipt,
                matter=notice.claim.matter,
                millionths=notice.claim.millionths,
                coins_taken=taken,
            )
        else:
            _answer_consumption(book, provider, notice, rng)


def _answer_consumption(book: Ledger, provider: Provider, asked: ConsumptionAsked, rng: random.Random | None) -> None:
    for _ in ledger.attempts(rng or random.Random()):
        try:
            receipt = book.receipt(provider.name, asked.receipt)
            if receipt is None or not receipt.transfer:
                observe.logger.info("consumption of an unknown purchase", provider=provider.name, receipt=asked.receipt)
                return
            purchase = book.transfer(receipt.account, receipt.transfer)
            wallet = book.wallet(receipt.account)
        except LedgerError:
            continue
        assert purchase is not None
        assert wallet is not None
        # Coins are alike: those of this purchase count as used as far as the wallet holds fewer than it brought.
        bought = purchase.transfer.amount
        left = min(bought, max(0, wallet.coins))
        provider.tell_consumption(asked.receipt, (bought - left) * PERMILLE // bought)
        return
    raise OnairError("unavailable")
