"""What the template sets for rooms, read from the function's settings; defaults and meanings are in model.py."""

from __future__ import annotations

from functions import settings
from functions.rooms.model import Limits


def limits() -> Limits:
    """The room limits of this deployment."""
    default = Limits()
    return Limits(
        slot_ms=settings.integer("SLOT_MS", default.slot_ms),
        skew_guard_ms=settings.integer("SKEW_GUARD_MS", default.skew_guard_ms),
        posts_budget=settings.integer("POSTS_BUDGET", default.posts_budget),
        react_interval_ms=settings.integer("REACT_INTERVAL_MS", default.react_interval_ms),
        reconnect_spread_ms=settings.integer("RECONNECT_SPREAD_MS", default.reconnect_spread_ms),
        ping_s=settings.integer("PING_S", default.ping_s),
        display_lines_s=settings.integer("DISPLAY_LINES_S", default.display_lines_s),
        reacts_budget=settings.integer("REACTS_BUDGET", default.reacts_budget),
        stadium_viewers=settings.integer("STADIUM_VIEWERS", default.stadium_viewers),
        shard_size=settings.integer("SHARD_SIZE", default.shard_size),
    )
