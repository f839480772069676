"""Receipts against what their providers know: a sample a day of the purchases that minted coins.

Each comparison is a call to the provider, so not all are made each day: over the days every purchase has the same
chance. Stripe alone can be asked here; App Store and Google Play were asked when the receipt came, and their later word
comes by webhook.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from functions import aws, observe, settings
from functions.wallet.chain import Difference, Link
from functions.wallet.model import PurchaseDetails

# At some hundred milliseconds each they stay within a minute or two of the audit's fifteen.
SAMPLE_MAX: Final = 200
TIMEOUT_S: Final = 6.0


class Recorded(Struct, frozen=True):
    """What a provider knows of a payment."""

    paid: bool
    usd_cents: int
    account: str
    pack: str


class UnansweredError(Exception):
    """The provider did not say anything sure."""


class Records(Protocol):
    """A provider's memory."""

    def find(self, receipt: str) -> Recorded | None:
        """What is known of a receipt, None for nothing at all; raises `UnansweredError`."""
        ...


class _Intent(Struct, frozen=True):
    status: str
    amount_received: int
    currency: str
    metadata: dict[str, str] | None = None


class _Secret(Struct, frozen=True):
    secret_key: str
    api_url: str = "https://api.stripe.com"


class StripeRecords:
    """Payment intents of one account: https://docs.stripe.com/api/payment_intents/retrieve."""

    def __init__(self, secret: str) -> None:
        import stripe

        known = msgspec.json.decode(secret, type=_Secret)
        self._client = stripe.StripeClient(
            known.secret_key,
            base_addresses={"api": known.api_url},
            http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
            max_network_retries=1,
        )

    def find(self, receipt: str) -> Recorded | None:
        import stripe

        try:
            found = self._client.v1.payment_intents.retrieve(receipt)
            intent = msgspec.convert(found.to_dict(), _Intent)
        except stripe.InvalidRequestError as error:
            if error.http_status == 404:
                return None
            raise UnansweredError(error.code) from error
        except (stripe.StripeError, msgspec.ValidationError) as error:
            raise UnansweredError(type(error).__name__) from error
        told = intent.metadata or {}
        cents = intent.amount_received if intent.currency == "usd" else 0
        return Recorded(intent.status == "succeeded", cents, told.get("account", ""), told.get("pack", ""))


def configured() -> dict[str, Records]:
    """The providers of this deployment that can be asked."""
    arn = settings.optional("STRIPE_SECRET_ARN", "")
    if not arn:
        return {}
    secret: Any = aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return {"stripe": StripeRecords(str(secret))}


def check(
    records: Mapping[str, Records], chains: Iterable[tuple[str, Link]], rng: random.Random, sample_max: int = SAMPLE_MAX
) -> tuple[int, list[Difference]]:
    """Compare up to ``sample_max`` purchases, drawn at random, with their providers' records; says how many."""
    purchases = [
        (account, each)
        for account, each in chains
        if isinstance(each.details, PurchaseDetails) and each.details.provider in records
    ]
    wrong: list[Difference] = []
    compared = 0
    for account, each in rng.sample(purchases, min(sample_max, len(purchases))):
        details = each.details
        assert isinstance(details, PurchaseDetails)
        try:
            known = records[details.provider].find(details.receipt)
        except UnansweredError as error:
            observe.logger.warning("receipt not compared", provider=details.provider, why=str(error))
            continue
        compared += 1
        wrong += _compared(account, each.id, details, known)
    return compared, wrong


def _compared(account: str, transfer: str, details: PurchaseDetails, known: Recorded | None) -> list[Difference]:
    if known is None:
        text = f"{details.provider} knows nothing of {details.receipt}"
        return [Difference("receipt_unknown", account, transfer, text)]
    if not known.paid:
        return [Difference("receipt_unpaid", account, transfer, f"{details.provider} says it was not paid")]
    # Tax comes on top of what a pack costs, so more may have been paid and never less.
    if (known.account, known.pack) != (account, details.pack) or known.usd_cents < details.usd_cents:
        text = (
            f"minted {details.pack} ({details.usd_cents} cents); {details.provider} has {known.pack} "
            f"({known.usd_cents} cents) of {known.account}"
        )
        return [Difference("receipt_differs", account, transfer, text)]
    return []
