"""A room's stage in storage: a change, what the relay reads of it, and the event are one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from functions import clock, ids, storage, transaction
from functions.errors import OnairError
from functions.rooms import seats
from functions.rooms.items import STAGE, SeatItem, StageItem, inbox_item, room_key, seats_key
from functions.rooms.messages import SeatEvent, SeatEventState
from functions.rooms.ring import ring
from functions.rooms.seats import Seat, Stage
from functions.streams.table import STREAM, StreamItem, stream_key

# Twenty may ask in the same moment; each attempt that loses to another one costs a read and a write.
ATTEMPTS_MAX: Final = 12
# No broadcast goes on for so long without a change of its seats.
SEATED_S: Final = 7 * 24 * 3600

Decision = tuple[Stage, SeatEventState | None, Seat | None]


class _RelaySeat(msgspec.Struct, frozen=True):
    """A seat as the relay reads it (media/relay/control.py)."""

    seat: str
    muted: bool


class _RelayStage(msgspec.Struct, frozen=True):
    """A stage as the relay reads it."""

    layout: str
    seats: tuple[_RelaySeat, ...]


def read(stream_id: str) -> Stage:
    """The stage as it is now; empty where nobody asked yet."""
    try:
        return StageItem.get(room_key(stream_id), STAGE, consistent_read=True).to_stage()
    except DoesNotExist:
        return Stage()


def rooms_of(account: str) -> list[str]:
    """Streams on whose stages an account was last seen: on screen, invited or waiting (one read)."""
    found = SeatItem.query(seats_key(account), consistent_read=True)
    return [item.sk.removeprefix("room#") for item in found]


def change(stream_id: str, decide: Callable[[Stage], Decision]) -> Stage:
    """Change the stage by a rule of seats.py, and tell the room (one read, one transaction, one ring).

    Parameters
    ----------
    decide : Callable[[Stage], Decision]
        The stage after, what to call that (None: the room need not know), and the seat that it is about; called again
        when someone else was faster.

    Raises
    ------
    OnairError
        What ``decide`` raises; ``not_live`` once the broadcast is over; ``unavailable``.
    """
    for _ in range(ATTEMPTS_MAX):
        before = read(stream_id)
        after, what, about = decide(before)
        if after == before:
            return before
        event = _event(after, what, about) if what is not None else None
        here, there = ({one.guest.id for one in stage.seats} for stage in (before, after))

        def write_all(
            before: Stage = before,
            after: Stage = after,
            event: SeatEvent | None = event,
            came: frozenset[str] = frozenset(there - here),
            went: frozenset[str] = frozenset(here - there),
        ) -> None:
            same: Condition = StageItem.version == before.version
            if before.version == 0:
                same = StageItem.pk.does_not_exist()
            with TransactWrite(connection=storage.connection()) as write:
                for account in went:
                    write.delete(_seat_item(stream_id, account))
                for account in came:
                    write.save(_seat_item(stream_id, account))
                if event is not None:
                    write.save(inbox_item(stream_id, event))
                write.save(StageItem.of(stream_id, after), condition=same)
                write.update(
                    StreamItem(stream_key(stream_id), STREAM),
                    actions=[StreamItem.stage.set(_for_relay(after))],
                    condition=StreamItem.state == "live",
                )

        try:
            transaction.commit(write_all)
        except transaction.ConditionError as error:
            # Deletes and puts come first, the stage last of them; then the stream.
            if len(here ^ there) + (2 if event is not None else 1) in error.failed:
                raise OnairError("not_live") from None
            continue
        if event is not None:
            ring(stream_id)
        return after
    raise OnairError("unavailable")


def vacate(stream_id: str, account: str) -> None:
    """Take whoever has no right to be here off the screen; nothing happens where they are not."""

    def decide(stage: Stage) -> Decision:
        seat = stage.of(account)
        if seat is None:
            return stage, "removed", None
        return seats.give_up(stage, seat, "", "host", clock.now_ms()), "removed", seat

    try:
        change(stream_id, decide)
    except OnairError as error:
        # A broadcast that is over has nobody on screen.
        if error.code != "not_live":
            raise
        _seat_item(stream_id, account).delete()


def notice(stream_id: str, seat_id: str, here: bool) -> bool:
    """Write down whether the guest of a seat is in the room; True when the seat was vacated since they are not.

    It is no removal: they may ask again at once.
    """
    left: list[Seat] = []

    def decide(stage: Stage) -> Decision:
        after = seats.notice(stage, seat_id, here, clock.now_ms())
        left[:] = [one for one in stage.seats if one.id not in {kept.id for kept in after.seats}]
        return after, "left" if left else None, left[0] if left else None

    try:
        change(stream_id, decide)
    except OnairError as error:
        if error.code != "not_live":
            raise
        return False
    return bool(left)


def _seat_item(stream_id: str, account: str) -> SeatItem:
    return SeatItem(seats_key(account), room_key(stream_id), expires_at=clock.now_ms() // 1000 + SEATED_S)


def _event(after: Stage, what: SeatEventState, about: Seat | None) -> SeatEvent:
    present = after.of(about.guest.id) if about is not None else None
    return SeatEvent(
        id=ids.new(),
        at=clock.rfc3339(clock.now_ms()),
        sender=about.guest if about is not None else None,
        seat=about.id if about is not None else None,
        state=what,
        muted=present is not None and present.muted,
        layout=after.layout,
    )


def _for_relay(stage: Stage) -> str:
    told = tuple(_RelaySeat(one.id, one.muted) for one in stage.on_screen)
    return msgspec.json.encode(_RelayStage(stage.layout, told)).decode()
