"""What becomes of a member by host and moderators: the change, what the room is told, what the member is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from functions import clock, ids
from functions.errors import OnairError
from functions.rooms import moderating, moderation
from functions.rooms.messages import MeChanged, MutedEvent, Role
from functions.rooms.model import Member
from functions.rooms.posts import sockets
from functions.rooms.ring import ring
from functions.rooms.stored import StoredRooms
from functions.rooms.views import MemberChange

# Changes of one member meet each other only where two people moderate at once, or a member comments fast.
ATTEMPTS_MAX: Final = 8
# Telling a member of new rights is a courtesy: whoever cannot be told learns it from the next refusal.
TELL_MS: Final = 1_000


def change_member(stream_id: str, account: str, handle: str, change: MemberChange, by: Role) -> Member:
    """Change a member's rights and tell everyone whom it concerns; changing nothing tells nobody.

    Raises
    ------
    OnairError
        ``forbidden`` (only the host changes a moderator), ``unavailable``.
    """
    rooms = StoredRooms()
    for _ in range(ATTEMPTS_MAX):
        before = rooms.member(stream_id, account) or Member(account=account)
        now_ms = clock.now_ms()
        after = moderation.changed_member(before, change, by, now_ms)
        if after == before:
            return before
        mine = [one for stream, one in rooms.account_connections(account) if stream == stream_id]
        event = _muted(after, handle, now_ms) if _silenced(before) != _silenced(after) else None
        if not moderating.write_member(stream_id, before, after, mine, event):
            continue
        if event is not None:
            ring(stream_id)
        if mine and not after.banned:
            role = after.role("viewer")
            told = msgspec.json.encode(MeChanged(role, muted_until(after, now_ms))).decode()
            sockets().post([told], mine, TELL_MS)
        return after
    raise OnairError("unavailable")


def appoint(stream_id: str, accounts: Sequence[str]) -> None:
    """Make these accounts moderators of a room that just opened; whom the host dismissed in it stays dismissed."""
    rooms = StoredRooms()
    for account in accounts:
        if rooms.member(stream_id, account) is None:
            change_member(stream_id, account, "", MemberChange(moderator=True), "host")


def muted_until(member: Member, now_ms: int) -> str | None:
    """Until when a member may not comment, or None."""
    return clock.rfc3339(member.muted_until_ms) if member.muted_until_ms > now_ms else None


def _silenced(member: Member) -> tuple[int, bool]:
    return member.muted_until_ms, member.banned


def _muted(member: Member, handle: str, now_ms: int) -> MutedEvent:
    return MutedEvent(
        id=ids.new(),
        at=clock.rfc3339(now_ms),
        account=member.account,
        handle=handle,
        muted_until=muted_until(member, now_ms),
        banned=member.banned,
    )
