"""Lambda on the Rooms table's stream: reads frames as they are put, tells hosts their pulse and what gifts they had,
and members who named them.

A reader: whatever happens here, and however late, the room does not wait for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from pynamodb.exceptions import UpdateError

from functions import clock, observe
from functions.accounts import notices, telling
from functions.accounts import table as accounts
from functions.rooms import holding
from functions.rooms.items import FRAME_PREFIX, HELD_PREFIX, FrameItem, ViewersItem, room_key
from functions.rooms.messages import ChatEvent, EndedEvent, Frame, HeldTold
from functions.rooms.model import StoredFrame
from functions.rooms.posts import sockets
from functions.rooms.pulse import PULSE_MS, Minute, Sentiment, pulse
from functions.rooms.sentiment import VaderSentiment
from functions.rooms.stored import CONDITION_FAILED, StoredRooms
from functions.rooms.table import read_room, read_summary

# A busy minute: five frames a second.
FRAMES_MAX: Final = 320
POST_MS: Final = 1_000
REPLY_FRAMES_MAX: Final = 200
# Who names more people than this in a comment names nobody in particular.
MENTIONS_MAX: Final = 5
LOOKUPS_MAX: Final = 50
PULSE: Final = "pulse"

_MENTION: Final = re.compile(r"(?<![\w.@])@([a-zA-Z0-9_.]{3,24})")
_frames: Final = msgspec.json.Decoder(Frame)
_made: list[Sentiment] = []


def _sentiment() -> Sentiment:
    if not _made:
        _made.append(VaderSentiment())
    return _made[0]


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> None:
    """Deal with a batch of new frames; a room that fails is logged, the others have theirs."""
    rooms: dict[str, list[StoredFrame]] = {}
    held: set[str] = set()
    for record in event.get("Records", []):
        image: dict[str, Any] = record.get("dynamodb", {}).get("NewImage") or {}
        key = str(image.get("sk", {}).get("S"))
        if record.get("eventName") != "INSERT" or not key.startswith((FRAME_PREFIX, HELD_PREFIX)):
            continue
        stream_id = str(image["pk"]["S"]).removeprefix("room#")
        frames = rooms.setdefault(stream_id, [])
        if key.startswith(HELD_PREFIX):
            held.add(stream_id)
            continue
        frames.append(FrameItem.from_raw_data(image).to_frame())
    for stream_id, frames in rooms.items():
        try:
            if stream_id in held:
                _tell_held(stream_id)
            if frames:
                _tell_named(stream_id, frames)
                _tell_gifts(stream_id, frames)
                _tell_pulse(stream_id)
        except Exception:  # noqa: BLE001 - the edge: a reader must not hold up those behind it in the stream
            observe.logger.exception("insights failed", extra={"room": stream_id})


# --- comments that wait


def _tell_held(stream_id: str) -> None:
    room = read_room(stream_id)
    if room is None or not room.live:
        return
    host = [one for stream, one in StoredRooms().account_connections(room.host.id) if stream == stream_id]
    if host:
        told = HeldTold(waiting=holding.count(stream_id))
        sockets().post([msgspec.json.encode(told).decode()], host, POST_MS)


# --- gifts


def _tell_gifts(stream_id: str, frames: Sequence[StoredFrame]) -> None:
    """One notice a broadcast, when it is over: while it runs, its host sees each gift on screen."""
    ended = [
        (stored.at_ms, event)
        for stored in frames
        for event in _frames.decode(stored.body).events
        if isinstance(event, EndedEvent)
    ]
    if not ended:
        return
    at_ms, _ = ended[0]
    room, summary = read_room(stream_id), read_summary(stream_id)
    if room is None or summary.gifts == 0:
        return
    facts = {"gifts": str(summary.gifts), "diamonds": str(summary.gift_diamonds_milli // 1000)}
    notice = telling.of_house("gift", at_ms, f"gift.{stream_id}", "", title=room.title, facts=facts)
    telling.order(notice, [room.host.id])


# --- pulse


def _tell_pulse(stream_id: str) -> None:
    now_ms = clock.now_ms()
    if not _due(stream_id, now_ms):
        return
    room = read_room(stream_id)
    if room is None or not room.live:
        return
    rooms = StoredRooms()
    host = [one for stream, one in rooms.account_connections(room.host.id) if stream == stream_id]
    if not host:
        return
    frames = rooms.newest_frames(stream_id, FRAMES_MAX)
    made = pulse([Minute(one.at_ms, _frames.decode(one.body)) for one in frames], _sentiment(), now_ms)
    sockets().post([msgspec.json.encode(made).decode()], host, POST_MS)


def _due(stream_id: str, now_ms: int) -> bool:
    # Two of these may run for one room: the first in two seconds tells.
    claim = ViewersItem(room_key(stream_id), PULSE)
    rested = ViewersItem.at_ms.does_not_exist() | (ViewersItem.at_ms <= now_ms - PULSE_MS)
    try:
        claim.update([ViewersItem.at_ms.set(now_ms), ViewersItem.viewers.set(0)], rested)
    except UpdateError as error:
        if error.cause_response_code == CONDITION_FAILED:
            return False
        raise
    return True


# --- mentions and replies


def _tell_named(stream_id: str, frames: Sequence[StoredFrame]) -> None:
    comments = [
        (stored.at_ms, event)
        for stored in frames
        for event in _frames.decode(stored.body).events
        if isinstance(event, ChatEvent) and event.sender is not None
    ]
    named = [(at_ms, comment, _handles(comment.text)) for at_ms, comment in comments]
    asked = {handle for _, _, handles in named for handle in handles}
    known = {handle: accounts.id_of(handle) for handle in sorted(asked)[:LOOKUPS_MAX]}
    authors = _authors(stream_id, {comment.reply_to for _, comment in comments if comment.reply_to})
    for at_ms, comment, handles in named:
        assert comment.sender is not None
        told = {comment.sender.id}
        author = authors.get(comment.reply_to or "")
        if author is not None and author not in told:
            told.add(author)
            _tell(author, _notice(stream_id, "reply", comment, at_ms))
        for handle in handles:
            account = known.get(handle)
            if account is not None and account not in told:
                told.add(account)
                _tell(account, _notice(stream_id, "mention", comment, at_ms))


def _tell(account: str, notice: notices.Notice) -> None:
    telling.order(notice, [account])


def _handles(text: str) -> list[str]:
    found = list(dict.fromkeys(handle.lower().rstrip(".") for handle in _MENTION.findall(text)))
    return found if len(found) <= MENTIONS_MAX else []


def _authors(stream_id: str, event_ids: Iterable[str]) -> dict[str, str]:
    wanted = set(event_ids)
    if not wanted:
        return {}
    return {
        event.id: event.sender.id
        for stored in StoredRooms().newest_frames(stream_id, REPLY_FRAMES_MAX)
        for event in _frames.decode(stored.body).events
        if event.id in wanted and isinstance(event, ChatEvent) and event.sender is not None
    }


def _notice(stream_id: str, kind: notices.Kind, comment: ChatEvent, at_ms: int) -> notices.Notice:
    assert comment.sender is not None
    return notices.Notice(
        kind=kind,
        at_ms=at_ms,
        stream_id=stream_id,
        event_id=comment.id,
        account=comment.sender.id,
        handle=comment.sender.handle,
        name=comment.sender.name,
    )
