"""Not a question: many RTMP encoders, and one viewer of each, as one process that is told what to do on its input.

`python -m bench.rtmp_load SOURCE` sends the FLV file's messages to each address at their own times, over and over.
Each line of its input is a command in JSON, each of its output the answer: ``{"add": [{"rtmp": …, "key": …, "http": …,
"path": …}]}`` adds encoders (and viewers where a path is given), ``{"measure": seconds}`` tells how late parts were.
Messages go out every 10 ms, an encoder's that are due as one write, and the time of each write is kept: how late this
process was itself is in no part's lateness.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import struct
import sys
import time
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import uvloop

from media.relay import chunks
from media.relay.chunks import Message
from tests.relay import encoder

TICK_S: Final = 0.01
PICTURES_A_SECOND: Final = 30
# Encoders begin over this time, so that no moment has more of them than another.
_SPREAD_S: Final = 2.0
_BEGIN_S: Final = 20.0
_ANSWER_S: Final = 20.0
# Chunk stream, time in three bytes, length in three with the kind behind it, message stream.
_HEADER: Final = struct.Struct(">BHBII")
_CHUNKS: Final = {chunks.AUDIO: 4, chunks.VIDEO: 6}
_PART: Final = re.compile(rb'#EXT-X-PART:DURATION=([\d.]+),URI="[0-9a-f]{8}_(\d+)_(\d+)\.m4s"')


class Timed(msgspec.Struct, frozen=True):
    """A message in chunks, to be sent again and again with another time in its header."""

    at_ms: int
    picture: bool
    kind: int
    length: int
    # All that follows the header.
    chunks: bytes

    @classmethod
    def of(cls, message: Message) -> Timed:
        picture = message.kind == chunks.VIDEO
        return cls(message.timestamp, picture, message.kind, len(message.body), _wired(message)[_HEADER.size :])

    def header(self, at_ms: int) -> bytes:
        """The header of the first chunk (5.3.1.2.1) for a time below 2^24 ms."""
        length_kind_stream = self.length << 8 | self.kind
        return _HEADER.pack(_CHUNKS[self.kind], at_ms >> 8, at_ms & 0xFF, length_kind_stream, 0x01000000)


class Source:
    """The file's messages as chunks, each with its time; the configurations apart."""

    def __init__(self, path: Path) -> None:
        data, at = path.read_bytes(), 13
        self.messages: list[Timed] = []
        self.head: list[Message] = []
        while at + 11 <= len(data):
            kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
            at_ms = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
            body = data[at + 11 : at + 11 + size]
            at += 15 + size
            if kind not in (chunks.AUDIO, chunks.VIDEO):
                continue
            if body[1] == 0:
                self.head.append(Message(kind, 0, 1, body))
            elif kind == chunks.AUDIO or body[1] == 1:
                self.messages.append(Timed.of(Message(kind, at_ms, 1, body)))
        pictures = sum(each.picture for each in self.messages)
        self.length_ms = round(pictures * 1000 / PICTURES_A_SECOND)


class Encoder(asyncio.Protocol):
    """One publisher: handshake and commands, then media from the moment that the server takes it."""

    def __init__(self, source: Source, key: str, delay_s: float) -> None:
        self.pictures_sent_s: list[float] = []
        self.on_air = asyncio.Event()
        self.failed = False
        self._source = source
        self._key = key
        self._delay_s = delay_s
        self._begun_s = 0.0
        self._next = 0
        self._said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(encoder.HANDSHAKE)
        self._transport.write(encoder.wire(encoder.publish_commands(self._key)))

    def data_received(self, data: bytes) -> None:
        if not self.on_air.is_set():
            self._said = self._said[-64:] + data
            if b"Publish.Start" in self._said:
                self._transport.write(b"".join([_wired(message) for message in self._source.head]))
                self._begun_s = time.monotonic() + self._delay_s
                self.on_air.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.failed = True

    def send_due(self, now_s: float) -> None:
        """Send what is due."""
        if not self.on_air.is_set() or now_s < self._begun_s or self.failed:
            return
        source, due_ms = self._source, (now_s - self._begun_s) * 1000
        pieces: list[bytes] = []
        while True:
            rounds, index = divmod(self._next, len(source.messages))
            message = source.messages[index]
            at_ms = message.at_ms + rounds * source.length_ms
            if at_ms > due_ms:
                break
            pieces += (message.header(at_ms), message.chunks)
            if message.picture:
                self.pictures_sent_s.append(now_s)
            self._next += 1
        if pieces:
            self._transport.writelines(pieces)


