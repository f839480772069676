"""Guests who are gone without a word: a seat whose guest has had no socket in the room for a minute is vacated.

`$disconnect` is best effort, and a browser that crashes says nothing at all, so this is looked for, not heard of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from functions import clock, observe
from functions.rooms import seating
from functions.rooms.items import STAGE, StageItem, room_key
from functions.rooms.seats import Seat
from functions.rooms.stored import StoredRooms, batch_get

READ_AT_ONCE: Final = 100
# As many as a container asks for side by side.
LOOKED_AT_ONCE: Final = 8


def vacate(stream_ids: Sequence[str], has_time: Callable[[], bool]) -> int:
    """Look at the guests on screen in these rooms (a read for each hundred rooms, one for each guest).

    Parameters
    ----------
    has_time : Callable[[], bool]
        Asked before each step; whoever is left out has their turn in the next minute.

    Returns
    -------
    int
        How many seats were vacated.
    """
    vacated = 0
    for seats in _on_screen(stream_ids, has_time):
        calls = [_reader(stream_id, seat.guest.id) for stream_id, seat in seats]
        for (stream_id, seat), here in zip(seats, StoredRooms().together(*calls), strict=True):
            # Nothing is written of the many who are here, and were here before.
            if here and seat.away_ms == 0:
                continue
            if seating.notice(stream_id, seat.id, here):
                observe.logger.info("a guest is gone", extra={"stream": stream_id, "seat": seat.id})
                vacated += 1
    return vacated


def _on_screen(stream_ids: Sequence[str], has_time: Callable[[], bool]) -> Iterator[list[tuple[str, Seat]]]:
    for start in range(0, len(stream_ids), READ_AT_ONCE):
        if not has_time():
            return
        found: list[tuple[str, Seat]] = []
        for row in batch_get([(room_key(one), STAGE) for one in stream_ids[start : start + READ_AT_ONCE]]):
            item = StageItem.from_raw_data(row)
            found += [(item.pk.removeprefix("room#"), seat) for seat in item.to_stage().on_screen]
        for at in range(0, len(found), LOOKED_AT_ONCE):
            if not has_time():
                return
            yield found[at : at + LOOKED_AT_ONCE]


def _reader(stream_id: str, account: str) -> Callable[[], bool]:
    def read() -> bool:
        now_s = clock.now_ms() // 1000
        mine = [one for stream, one in StoredRooms().account_connections(account) if stream == stream_id]
        return any(one.expires_s > now_s and one.closing is None for one in mine)

    return read
