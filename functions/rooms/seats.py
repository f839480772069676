"""Seats: who is on screen with the host, and how one gets there. Pure.

asked ──(host accepts)──▶ accepted ──▶ left or removed      invited ──(guest accepts)──▶ accepted
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from functions.errors import OnairError
from functions.rooms.messages import Layout, MatchState, Rival, Role, SeatState, SeatView, Sender

# Guests on screen, those invited among them: nine pictures with the host's are what a phone can tell apart.
GUESTS_MAX: Final = 8
# Who waits for the host. The stage is read with each frame of the room: 20 of 200 bytes are one read unit.
ASKS_MAX: Final = 20
# Who was declined or removed may ask again after this long.
REFUSED_MS: Final = 60_000
REFUSALS_MAX: Final = 20
# Who reconnects is back within 30 s; a schedule of once a minute that looks a little early still counts.
AWAY_MS: Final = 55_000


class Seat(Struct, frozen=True, omit_defaults=True):
    """One seat; ``id`` is of this turn alone, so that a key to it is worth nothing when it is over.

    ``away_ms`` is since when its guest was found to have no socket in the room (0: is here)."""

    id: str
    guest: Sender
    state: SeatState
    muted: bool = False
    away_ms: int = 0

    def view(self) -> SeatView:
        """The seat as everyone sees it."""
        return SeatView(seat=self.id, guest=self.guest, state=self.state, muted=self.muted)


class Refused(Struct, frozen=True):
    """Someone who may not ask again before ``until_ms``."""

    account: str
    until_ms: int


class Match(Struct, frozen=True, omit_defaults=True):
    """A match as one of its two rooms has it (rules in matches.py); only asked for, it is nothing from ``until_ms``."""

    id: str
    rival: Rival
    asked_by: str
    until_ms: int
    state: MatchState = "asked"


class Stage(Struct, frozen=True, omit_defaults=True):
    """A room's seats, first come first, and its match; ``version`` rises with each change.

    ``past`` is the match before, so that its answers can be repeated; ``rests`` says which hosts may not ask for one
    yet, ``asks_arrival_ms`` how soon this one may (as ``arrival_ms`` of a member).
    """

    version: int = 0
    layout: Layout = "grid"
    seats: tuple[Seat, ...] = ()
    refused: tuple[Refused, ...] = ()
    match: Match | None = None
    past: Match | None = None
    rests: tuple[Refused, ...] = ()
    asks_arrival_ms: int = 0

    def seat(self, seat_id: str) -> Seat:
        """The seat; raises ``not_found``."""
        for one in self.seats:
            if one.id == seat_id:
                return one
        raise OnairError("not_found", "This seat is free by now.")

    def of(self, account: str) -> Seat | None:
        """The seat of an account, whatever its state."""
        return next((one for one in self.seats if one.guest.id == account), None)

    @property
    def on_screen(self) -> tuple[Seat, ...]:
        """Those who hold their seat."""
        return tuple(one for one in self.seats if one.state == "accepted")

    @property
    def taken(self) -> int:
        """Seats held or offered."""
        return sum(one.state != "asked" for one in self.seats)


def ask(stage: Stage, guest: Sender, seat_id: str, now_ms: int) -> Stage:
    """A viewer asks to come on screen; one who has a seat, or waits for one, changes nothing.

    Raises
    ------
    OnairError
        ``rate_limited`` soon after a refusal, ``conflict`` when too many wait.
    """
    if stage.of(guest.id) is not None:
        return stage
    for one in stage.refused:
        if one.account == guest.id and now_ms < one.until_ms:
            raise OnairError("rate_limited", retry_after_ms=one.until_ms - now_ms)
    if sum(one.state == "asked" for one in stage.seats) >= ASKS_MAX:
        raise OnairError("conflict", "Many are waiting for a seat already. Try again later.")
    return _with(stage, Seat(seat_id, guest, "asked"))


def invite(stage: Stage, guest: Sender, seat_id: str) -> Stage:
    """The host asks someone to come on screen; who asked before is let in at once."""
    present = stage.of(guest.id)
    if present is not None and present.state != "asked":
        return stage
    _check_room(stage)
    if present is not None:
        return _with(stage, replace(present, state="accepted"))
    return _with(stage, Seat(seat_id, guest, "invited"))


def accept(stage: Stage, seat: Seat, account: str, role: Role) -> Stage:
    """The host lets in who asked, or a guest takes what was offered; who is on screen changes nothing."""
    if seat.state == "accepted" and (account == seat.guest.id or role == "host"):
        return stage
    if not (seat.state == "asked" and role == "host") and not (seat.state == "invited" and account == seat.guest.id):
        raise OnairError("forbidden")
    if seat.state == "asked":
        _check_room(stage)
    return _with(stage, replace(seat, state="accepted"))


def give_up(stage: Stage, seat: Seat, account: str, role: Role, now_ms: int) -> Stage:
    """A guest leaves, declines or asks no longer; host and moderators remove or decline, which counts for a minute."""
    if account == seat.guest.id:
        return _without(stage, seat)
    if role not in ("host", "moderator"):
        raise OnairError("forbidden")
    kept = tuple(one for one in stage.refused if one.account != seat.guest.id and one.until_ms > now_ms)
    refused = (*kept, Refused(seat.guest.id, now_ms + REFUSED_MS))[-REFUSALS_MAX:]
    return replace(_without(stage, seat), refused=refused)


def notice(stage: Stage, seat_id: str, here: bool, now_ms: int) -> Stage:
    """Whether the guest of a seat is in the room: one who was found away twice, so long apart, has left it."""
    seat = next((one for one in stage.on_screen if one.id == seat_id), None)
    if seat is None or (here and seat.away_ms == 0):
        return stage
    if here or seat.away_ms == 0:
        return _with(stage, replace(seat, away_ms=0 if here else now_ms))
    return _without(stage, seat) if now_ms - seat.away_ms >= AWAY_MS else stage


def mute(stage: Stage, seat: Seat, muted: bool, role: Role) -> Stage:
    """Host and moderators silence who is on screen, or let them be heard again."""
    if role not in ("host", "moderator"):
        raise OnairError("forbidden")
    if seat.state != "accepted":
        raise OnairError("conflict", "Only who is on screen can be muted.")
    return stage if seat.muted == muted else _with(stage, replace(seat, muted=muted))


def arrange(stage: Stage, layout: Layout, role: Role) -> Stage:
    """The host chooses how pictures are arranged."""
    if role != "host":
        raise OnairError("forbidden")
    return stage if stage.layout == layout else replace(stage, layout=layout, version=stage.version + 1)


def _check_room(stage: Stage) -> None:
    if stage.taken >= GUESTS_MAX:
        raise OnairError("conflict", "All seats are taken. Take someone off the screen first.")


def _with(stage: Stage, seat: Seat) -> Stage:
    held = any(one.id == seat.id for one in stage.seats)
    seats = tuple(seat if one.id == seat.id else one for one in stage.seats) if held else (*stage.seats, seat)
    return replace(stage, seats=seats, version=stage.version + 1)


def _without(stage: Stage, seat: Seat) -> Stage:
    seats = tuple(one for one in stage.seats if one.id != seat.id)
    return replace(stage, seats=seats, version=stage.version + 1)