def _wired(message: Message) -> bytes:
    """A message in chunks of the size that `publish_commands` announces."""
    return chunks.chunked(_CHUNKS[message.kind], message, encoder.CHUNK_BYTES)


class Viewer:
    """Asks for each part before it is there, as LL-HLS players do, and notes when the answer came."""

    def __init__(self, watched: Encoder, port: int, path: str) -> None:
        self.late_s: list[float] = []
        self._watched = watched
        self._port = port
        self._path = path
        self._end_s = 0.0
        self._newest = (-1, -1)

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        query = ""
        while True:
            writer.write(f"GET {self._path}{query} HTTP/1.1\r\nHost: relay\r\n\r\n".encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _ANSWER_S)
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            came_s = time.monotonic()
            if head.startswith(b"HTTP/1.1 200"):
                self._note(body, came_s, ahead=bool(query))
                msn, part = self._newest
                # A part that ends its segment is followed by the next one's first; who asks beyond is answered by both.
                query = f"?_HLS_msn={msn}&_HLS_part={part + 1}&_HLS_skip=YES" if msn >= 0 else ""
            else:
                await asyncio.sleep(0.1)

    def _note(self, playlist: bytes, came_s: float, ahead: bool) -> None:
        for duration, msn, part in _PART.findall(playlist):
            at = (int(msn), int(part))
            if at <= self._newest:
                continue
            self._newest = at
            self._end_s += float(duration)
            # The picture that follows the part: until it is sent nobody can know how long the part's last one is.
            following = round(self._end_s * PICTURES_A_SECOND)
            sent = self._watched.pictures_sent_s
            if ahead and following < len(sent):
                self.late_s.append(came_s - sent[following])


class Load:
    """All encoders and viewers, and the clock that moves them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._encoders: list[Encoder] = []
        self._viewers: list[Viewer] = []
        self._watching: list[asyncio.Task[None]] = []
        self._clock = asyncio.create_task(self._tick())
        self._own_late_s: list[float] = []

    async def obey(self, told: dict[str, Any]) -> dict[str, Any]:
        """Do what one line says; returns what is to be answered."""
        if "add" in told:
            return await self._add(told["add"])
        return await self._measure(float(told["measure"]))

    async def _add(self, wanted: list[dict[str, Any]]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        for number, each in enumerate(wanted):
            made = Encoder(self._source, each["key"], _SPREAD_S * number / len(wanted))
            await loop.create_connection(lambda made=made: made, "127.0.0.1", each["rtmp"])
            self._encoders.append(made)
            await asyncio.wait_for(made.on_air.wait(), _BEGIN_S)
            if "path" in each:
                viewer = Viewer(made, each["http"], each["path"])
                self._viewers.append(viewer)
                self._watching.append(asyncio.create_task(viewer.run()))
        return {"encoders": len(self._encoders)}

    async def _measure(self, seconds: float) -> dict[str, Any]:
        for viewer in self._viewers:
            viewer.late_s.clear()
        self._own_late_s.clear()
        await asyncio.sleep(seconds)
        for task in self._watching:
            if task.done():
                task.result()
        assert not any(each.failed for each in self._encoders), "every encoder is still on air"
        late_s = sorted(late for viewer in self._viewers for late in viewer.late_s)
        watched = sum(bool(viewer.late_s) for viewer in self._viewers)
        return {"late_s": late_s, "watched": watched, "own_late_s": sorted(self._own_late_s)}

    async def _tick(self) -> None:
        next_s = time.monotonic()
        while True:
            next_s += TICK_S
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
            self._own_late_s.append(time.monotonic() - next_s)
            for each in self._encoders:
                each.send_due(time.monotonic())


async def _serve(source: Source) -> None:
    load = Load(source)
    reader = asyncio.StreamReader(limit=16 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        sys.stdout.buffer.write(msgspec.json.encode(await load.obey(msgspec.json.decode(line))) + b"\n")
        sys.stdout.buffer.flush()


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Send RTMP as many encoders do.")
    parser.add_argument("source", type=Path)
    uvloop.new_event_loop().run_until_complete(_serve(Source(parser.parse_args().source)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
