"""Who is in a room, by name, and for whom: hosts and moderators see everybody, a viewer only whom they follow.

What a stranger watches is nobody's business, and nobody sees, or is seen by, someone whom either blocked. Visitors have
no name and are only counted.
"""

from __future__ import annotations

from typing import Final

from functions import clock
from functions.accounts import blocks, follows
from functions.accounts import table as accounts
from functions.rooms.limits import limits
from functions.rooms.model import Role, Room
from functions.rooms.stored import StoredRooms
from functions.rooms.views import Viewers, ViewerView

# Looked through, the newest first: a shard is 400 connections, and each hundred of names a call.
SHARDS_MAX: Final = 2
_VISITOR: Final = "visitor-"
_RANK: Final[dict[Role, int]] = {"host": 0, "moderator": 1, "viewer": 2, "visitor": 3}


def list_viewers(room: Room, asking: str, role: Role, limit: int) -> Viewers:
    """Up to ``limit`` (≤100) of those who are here: host, moderators, whom one follows, all others."""
    rooms = StoredRooms()
    state = rooms.state(room.stream_id)
    total = (state.viewers or 0) if state is not None else 0
    now_s, newest = clock.now_ms() // 1000, room.shard(limits().shard_size)
    here: dict[str, Role] = {}
    for shard in range(newest, max(-1, newest - SHARDS_MAX), -1):
        for one in rooms.connections(room.stream_id, shard):
            if one.expires_s > now_s and one.closing is None and not one.account.startswith(_VISITOR):
                # Who is sent all hosts or moderates; the same account may be here with two devices.
                here[one.account] = "moderator" if one.sent_all else here.get(one.account, "viewer")
    if room.host.id in here:
        here[room.host.id] = "host"
    hidden = blocks.hidden_from(asking)
    here = {one: as_what for one, as_what in here.items() if one not in hidden}
    known = follows.followed_among(asking, sorted(here))
    if role not in ("host", "moderator"):
        here = {one: as_what for one, as_what in here.items() if one in known or one in (asking, room.host.id)}
    first = sorted(here, key=lambda one: (_RANK[here[one]], one not in known, one))
    found = accounts.read_many(first[:limit]) if first else {}
    items = [
        ViewerView(
            id=account.id,
            handle=account.handle,
            display_name=account.display_name,
            avatar_url=account.avatar_url,
            badges=account.badges,
            role=here[account.id],
            followed=account.id in known,
        )
        for account in found.values()
    ]
    items.sort(key=lambda one: (_RANK[one.role], not one.followed, one.handle))
    return Viewers(viewers=max(total, len(items)), items=items, more=len(first) > limit)
