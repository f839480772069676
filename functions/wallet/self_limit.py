"""The limit that people set for themselves: read, lower at once, raise after a day to think it over."""

from __future__ import annotations

import random
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from functions import clock
from functions.errors import OnairError
from functions.wallet import ledger, limits, model
from functions.wallet.ledger import Ledger, LedgerError, Posting
from functions.wallet.model import LimitDetails, Transfer, Wallet


class LimitChange(Struct, frozen=True):
    """``PUT /wallet/limit``: the coins that may be given a day, or null for no limit."""

    coins_a_day: Annotated[int, Meta(ge=0, le=limits.LIMIT_MAX)] | None


class LimitAnswer(Struct, frozen=True):
    """The limit in force, what was given today, and a raise that waits: ``coins_next`` holds from ``changes_at`` on."""

    coins_a_day: int | None
    spent_today: int
    coins_next: int | UnsetType | None = UNSET
    changes_at: str | UnsetType = UNSET


def answer(wallet: Wallet, at: int) -> LimitAnswer:
    """What the owner is told at ``at`` (ms)."""
    waits = wallet.limit_from > at
    return LimitAnswer(
        coins_a_day=limits.in_force(wallet, at),
        spent_today=limits.spent_on_day(wallet, at),
        coins_next=wallet.limit_next if waits else UNSET,
        changes_at=clock.rfc3339(wallet.limit_from) if waits else UNSET,
    )


def set_limit(book: Ledger, account: str, coins_a_day: int | None, rng: random.Random | None = None) -> LimitAnswer:
    """Set what ``account`` may give a day. Asking for what holds, or already waits, changes nothing.

    Raises
    ------
    OnairError
        ``invalid_request`` (out of bounds), ``unavailable``.
    """
    for _ in ledger.attempts(rng or random.Random()):
        try:
            before = book.wallet(account)
            wallet, at = before or Wallet(account), clock.now_ms()
            waits = wallet.limit_from > at
            if coins_a_day == (wallet.limit_next if waits else limits.in_force(wallet, at)):
                return answer(wallet, at)
            after, transfer = restrict(wallet, coins_a_day, at=at)
            book.write(Posting(before=before, after=after, transfer=transfer))
            return answer(after, transfer.at)
        except LedgerError:
            continue  # whatever became of it: what the wallet says then is compared again
    raise OnairError("unavailable")


def restrict(wallet: Wallet, coins_a_day: int | None, *, at: int) -> tuple[Wallet, Transfer]:
    """Set what the wallet may give a day: an entry of no coins, so that its chain proves when which limit held."""
    at = max(at, wallet.at)
    limit, limit_next, limit_from = limits.changed(wallet, coins_a_day, at)
    after, transfer = model.post(
        wallet,
        id=f"limit#{wallet.version + 1:010d}",
        debit=model.wallet_account(wallet.account),
        credit="limit",
        unit="coins",
        amount=0,
        reason="limit",
        reference="none" if coins_a_day is None else f"{coins_a_day} a day",
        at=at,
        details=LimitDetails(coins_a_day=coins_a_day, since=limit_from or at),
    )
    return msgspec.structs.replace(after, limit=limit, limit_next=limit_next, limit_from=limit_from), transfer
