"""The port to those who take money for coins: what a provider can be asked, what it tells, and how it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from functions import observe
from functions.errors import OnairError
from functions.wallet.ledger import Claim
from functions.wallet.model import CoinPack

# Why a purchase is refused: `details.reason` of `purchase_refused`, stable for clients and for whoever reads the log.
Reason = Literal[
    "forged",
    "wrong_app",
    "wrong_environment",
    "wrong_product",
    "wrong_amount",
    "wrong_account",
    "not_paid",
    "refunded",
]


class Payment(Struct, frozen=True):
    """Somebody paid: the receipt's id, for whose wallet, which pack, and the proof where `Provider.finish` needs it."""

    receipt: str
    account: str
    pack: str
    proof: str = ""


class Claimed(Struct, frozen=True):
    """A payer has money back, demands it, or lost that demand."""

    receipt: str
    claim: Claim


class ConsumptionAsked(Struct, frozen=True):
    """A provider decides about a refund and asks how much of the purchase was used."""

    receipt: str


Notice = Payment | Claimed | ConsumptionAsked


class Delivery(Struct, frozen=True):
    """A webhook as it arrived: header names in lower case, and the body's bytes, which its signature covers."""

    headers: Mapping[str, str]
    body: bytes


class Checkout(Struct, frozen=True):
    """A page of the provider where the pack is paid; ``id`` is the proof to send to ``POST /purchases`` afterwards."""

    id: str
    url: str


class Provider:
    """Somebody who takes money and tells us so. Each method may raise ``unavailable`` when the provider fails."""

    name: str

    def verify(self, account: str, pack: CoinPack, proof: str) -> str:
        """The receipt's id, the same for the same payment for ever.

        Raises
        ------
        OnairError
            ``purchase_refused`` with its reason: forged, of another app, environment, product, amount or account, not
            paid, refunded; ``invalid_request`` for a proof that is none.
        """
        raise NotImplementedError

    def finish(self, pack_id: str, proof: str) -> None:
        """Tell the provider that the coins were handed out; safe to repeat."""

    def hear(self, delivery: Delivery) -> list[Notice]:  # noqa: ARG002 -- the port's shape
        """What a webhook tells; raises ``unauthenticated`` unless the provider signed it."""
        raise OnairError("not_found", f"{self.name} sends nothing here.")

    def checkout(self, account: str, pack: CoinPack, key: str) -> Checkout:  # noqa: ARG002 -- the port's shape
        """A page to pay on; the same ``key`` gives the same page."""
        raise OnairError("invalid_request", "This provider has no page to pay on.", field="provider")

    def tell_consumption(self, receipt: str, consumed_permille: int) -> None:
        """Answer `ConsumptionAsked`: how much of the purchase was used, in thousandths."""


def refused(provider: str, reason: Reason, **about: Any) -> OnairError:
    """The refusal of a purchase, logged with what it is ``about``; no proof goes into the log."""
    observe.logger.warning("purchase refused", provider=provider, reason=reason, **about)
    return OnairError("purchase_refused", details={"reason": reason})


def not_signed(provider: str, why: str) -> OnairError:
    """The refusal of a webhook that its provider did not sign, logged."""
    observe.logger.warning("webhook refused", provider=provider, reason="forged", why=why)
    return OnairError("unauthenticated", "This delivery is not signed by its provider.")


def malformed(provider: str, why: str) -> OnairError:
    """The refusal of a signed webhook that makes no sense, logged."""
    observe.logger.error("webhook malformed", provider=provider, why=why)
    return OnairError("invalid_request", "This delivery cannot be read.")


def failed(provider: str, doing: str, why: object) -> OnairError:
    """A provider that did not answer, or not sensibly: to be tried again by whoever asked."""
    observe.logger.error("provider failed", provider=provider, doing=doing, why=str(why)[:300])
    return OnairError("unavailable")
