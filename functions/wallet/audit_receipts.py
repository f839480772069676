"""Receipts against what their providers know: a sample a day of the purchases that minted coins.

Each comparison is a call to the provider, so not all are made each day: over the days every purchase has the same
chance. Stripe and App Store are asked by the receipt's id. Google Play and Stripe are also asked the other way round:
of all whose money they gave back in the last 30 days, does the ledger know? (Of a purchase on Google Play the ledger
keeps no token, only its hash, so that is all that can be asked there.)
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from itertools import islice
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from functions import aws, clock, observe, settings
from functions.wallet.chain import Difference, Link
from functions.wallet.model import PurchaseDetails

# At some hundred milliseconds each they stay within a minute or two of the audit's fifteen.
SAMPLE_MAX: Final = 200
TIMEOUT_S: Final = 6.0
SILENT_MAX: Final = 3
TOLD_WITHIN_MS: Final = 2 * 24 * 3600 * 1000
# As far back as Google tells, and by far more than a month gives back; what is beyond is seen on another day or never.
GIVEN_BACK_S: Final = 30 * 24 * 3600
GIVEN_BACK_MAX: Final = 5_000
PAGE_SIZE: Final = 100
# A dispute takes the money until it is decided, unless it is only an inquiry (stripe_checkout.py).
DISPUTES_THAT_TAKE: Final = frozenset({"needs_response", "under_review", "lost"})


class Recorded(Struct, frozen=True):
    """What a provider knows of a payment; ``usd_cents`` is None in another currency, whose prices are not ours."""

    paid: bool
    usd_cents: int | None
    account: str
    pack: str
    refunded_ms: int | None = None


class UnansweredError(Exception):
    """The provider did not say anything sure."""


class Records(Protocol):
    """A provider's memory."""

    def find(self, receipt: str) -> Recorded | None:
        """What is known of a receipt, None for nothing at all; raises `UnansweredError`."""
        ...


class Voids(Protocol):
    """A provider's list of payments that it gave back."""

    def voided(self) -> dict[str, int]:
        """Receipts whose money went back lately, and when (ms); raises `UnansweredError`."""
        ...


class _Intent(Struct, frozen=True):
    status: str
    amount_received: int
    currency: str
    metadata: dict[str, str] | None = None


class _Back(Struct, frozen=True):
    """A refund or a dispute."""

    status: str
    created: int
    payment_intent: str | None = None


class _Secret(Struct, frozen=True):
    secret_key: str
    api_url: str = "https://api.stripe.com"


