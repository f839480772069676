"""Stripe: Checkout sessions to pay on, their ids as proof, and signed webhooks of payments, refunds and disputes.

https://docs.stripe.com/payments/checkout/fulfill-orders, https://docs.stripe.com/webhooks and …/disputes. The receipt
is the payment intent, which sessions, charges and disputes all name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec
import stripe
from msgspec import Meta, Struct

from functions import observe, settings
from functions.errors import OnairError
from functions.wallet import catalogue, refunds
from functions.wallet.ledger import Claim
from functions.wallet.model import CoinPack
from functions.wallet.provider import (
    Checkout,
    Claimed,
    Delivery,
    Notice,
    Payment,
    Provider,
    failed,
    malformed,
    not_signed,
    refused,
)

TIMEOUT_S: Final = 6.0
RETRIES: Final = 1
# How old a signature may be; Stripe signs anew each time that it sends again.
TOLERANCE_S: Final = 300
CURRENCY: Final = "usd"
T = TypeVar("T")
# Within one second of Stripe's clock, what is later in a matter's life wins.
_RANKS: Final = 2**20
PAID_EVENTS: Final = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
REFUND_EVENTS: Final = frozenset({"refund.failed", "refund.updated", "charge.refund.updated"})
# Inquiries hold back no money; a dispute that was won or prevented gives it back.
NOTHING_TAKEN: Final = frozenset(
    {"won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed"}
)
CLOSED: Final = frozenset({"won", "lost", "prevented", "warning_closed"})


class StripeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The secret's JSON.

    Parameters
    ----------
    secret_key : str
        ``sk_`` or ``rk_``; a live key takes live payments and only those, a test key test payments.
    webhook_secret : str
        The signing secret of the webhook's endpoint (``whsec_``).
    success_url, cancel_url : str
        Where Checkout leads back to; empty: the page, with ``purchase`` in its query.
    """

    secret_key: Annotated[str, Meta(pattern="^(sk|rk)_(live|test)_")]
    webhook_secret: Annotated[str, Meta(pattern="^whsec_")]
    success_url: str = ""
    cancel_url: str = ""
    api_url: str = "https://api.stripe.com"


class Session(Struct, frozen=True):
    """What we read of a Checkout session."""

    id: str
    livemode: bool
    mode: str
    payment_status: str
    amount_subtotal: int | None = None
    currency: str | None = None
    payment_intent: str | None = None
    url: str | None = None
    metadata: dict[str, str] | None = None


class Charge(Struct, frozen=True):
    """What we read of a charge; the metadata is that of its payment intent."""

    id: str
    amount: int
    amount_refunded: int
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None


class Dispute(Struct, frozen=True):
    """What we read of a dispute."""

    id: str
    amount: int
    status: str
    charge: str


class Refund(Struct, frozen=True):
    """What we read of a refund."""

    charge: str | None = None


class _Data(Struct, frozen=True):
    object: msgspec.Raw


class _Event(Struct, frozen=True):
    type: str
    created: int
    livemode: bool
    data: _Data


