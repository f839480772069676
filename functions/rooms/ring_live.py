"""Lambda, each minute: rings every live room, for rings that were lost and for viewers whose time ran out."""

from __future__ import annotations

from typing import Any

from functions import observe
from functions.rooms.ring import ring_all
from functions.streams.model import LIVE_FEED_KEYS
from functions.streams.table import iterate_feed


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(_event: dict[str, Any], _context: Any) -> None:
    """Ring all; the next minute is the retry for those that the queue did not take."""
    # A stream that moves from one key to another meanwhile is found twice, or next minute.
    live = list(dict.fromkeys(stream_id for key in LIVE_FEED_KEYS for stream_id in iterate_feed(key)))
    refused = ring_all(live)
    if refused:
        observe.logger.warning("rings refused", extra={"refused": len(refused), "of": len(live)})
