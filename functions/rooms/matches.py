"""Matches: two live hosts side by side, and how one asks the other. Pure; each rule changes both stages, or neither.

asked ──(the rival accepts)──▶ accepted ──▶ ended      asked ──▶ declined, ended (taken back) or, by time alone, expired
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from functions import clock
from functions.errors import OnairError
from functions.rooms.messages import MatchState, MatchView, Rival
from functions.rooms.seats import REFUSALS_MAX, Match, Refused, Stage

# How long one who is asked has to answer.
ASK_MS: Final = 60_000
# Whom someone declined, or let wait in vain, may ask them again after this long.
REST_MS: Final = 60_000
# Asking around: three at once, then one each 20 s, so that nobody goes through all who are live.
ASK_INTERVAL_MS: Final = 20_000
ASK_BURST: Final = 3

_GONE: Final = "Nobody asks you for a match any more."


class Side(Struct, frozen=True):
    """One of two rooms: who hosts it, as the other is shown it, and its stage."""

    who: Rival
    stage: Stage


class Turn(Struct, frozen=True):
    """Both stages after a rule; ``told`` is what both rooms hear of it (None: nothing changed)."""

    mine: Stage
    theirs: Stage
    told: MatchState | None = None


def current(stage: Stage, now_ms: int) -> Match | None:
    """The match that is on or asked for; an ask ends by time alone."""
    match = stage.match
    return None if match is None or (match.state == "asked" and now_ms >= match.until_ms) else match


def is_lapsed(stage: Stage, now_ms: int) -> bool:
    """Whether there is an ask that nobody answered in time, and that nobody has put away yet."""
    return stage.match is not None and current(stage, now_ms) is None


def view(match: Match, now_ms: int) -> MatchView:
    """A match as it is shown."""
    asked = match.state == "asked"
    return MatchView(
        match=match.id,
        state="expired" if asked and now_ms >= match.until_ms else match.state,
        rival=match.rival,
        asked_by=match.asked_by,
        until=clock.rfc3339(match.until_ms) if asked else None,
    )


def known(stage: Stage, match_id: str) -> Match | None:
    """The match of this id, now or before, whatever became of it."""
    return next((one for one in (stage.match, stage.past) if one is not None and one.id == match_id), None)


def ask(mine: Side, theirs: Side, match_id: str, now_ms: int) -> Turn:
    """Ask for a match. Who asked the same host before changes nothing, and who was asked by them accepts.

    Raises
    ------
    OnairError
        ``conflict`` where either has another match, on or asked for; ``rate_limited`` for asking over and over.
    """
    nothing = Turn(mine.stage, theirs.stage)
    present = current(mine.stage, now_ms)
    if present is None and known(mine.stage, match_id) is not None:
        # The same request again: what it asked for is over.
        return nothing
    if present is not None:
        if present.rival.stream_id != theirs.who.stream_id:
            raise OnairError("conflict", "You have a match, or wait for an answer. End that first.")
        if present.state == "asked" and present.asked_by != mine.who.host.id:
            return accept(mine.stage, theirs.stage, mine.who.host.id, present.id, now_ms)
        return nothing
    if current(theirs.stage, now_ms) is not None:
        raise OnairError("conflict", "This host has a match, or was just asked for one. Try again later.")
    _check_pace(mine, theirs, now_ms)
    asked = Match(match_id, theirs.who, mine.who.host.id, now_ms + ASK_MS)
    arrival_ms = max(mine.stage.asks_arrival_ms, now_ms) + ASK_INTERVAL_MS
    return Turn(
        _changed(mine.stage, match=asked, asks_arrival_ms=arrival_ms),
        _changed(theirs.stage, match=replace(asked, rival=mine.who)),
        "asked",
    )


def accept(mine: Stage, theirs: Stage, account: str, match_id: str | None, now_ms: int) -> Turn:
    """The host who was asked accepts; again changes nothing.

    Raises
    ------
    OnairError
        ``not_found`` when it is asked for no longer, ``forbidden`` for who asked.
    """
    present = _asked_for(mine, match_id, now_ms)
    if present.state == "accepted":
        return Turn(mine, theirs)
    if present.asked_by == account:
        raise OnairError("forbidden")
    other = current(theirs, now_ms)
    if other is None or other.id != present.id:
        raise OnairError("not_found", _GONE)
    return Turn(
        _changed(mine, match=replace(present, state="accepted")),
        _changed(theirs, match=replace(other, state="accepted")),
        "accepted",
    )


def decline(mine: Stage, theirs: Stage, account: str, match_id: str | None, now_ms: int) -> Turn:
    """The host who was asked declines; again changes nothing.

    Raises
    ------
    OnairError
        ``not_found`` when it is asked for no longer, ``forbidden`` for who asked, ``conflict`` once it is on.
    """
    past = mine.past
    if current(mine, now_ms) is None and past is not None and past.state == "declined" and match_id in (None, past.id):
        return Turn(mine, theirs)
    present = _asked_for(mine, match_id, now_ms)
    if present.asked_by == account:
        raise OnairError("forbidden")
    if present.state == "accepted":
        raise OnairError("conflict", "The match is on already. End it instead.")
    return close(mine, theirs, "declined", now_ms)


def leave(mine: Stage, theirs: Stage, account: str, now_ms: int) -> Turn:
    """Either host ends the match, takes an ask back, or declines one; without any of these nothing changes."""
    present = current(mine, now_ms)
    asked = present is not None and present.state == "asked" and present.asked_by != account
    return close(mine, theirs, "declined" if asked else "ended", now_ms)


def close(mine: Stage, theirs: Stage, state: MatchState, now_ms: int) -> Turn:
    """The match is over on both sides, or on the one that still has it. An ask whose time is over has ``expired``."""
    match = mine.match
    if match is None:
        return Turn(mine, theirs)
    told: MatchState = state if current(mine, now_ms) is not None else "expired"
    returned = theirs.match is not None and theirs.match.id == match.id
    return Turn(_over(mine, told, now_ms), _over(theirs, told, now_ms) if returned else theirs, told)


def _asked_for(stage: Stage, match_id: str | None, now_ms: int) -> Match:
    present = current(stage, now_ms)
    if present is None or match_id not in (None, present.id):
        raise OnairError("not_found", _GONE)
    return present


def _check_pace(mine: Side, theirs: Side, now_ms: int) -> None:
    until_ms = mine.stage.asks_arrival_ms - (ASK_BURST - 1) * ASK_INTERVAL_MS
    for one in theirs.stage.rests:
        if one.account == mine.who.host.id:
            until_ms = max(until_ms, one.until_ms)
    if now_ms < until_ms:
        raise OnairError("rate_limited", retry_after_ms=until_ms - now_ms)


def _over(stage: Stage, state: MatchState, now_ms: int) -> Stage:
    match = stage.match
    assert match is not None, "only what there is can be over"
    rests = tuple(one for one in stage.rests if one.until_ms > now_ms)
    if match.state == "asked" and match.asked_by == match.rival.host.id:
        kept = tuple(one for one in rests if one.account != match.asked_by)
        # Who waited in vain rests from then on, whenever that is put away.
        rests = (*kept, Refused(match.asked_by, min(now_ms, match.until_ms) + REST_MS))[-REFUSALS_MAX:]
    return _changed(stage, match=None, past=replace(match, state=state), rests=rests)


def _changed(stage: Stage, **changes: object) -> Stage:
    return replace(stage, version=stage.version + 1, **changes)
