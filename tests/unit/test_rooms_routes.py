"""`GET /streams/{id}/frames`: what happened in a room, page by page."""

from __future__ import annotations

import msgspec
import pytest

from functions.rooms.messages import ChatEvent, Frame
from functions.rooms.model import StoredFrame, Totals
from functions.rooms.stored import StoredRooms
from functions.rooms.table import read_room
from tests.unit.https import Client


def epoch_of(stream: str) -> str:
    room = read_room(stream)
    assert room is not None
    return room.epoch


def fill(stream: str, frames: int) -> None:
    epoch = epoch_of(stream)
    for seq in range(1, frames + 1):
        event = ChatEvent(id=f"e{seq}", at="2027-01-01T00:00:00.000Z", text="hi")
        body = Frame(epoch=epoch, seq=seq, at=event.at, viewers=1, tick_ms=200, events=(event,))
        stored = StoredFrame(
            seq=seq,
            epoch=epoch,
            at_ms=seq,
            read_ms=seq,
            tick_ms=200,
            viewers=1,
            media="waiting",
            reactions={},
            totals=Totals(),
            event_ids=(event.id,),
            body=msgspec.json.encode(body).decode(),
        )
        assert StoredRooms().put_frame(stream, stored)


def test_pages_lead_through_all_frames_without_gap_or_repeat(client: Client) -> None:
    stream = client.live(client.host())
    fill(stream, 210)
    epoch = epoch_of(stream)
    seen: list[int] = []
    more = True
    while more:
        page = client.call("GET", f"/streams/{stream}/frames?epoch={epoch}&after={seen[-1] if seen else 0}")
        assert page.status == 200 and (page.body["epoch"], page.body["seq"]) == (epoch, 210)
        seen += [frame["seq"] for frame in page.body["frames"]]
        more = page.body.get("more", False)
    assert seen == list(range(1, 211))
    last = client.call("GET", f"/streams/{stream}/frames?epoch={epoch}&after=210")
    assert last.body == {"epoch": epoch, "seq": 210, "frames": []}


def test_without_a_place_the_newest_frames_come(client: Client) -> None:
    stream = client.live(client.host())
    fill(stream, 40)
    page = client.call("GET", f"/streams/{stream}/frames")
    assert page.status == 200
    assert page.body["frames"][-1]["seq"] == page.body["seq"] == 40


@pytest.mark.parametrize("query", ["?after=-1", "?after=x", "?after=1.5", f"?epoch={'e' * 65}&after=1"])
def test_a_wrong_place_is_named(client: Client, query: str) -> None:
    answer = client.call("GET", f"/streams/any/frames{query}")
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.field in ("after", "epoch")


def test_another_epoch_is_a_conflict_and_no_room_not_found(client: Client) -> None:
    stream = client.live(client.host())
    answer = client.call("GET", f"/streams/{stream}/frames?epoch=older&after=3")
    assert (answer.status, answer.code) == (409, "conflict")
    assert answer.body["error"]["details"]["epoch"] == epoch_of(stream)
    answer = client.call("GET", "/streams/nowhere/frames")
    assert (answer.status, answer.code) == (404, "not_found")
