"""The rules of payouts, pure: what may be paid out, when it is held or looked at, what is withheld, and each next step.

A payout goes reserve → pay → confirm or reverse. Its diamonds leave the wallet when it is asked for and come back only
by a reversal; between the two it is in exactly one state, and each step names the version that it follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from functions.errors import OnairError
from functions.wallet import model
from functions.wallet.limits import DAY_MS
from functions.wallet.model import PayoutDetails, ReversalDetails, Transfer, Wallet

DIAMONDS_MIN: Final = 2_000
# A diamond is half a cent (0.005 US dollars): an even number is a whole number of cents.
DIAMONDS_A_CENT: Final = 2
DIAMONDS_A_DAY_MAX: Final = 200_000
# From here on a person looks at it first.
REVIEW_DIAMONDS: Final = 100_000
# A first payout waits as long as most refunds of the coins behind it take to show.
NEW_CREATOR_HOLD_MS: Final = 7 * DAY_MS
# Stripe keeps idempotency keys for at least 24 hours: https://docs.stripe.com/api/idempotent_requests
KEY_VALID_MS: Final = 20 * 3600 * 1000
RETRY_MS: Final = 60_000

State = Literal["held", "review", "ready", "paying", "paid", "reversed"]
OPEN: Final[frozenset[State]] = frozenset({"held", "review", "ready", "paying"})
_STEPS: Final[Mapping[State, frozenset[State]]] = {
    "held": frozenset({"ready", "review"}),
    "review": frozenset({"ready", "reversed"}),
    "ready": frozenset({"paying", "review"}),
    "paying": frozenset({"paying", "paid", "reversed", "review"}),
    "paid": frozenset(),
    "reversed": frozenset(),
}


class TaxProfile(Struct, frozen=True):
    """Where a creator is paid and taxed. ``identifier`` is encrypted; ``ending`` its last characters, to recognize."""

    account: str
    country: str
    form: str
    certified: bool
    destination: str
    identifier: bytes
    ending: str
    at: int


class Payout(Struct, frozen=True, omit_defaults=True):
    """One payout; ``since`` is when its state began (of a held one: when it ends), ``version`` rises with each step.

    ``tried`` tells whether the provider was ever asked: then it is asked what it knows before it is asked to pay.
    """

    account: str
    id: str
    at: int
    diamonds: int
    cents: int
    withheld_cents: int
    country: str
    form: str
    destination: str
    provider: str
    state: State
    since: int
    tried: bool = False
    tried_at: int = 0
    reference: str = ""
    why: str = ""
    version: int = 1

    @property
    def net_cents(self) -> int:
        """What is paid."""
        return self.cents - self.withheld_cents


class TaxRule(Struct, frozen=True):
    """A country's forms, and what is withheld (thousandths) of a payout whose form is not certified."""

    forms: tuple[str, ...]
    uncertified_permille: int
    source: str


@lru_cache(maxsize=1)
def tax_rules() -> Mapping[str, TaxRule]:
    """Tax rules by country; ``*`` for those not named."""
    return msgspec.json.decode((Path(__file__).parent / "tax.json").read_bytes(), type=dict[str, TaxRule])


def tax_rule(country: str) -> TaxRule:
    """The rule of a country."""
    rules = tax_rules()
    return rules.get(country, rules["*"])