class StripeRecords:
    """Payments of one account, and what was given back of them; `Records` and `Voids` alike.

    https://docs.stripe.com/api/payment_intents/retrieve, …/refunds/list and …/disputes/list.
    """

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

    def voided(self) -> dict[str, int]:
        """See `Voids`; a payment that was disputed and refunded counts from the earlier of both."""
        since: Any = {"created": {"gte": clock.now_ms() // 1000 - GIVEN_BACK_S}, "limit": PAGE_SIZE}
        refunds = self._listed(self._client.v1.refunds, since)
        disputes = self._listed(self._client.v1.disputes, since)
        back = [each for each in refunds if each.status == "succeeded"]
        back += [each for each in disputes if each.status in DISPUTES_THAT_TAKE]
        found: dict[str, int] = {}
        for each in back:
            if each.payment_intent is not None:
                at_ms = each.created * 1000
                found[each.payment_intent] = min(at_ms, found.get(each.payment_intent, at_ms))
        return found

    def _listed(self, service: Any, since: Any) -> list[_Back]:
        import stripe

        try:
            pages = service.list(since).auto_paging_iter()
            return [msgspec.convert(each.to_dict(), _Back) for each in islice(pages, GIVEN_BACK_MAX)]
        except (stripe.StripeError, msgspec.ValidationError) as error:
            raise UnansweredError(type(error).__name__) from error


def configured() -> tuple[dict[str, Records], dict[str, Voids]]:
    """The providers of this deployment that can be asked: of a receipt, and of what they gave back."""
    records: dict[str, Records] = {}
    voids: dict[str, Voids] = {}
    arn = settings.optional("STRIPE_SECRET_ARN", "")
    if arn:
        secret: Any = aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        records["stripe"] = voids["stripe"] = StripeRecords(str(secret))
    if settings.optional("APPLE_SECRET_ARN", "") or settings.optional("GOOGLE_SECRET_ARN", ""):
        # Their libraries take half a second to import: only where there is such a provider.
        from functions.wallet import audit_stores

        records |= audit_stores.records()
        voids |= audit_stores.voids()
    return records, voids


def check(
    records: Mapping[str, Records],
    chains: Iterable[tuple[str, Link]],
    refunded: Set[tuple[str, str]],
    rng: random.Random,
    sample_max: int = SAMPLE_MAX,
) -> tuple[int, list[Difference]]:
    """Compare up to ``sample_max`` purchases, drawn at random, with their providers' records; says how many.

    ``refunded`` are the receipts (provider, id) of which the ledger knows that money went back. A provider that was
    silent `SILENT_MAX` times is asked no more, so that one which is away does not use up the audit's time.
    """
    purchases = [
        (account, each)
        for account, each in chains
        if isinstance(each.details, PurchaseDetails) and each.details.provider in records
    ]
    wrong: list[Difference] = []
    compared = 0
    silent: Counter[str] = Counter()
    for account, each in rng.sample(purchases, min(sample_max, len(purchases))):
        details = each.details
        assert isinstance(details, PurchaseDetails)
        if silent[details.provider] >= SILENT_MAX:
            continue
        try:
            known = records[details.provider].find(details.receipt)
        except UnansweredError as error:
            observe.logger.warning("receipt not compared", provider=details.provider, why=str(error))
            silent[details.provider] += 1
            continue
        compared += 1
        wrong += _compared(account, each.id, details, known)
        if known is not None and known.refunded_ms is not None:
            wrong += _refunded(account, each.id, details, known.refunded_ms, refunded)
    return compared, wrong


def check_voids(
    voids: Mapping[str, Voids], chains: Iterable[tuple[str, Link]], refunded: Set[tuple[str, str]]
) -> tuple[int, list[Difference]]:
    """Whether the ledger knows of each payment that a provider gave back; says how many of its purchases these are."""
    back: dict[tuple[str, str], int] = {}
    for provider, each in voids.items():
        try:
            back.update({(provider, receipt): at for receipt, at in each.voided().items()})
        except UnansweredError as error:
            observe.logger.warning("refunds not compared", provider=provider, why=str(error))
    wrong: list[Difference] = []
    compared = 0
    for account, each in chains if back else ():
        details = each.details
        if isinstance(details, PurchaseDetails) and (details.provider, details.receipt) in back:
            compared += 1
            wrong += _refunded(account, each.id, details, back[details.provider, details.receipt], refunded)
    return compared, wrong


def _refunded(
    account: str, transfer: str, details: PurchaseDetails, at_ms: int, refunded: Set[tuple[str, str]]
) -> list[Difference]:
    # Its webhook may still be on the way, and providers repeat one that failed for a day and longer.
    if (details.provider, details.receipt) in refunded or at_ms > clock.now_ms() - TOLD_WITHIN_MS:
        return []
    text = f"{details.provider} gave the money back at {clock.rfc3339(at_ms)}; its coins were never taken back"
    return [Difference("refund_missing", account, transfer, text)]


def _compared(account: str, transfer: str, details: PurchaseDetails, known: Recorded | None) -> list[Difference]:
    if known is None:
        text = f"{details.provider} knows nothing of {details.receipt}"
        return [Difference("receipt_unknown", account, transfer, text)]
    if not known.paid:
        return [Difference("receipt_unpaid", account, transfer, f"{details.provider} says it was not paid")]
    # Tax comes on top of what a pack costs, so more may have been paid and never less.
    too_little = known.usd_cents is not None and known.usd_cents < details.usd_cents
    if (known.account, known.pack) != (account, details.pack) or too_little:
        paid = "another currency" if known.usd_cents is None else f"{known.usd_cents} cents"
        text = (
            f"minted {details.pack} ({details.usd_cents} cents); {details.provider} has {known.pack} "
            f"({paid}) of {known.account}"
        )
        return [Difference("receipt_differs", account, transfer, text)]
    return []
