"""Closing a room to an account at once: its open sockets get `bye`, and a ticket that it still holds opens none."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from functions.errors import OnairError
from functions.rooms import moderating, seating
from functions.rooms.model import Member
from functions.rooms.ring import ring
from functions.rooms.stored import StoredRooms

ATTEMPTS_MAX: Final = 8


def shut_out(stream_id: str, account: str) -> bool:
    """Ban an account from a room without a word to the others in it; True where it was not banned before.

    Only who is on screen is seen to leave it.
    """
    new = _set_banned(stream_id, account, banned=True)
    seating.vacate(stream_id, account)
    return new


def let_in(stream_id: str, account: str) -> None:
    """Lift a room's ban."""
    _set_banned(stream_id, account, banned=False)


def _set_banned(stream_id: str, account: str, *, banned: bool) -> bool:
    rooms = StoredRooms()
    for _ in range(ATTEMPTS_MAX):
        found = rooms.member(stream_id, account)
        before = found or Member(account=account)
        mine = [one for stream, one in rooms.account_connections(account) if stream == stream_id]
        if before.banned == banned and not (banned and mine):
            return False
        after = replace(before, banned=banned, moderator=before.moderator and not banned, version=before.version + 1)
        if moderating.write_member(stream_id, before, after, mine, None):
            if mine and banned:
                # Without something to sequence nothing would look at the sockets that are to be closed.
                ring(stream_id)
            return before.banned != banned
    raise OnairError("unavailable")
