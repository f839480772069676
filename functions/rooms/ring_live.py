"""Lambda, each minute: rings every live room, for rings that were lost and for viewers whose time ran out.

Then it looks for guests on screen who are not in their room any more.
"""

from __future__ import annotations

import random
from typing import Any, Final

from functions import clock, observe
from functions.rooms import absence
from functions.rooms.ring import ring_all
from functions.streams.model import LIVE_FEED_KEYS
from functions.streams.table import iterate_feed

# Below the function's time limit; what is left over has its turn in another minute, since each begins elsewhere.
RUN_MS_MAX: Final = 40_000


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(_event: dict[str, Any], _context: Any) -> None:
    """Ring all; the next minute is the retry for those that the queue did not take."""
    # A stream that moves from one key to another meanwhile is found twice, or next minute.
    started_ms = clock.now_ms()
    live = list(dict.fromkeys(stream_id for key in LIVE_FEED_KEYS for stream_id in iterate_feed(key)))
    refused = ring_all(live)
    if refused:
        observe.logger.warning("rings refused", extra={"refused": len(refused), "of": len(live)})
    random.shuffle(live)
    absence.vacate(live, lambda: clock.now_ms() - started_ms < RUN_MS_MAX)
