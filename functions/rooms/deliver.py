"""Lambda: posts frames to one shard of a big room. Nobody retries it: what it cannot deliver, resume makes good."""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec
from msgspec import Struct

from functions import clock, observe
from functions.rooms.limits import limits
from functions.rooms.model import KEPT_SHARD, Connection, Limits, ShardCount, tick_ms
from functions.rooms.port import Rooms, Sockets
from functions.rooms.posts import sockets
from functions.rooms.sequencing import POST_MS_MIN, dismiss, post_frame
from functions.rooms.stored import StoredRooms


class Delivery(Struct, frozen=True):
    """What to post to whom; ``told`` is the shard's last count, ``closing`` the code of the `bye` that ends it.

    ``whole`` is what those get who are sent all, where that is more. Of a stadium's `KEPT_SHARD`, which has no bound of
    its own, one of several deliveries posts to its ``part`` of ``parts``.
    """

    room: str
    shard: int
    bodies: list[str]
    told: int | None = None
    closing: str | None = None
    whole: str | None = None
    part: int = 0
    parts: int = 1

    def mine(self, one: Connection) -> bool:
        """Whether this delivery is the one that posts to a connection."""
        return self.parts == 1 or zlib.crc32(one.id.encode()) % self.parts == self.part


class Tick(Struct, frozen=True):
    """Of a frame, when the next one comes."""

    tick_ms: int = 0


_ticks: Final = msgspec.json.Decoder(Tick)


def deliver(rooms: Rooms, sockets: Sockets, delivery: Delivery, limits: Limits) -> None:
    """Post, forget who is gone, and tell how many are left."""
    # Read after the frame was put: who registers later reads the frame.
    everyone = [one for one in rooms.connections(delivery.room, delivery.shard) if delivery.mine(one)]
    now_s = clock.now_ms() // 1000
    live = [one for one in everyone if one.expires_s > now_s and one.closing is None]
    # The room's next frame comes a tick of the room later, not of this shard's few.
    told_ms = max((_ticks.decode(body).tick_ms for body in delivery.bodies), default=0)
    within_ms = max(POST_MS_MIN, tick_ms(len(live), limits), told_ms)
    gone = list[Connection]()
    for body in delivery.bodies:
        shown = body if delivery.whole is not None else None
        gone += post_frame(sockets, delivery.whole or body, shown, live, within_ms)
    dismiss(rooms, sockets, delivery.room, everyone, gone, delivery.closing)
    if delivery.shard == KEPT_SHARD:
        return
    left = 0 if delivery.closing else len(live) - len(gone)
    if left != delivery.told:
        rooms.tell_shard(delivery.room, delivery.shard, ShardCount(left, clock.now_ms()))


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> None:
    deliver(StoredRooms(), sockets(), msgspec.convert(event, Delivery), limits())
