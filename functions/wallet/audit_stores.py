"""What App Store and Google Play know of purchases, in the audit's words; imported only where one is configured."""

from __future__ import annotations

from typing import Final

from functions import clock, observe
from functions.errors import OnairError
from functions.wallet import offers
from functions.wallet.app_store import MILLIUNITS_PER_CENT, AppStoreProvider
from functions.wallet.audit_receipts import Recorded, Records, UnansweredError, Voids
from functions.wallet.google_play import GooglePlayProvider

# Google tells of the last 30 days; a minute less, for clocks that differ.
VOIDED_MS: Final = 30 * 24 * 3600 * 1000 - 60_000
# Of a thousand each, by far more than a market gives back in a month; what is beyond is seen on another day or never.
PAGES_MAX: Final = 20


class AppStoreRecords:
    """Transactions of the app, each asked for by its id."""

    def __init__(self, provider: AppStoreProvider) -> None:
        self._provider = provider

    def find(self, receipt: str) -> Recorded | None:
        """See `Records`."""
        try:
            found = self._provider.known(receipt)
        except OnairError as error:
            raise UnansweredError(error.code) from error
        if found is None:
            return None
        in_dollars = found.currency == "USD" and found.price is not None
        cents = (found.price or 0) // MILLIUNITS_PER_CENT if in_dollars else None
        account = (found.appAccountToken or "").lower()
        # There is a transaction only once it was paid; money that went back is told by its own field.
        return Recorded(True, cents, account, self._provider.pack_of(found), found.revocationDate)


class GooglePlayVoids:
    """Purchases of the app that were canceled, refunded or charged back."""

    def __init__(self, provider: GooglePlayProvider) -> None:
        self._provider = provider

    def voided(self) -> dict[str, int]:
        """See `Voids`."""
        try:
            return self._provider.voided(clock.now_ms() - VOIDED_MS, PAGES_MAX)
        except OnairError as error:
            raise UnansweredError(error.code) from error


def records() -> dict[str, Records]:
    """Those that can be asked by a receipt's id."""
    apple = _provider("apple")
    return {"apple": AppStoreRecords(apple)} if isinstance(apple, AppStoreProvider) else {}


def voids() -> dict[str, Voids]:
    """Those that list what they gave back."""
    google = _provider("google")
    return {"google": GooglePlayVoids(google)} if isinstance(google, GooglePlayProvider) else {}


def _provider(name: str) -> object:
    try:
        return offers.provider(name)
    except OnairError as error:
        observe.logger.warning("receipts not compared", provider=name, why=error.code)
        return None
