"""How a room's inbox becomes its next frame. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from functions import clock
from functions.rooms.display import merged, shown
from functions.rooms.messages import (
    ChatEvent,
    EndedEvent,
    Frame,
    GiftEvent,
    MilestoneKind,
    MutedEvent,
    RemovedEvent,
    RoomEvent,
)
from functions.rooms.milestones import reached
from functions.rooms.model import (
    InboxEntry,
    Limits,
    RoomState,
    StoredFrame,
    Totals,
    Transport,
    is_stadium,
    react_sample,
    tick_ms,
)
from functions.rooms.removal import redacted, removed_by
from functions.rooms.voting import Question, Told, news

# API Gateway bills a message in units of 32 KB; 24 KB leaves room for escapes and the envelope.
FRAME_BYTES_MAX: Final = 24 * 1024
# The largest honest event is far below this; what is larger came from nowhere and would fit no frame.
EVENT_BYTES_MAX: Final = 8 * 1024
_ENVELOPE_BYTES: Final = 1024

_events = msgspec.json.Decoder(RoomEvent)


class Folded(Struct, frozen=True):
    """The next frame, how many inbox entries had to wait for the one after it, and the body that is posted to those
    who are not sent all (None: the same)."""

    frame: StoredFrame
    waiting: int
    shown: str | None = None


def fold(
    head: StoredFrame | None,
    state: RoomState,
    inbox: Sequence[InboxEntry],
    *,
    questions: Sequence[Question] = (),
    viewers: int,
    by_media: bool = False,
    read_ms: int,
    now_ms: int,
    limits: Limits,
) -> Folded | None:
    """Frame *n+1*, or None when nothing changed since the head frame.

    ``inbox`` must hold nothing that the head frame holds. Entries are taken in order of their time, removals first;
    those beyond 24 KB wait for the next frame. ``questions`` are those whose upvotes rose (`voting.raised`).
    ``by_media`` tells whether frames can travel in the media, should this be a stadium (`model.media_serves`).
    """
    room = state.room
    # By the time of the reading, not of now: a slow run must not call a poll's result what it read before the end.
    votes = news(room.poll, state.votes, questions, head.told if head else Told(), read_ms)
    before = (head.stadium, head.transport) if head else (False, "socket")
    stadium = is_stadium(viewers, before[0], limits)
    transport: Transport = "media" if stadium and by_media and room.media == "flowing" and room.live else "socket"
    quiet = (
        not inbox
        and not votes.events
        and (stadium, transport) == before
        and (
            (viewers, state.reactions, room.media) == (head.viewers, head.reactions, head.media)
            if head
            else viewers == 0 and not state.reactions and room.media == "waiting"
        )
    )
    if quiet:
        return None
    events = sorted((_event(entry, now_ms) for entry in inbox), key=_place)
    removed = removed_by(events)
    events = [redacted(event, removed) for event in events]
    taken: list[RoomEvent] = []
    told = tuple(redacted(event, removed) for event in votes.events)
    size = _ENVELOPE_BYTES + sum(len(msgspec.json.encode(event)) + 1 for event in told)
    for event in events:
        size += len(msgspec.json.encode(event)) + 1
        if size > FRAME_BYTES_MAX:
            break
        taken.append(event)
    # Two clocks may differ: a frame is never older than the one before it.
    at_ms = max(now_ms, head.at_ms if head else 0)
    tick = tick_ms(viewers, limits)
    totals = _add(head.totals if head else Totals(), taken, inbox, viewers)
    values: dict[MilestoneKind, int] = {
        "viewers": viewers,
        "likes": sum(state.reactions.values()),
        "gifts": totals.gifts,
    }
    moments, milestones = reached(values, votes.told.milestones, room.stream_id, room.epoch, at_ms)
    display = shown((*merged(taken), *told, *moments), room.host, head.lines_ms if head else 0, at_ms, limits)
    frame = Frame(
        epoch=room.epoch,
        seq=head.seq + 1 if head else 1,
        at=clock.rfc3339(at_ms),
        viewers=viewers,
        tick_ms=tick,
        reactions=state.reactions,
        media=room.media,
        react_sample=react_sample(viewers, limits),
        transport=transport,
        events=(*merged(taken), *told, *moments),
    )
    less = replace(frame, events=display.events, skipped=display.skipped) if display.skipped else None
    return Folded(
        StoredFrame(
            seq=frame.seq,
            epoch=frame.epoch,
            at_ms=at_ms,
            read_ms=read_ms,
            tick_ms=tick,
            viewers=viewers,
            media=room.media,
            reactions=state.reactions,
            totals=totals,
            event_ids=tuple(event.id for event in taken),
            body=msgspec.json.encode(frame).decode(),
            ended=any(isinstance(event, EndedEvent) for event in taken),
            told=replace(votes.told, milestones=milestones),
            lines_ms=display.lines_ms,
            stadium=stadium,
            transport=transport,
            switched=transport != before[1],
        ),
        waiting=len(events) - len(taken) + votes.more,
        shown=None if less is None else msgspec.json.encode(less).decode(),
    )


def _place(event: RoomEvent) -> tuple[int, str, str]:
    # What removes comes before all else, or it would wait behind what it removes. What mutes comes after what the same
    # member said before it: the writers' clocks may differ, and mute and comment are ordered by the member's version.
    rank = 0 if isinstance(event, RemovedEvent) else 2 if isinstance(event, MutedEvent) else 1
    return rank, event.at, event.id


def _event(entry: InboxEntry, now_ms: int) -> RoomEvent:
    # What cannot be read becomes a tombstone in its place: it must neither block the room nor vanish without a trace.
    try:
        if entry.body is not None and len(entry.body) <= EVENT_BYTES_MAX:
            event = _events.decode(entry.body)
            if event.id == entry.event_id and len(msgspec.json.encode(event)) <= EVENT_BYTES_MAX:
                return event
    except msgspec.MsgspecError:
        pass
    return RemovedEvent(id=entry.event_id, at=clock.rfc3339(now_ms), event_id=entry.event_id, reason="unreadable")


def _add(before: Totals, taken: Sequence[RoomEvent], inbox: Sequence[InboxEntry], viewers: int) -> Totals:
    milli = {entry.event_id: entry.diamonds_milli for entry in inbox}
    gifts = [event for event in taken if isinstance(event, GiftEvent)]
    return Totals(
        comments=before.comments + sum(isinstance(event, ChatEvent) for event in taken),
        gifts=before.gifts + sum(gift.count for gift in gifts),
        gift_coins=before.gift_coins + sum(gift.coins for gift in gifts),
        gift_diamonds_milli=before.gift_diamonds_milli + sum(milli[gift.id] for gift in gifts),
        viewers_peak=max(before.viewers_peak, viewers),
    )
