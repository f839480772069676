"""To whom an account shows its lists and boards: blocks hide both ways, a private account from all but followers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from functions import clock
from functions.accounts import blocks, follows, model, table
from functions.accounts.model import Account
from functions.errors import OnairError

PRIVATE: Final = "This account is private: only who follows it sees this."


def shown(handle: str, viewer: str | None) -> tuple[Account, frozenset[str]]:
    """The account of ``handle`` for ``viewer`` (an account's id, or None), and whom its lists hide from them.

    Raises
    ------
    OnairError
        ``not_found``, ``blocked``; of a private account ``unauthenticated``, or ``forbidden`` to who does not follow.
    """
    account = table.by_handle(handle)
    if account.id == viewer:
        return account, frozenset()
    hidden = blocks.hidden_from(viewer) if viewer is not None else frozenset[str]()
    if account.id in hidden:
        raise OnairError("blocked")
    if model.is_private(account, clock.today_utc(clock.now_ms())):
        if viewer is None:
            raise OnairError("unauthenticated", "This account is private. Sign in to see this if you follow it.")
        if not follows.follows(viewer, account.id):
            raise OnairError("forbidden", PRIVATE)
    return account, hidden


def listed(accounts: Sequence[Account], viewer: str) -> list[Account]:
    """Accounts of a list, without the broadcasts of private ones that ``viewer`` does not follow (at most one call)."""
    today = clock.today_utc(clock.now_ms())
    closed = {one.id for one in accounts if one.live_stream and one.id != viewer and model.is_private(one, today)}
    closed -= follows.followed_among(viewer, sorted(closed)) if closed else set()
    return [msgspec.structs.replace(one, live_stream=None) if one.id in closed else one for one in accounts]