def withheld_cents(cents: int, profile: TaxProfile) -> int:
    """What is withheld of ``cents``: rounded up to the cent, since a payer owes the whole tax."""
    permille = 0 if profile.certified else tax_rule(profile.country).uncertified_permille
    return -(-cents * permille // 1000)


def payout_account(payout: str) -> str:
    """The ledger account of diamonds that were put aside for one payout; derived, never an item of its own."""
    return f"payout/{payout}"


def reserve(wallet: Wallet, diamonds: int, details: PayoutDetails, *, at: int) -> tuple[Wallet, Transfer]:
    """Put diamonds aside for a payout.

    Raises
    ------
    OnairError
        ``insufficient_diamonds``, ``forbidden`` (frozen wallet).
    """
    if wallet.frozen:
        raise OnairError("forbidden", "This wallet is frozen after a refund. Contact support to use it again.")
    if wallet.diamonds < diamonds:
        raise OnairError("insufficient_diamonds", details={"needed": diamonds, "diamonds": wallet.diamonds})
    return model.post(
        wallet,
        id=f"payout#{details.payout}",
        debit=model.wallet_account(wallet.account),
        credit=payout_account(details.payout),
        unit="diamonds",
        amount=diamonds,
        reason="payout",
        reference=details.payout,
        at=at,
        details=details,
    )


def give_back(wallet: Wallet, diamonds: int, details: ReversalDetails, *, at: int) -> tuple[Wallet, Transfer]:
    """Return the diamonds of a payout that was refused."""
    return model.post(
        wallet,
        id=f"payout_reversal#{details.payout}",
        debit=payout_account(details.payout),
        credit=model.wallet_account(wallet.account),
        unit="diamonds",
        amount=diamonds,
        reason="payout_reversal",
        reference=details.payout,
        at=at,
        details=details,
    )


def ask(
    wallet: Wallet, payouts: Sequence[Payout], profile: TaxProfile, diamonds: int, *, id: str, provider: str, at: int
) -> tuple[Wallet, Transfer, Payout]:
    """Reserve ``diamonds`` for a payout.

    Parameters
    ----------
    payouts : Sequence[Payout]
        All of the account's, at least those of today; read after ``wallet``, whose version then guards both.

    Raises
    ------
    OnairError
        ``invalid_request`` (below the minimum, odd), ``limit_reached`` (today's payouts), ``insufficient_diamonds``,
        ``forbidden`` (frozen wallet).
    """
    if diamonds < DIAMONDS_MIN or diamonds % DIAMONDS_A_CENT:
        raise OnairError(
            "invalid_request",
            f"diamonds must be an even number from {DIAMONDS_MIN} on.",
            field="diamonds",
            details={"minimum": DIAMONDS_MIN},
        )
    today = sum(each.diamonds for each in payouts if each.at // DAY_MS == at // DAY_MS and each.state != "reversed")
    if today + diamonds > DIAMONDS_A_DAY_MAX:
        raise OnairError(
            "limit_reached",
            "This is beyond what can be paid out in a day.",
            details={"diamonds_a_day": DIAMONDS_A_DAY_MAX, "today": today},
            retry_after_ms=DAY_MS - at % DAY_MS,
        )
    cents = diamonds // DIAMONDS_A_CENT
    withheld = withheld_cents(cents, profile)
    after, transfer = reserve(wallet, diamonds, PayoutDetails(id, cents, withheld), at=at)
    first = not any(each.state != "reversed" for each in payouts)
    state: State = "held" if first else "review" if diamonds >= REVIEW_DIAMONDS else "ready"
    payout = Payout(
        account=wallet.account,
        id=id,
        at=transfer.at,
        diamonds=diamonds,
        cents=cents,
        withheld_cents=withheld,
        country=profile.country,
        form=profile.form,
        destination=profile.destination,
        provider=provider,
        state=state,
        since=transfer.at + NEW_CREATOR_HOLD_MS if first else transfer.at,
    )
    return after, transfer, payout


def step(payout: Payout, state: State, at: int, *, reference: str = "", why: str = "") -> Payout:
    """The payout in its next state."""
    assert state in _STEPS[payout.state], f"{payout.state} is not followed by {state}"
    asks = state == "paying"
    return replace(
        payout,
        state=state,
        since=at,
        tried=payout.tried or asks,
        tried_at=at if asks and not payout.tried else payout.tried_at,
        reference=reference,
        why=why,
        version=payout.version + 1,
    )


def release(payout: Payout, at: int) -> Payout:
    """A held payout whose time is over: large ones are still looked at."""
    return step(payout, "review" if payout.diamonds >= REVIEW_DIAMONDS else "ready", at)


def reverse(wallet: Wallet, payout: Payout, *, why: str, at: int) -> tuple[Wallet, Transfer, Payout]:
    """Give the diamonds back."""
    after, transfer = give_back(wallet, payout.diamonds, ReversalDetails(payout.id, why), at=at)
    return after, transfer, step(payout, "reversed", transfer.at, why=why)
