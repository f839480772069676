"""Lists of recordings, newest first: one's own, and those of an account that whoever asks may play.

The index `replays` holds one row for each recording, so that a page is one query of as many rows as it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from functions import clock, parse, settings, storage
from functions.accounts import model as accounts_model
from functions.accounts import showing, shut_out
from functions.accounts import table as accounts
from functions.accounts.blocks import BlockItem, block_key
from functions.accounts.follows import FollowItem
from functions.accounts.model import Account
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.errors import OnairError
from functions.parse import Page
from functions.storage import StoredItem
from functions.streams import table, tickets, views
from functions.streams.model import DAY_MS, Stream, is_hidden, may_have_recording
from functions.streams.views import Replays, ReplayView

_SHUT_OUT: Final = ("suspended", "banned")


def own(account_id: str, page: Page) -> Replays:
    """One's own, those that are still put together and those hidden from others as well (two calls)."""
    found, cursor = _listed(account_id, page)
    return Replays([_view(stream, own=True) for stream in found], cursor)


def of_account(handle: str, viewer_id: str, page: Page) -> Replays:
    """Those of an account that ``viewer_id`` may play now (at most five calls); one's own as others may.

    Raises
    ------
    OnairError
        ``not_found``, ``blocked``; ``forbidden`` for a private account that one does not follow; ``suspended`` and
        ``banned``, since who is shut out plays nothing.
    """
    host, viewer, follows = _standing_between(handle, viewer_id)
    if host.standing in _SHUT_OUT:
        return Replays([])
    found, cursor = _listed(host.id, page)
    ready = [stream for stream in found if stream.replay_s]
    if host.id == viewer.id:
        shown = [stream for stream in ready if not is_hidden(stream)]
    else:
        shown = tickets.playable(ready, viewer, follows=follows)
    return Replays([_view(stream, own=False) for stream in shown], cursor)


def _standing_between(handle: str, viewer_id: str) -> tuple[Account, Account, bool]:
    """Host, who asks, and whether they follow: two reads."""
    host_id = accounts.id_of(handle)
    if host_id is None:
        raise OnairError("not_found")
    mine = account_key(viewer_id)
    wanted: list[tuple[type[StoredItem], str, str]] = [(ProfileItem, mine, PROFILE)]
    if host_id != viewer_id:
        wanted += [
            (ProfileItem, account_key(host_id), PROFILE),
            (BlockItem, mine, block_key(host_id)),
            (FollowItem, mine, f"follows#{host_id}"),
        ]
    profile, *others = storage.read_across(wanted)
    viewer = _account(profile)
    if viewer is None:
        raise OnairError("unauthenticated")
    if viewer.standing == "banned":
        raise OnairError("banned", shut_out.BANNED)
    if viewer.standing == "suspended":
        raise OnairError("suspended")
    if not others:
        return viewer, viewer, True
    theirs, block, follow = others
    host = _account(theirs)
    if host is None:
        raise OnairError("not_found")
    if block is not None:
        raise OnairError("blocked")
    if follow is None and accounts_model.is_private(host, clock.today_utc(clock.now_ms())):
        raise OnairError("forbidden", showing.PRIVATE)
    return host, viewer, follow is not None


def _account(profile: StoredItem | None) -> Account | None:
    return accounts.counted([profile]) if isinstance(profile, ProfileItem) else None


def _listed(host_id: str, page: Page) -> tuple[Sequence[Stream], str | UnsetType]:
    """Recordings that are there or still to come, and where the list goes on."""
    place = parse.cursor(page.cursor, parts=2)
    since_ms = clock.now_ms() - int(settings.required("REPLAY_DAYS")) * DAY_MS
    rows = table.list_replays(host_id, clock.rfc3339(since_ms), (place[0], place[1]) if place else None, page.limit)
    streams = table.read_many([stream_id for stream_id, _ in rows]) if rows else {}
    found = [streams[stream_id] for stream_id, _ in rows if stream_id in streams]
    # Of some, nothing was stored after all.
    kept = [stream for stream in found if stream.replay_s or (stream.replay_s is None and may_have_recording(stream))]
    return kept, parse.make_cursor(*rows[-1]) if len(rows) == page.limit else UNSET


def _view(stream: Stream, *, own: bool) -> ReplayView:
    return ReplayView(
        stream=views.view(stream),
        state="ready" if stream.replay_s else "processing",
        viewers=stream.summary.viewers_unique if stream.summary is not None else 0,
        expires_at=clock.rfc3339(tickets.expires_ms(stream)),
        picture_url=tickets.picture_url(stream),
        duration_s=stream.replay_s or UNSET,
        bytes=stream.replay_bytes if own and stream.replay_s else UNSET,
    )
