"""Wallets as this container last wrote them: the next gift of a combo need not read what is known already.

Nothing is decided by what is kept here. A gift's transaction holds on the condition that the wallet's chain still ends
in the very same entry, so a wallet that moved on elsewhere costs one refused transaction and a read; and a refusal
(no coins, a limit) is never spoken from memory. Where memory was wrong once for an account, it is not asked again for a
while: several containers, or a creator's settlements, share that wallet.
"""

from __future__ import annotations

from typing import Final, TypeVar

from functions.wallet.model import Wallet

# About 1 KB each; the oldest makes way.
WALLETS_MAX: Final = 1_000
# Combos are sent within seconds; a wallet that rested has more likely moved on elsewhere.
AGE_MS_MAX: Final = 10_000
DISTRUST_MS: Final = 60_000
V = TypeVar("V")


class Heads:
    """One container's memory of wallets' heads."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Wallet, int]] = {}
        self._wrong: dict[str, int] = {}

    def recall(self, account: str, at: int) -> Wallet | None:
        """The wallet as it was last written here, if that is recent at ``at`` (ms) and was right of late."""
        wallet, kept_at = self._kept.get(account, (None, 0))
        if wallet is None or not 0 <= at - kept_at <= AGE_MS_MAX or at < self._wrong.get(account, 0):
            return None
        return wallet

    def keep(self, wallet: Wallet, at: int) -> None:
        """Remember what was just written for certain."""
        _put(self._kept, wallet.account, (wallet, at))

    def was_wrong(self, account: str, at: int) -> None:
        """The wallet is not what was remembered: forget it, and do not ask again for `DISTRUST_MS`."""
        self._kept.pop(account, None)
        _put(self._wrong, account, at + DISTRUST_MS)

    def cache_clear(self) -> None:
        """Forget everything (a new container, a replaced stack)."""
        self._kept.clear()
        self._wrong.clear()


def _put(into: dict[str, V], account: str, value: V) -> None:
    into.pop(account, None)
    into[account] = value
    while len(into) > WALLETS_MAX:
        into.pop(next(iter(into)), None)
