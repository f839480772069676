"""What a standing asks for: broadcasts end, sockets close, sessions end, follows no longer count.

The route that changes a standing does the quick part at once; `keep.py` does all of it again within a minute, and once
more when tickets of before have expired, so nothing is left open by a crash. Every step may be repeated.
"""

from __future__ import annotations

from typing import Final

from functions import observe
from functions.accounts import follows, pool
from functions.accounts.follower_count import Pair, count
from functions.accounts.model import Account
from functions.rooms import barring
from functions.streams import life
from functions.streams import table as streams
from functions.streams.model import ENDED_BY_STANDING

FOLLOWS_AT_ONCE: Final = 100


def at_once(account: Account) -> None:
    """Close what this account may not hold open any longer; an account in good standing is let in again.

    The room hears of it first: the sequencer's next frame is what "within a tick" is counted by.
    """
    shut_out = account.standing in ("suspended", "banned")
    if shut_out:
        barring.bar(account.id, account.standing, account.standing_until_ms, but=account.live_stream)
    else:
        barring.let_in(account.id)
    if account.standing != "good" and account.live_stream is not None:
        stream = streams.read(account.live_stream)
        if stream is not None and stream.state == "live":
            life.end(stream, ENDED_BY_STANDING)
    if shut_out:
        pool.end_sessions(account.handle)


def recount(account_id: str, after: str | None) -> str | None:
    """Put right whether the follows of an account count, a hundred at a time; returns where to go on, if anywhere."""
    followed, place = follows.listed(account_id, "follows", after, FOLLOWS_AT_ONCE)
    changed = count(Pair(each, account_id) for each in followed)
    if changed:
        observe.logger.info("follows counted anew", extra={"account": account_id, "changed": changed})
    return place
