"""What of a frame is shown where more is said than anyone can read, and how a gift's combo becomes one line. Pure.

A room shows so many comments a second, the same ones to everyone; who hosts or moderates is sent all, and so is whoever
reads frames from storage. Gifts, questions, polls, moderation and moments are never left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from functions.rooms.messages import ChatEvent, GiftEvent, RoomEvent, Sender
from functions.rooms.model import DISPLAY_BURST_MS, Limits


class Shown(Struct, frozen=True):
    """Events that are shown, how many comments are not, and the budget's theoretical arrival time after them.

    The budget is a GCRA (ITU-T I.371 Annex A) like a member's: ``lines_ms`` is carried from frame to frame.
    """

    events: tuple[RoomEvent, ...]
    skipped: int
    lines_ms: float


def shown(events: Sequence[RoomEvent], host: Sender, lines_ms: float, now_ms: int, limits: Limits) -> Shown:
    """What everyone is shown of ``events``.

    Hosts and moderators always are; then, as far as the budget goes, comments that name the host, then a sample of the
    rest: by a hash of the event's id, so that it is the same wherever it is computed, and fair to every member.
    """
    interval_ms = 1_000 / limits.display_lines_s
    start_ms = max(lines_ms, float(now_ms))
    allowed = max(0, int((now_ms + DISPLAY_BURST_MS - start_ms) / interval_ms))
    comments = [event for event in events if isinstance(event, ChatEvent)]
    by_rank = sorted((_rank(comment, host), _draw(comment.id), comment.id) for comment in comments)
    kept = {event_id for at, (rank, _, event_id) in enumerate(by_rank) if rank == 0 or at < allowed}
    told = tuple(event for event in events if not isinstance(event, ChatEvent) or event.id in kept)
    return Shown(told, len(comments) - len(kept), start_ms + len(kept) * interval_ms)


def _rank(comment: ChatEvent, host: Sender) -> int:
    sender = comment.sender
    if sender is not None and (sender.id == host.id or "moderator" in sender.badges):
        return 0
    return 1 if mentions(comment.text, host.handle) else 2


def mentions(text: str, handle: str) -> bool:
    """Whether a text names ``@handle``."""
    return re.search(rf"@{re.escape(handle)}(?![\w.])", text, re.IGNORECASE) is not None


def _draw(event_id: str) -> bytes:
    return hashlib.sha256(event_id.encode()).digest()[:8]


def merged(events: Sequence[RoomEvent]) -> list[RoomEvent]:
    """The events with each combo's gifts as one: the first one's place and id, ``client_ids`` of all."""
    out: list[RoomEvent] = []
    places: dict[tuple[str, str, str], int] = {}
    for event in events:
        if isinstance(event, GiftEvent) and event.combo is not None and event.sender is not None:
            run = (event.sender.id, event.combo, event.gift_id)
            if run in places:
                before = out[places[run]]
                assert isinstance(before, GiftEvent)
                out[places[run]] = _together(before, event)
                continue
            places[run] = len(out)
        out.append(event)
    return out


def _together(first: GiftEvent, second: GiftEvent) -> GiftEvent:
    ids = (*(first.client_ids or (first.client_id or "",)), second.client_id or "")
    return replace(
        first,
        count=first.count + second.count,
        coins=first.coins + second.coins,
        repeat_count=max(first.repeat_count or 0, second.repeat_count or 0) or None,
        combo_end=first.combo_end or second.combo_end,
        client_ids=ids,
    )
