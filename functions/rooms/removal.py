"""What is left of a removed event, wherever its text stood. Pure.

A comment's text may stand in its own event, in the pin that shows it, and in the question that it became.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

import msgspec
from msgspec.structs import replace

from functions import clock, ids
from functions.rooms.messages import Event, Frame, PinnedEvent, QuestionEvent, RemovedEvent, RoomEvent
from functions.rooms.model import InboxEntry

# The inbox is read in order of ids: what removes must be read with, or before, what it removes.
REMOVAL_PREFIX: Final = "00"

_frames = msgspec.json.Decoder(Frame)
_removals = msgspec.json.Decoder(RemovedEvent)


def removal(stream_id: str, event_id: str, now_ms: int) -> RemovedEvent:
    """The event that removes another: its id is before every other's, and the same whoever removes."""
    own_id = REMOVAL_PREFIX + ids.derived("removed", stream_id, event_id)[:24]
    return RemovedEvent(id=own_id, at=clock.rfc3339(now_ms), event_id=event_id)


def tombstone(event_id: str, at: str) -> RemovedEvent:
    """What stands in an event's own place once it is removed."""
    return RemovedEvent(id=event_id, at=at, event_id=event_id)


def removed_in(inbox: Iterable[InboxEntry]) -> frozenset[str]:
    """Ids of what the events of an inbox remove; the tombstones in it need nothing more."""
    found: set[str] = set()
    for entry in inbox:
        if entry.event_id.startswith(REMOVAL_PREFIX) and entry.body is not None:
            try:
                found.add(_removals.decode(entry.body).event_id)
            except msgspec.MsgspecError:
                continue
    return frozenset(found)


def removed_by(events: Iterable[Event]) -> frozenset[str]:
    """Ids of what these events remove."""
    return frozenset(event.event_id for event in events if isinstance(event, RemovedEvent))


def redacted(event: RoomEvent, removed: Set[str]) -> RoomEvent:
    """The event without the text of what was removed; its place and id stay, so that every event is in one frame."""
    if isinstance(event, RemovedEvent):
        return event
    if event.id in removed or (isinstance(event, QuestionEvent) and event.question_id in removed):
        gone = event.question_id if isinstance(event, QuestionEvent) else event.id
        return RemovedEvent(id=event.id, at=event.at, event_id=gone)
    if isinstance(event, PinnedEvent) and event.pinned is not None and event.pinned.id in removed:
        return replace(event, pinned=None)
    return event


def redacted_body(body: str, removed: Set[str]) -> str | None:
    """A frame's body without what was removed; None where it holds nothing of it."""
    frame = _frames.decode(body)
    events = tuple(redacted(event, removed) for event in frame.events)
    if events == frame.events:
        return None
    return msgspec.json.encode(replace(frame, events=events)).decode()
