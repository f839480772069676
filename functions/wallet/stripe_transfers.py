"""Stripe Connect: creators' Express accounts, their onboarding, transfers to them, and signed events of these.

https://docs.stripe.com/connect/separate-charges-and-transfers, https://docs.stripe.com/connect/express-accounts and
https://docs.stripe.com/api/idempotent_requests. A transfer's group and metadata name its payout, so that it is found
again when its answer was lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec
import stripe
from msgspec import Meta, Struct

from functions import ids, observe
from functions.errors import OnairError
from functions.wallet.payout_provider import PayeeStatus
from functions.wallet.payout_rules import Payout
from functions.wallet.payouts import PayoutRefusedError, PayoutUnknownError

# A worker makes two calls at most, a route one: both stay inside their own time.
TIMEOUT_S: Final = 8.0
# How old a signature may be; Stripe signs anew each time that it sends again.
TOLERANCE_S: Final = 300
CURRENCY: Final = "usd"
# Refusals that say something about us or the moment, not about the payee: nothing is paid, and it is worth another try.
# https://docs.stripe.com/error-codes
_NOT_THE_PAYEE: Final = frozenset(
    {"balance_insufficient", "lock_timeout", "rate_limit", "idempotency_key_in_use", "platform_api_key_expired"}
)
T = TypeVar("T")


class StripePayoutSettings(Struct, frozen=True):
    """The secret's JSON.

    Parameters
    ----------
    secret_key : str
        ``sk_`` or ``rk_`` of the platform, with Connect switched on.
    webhook_secret : str
        The signing secret of the webhook's endpoint (``whsec_``) that sends ``transfer.*``.
    """

    secret_key: Annotated[str, Meta(pattern="^(sk|rk)_(live|test)_")]
    webhook_secret: Annotated[str, Meta(pattern="^whsec_")]
    api_url: str = "https://api.stripe.com"


class Transfer(Struct, frozen=True):
    """What we read of a transfer."""

    id: str
    amount: int
    amount_reversed: int = 0
    metadata: dict[str, str] | None = None


class _Transfers(Struct, frozen=True):
    data: list[Transfer]
    has_more: bool = False


class _Requirements(Struct, frozen=True):
    currently_due: list[str] | None = None


class _Account(Struct, frozen=True):
    id: str
    payouts_enabled: bool = False
    capabilities: dict[str, str] | None = None
    requirements: _Requirements | None = None


class _Link(Struct, frozen=True):
    url: str


class _Data(Struct, frozen=True):
    object: msgspec.Raw


class _Event(Struct, frozen=True):
    type: str
    livemode: bool
    data: _Data


class TransferNews(Struct, frozen=True):
    """What an event tells of one of our transfers."""

    account: str
    payout: str
    reference: str
    kind: str


class StripePayouts:
    """Transfers from one platform account."""

    name = "stripe"

    def __init__(self, secret: StripePayoutSettings) -> None:
        self._secret = secret
        self._live = "_live_" in secret.secret_key
        self._client = stripe.StripeClient(
            secret.secret_key,
            base_addresses={"api": secret.api_url},
            http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
            # None of its own: each further try goes through the payout's state, which asks first what is known.
            max_network_retries=0,
        )

    def pay(self, payout: Payout) -> str:
        about = {"payout": payout.id, "account": payout.account}
        made = self._said(
            lambda: self._client.v1.transfers.create(
                {
                    "amount": payout.net_cents,
                    "currency": CURRENCY,
                    "destination": payout.destination,
                    "transfer_group": payout.id,
                    "metadata": about,
                },
                {"idempotency_key": payout.id},
            ),
            Transfer,
        )
        return made.id

    def find(self, payout: Payout) -> str | None:
        found = self._said(
            lambda: self._client.v1.transfers.list({"transfer_group": payout.id, "limit": 100}), _Transfers
        )
        for each in found.data:
            if (each.metadata or {}).get("payout") == payout.id:
                return each.id
        return None

    def open_account(self, account: str, country: str) -> str:
        made = self._asked(
            "open an account",
            lambda: self._client.v1.accounts.create(
                {
                    "type": "express",
                    "country": country,
                    "capabilities": {"transfers": {"requested": True}},
                    "metadata": {"account": account},
                },
                # Also after Stripe forgot the key nothing is lost: the one made first is kept in the profile.
                {"idempotency_key": ids.derived(account, "payee", country)},
            ),
            _Account,
            field="country",
        )
        return made.id

    def onboarding(self, destination: str, back_url: str) -> str:
        made = self._asked(
            "make a link",
            lambda: self._client.v1.account_links.create(
                {
                    "account": destination,
                    "type": "account_onboarding",
                    "return_url": back_url,
                    "refresh_url": back_url,
                }
            ),
            _Link,
        )
        return made.url

    def status(self, destination: str) -> PayeeStatus:
        found = self._asked("read an account", lambda: self._client.v1.accounts.retrieve(destination), _Account)
        transfers = (found.capabilities or {}).get("transfers") == "active"
        due = found.requirements.currently_due if found.requirements is not None else None
        return PayeeStatus(transfers and found.payouts_enabled, tuple(due or ()))

    def heard(self, body: bytes, signature: str | None) -> TransferNews | None:
        """What an event tells of a transfer of ours; None for one of something else, or not signed with our secret."""
        try:
            text = body.decode()
            check: Any = stripe.WebhookSignature.verify_header
            check(text, signature, self._secret.webhook_secret, TOLERANCE_S)
        except (stripe.SignatureVerificationError, ValueError):
            return None
        try:
            told = msgspec.json.decode(text, type=_Event)
            if not told.type.startswith("transfer.") or told.livemode != self._live:
                return None
            transfer = msgspec.json.decode(told.data.object, type=Transfer)
        except ValueError:
            raise OnairError("invalid_request", "This delivery cannot be read.") from None
        metadata = transfer.metadata or {}
        if "payout" not in metadata or "account" not in metadata:
            return None
        kind = told.type.removeprefix("transfer.")
        if kind == "reversed" and transfer.amount_reversed < transfer.amount:
            # A part came back: no rule knows what that means, so a person must.
            kind = "reversed_in_part"
        return TransferNews(metadata["account"], metadata["payout"], transfer.id, kind)

    def _said(self, ask: Callable[[], Any], kind: type[T]) -> T:
        """An answer about money: refused for good, or nothing sure."""
        try:
            return msgspec.convert(ask().to_dict(), kind)
        except stripe.InvalidRequestError as error:
            code = error.code or "invalid_request"
            if error.http_status != 400 or code in _NOT_THE_PAYEE:
                observe.logger.error("payout provider refuses us", code=code, status=error.http_status)
                raise PayoutUnknownError(code) from error
            raise PayoutRefusedError(code) from error
        except stripe.StripeError as error:
            observe.logger.error("payout provider failed", kind=type(error).__name__, status=error.http_status)
            raise PayoutUnknownError(type(error).__name__) from error
        except msgspec.ValidationError as error:
            raise PayoutUnknownError("unreadable") from error

    def _asked(self, doing: str, ask: Callable[[], Any], kind: type[T], field: str = "") -> T:
        try:
            return msgspec.convert(ask().to_dict(), kind)
        except stripe.InvalidRequestError as error:
            observe.logger.error("payout provider refuses", doing=doing, code=error.code)
            if field and error.http_status == 400:
                raise OnairError("invalid_request", "Nobody can be paid there.", field=field) from None
            raise OnairError("unavailable") from None
        except (stripe.StripeError, msgspec.ValidationError) as error:
            observe.logger.error("payout provider failed", doing=doing, kind=type(error).__name__)
            raise OnairError("unavailable") from None
