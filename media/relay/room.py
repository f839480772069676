"""The relay as a member of a stadium's room: enters with a ticket of its own and hands on every frame, in order.

It is told of the room by posts like anyone who is there, and reads from storage what a post did not bring: `join` with
``after``, on the same socket. Nothing here ever waits for the media, nor the media for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable
from typing import Final

import jwt
import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, WSMsgType

from media.relay.metrics import Metrics
from media.relay.settings import Settings

logger = logging.getLogger(__name__)

_TICKET_S: Final = 60
_OPEN_S: Final = 10.0
# The room counts on a relay for 70 s after its last ping (functions/rooms/model.py, RELAY_TTL_S).
PING_S: Final = 20.0
# A frame that is missing for so long is asked for: viewers are a few seconds behind, and should not notice.
GAP_S: Final = 0.5
# The service closes a socket after two hours: another one takes over before.
RENEW_S: Final = 100 * 60.0
_RETRY_FIRST_S: Final = 0.5
_RETRY_MAX_S: Final = 10.0
_MESSAGE_BYTES_MAX: Final = 128 * 1024
_KEPT_MAX: Final = 500
# What is missing and what is due is looked after this often where nothing comes.
_LOOK_S: Final = 0.25
_SILENT_S: Final = 2.5 * PING_S
_LOST: Final = (ClientError, OSError, TimeoutError, msgspec.MsgspecError)


class _Message(msgspec.Struct, frozen=True):
    """What the relay reads of a message of the room."""

    type: str
    epoch: str = ""
    seq: int = 0
    transport: str = "socket"
    frames: list[msgspec.Raw] = []
    more: bool = False
    code: str = ""


class FrameOrder:
    """A room's frames, each once and by number, whatever came first. Pure.

    Only frames whose transport is ``media`` are given out: the others reach everyone by the socket.
    """

    def __init__(self) -> None:
        self.epoch = ""
        self.seq: int | None = None
        # Between `join` and its answer frames are only kept.
        self.waiting = True
        self._kept: dict[int, tuple[_Message, bytes]] = {}

    @property
    def gap(self) -> bool:
        """Whether a frame is missing before one that is here."""
        return not self.waiting and bool(self._kept)

    def frame(self, message: _Message, body: bytes) -> list[bytes]:
        """Take a posted frame; answers what is now in order."""
        if message.epoch != self.epoch and not self.waiting:
            return []
        if self.seq is not None and message.epoch == self.epoch and message.seq <= self.seq:
            return []
        if len(self._kept) < _KEPT_MAX:
            self._kept[message.seq] = (message, body)
        return [] if self.waiting else self._drain()

    def joined(self, message: _Message) -> list[bytes]:
        """Take the answer to `join`; answers what is now in order. ``waiting`` stays true where more is to be read."""
        if message.epoch != self.epoch:
            self.epoch, self.seq = message.epoch, None
        out: list[bytes] = []
        for raw in message.frames:
            body = bytes(raw)
            out += self._give(msgspec.json.decode(body, type=_Message), body)
        if message.more:
            return out
        # The answer is the whole truth up to its number: what it left out is too long ago.
        self.seq = max(self.seq or 0, message.seq)
        self.waiting = False
        return out + self._drain()

    def _drain(self) -> list[bytes]:
        assert self.seq is not None
        self._kept = {seq: kept for seq, kept in self._kept.items() if seq > self.seq and kept[0].epoch == self.epoch}
        out: list[bytes] = []
        while (found := self._kept.pop(self.seq + 1, None)) is not None:
            out += self._give(*found)
        return out

    def _give(self, message: _Message, body: bytes) -> list[bytes]:
        if message.epoch != self.epoch or (self.seq is not None and message.seq <= self.seq):
            return []
        self.seq = message.seq
        return [body] if message.transport == "media" else []


class RoomMember:
    """One stream's room, for as long as `run` runs; every frame that travels in the media goes to ``on_frame``."""

    def __init__(self, stream_id: str, settings: Settings, metrics: Metrics, on_frame: Callable[[bytes], None]) -> None:
        self.stream_id = stream_id
        self._settings = settings
        self._metrics = metrics
        self._on_frame = on_frame
        self._order = FrameOrder()
        # The newest frame that the room told of, and since when one is missing.
        self._told_seq = 0
        self._behind_s: float | None = None

    async def run(self) -> None:
        """Be in the room until cancelled: come back when the socket is lost, take a new one before its time is over."""
        pause_s = _RETRY_FIRST_S
        before: asyncio.Task[None] | None = None
        visit: asyncio.Task[None] | None = None
        try:
            async with ClientSession(timeout=ClientTimeout(total=None, sock_connect=_OPEN_S)) as session:
                while True:
                    began_s = time.monotonic()
                    joined = asyncio.Event()
                    visit = asyncio.create_task(self._visit(session, joined))
                    entered = asyncio.create_task(joined.wait())
                    await asyncio.wait([visit, entered], return_when=asyncio.FIRST_COMPLETED)
                    entered.cancel()
                    if before is not None and joined.is_set():
                        # No moment without a socket: the old one goes once the new one has its answer.
                        before.cancel()
                        before = None
                    done, _ = await asyncio.wait([visit], timeout=RENEW_S)
                    if not done:
                        before, visit = visit, None
                        continue
                    self._say(visit)
                    if time.monotonic() - began_s > PING_S:
                        pause_s = _RETRY_FIRST_S
                    self._metrics.room_reconnects.inc()
                    await asyncio.sleep(pause_s * (0.5 + random.random()))
                    pause_s = min(_RETRY_MAX_S, pause_s * 2)
        finally:
            for task in (before, visit):
                if task is not None:
                    task.cancel()

    def _say(self, visit: asyncio.Task[None]) -> None:
        error = None if visit.cancelled() else visit.exception()
        if error is not None and not isinstance(error, _LOST):
            raise error
        logger.warning("left the room of %s: %s", self.stream_id, error or "the service closed the socket")

    async def _visit(self, session: ClientSession, joined: asyncio.Event) -> None:
        """One socket, from its ticket to its end."""
        url = f"{self._settings.socket_url}?ticket={self._ticket()}"
        async with session.ws_connect(url, max_msg_size=_MESSAGE_BYTES_MAX) as socket:
            await self._join(socket)
            asked_s = pinged_s = heard_s = time.monotonic()
            while True:
                try:
                    received = await socket.receive(timeout=_LOOK_S)
                except TimeoutError:
                    received = None
                now = time.monotonic()
                if now - heard_s > _SILENT_S:
                    raise TimeoutError("no answer to a ping")
                if received is not None:
                    heard_s = now
                    if received.type is not WSMsgType.TEXT:
                        return
                    body: str = received.data
                    if not await self._take(socket, body.encode()):
                        return
                    if not self._order.waiting:
                        joined.set()
                if self._order.waiting:
                    if now - asked_s > _OPEN_S:
                        raise TimeoutError("join was not answered")
                elif self._is_behind(now):
                    await self._join(socket)
                    asked_s = now
                else:
                    asked_s = now
                if now - pinged_s >= PING_S:
                    pinged_s = now
                    await socket.send_str('{"action": "ping"}')

    def _is_behind(self, now: float) -> bool:
        if not self._order.gap and (self._order.seq or 0) >= self._told_seq:
            self._behind_s = None
            return False
        self._behind_s = now if self._behind_s is None else self._behind_s
        return now - self._behind_s > GAP_S

    async def _join(self, socket: ClientWebSocketResponse) -> None:
        order = self._order
        order.waiting = True
        self._behind_s = None
        after = {"epoch": order.epoch, "after": order.seq} if order.seq is not None else {}
        await socket.send_str(msgspec.json.encode({"action": "join", **after}).decode())

    async def _take(self, socket: ClientWebSocketResponse, body: bytes) -> bool:
        """Deal with one message; False where the room does not want us."""
        message = msgspec.json.decode(body, type=_Message)
        frames: list[bytes] = []
        match message.type:
            case "frame" if message.epoch != self._order.epoch and not self._order.waiting:
                # The room was opened anew: its numbers begin again.
                await self._join(socket)
            case "frame":
                frames = self._order.frame(message, body)
            case "joined":
                frames = self._order.joined(message)
                self._told_seq = message.seq
                if message.more:
                    await self._join(socket)
            case "pong":
                self._told_seq = message.seq
            case "bye" | "error":
                logger.warning("room of %s says %s: %s", self.stream_id, message.type, message.code)
                return False
            case _:
                pass
        for frame in frames:
            self._metrics.room_frames.inc()
            self._on_frame(frame)
        return True

    def _ticket(self) -> str:
        # As functions/tokens.py signs tickets: the relay's role opens the room, and nothing in it but listening.
        claims = {
            "sub": f"relay-{self.stream_id}",
            "stream": self.stream_id,
            "host": "",
            "role": "relay",
            "jti": secrets.token_urlsafe(16),
            "aud": "socket",
            "exp": int(time.time()) + _TICKET_S,
        }
        return jwt.encode(claims, self._settings.signing_secret, "HS256")


class Rooms:
    """The rooms that this task is in: those of its streams that are stadiums."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._members: dict[str, asyncio.Task[None]] = {}

    def keep(self, stream_id: str, wanted: bool, on_frame: Callable[[bytes], None]) -> None:
        """Be in a stream's room, or not."""
        present = self._members.get(stream_id)
        if present is not None and present.done():
            logger.error("room of %s failed", stream_id, exc_info=None if present.cancelled() else present.exception())
            present = None
        if wanted and present is None and self._settings.socket_url:
            member = RoomMember(stream_id, self._settings, self._metrics, on_frame)
            self._members[stream_id] = asyncio.create_task(member.run())
        elif not wanted:
            self.leave(stream_id)
        self._metrics.rooms.set(len(self._members))

    def leave(self, stream_id: str) -> None:
        """Leave a room, if there."""
        member = self._members.pop(stream_id, None)
        if member is not None:
            member.cancel()

    def leave_all(self) -> None:
        """Leave every room, as when the task ends."""
        for stream_id in list(self._members):
            self.leave(stream_id)
