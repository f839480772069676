"""The life of a broadcast: start, take over, end. Each is safe to repeat, and a repeat finishes what a crash left open.

Routes and the sweep end a broadcast through the same function, so that there is one way to end.
"""

from __future__ import annotations

from typing import Final

from functions import clock, ids
from functions.accounts import moderators
from functions.accounts import table as accounts
from functions.accounts.model import Account
from functions.errors import OnairError
from functions.rooms import matching, members
from functions.rooms import table as rooms
from functions.rooms.messages import Sender
from functions.rooms.stored import StoredRooms
from functions.streams import model, shares, table
from functions.streams.model import Host, Stream, Summary

# The room's last comments and gifts reach a frame within a few ticks; the summary waits for them, but not for ever.
LAST_FRAME_WAIT_MS: Final = 1500
LAST_FRAME_POLL_MS: Final = 100


def host_of(account: Account) -> Host:
    """The host's picture of an account, which a stream keeps."""
    return Host(account.id, account.handle, account.display_name, account.avatar_url, account.badges)


def start(stream: Stream, account: Account) -> Stream:
    """Go live and open the room; the caller has checked who asks and whether they may.

    Raises
    ------
    OnairError
        ``already_live`` while another stream of the host is live, ``conflict`` once this one has ended.
    """
    host = host_of(account)
    table.start(stream.id, host, stream.audience, account, ids.new(), clock.now_ms())
    live = table.required(stream.id)
    if live.state != "live" or live.epoch is None:
        raise OnairError("conflict", "This broadcast has ended. Make a new one.")
    sender = Sender(id=host.id, handle=host.handle, name=host.display_name, badges=host.badges)
    rooms.open_room(live.id, sender, live.title, live.epoch)
    members.appoint(live.id, moderators.listed(host.id))
    now = table.required(stream.id)
    if now.state != "live":
        # It ended between the two: the room that was just opened must not outlive it.
        rooms.close_room(now.id, now.end_reason)
        raise OnairError("conflict", "This broadcast has ended. Make a new one.")
    return now


def take_over(stream: Stream, request: str | None) -> Stream:
    """Give the host a new stream key and revoke the old; the same ``request`` again answers the same key."""
    if stream.state != "live":
        raise OnairError("not_live")
    if request is not None and stream.publish_request == request:
        return stream
    return table.rotate_key(stream, request, clock.now_ms())


def end(stream: Stream, reason: str) -> Stream:
    """End a live broadcast, close its room, store its summary; one that has ended only gets what it still lacks.

    Returns
    -------
    Stream
        Ended, with its summary: the same for every call.
    """
    if stream.state == "live":
        account = accounts.read(stream.host.id)
        followers = account.followers if account is not None else stream.followers_at_start
        table.end(stream, reason, clock.now_ms(), followers)
        stream = table.required(stream.id)
    if stream.state != "ended":
        raise OnairError("not_live")
    if stream.summary is not None:
        return stream
    # Before the room: a crash in between leaves the summary out, and the sweep comes here again.
    matching.part(stream.id)
    rooms.close_room(stream.id, stream.end_reason)
    _wait_for_last_frame(stream.id)
    return table.finish(stream, _summary(stream))


def _wait_for_last_frame(stream_id: str) -> None:
    reader = StoredRooms()
    deadline_ms = clock.now_ms() + LAST_FRAME_WAIT_MS
    while clock.now_ms() < deadline_ms:
        head = reader.head(stream_id)
        if head is not None and head.ended:
            return
        clock.sleep_ms(LAST_FRAME_POLL_MS)


def _summary(stream: Stream) -> Summary:
    found, shared = rooms.read_summary(stream.id), shares.counts(stream.id)
    followers_at_end = stream.followers_at_end if stream.followers_at_end is not None else stream.followers_at_start
    return Summary(
        duration_s=model.duration_s(stream),
        viewers_peak=found.viewers_peak,
        viewers_unique=found.viewers_unique,
        comments=found.comments,
        reactions=found.reactions,
        gifts=found.gifts,
        diamonds=found.gift_diamonds_milli // 1000,
        new_followers=max(0, followers_at_end - stream.followers_at_start),
        shares=shared.shares,
        arrivals=shared.arrivals,
    )


def stored_summary(stream: Stream) -> Summary:
    """The summary of a stream that `end` returned."""
    if stream.summary is None:
        raise OnairError("unavailable")
    return stream.summary
