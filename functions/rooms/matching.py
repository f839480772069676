"""A match in storage: both rooms' stages, what the relay reads of both, and the events are one transaction.

So no match is ever on one side alone while both broadcasts are live. Where one ends, `part` takes the other's side away
too, and what a crash leaves of that `mend` finds (streams/sweep.py). So does `expire` with asks that nobody answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from functions import clock, ids, storage, transaction
from functions.errors import OnairError
from functions.rooms import matches, seating
from functions.rooms.items import StageItem, inbox_item
from functions.rooms.matches import Turn
from functions.rooms.messages import MatchEvent, MatchState, Rival, RivalHost
from functions.rooms.ring import ring
from functions.rooms.seats import Match, Stage
from functions.streams import table as streams
from functions.streams.model import Stream
from functions.streams.table import STREAM, StreamItem, stream_key

# Seats of both rooms change the same items; each attempt that loses to another one costs four reads and a write.
ATTEMPTS_MAX: Final = 12


class Both(Struct, frozen=True):
    """Two rooms as they are now: their streams (None: gone) and stages."""

    my_stream: Stream | None
    their_stream: Stream | None
    mine: Stage
    theirs: Stage


class _RelayMatch(Struct, frozen=True):
    """A match as the relay reads it (media/relay/control.py)."""

    stream: str


def rival(stream: Stream) -> Rival:
    """A broadcast as its rival's room is shown it."""
    host = stream.host
    return Rival(stream.id, RivalHost(host.id, host.handle, host.display_name, host.avatar_url))


def change(stream_id: str, rival_id: str | None, decide: Callable[[Both], Turn]) -> Turn:
    """Change two rooms by a rule of matches.py, and tell both (four reads, one transaction, two rings).

    Parameters
    ----------
    rival_id : str | None
        The other broadcast; None for the one that the room has its match with.
    decide : Callable[[Both], Turn]
        Both after; called again when someone else was faster, so that all it checks is checked of what is written.

    Raises
    ------
    OnairError
        What ``decide`` raises; ``unavailable``.
    """
    for _ in range(ATTEMPTS_MAX):
        mine = seating.read(stream_id)
        other = rival_id if rival_id is not None else mine.match.rival.stream_id if mine.match is not None else None
        both = Both(
            my_stream=streams.read(stream_id),
            their_stream=streams.read(other) if other is not None else None,
            mine=mine,
            theirs=seating.read(other) if other is not None else Stage(),
        )
        turn = decide(both)
        sides = [(both.my_stream, both.mine, turn.mine), (both.their_stream, both.theirs, turn.theirs)]
        # Of a stream that is gone nothing is left to write to.
        written = [_Side(stream, before, after) for stream, before, after in sides if stream and after != before]
        if not written or _commit(written, turn.told):
            for side in written:
                if side.live:
                    ring(side.stream.id)
            return turn
    raise OnairError("unavailable")


def part(stream_id: str, account: str | None = None) -> None:
    """End the match of a room, or what is asked for, on both sides; nothing happens where there is none.

    Parameters
    ----------
    account : str | None
        Only where this account hosts the other side.
    """

    def decide(both: Both) -> Turn:
        match = both.mine.match
        if match is None or account not in (None, match.rival.host.id):
            return Turn(both.mine, both.theirs)
        return matches.close(both.mine, both.theirs, "ended", clock.now_ms())

    # Nearly every broadcast ends without one: then one read is all.
    match = seating.read(stream_id).match
    if match is not None and account in (None, match.rival.host.id):
        change(stream_id, None, decide)


def mend(stream_id: str, apart: Callable[[str, str], bool]) -> bool:
    """End a match whose other side is not live or has another one, and have the relay told what is true.

    Parameters
    ----------
    apart : Callable[[str, str], bool]
        Whether two accounts may not be shown together, since one blocked the other.

    Returns
    -------
    bool
        Whether there was something to put right.
    """
    mended = False

    def decide(both: Both) -> Turn:
        nonlocal mended
        mended = True
        if _one_sided(both) or _apart(both, apart):
            return matches.close(both.mine, both.theirs, "ended", clock.now_ms())
        if both.my_stream is not None and both.my_stream.match != _told(both.mine):
            # Written anew, and with it what the relay reads.
            return Turn(msgspec.structs.replace(both.mine, version=both.mine.version + 1), both.theirs)
        mended = False
        return Turn(both.mine, both.theirs)

    change(stream_id, None, decide)
    return mended


def expire(stream_id: str) -> bool:
    """Put an ask away that nobody answered in time, and tell both rooms; False where there is none (any more)."""
    expired = False

    def decide(both: Both) -> Turn:
        nonlocal expired
        now_ms = clock.now_ms()
        expired = matches.is_lapsed(both.mine, now_ms)
        return matches.close(both.mine, both.theirs, "expired", now_ms) if expired else Turn(both.mine, both.theirs)

    change(stream_id, None, decide)
    return expired


def _one_sided(both: Both) -> bool:
    match, other = both.mine.match, both.theirs.match
    if match is None or match.state != "accepted":
        return False
    live = both.their_stream is not None and both.their_stream.state == "live"
    return not live or other is None or (other.id, other.state) != (match.id, match.state)


def _apart(both: Both, apart: Callable[[str, str], bool]) -> bool:
    match, stream = both.mine.match, both.my_stream
    return match is not None and stream is not None and apart(stream.host.id, match.rival.host.id)


class _Side(Struct, frozen=True):
    """One room of a transaction."""

    stream: Stream
    before: Stage
    after: Stage

    @property
    def live(self) -> bool:
        return self.stream.state == "live"

    def event(self, told: MatchState) -> MatchEvent:
        match = self.after.match or self.after.past
        assert match is not None, "what both rooms are told is about a match"
        now_ms = clock.now_ms()
        shown = matches.view(msgspec.structs.replace(match, state=told), now_ms)
        return MatchEvent(
            id=ids.new(),
            at=clock.rfc3339(now_ms),
            match=shown.match,
            state=shown.state,
            rival=shown.rival,
            asked_by=shown.asked_by,
            until=shown.until,
        )


def _commit(sides: list[_Side], told: MatchState | None) -> bool:
    """Write the rooms that changed; False when any of them is not any more what it was."""
    events = {side.stream.id: side.event(told) for side in sides if side.live} if told is not None else {}

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            for side in sides:
                if side.stream.id in events:
                    write.save(inbox_item(side.stream.id, events[side.stream.id]))
                same: Condition = StageItem.version == side.before.version
                if side.before.version == 0:
                    same = StageItem.pk.does_not_exist()
                write.save(StageItem.of(side.stream.id, side.after), condition=same)
            for side in sides:
                # A room that is over is told nothing more, and one that was deleted is not made again.
                write.update(
                    StreamItem(stream_key(side.stream.id), STREAM),
                    actions=[_for_relay(side.after.match), _until(side.after.match)],
                    condition=StreamItem.state == side.stream.state,
                )

    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        return False
    return True


def _told(stage: Stage) -> str | None:
    """Whom the relay shows beside this room's host."""
    match = stage.match
    return match.rival.stream_id if match is not None and match.state == "accepted" else None


def _for_relay(match: Match | None) -> Action:
    if match is None or match.state != "accepted":
        return StreamItem.match.remove()
    return StreamItem.match.set(msgspec.json.encode(_RelayMatch(match.rival.stream_id)).decode())


def _until(match: Match | None) -> Action:
    if match is None or match.state != "asked":
        return StreamItem.match_until.remove()
    return StreamItem.match_until.set(match.until_ms)
