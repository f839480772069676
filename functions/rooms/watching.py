"""Whom those on a stage watch at once, by WHEP at the relay (media/relay/stages.py)."""

from __future__ import annotations

from typing import Final

from functions import settings
from functions.rooms.messages import Sender
from functions.rooms.seats import Stage
from functions.rooms.views import SeatWatch

# The host's picture, and in a match the other host's, among the seats that are watched.
HOST_SEAT: Final = "host"
MATCH_SEAT: Final = "match"


def whep_url(stream_id: str, seat: str) -> str:
    """Where a seat of this stream's stage is watched."""
    return f"{settings.required('RELAY_URL')}/whep/{stream_id}/{seat}"


def watched(stream_id: str, host: Sender, stage: Stage, but: str) -> tuple[SeatWatch, ...]:
    """The host, the other host of a match that is on, and the guests on screen, but for the seat of who asks."""
    shown = [(HOST_SEAT, host), *((one.id, one.guest) for one in stage.on_screen)]
    if stage.match is not None and stage.match.state == "accepted":
        rival = stage.match.rival.host
        shown.insert(1, (MATCH_SEAT, Sender(rival.id, rival.handle, rival.name)))
    return tuple(SeatWatch(seat, who, whep_url(stream_id, seat)) for seat, who in shown if seat != but)
