"""Who floods: a container's own count of what each socket sends and is refused, and the end of a socket that goes on.

It costs a client that behaves no call to AWS, and one that does not none for what it is refused here: counts are kept
in the container. Each of a function's containers counts for itself, so a limit is one of *messages that a container
sees*: a thousand a second over thirty containers meet it within its window all the same. API Gateway's own throttle is
one of all clients together (`socket_rate`), and cannot tell one from another.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cache
from typing import Final

from msgspec import Struct

from functions import observe
from functions.rooms.model import Connection

WINDOW_MS: Final = 10_000
# Thirty a second are more than thumbs make: gifts in a combo, upvotes, hearts and comments together stay below ten.
MESSAGES_MAX: Final = 300
# Who is refused six times a second for ten seconds does not listen to `retry_after_ms`.
REFUSALS_MAX: Final = 60
# A container's connections under watch; the one that was silent longest is forgotten first.
WATCHED_MAX: Final = 5_000
CLOSE_WITHIN_MS: Final = 2_000


class Seen(Struct):
    """What one connection sent since ``began_ms``."""

    began_ms: int
    messages: int = 0
    refusals: int = 0


class Watch:
    """Counts by connection, in windows of `WINDOW_MS`; safe from many threads."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._lock = threading.Lock()

    def wait_ms(self, connection_id: str, now_ms: int) -> int:
        """Count a message; 0 where it may be looked at, else how long until one may be."""
        with self._lock:
            seen = self._of(connection_id, now_ms)
            seen.messages += 1
            return 0 if seen.messages <= MESSAGES_MAX else max(1, seen.began_ms + WINDOW_MS - now_ms)

    def is_enough(self, connection_id: str, now_ms: int) -> bool:
        """Count a refusal; whether the connection is to be closed now.

        Nothing more of it is looked at in this window. Where closing fails, as many refusals again have it tried again.
        """
        with self._lock:
            seen = self._of(connection_id, now_ms)
            seen.refusals += 1
            if seen.refusals < REFUSALS_MAX:
                return False
            seen.refusals, seen.messages = 0, MESSAGES_MAX
            return True

    def _of(self, connection_id: str, now_ms: int) -> Seen:
        seen = self._seen.get(connection_id)
        if seen is None or not seen.began_ms <= now_ms < seen.began_ms + WINDOW_MS:
            seen = self._seen[connection_id] = Seen(now_ms)
        self._seen.move_to_end(connection_id)
        if len(self._seen) > WATCHED_MAX:
            self._seen.popitem(last=False)
        return seen


@cache
def watch() -> Watch:
    """The container's."""
    return Watch()


def close(connection_id: str) -> None:
    """Say ``bye`` with ``rate_limited``, then close. Who was there may come back as anyone does, with a new ticket."""
    # Imported only here: a route that nobody floods posts to no socket.
    from functions.rooms.posts import sockets

    observe.logger.warning("flooding socket closed", extra={"connection": connection_id})
    flooding = Connection(connection_id, account="", shard=0, expires_s=0, closing="rate_limited")
    sockets().close([flooding], CLOSE_WITHIN_MS)
