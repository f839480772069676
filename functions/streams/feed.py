"""The feed: what is live and flowing, for everyone and from those one follows, and what is coming up."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from functions import clock, parse
from functions.accounts import blocks, follows, reminders
from functions.accounts import table as accounts
from functions.parse import Page
from functions.rooms import table as rooms
from functions.streams import model, table, views
from functions.streams.model import FeedKey, Stream
from functions.streams.views import Streams, StreamView

# How many pages of the index or of follows one request looks through before it answers with what it has and a cursor.
PAGES_MAX: Final = 5
FOLLOWS_PAGE: Final = 100
# What should have started this long ago is not coming up any more.
OVERDUE_MS: Final = 3_600_000


def for_you(account_id: str, page: Page) -> Streams:
    """Live streams for everyone, newest first, but for those of hosts behind a block."""
    found, cursor = _from_index("live", page, forward=False)
    flowing = [stream for stream in found if stream.state == "live" and stream.media == "flowing"]
    return Streams(_live_views(_shown(account_id, flowing)), cursor)


def upcoming(account_id: str, page: Page) -> Streams:
    """Announced streams, soonest first, but for those of hosts behind a block, and with what one is reminded of."""
    since_ms = clock.now_ms() - OVERDUE_MS
    found, cursor = _from_index("upcoming", page, forward=True, since_ms=since_ms)
    announced = _shown(account_id, [stream for stream in found if stream.state == "scheduled"])
    wanted = reminders.has_among(account_id, [stream.id for stream in announced])
    items = [
        msgspec.structs.replace(views.view(stream), why="upcoming", reminder=stream.id in wanted)
        for stream in announced
    ]
    return Streams(items, cursor)


def following(account_id: str, page: Page) -> Streams:
    """Live streams of those whom the account follows, in the order of its follows."""
    place = parse.cursor(page.cursor, parts=1)
    after = place[0] if place else None
    flowing: list[Stream] = []
    for _ in range(PAGES_MAX):
        # Never more follows than streams still wanted: then the cursor is always the last follow looked at.
        wanted = page.limit - len(flowing)
        followed, after = follows.listed(account_id, "follows", after, min(FOLLOWS_PAGE, max(wanted, 1)))
        hosts = accounts.read_many(followed)
        live = [hosts[one].live_stream for one in followed if one in hosts]
        streams = table.read_many([stream_id for stream_id in live if stream_id is not None])
        flowing += [
            streams[one]
            for one in live
            if one in streams
            and streams[one].state == "live"
            and streams[one].media == "flowing"
            and streams[one].audience != "members"
        ]
        if after is None or len(flowing) >= page.limit:
            break
    items = [msgspec.structs.replace(item, why="following") for item in _live_views(flowing)]
    return Streams(items, parse.make_cursor(after) if after is not None else UNSET)


def _from_index(
    key: FeedKey, page: Page, *, forward: bool, since_ms: int | None = None
) -> tuple[list[Stream], str | msgspec.UnsetType]:
    place = parse.cursor(page.cursor, parts=2)
    rows = table.list_feed(key, (place[0], place[1]) if place else None, page.limit, forward=forward, since_ms=since_ms)
    streams = table.read_many([stream_id for stream_id, _ in rows])
    # The index lags behind the table by a moment: the item itself decides (the callers look at its state).
    found = [streams[stream_id] for stream_id, _ in rows if stream_id in streams]
    more = len(rows) == page.limit
    return found, parse.make_cursor(*rows[-1]) if more else UNSET


def _shown(account_id: str, streams: list[Stream]) -> list[Stream]:
    """Without those of hosts who are behind a block: one read for a page, none for an empty one."""
    hidden = blocks.hidden_from(account_id) if streams else frozenset[str]()
    return [stream for stream in streams if stream.host.id not in hidden]


def _live_views(streams: list[Stream]) -> list[StreamView]:
    if not streams:
        return []
    viewers = rooms.read_viewers([stream.id for stream in streams])
    now_ms = clock.now_ms()
    return [
        msgspec.structs.replace(
            views.view(stream, viewers.get(stream.id, 0)),
            why=model.why(stream, viewers.get(stream.id, 0), now_ms),
        )
        for stream in streams
    ]
