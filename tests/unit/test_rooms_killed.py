"""What stands beside the room's path, killed before each of its calls and called again, as Lambda does: nothing that it
owes is lost or told twice. (Sequencer, delivery and clients die in tests/simulation/rooms, at random.)"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from functions import observe
from functions.rooms import insights, ring_later
from functions.rooms.pulse import PULSE_MS
from functions.rooms.ring import Later
from functions.rooms.voting import RESULT_GRACE_MS
from local.runtime import StoppedError, stop_after
from tests.unit import socket_room
from tests.unit.https import Client
from tests.unit.moderated_room import ModeratedRoom, made, of_type
from tests.unit.socket_room import HOST, STREAM
from tests.unit.test_rooms_insights import notices, pulses, records


@pytest.fixture
def room(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModeratedRoom]:
    with made(client, monkeypatch) as room:
        yield room


def killed(handler: Any, event: dict[str, Any], calls: int) -> bool:
    """Call a handler that dies before one more than so many calls; False where it ended by itself."""
    try:
        with observe.before_each(stop_after(calls)):
            handler(event, None)
    except StoppedError:
        return True
    return False


def test_a_notice_comes_once_and_a_pulse_soon_wherever_the_reader_dies(room: ModeratedRoom) -> None:
    host, bob, cyd = room.enter(room.host), room.enter(room.person("bob")), room.enter(room.person("cyd"))
    room.person("dee")
    mentions: list[str] = []
    replies: list[str] = []
    for calls in itertools.count():
        first = bob.chat(f"a{calls}", f"number {calls}")["event_id"]
        room.client.clock.sleep_ms(PULSE_MS)
        room.sequence()
        insights.handle({"Records": records(room)}, None)
        named = cyd.chat(f"b{calls}", f"@dee look, {calls}", reply_to=first)["event_id"]
        room.client.clock.sleep_ms(PULSE_MS)
        room.sequence()
        batch = {"Records": [one for one in records(room) if named in str(one)]}
        died = killed(insights.handle, batch, calls)
        # The service hands the batch on again.
        insights.handle(batch, None)
        mentions.append(named)
        replies.append(named)
        told = len(pulses(room, host.id))
        room.client.clock.sleep_ms(PULSE_MS)
        insights.handle(batch, None)
        assert len(pulses(room, host.id)) == told + 1, f"no pulse after a death before call {calls + 1}"
        if not died:
            break
    assert len(mentions) > 8, "the reader makes so many calls, and died before each"
    for handle, wanted in (("dee", mentions), ("bob", replies)):
        assert [one["event_id"] for one in notices(room, handle, "?limit=100")["items"]] == wanted[::-1]


def test_a_polls_result_comes_once_though_what_rings_for_it_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket_room.made(monkeypatch) as room:
        host, ana = room.joined(HOST.id, "host"), room.joined("ana")
        poll_id = host.send("poll", id="p", question="Left?", options=["yes", "no"], seconds=30)["event_id"]
        room.sequence()
        room.clock.sleep_ms(30_000 + RESULT_GRACE_MS + 1)
        body = msgspec.json.encode(Later(STREAM)).decode()
        event = {"Records": [{"messageId": "m", "body": body}]}
        assert [killed(ring_later.handle, event, calls) for calls in (0, 1)] == [True, False]
        # Its delete was lost as well: it comes once more.
        ring_later.handle(event, None)
        room.sequence()
        closed = [one for one in of_type(ana, "poll") if one["state"] == "closed"]
        assert [one["poll_id"] for one in closed] == [poll_id]
