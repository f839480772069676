"""Numbers that a room is told of when it reaches them. Pure."""

from __future__ import annotations

from typing import Final

from functions import clock, ids
from functions.rooms.messages import MilestoneEvent, MilestoneKind

STEPS: Final[dict[MilestoneKind, tuple[int, ...]]] = {
    "viewers": (50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 1_000_000),
    "likes": (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "gifts": (10, 100, 1_000, 10_000, 100_000),
}


def reached(
    values: dict[MilestoneKind, int], told: dict[str, int], stream_id: str, epoch: str, at_ms: int
) -> tuple[tuple[MilestoneEvent, ...], dict[str, int]]:
    """Events for what is reached and was not told (the highest of each kind), and what has been told then."""
    events: list[MilestoneEvent] = []
    after = dict(told)
    for kind, value in values.items():
        step = max((step for step in STEPS[kind] if step <= value), default=0)
        if step > told.get(kind, 0):
            after[kind] = step
            event_id = ids.derived("milestone", stream_id, epoch, kind, str(step))
            events.append(MilestoneEvent(id=event_id, at=clock.rfc3339(at_ms), kind=kind, value=step))
    return tuple(events), after
