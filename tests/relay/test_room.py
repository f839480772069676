"""The relay in a room: a small room of our own that loses, doubles and reorders, and what comes out all the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from aiohttp import WSMsgType, web

from media.relay import room
from media.relay.metrics import Metrics
from media.relay.room import RoomMember, Rooms
from media.relay.settings import Settings

SECRET = "a secret that is long enough for HS256"


def frame(seq: int, transport: str = "media", epoch: str = "e1") -> dict[str, Any]:
    return {"type": "frame", "epoch": epoch, "seq": seq, "transport": transport, "events": []}


class Room:
    """The service's side of the socket, with storage."""

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.joins: list[dict[str, Any]] = []
        self.tickets: list[dict[str, Any]] = []
        self.page = 100
        self.deaf = False

    @property
    def seq(self) -> int:
        return self.stored[-1]["seq"] if self.stored else 0

    async def post(self, *frames: dict[str, Any], stored: bool = True) -> None:
        for one in frames:
            if stored and one not in self.stored:
                self.stored.append(one)
            for socket in self.sockets:
                await socket.send_str(json.dumps(one))

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        self.tickets.append(jwt.decode(request.query["ticket"], SECRET, ["HS256"], audience="socket"))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            asked = json.loads(message.data)
            if asked["action"] == "ping":
                if not self.deaf:
                    await socket.send_str(json.dumps({"type": "pong", "server_time": "", "seq": self.seq}))
                continue
            self.joins.append(asked)
            left = [one for one in self.stored if one["seq"] > asked.get("after", 0)]
            answer = {"type": "joined", "epoch": "e1", "seq": self.seq, "frames": left[: self.page]}
            if len(left) > self.page:
                answer["more"] = True
            await socket.send_str(json.dumps(answer))
            if socket not in self.sockets:
                self.sockets.append(socket)
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket


@asynccontextmanager
async def entered(made: Room) -> AsyncIterator[list[int]]:
    """The numbers of what the relay hands on, while it is in the room."""
    app = web.Application()
    app.add_routes([web.get("/live", made.handle)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    settings = Settings(socket_url=f"ws://{host}:{port}/live", signing_secret=SECRET)
    handed: list[int] = []
    member = RoomMember("show", settings, Metrics(), lambda body: handed.append(json.loads(body)["seq"]))
    task = asyncio.create_task(member.run())
    try:
        await until(lambda: made.sockets)
        yield handed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.cleanup()


async def until(condition: Callable[[], Any], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_it_enters_with_a_ticket_of_its_own_role_and_hands_on_what_travels_in_the_media() -> None:
    made = Room()
    made.stored = [frame(1, "socket"), frame(2, "socket"), frame(3)]
    async with entered(made) as handed:
        await made.post(frame(4), frame(5, "socket"), frame(6))
        await until(lambda: 6 in handed)
        assert handed == [3, 4, 6]
    (ticket,) = made.tickets
    assert (ticket["role"], ticket["stream"], ticket["host"]) == ("relay", "show", "")
    assert made.joins == [{"action": "join"}]


async def test_what_a_post_did_not_bring_is_read_from_storage_in_pages_and_nothing_comes_twice() -> None:
    made = Room()
    made.page = 2
    async with entered(made) as handed:
        await made.post(frame(1), frame(2))
        for seq in range(3, 10):
            made.stored.append(frame(seq))
        await made.post(frame(10), frame(2), frame(10))
        await until(lambda: 10 in handed)
        await made.post(frame(12), frame(11), frame(13))
        await until(lambda: 13 in handed)
        assert handed == list(range(1, 14))
    assert [join.get("after") for join in made.joins] == [None, 2, 4, 6, 8]


async def test_the_last_frame_of_all_is_missed_no_longer_than_to_the_next_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PING_S", 0.2)
    made = Room()
    async with entered(made) as handed:
        await made.post(frame(1))
        made.stored.append(frame(2))
        await until(lambda: 2 in handed)
        assert handed == [1, 2]


async def test_a_lost_socket_is_replaced_and_frames_go_on_where_they_stopped() -> None:
    made = Room()
    async with entered(made) as handed:
        await made.post(frame(1))
        await until(lambda: handed)
        await made.sockets[0].close()
        await until(lambda: not made.sockets)
        made.stored.append(frame(2))
        await until(lambda: made.sockets)
        await made.post(frame(3))
        await until(lambda: 3 in handed)
        assert handed == [1, 2, 3]
    assert made.joins[1] == {"action": "join", "epoch": "e1", "after": 1}
    assert made.tickets[0]["jti"] != made.tickets[1]["jti"]


async def test_a_new_socket_takes_over_before_the_old_one_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RENEW_S", 0.3)
    made = Room()
    together: list[int] = []
    async with entered(made) as handed:
        seq = 0
        while len(made.tickets) < 4:
            seq += 1
            await made.post(frame(seq))
            together.append(len(made.sockets))
            await asyncio.sleep(0.01)
        await until(lambda: seq in handed)
        assert handed == list(range(1, seq + 1))
    assert set(together) <= {1, 2} and min(together) == 1, "one is always there, and two only while one takes over"


async def test_a_room_that_falls_silent_is_entered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PING_S", 0.1)
    monkeypatch.setattr(room, "_SILENT_S", 0.5)
    made = Room()
    async with entered(made):
        made.deaf = True
        await until(lambda: len(made.tickets) == 2)


async def test_rooms_are_entered_and_left_as_the_stream_says(monkeypatch: pytest.MonkeyPatch) -> None:
    running: set[str] = set()

    async def run(self: RoomMember) -> None:
        running.add(self.stream_id)
        try:
            await asyncio.sleep(60)
        finally:
            running.discard(self.stream_id)

    monkeypatch.setattr(RoomMember, "run", run)
    rooms = Rooms(Settings(socket_url="ws://nowhere"), Metrics())
    for stream_id, wanted in (("a", True), ("a", True), ("b", True), ("c", False)):
        rooms.keep(stream_id, wanted, lambda _: None)
    await until(lambda: running == {"a", "b"})
    rooms.keep("a", False, lambda _: None)
    await until(lambda: running == {"b"})
    rooms.leave_all()
    await until(lambda: not running)
    Rooms(Settings(), Metrics()).keep("a", True, lambda _: None)
    assert not running, "without an address there is no room to enter"
