"""What the payout provider tells by itself: a transfer that was made, or taken back; each counts once, in any order."""

from __future__ import annotations

from typing import Any, Final

from functions import observe
from functions.errors import OnairError
from functions.wallet import payout_notices, payout_provider, payouts
from functions.wallet.ledger import LedgerError
from functions.wallet.payout_provider import NobodyPaysError
from functions.wallet.payouts import PayoutBook
from functions.wallet.provider import Delivery

PROVIDER: Final = "stripe"
BODY_BYTES_MAX: Final = 256 * 1024


def heard(book: PayoutBook, delivery: Delivery) -> bool:
    """Take in a delivery if it is one about a transfer to a creator; False leaves it to those who sell coins.

    Raises
    ------
    OnairError
        ``invalid_request`` (signed, and makes no sense); ``unavailable``: the provider sends again.
    """
    if len(delivery.body) > BODY_BYTES_MAX:
        return False
    try:
        desk = payout_provider.desk()
    except NobodyPaysError as error:
        if error.why == "unavailable":
            raise OnairError("unavailable") from error
        return False
    if desk.name != PROVIDER:
        return False
    from functions.wallet.stripe_transfers import StripePayouts

    assert isinstance(desk, StripePayouts)
    news = desk.heard(delivery.body, delivery.headers.get("stripe-signature"))
    if news is None:
        return False
    about: dict[str, Any] = {"payout": news.payout, "reference": news.reference, "kind": news.kind}
    try:
        if news.kind == "created":
            changed = payouts.confirmed(book, news.account, news.payout, news.reference)
        elif news.kind == "reversed":
            changed = payouts.taken_back(book, news.account, news.payout, news.reference)
        else:
            # Updated descriptions mean nothing; a part taken back is for a person, who finds it by this line.
            observe.logger.warning("transfer news for a person", **about)
            return True
        if changed:
            payout_notices.tell(book.payout(news.account, news.payout))
    except LedgerError as error:
        raise OnairError("unavailable") from error
    observe.logger.info("transfer heard", changed=changed, **about)
    return True
