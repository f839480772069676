"""How much a wallet may give a day, pure: what its owner set, what a new account may, and when a raise takes hold.

Only arithmetic on what the wallet itself remembers, so that a gift enforces it in its own transaction and reads
nothing more. A day is a day of UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.errors import OnairError

if TYPE_CHECKING:
    from functions.wallet.model import Wallet

DAY_MS: Final = 24 * 3600 * 1000
# Lower takes hold at once; higher, or none, only after a day: whoever set a limit meant it against such a moment.
COOLING_OFF_MS: Final = DAY_MS
LIMIT_MAX: Final = 100_000_000
# An account that is younger than this may have been made with somebody else's means of payment.
NEW_ACCOUNT_MS: Final = 7 * DAY_MS
NEW_ACCOUNT_COINS_A_DAY: Final = 40_000


def in_force(wallet: Wallet, at: int) -> int | None:
    """The coins that the wallet's owner lets it give a day as of ``at`` (ms); None without a limit."""
    return wallet.limit_next if wallet.limit_from and at >= wallet.limit_from else wallet.limit


def spent_on_day(wallet: Wallet, at: int) -> int:
    """The coins that were given on the day of ``at`` (ms)."""
    return wallet.spent if wallet.spent_day == at // DAY_MS else 0


def spend(wallet: Wallet, coins: int, at: int, created_ms: int | None) -> tuple[int, int]:
    """Count ``coins`` to the day of ``at``; returns that day and what is spent on it then.

    Raises
    ------
    OnairError
        ``limit_reached`` with the limit, what was spent of it, and the time until midnight UTC.
    """
    spent = spent_on_day(wallet, at)
    own = in_force(wallet, at)
    new = NEW_ACCOUNT_COINS_A_DAY if created_ms is not None and at - created_ms < NEW_ACCOUNT_MS else None
    bounds = [each for each in (own, new) if each is not None]
    if bounds and spent + coins > min(bounds):
        raise OnairError(
            "limit_reached",
            details={"coins_a_day": min(bounds), "spent": spent, "needed": coins},
            retry_after_ms=DAY_MS - at % DAY_MS,
        )
    return at // DAY_MS, spent + coins


def changed(wallet: Wallet, coins_a_day: int | None, at: int) -> tuple[int | None, int | None, int]:
    """The fields ``limit``, ``limit_next`` and ``limit_from`` after the owner asks for another limit at ``at`` (ms).

    Raises
    ------
    OnairError
        ``invalid_request`` for a limit that is not 0 to `LIMIT_MAX`.
    """
    if coins_a_day is not None and not 0 <= coins_a_day <= LIMIT_MAX:
        raise OnairError("invalid_request", f"coins_a_day must be 0 to {LIMIT_MAX}.", field="coins_a_day")
    now = in_force(wallet, at)
    if now is None or (coins_a_day is not None and coins_a_day <= now):
        return coins_a_day, None, 0
    return now, coins_a_day, at + COOLING_OFF_MS
