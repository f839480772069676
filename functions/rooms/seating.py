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
from functions.rooms.items import STAGE, StageItem, inbox_item, room_key
from functions.rooms.messages import SeatEvent, SeatEventState
from functions.rooms.ring import ring
from functions.rooms.seats import Seat, Stage
from functions.streams.table import STREAM, StreamItem, stream_key

# Twenty may ask in the same moment; each attempt that loses to another one costs a read and a write.
ATTEMPTS_MAX: Final = 12


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


def change(stream_id: str, decide: Callable[[Stage], tuple[Stage, SeatEventState, Seat | None]]) -> Stage:
    """Change the stage by a rule of seats.py, and tell the room (one read, one transaction, one ring).

    Parameters
    ----------
    decide : Callable[[Stage], tuple[Stage, SeatEventState, Seat | None]]
        The stage after, what to call that, and the seat that it is about; called again when someone else was faster.

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
        event = _event(after, what, about)

        def write_all(before: Stage = before, after: Stage = after, event: SeatEvent = event) -> None:
            same: Condition = StageItem.version == before.version
            if before.version == 0:
                same = StageItem.pk.does_not_exist()
            with TransactWrite(connection=storage.connection()) as write:
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
            # Puts come first: inbox, stage; then the stream.
            if 2 in error.failed:
                raise OnairError("not_live") from None
            continue
        ring(stream_id)
        return after
    raise OnairError("unavailable")


def vacate(stream_id: str, account: str) -> None:
    """Take whoever has no right to be here off the screen; nothing happens where they are not."""

    def decide(stage: Stage) -> tuple[Stage, SeatEventState, Seat | None]:
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
