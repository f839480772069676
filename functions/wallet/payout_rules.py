"""The rules of payouts, pure: what may be paid out, when it is held or looked at, what is withheld, and each next step.

A payout goes reserve → pay → confirm or reverse. Its diamonds leave the wallet when it is asked for and come back only
by a reversal; between the two it is in exactly one state, and each step names the version that it follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

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
# More than these a day is nobody's need, and what an account ever asked for is read with each payout.
PAYOUTS_A_DAY_MAX: Final = 5
# A first payout waits as long as most refunds of the coins behind it take to show.
NEW_CREATOR_HOLD_MS: Final = 7 * DAY_MS
# Whoever steals an account sends the money elsewhere first: its owner has this long to notice.
NEW_DESTINATION_HOLD_MS: Final = 3 * DAY_MS
# What a creator pays for a payout: nothing. Clients show it, so that a deployment may ask for one some day.
FEE_CENTS: Final = 0
# Stripe keeps idempotency keys for at least 24 hours: https://docs.stripe.com/api/idempotent_requests
KEY_VALID_MS: Final = 20 * 3600 * 1000
RETRY_MS: Final = 60_000

State = Literal["held", "review", "ready", "paying", "paid", "reversed"]
OPEN: Final[frozenset[State]] = frozenset({"held", "review", "ready", "paying"})
_STEPS: Final[Mapping[State, frozenset[State]]] = {
    "held": frozenset({"ready", "review"}),
    # Paid: it was put aside unanswered, and then the provider told that it had paid.
    "review": frozenset({"ready", "reversed", "paid"}),
    "ready": frozenset({"paying", "review"}),
    "paying": frozenset({"paying", "paid", "reversed", "review"}),
    # A provider may take a payment back as a whole: only its own signed word leads here.
    "paid": frozenset({"reversed"}),
    "reversed": frozenset(),
}


class TaxProfile(Struct, frozen=True):
    """Where a creator is paid and taxed. ``identifier`` is encrypted; ``ending`` its last characters, to recognize.

    ``destination`` is the provider's name for where the money goes, since ``at`` (ms).
    """

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
    ``approved``: a person looked at it, so no rule sends it to one again.
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
    withheld_permille: int = 0
    approved: bool = False

    @property
    def net_cents(self) -> int:
        """What is paid."""
        return self.cents - self.withheld_cents


def withheld_cents(cents: int, permille: int) -> int:
    """What is withheld of ``cents``: rounded up to the cent, since a payer owes the whole tax."""
    assert 0 <= permille <= 1000
    return -(-cents * permille // 1000)


def payout_account(payout: str) -> str:
    """The ledger account of diamonds that were put aside for one payout; derived, never an item of its own."""
    return f"payout/{payout}"


def reserve(wallet: Wallet, diamonds: int, details: PayoutDetails, *, at: int) -> tuple[Wallet, Transfer]:
    """Put diamonds aside for a payout; raises as `check_wallet`."""
    check_wallet(wallet, diamonds)
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
    wallet: Wallet,
    payouts: Sequence[Payout],
    profile: TaxProfile,
    diamonds: int,
    *,
    id: str,
    provider: str,
    permille: int,
    at: int,
) -> tuple[Wallet, Transfer, Payout]:
    """Reserve ``diamonds`` for a payout.

    Parameters
    ----------
    payouts : Sequence[Payout]
        All of the account's; read after ``wallet``, whose version then guards both.
    permille : int
        What is withheld as tax, in thousandths (`tax.permille`).

    Raises
    ------
    OnairError
        ``invalid_request`` (below the minimum, odd), ``limit_reached`` (today's payouts), ``insufficient_diamonds``,
        ``forbidden`` (frozen wallet).
    """
    check_amount(diamonds)
    check_day(payouts, diamonds, at)
    cents = diamonds // DIAMONDS_A_CENT
    withheld = withheld_cents(cents, permille)
    after, transfer = reserve(wallet, diamonds, PayoutDetails(id, cents, withheld, permille), at=at)
    held_until = hold(payouts, profile, transfer.at)
    state: State = "held" if held_until else "review" if diamonds >= REVIEW_DIAMONDS else "ready"
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
        since=held_until or transfer.at,
        withheld_permille=permille,
    )
    return after, transfer, payout


def check_amount(diamonds: int) -> None:
    """Raise ``invalid_request`` unless ``diamonds`` is even and at least `DIAMONDS_MIN`."""
    if diamonds < DIAMONDS_MIN or diamonds % DIAMONDS_A_CENT:
        raise OnairError(
            "invalid_request",
            "A payout takes an even number of diamonds, and not too few.",
            field="diamonds",
            details={"minimum": DIAMONDS_MIN},
        )


def check_wallet(wallet: Wallet, diamonds: int) -> None:
    """Raise ``forbidden`` where the wallet is frozen, ``insufficient_diamonds`` where it holds fewer."""
    if wallet.frozen:
        raise OnairError("forbidden", "This wallet is frozen after a refund. Contact support to use it again.")
    if wallet.diamonds < diamonds:
        raise OnairError("insufficient_diamonds", details={"needed": diamonds, "diamonds": wallet.diamonds})


def check_day(payouts: Sequence[Payout], diamonds: int, at: int) -> None:
    """Raise ``limit_reached`` where ``diamonds`` more, or one more payout, are too many for the day (UTC) of ``at``."""
    today = [each for each in payouts if each.at // DAY_MS == at // DAY_MS]
    # Those that came back count as asked for, not as diamonds: else a refusing provider could be asked without end.
    taken = sum(each.diamonds for each in today if each.state != "reversed")
    if taken + diamonds > DIAMONDS_A_DAY_MAX or len(today) >= PAYOUTS_A_DAY_MAX:
        raise OnairError(
            "limit_reached",
            "This is beyond what can be paid out in a day.",
            details={"diamonds_a_day": DIAMONDS_A_DAY_MAX, "payouts_a_day": PAYOUTS_A_DAY_MAX, "today": taken},
            retry_after_ms=DAY_MS - at % DAY_MS,
        )


def hold(payouts: Sequence[Payout], profile: TaxProfile, at: int) -> int:
    """Until when (ms) a payout asked for at ``at`` is held; 0 for not at all."""
    # Counted from the first one asked for: else whoever asked for a small one could have a large one at once.
    first = min((each.at for each in payouts if each.state != "reversed"), default=at)
    until = max(first + NEW_CREATOR_HOLD_MS, profile.at + NEW_DESTINATION_HOLD_MS)
    return until if until > at else 0


def is_due(payout: Payout, at: int) -> bool:
    """Whether something should be done about it now; one that is being paid is left alone for `RETRY_MS`."""
    if payout.state == "held":
        return at >= payout.since
    return payout.state == "ready" or (payout.state == "paying" and at >= payout.since + RETRY_MS)


def approve(payout: Payout, at: int) -> Payout:
    """A person let it go on. Where the provider was asked long ago it is asked again, after it was looked for there."""
    return replace(step(payout, "ready", at), approved=True, tried_at=at if payout.tried else 0)


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