class StripeProvider(Provider):
    """Payments to one Stripe account."""

    name = "stripe"

    def __init__(self, secret: StripeSettings) -> None:
        self._secret = secret
        self._live = "_live_" in secret.secret_key
        self._client = stripe.StripeClient(
            secret.secret_key,
            base_addresses={"api": secret.api_url},
            http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
            max_network_retries=RETRIES,
        )

    def verify(self, account: str, pack: CoinPack, proof: str) -> str:
        if not proof.startswith("cs_") or not proof.isascii() or not proof.replace("_", "").isalnum():
            raise refused(self.name, "forged", account=account)
        found = self._asked("read a session", lambda: self._client.v1.checkout.sessions.retrieve(proof), Session)
        payment = self._payment(found)
        if payment.account != account:
            raise refused(self.name, "wrong_account", receipt=payment.receipt, account=account)
        if payment.pack != pack.id:
            raise refused(self.name, "wrong_product", receipt=payment.receipt, pack=pack.id, bought=payment.pack)
        return payment.receipt

    def checkout(self, account: str, pack: CoinPack, key: str) -> Checkout:
        metadata = {"account": account, "pack": pack.id}
        page = settings.required("WEB_URL")
        found = self._asked(
            "make a session",
            lambda: self._client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "client_reference_id": account,
                    "metadata": metadata,
                    "payment_intent_data": {"metadata": metadata},
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": CURRENCY,
                                "unit_amount": pack.usd_cents,
                                "product_data": {"name": f"{pack.coins} coins"},
                            },
                        }
                    ],
                    "success_url": self._secret.success_url or f"{page}/?purchase={{CHECKOUT_SESSION_ID}}",
                    "cancel_url": self._secret.cancel_url or f"{page}/?purchase=cancelled",
                },
                {"idempotency_key": key},
            ),
            Session,
        )
        if found.url is None:
            raise failed(self.name, "make a session", "no address")
        return Checkout(found.id, found.url)

    def hear(self, delivery: Delivery) -> list[Notice]:
        try:
            text = delivery.body.decode()
            check: Any = stripe.WebhookSignature.verify_header
            check(text, delivery.headers.get("stripe-signature"), self._secret.webhook_secret, TOLERANCE_S)
        except (stripe.SignatureVerificationError, ValueError) as error:
            raise not_signed(self.name, type(error).__name__) from None
        told = self._read(text, _Event)
        if told.livemode != self._live:
            raise refused(self.name, "wrong_environment", kind=told.type, livemode=told.livemode)
        if told.type in PAID_EVENTS:
            return self._paid(self._read(told.data.object, Session))
        if told.type == "charge.refunded":
            return self._refunded(self._read(told.data.object, Charge), told.created)
        if told.type in REFUND_EVENTS:
            # A refund that failed after all lowers what its charge has refunded; only the charge tells the sum.
            charge = self._read(told.data.object, Refund).charge
            return [] if charge is None else self._refunded(self._charge(charge), told.created)
        if told.type.startswith("charge.dispute."):
            return self._disputed(self._read(told.data.object, Dispute), told.created)
        observe.logger.info("event ignored", provider=self.name, kind=told.type)
        return []

    def _paid(self, session: Session) -> list[Notice]:
        if "pack" not in (session.metadata or {}):
            observe.logger.info("session of no pack", provider=self.name)
            return []
        if session.payment_status != "paid":
            observe.logger.info("session not paid yet", provider=self.name, session=session.id)
            return []
        return [self._payment(session)]

    def _payment(self, session: Session) -> Payment:
        metadata = session.metadata or {}
        about = {"session": session.id, "receipt": session.payment_intent}
        if session.livemode != self._live:
            raise refused(self.name, "wrong_environment", **about)
        pack = catalogue.coin_packs().get(metadata.get("pack", ""))
        if pack is None or session.mode != "payment":
            raise refused(self.name, "wrong_product", **about)
        if not metadata.get("account"):
            raise refused(self.name, "wrong_account", **about)
        if session.payment_status != "paid" or session.payment_intent is None:
            raise refused(self.name, "not_paid", **about)
        # The subtotal: tax comes on top of what a pack costs.
        if session.amount_subtotal != pack.usd_cents or session.currency != CURRENCY:
            raise refused(self.name, "wrong_amount", amount=session.amount_subtotal, **about)
        return Payment(session.payment_intent, metadata["account"], pack.id)

    def _refunded(self, charge: Charge, created: int) -> list[Notice]:
        part = _part(charge.amount_refunded, charge.amount)
        return self._claimed(charge, Claim("refund", part, created * _RANKS + part))

    def _disputed(self, dispute: Dispute, created: int) -> list[Notice]:
        charge = self._charge(dispute.charge)
        part = 0 if dispute.status in NOTHING_TAKEN else _part(dispute.amount, charge.amount)
        rank = int(dispute.status in CLOSED)
        return self._claimed(charge, Claim(f"dispute#{dispute.id}", part, created * _RANKS + rank))

    def _claimed(self, charge: Charge, claim: Claim) -> list[Notice]:
        if charge.payment_intent is None or "pack" not in (charge.metadata or {}):
            observe.logger.info("charge of no pack", provider=self.name, charge=charge.id)
            return []
        return [Claimed(charge.payment_intent, claim)]

    def _charge(self, charge_id: str) -> Charge:
        return self._asked("read a charge", lambda: self._client.v1.charges.retrieve(charge_id), Charge)

    def _read(self, text: str | msgspec.Raw, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(text, type=kind)
        except ValueError:
            raise malformed(self.name, kind.__name__) from None

    def _asked(self, doing: str, ask: Callable[[], Any], kind: type[T]) -> T:
        try:
            return msgspec.convert(ask().to_dict(), kind)
        except stripe.IdempotencyError:
            raise OnairError("id_reused", field="Idempotency-Key") from None
        except stripe.InvalidRequestError as error:
            if error.http_status == 404:
                raise refused(self.name, "forged", doing=doing) from None
            raise failed(self.name, doing, error.code) from None
        except stripe.StripeError as error:
            raise failed(self.name, doing, type(error).__name__) from None
        except msgspec.ValidationError as error:
            raise failed(self.name, doing, error) from None


def _part(amount: int, whole: int) -> int:
    if whole <= 0:
        return refunds.WHOLE
    return min(refunds.WHOLE, -(-amount * refunds.WHOLE // whole))
