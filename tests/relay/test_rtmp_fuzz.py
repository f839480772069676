"""RTMP connections fed with broken bytes: nothing but a refusal ever comes of it. FUZZ_INPUTS and SEED set how many."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import tracemalloc
from typing import Any, cast

import jwt
import pytest

from media.relay.chunks import AUDIO, DATA, SET_CHUNK_SIZE, Message, chunked
from media.relay.metrics import Metrics
from media.relay.program import Program
from media.relay.rights import Rights, StreamKey
from media.relay.rtmp import RtmpConnection
from media.relay.settings import Settings
from media.relay.streams import Publisher, Streams
from media.relay.sweep import READ_BYTES_MAX
from tests.relay import encoder

_INPUTS = int(os.environ.get("FUZZ_INPUTS", "10000"))
_SEED = int(os.environ.get("SEED", "1"))
_KEY = jwt.encode({"sub": "fuzz", "gen": 1, "aud": "publish"}, "s" * 64, "HS256")
_SETTINGS = Settings(signing_secret="s" * 64, playback_secret="p" * 64)


class _Wire:
    """A transport that swallows what is written."""

    def __init__(self) -> None:
        self.closed = False
        # The last of it.
        self.said = b""

    def write(self, data: bytes) -> None:
        assert len(data) < 10_000
        self.said = data

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class _Everyone:
    """Streams that let everyone in at once, each into a program of its own."""

    def __init__(self) -> None:
        self.let_in = 0

    async def admit(self, key: StreamKey) -> None:
        assert key.stream_id == "fuzz"

    def gave_up(self, key: StreamKey) -> None: ...

    def sink(self, stream_id: str) -> Program:
        return Program(stream_id, _SETTINGS, lambda _: None)

    async def arrived(self, publisher: Publisher) -> None:
        self.let_in += 1

    async def left(self, publisher: Publisher) -> None: ...


def _broken(good: bytes, dice: random.Random) -> bytes:
    """A session with something wrong: bytes changed, left out, doubled, or another order."""
    data = bytearray(good)
    # Rarely in the handshake, whose bytes mean nothing.
    low = 0 if dice.random() < 0.05 else len(encoder.HANDSHAKE)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at = dice.randrange(low, len(data))
        match dice.randrange(6):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                data[at] ^= 1 << dice.randrange(8)
            case 2:
                del data[at : at + dice.randrange(1, 64)]
            case 3:
                data[at:at] = data[at : at + dice.randrange(1, 64)]
            case 4:
                data[at : at + 4] = dice.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
            case _:
                data[at:at] = dice.randbytes(dice.randrange(1, 32))
        low = min(low, len(data) - 1)
    return bytes(data[: dice.randrange(len(data))]) if dice.random() < 0.1 else bytes(data)


def _held_by_the_relay() -> int:
    """Bytes that the relay's own lines allocated and that are still there: what the test's runner keeps of what is
    logged is not the relay's."""
    gc.collect()
    taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/media/relay/*")])
    return sum(trace.size for trace in taken.traces)


async def test_broken_sessions_end_in_a_refusal_and_leave_nothing_behind() -> None:
    good = encoder.HANDSHAKE + encoder.wire(
        [*encoder.publish_commands(_KEY), encoder.video()[0], encoder.sound()[0],
         *sorted([*encoder.video()[1:9], *encoder.sound()[1:13]], key=lambda message: message.timestamp)]
    )  # fmt: skip
    streams = _Everyone()
    rights, metrics = Rights("s" * 64, "p" * 64, ""), Metrics()
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    held: list[int] = []
    tracemalloc.start()
    try:
        for number in range(_INPUTS):
            dice = random.Random(f"{_SEED}:{number}")
            data, wire = _broken(good, dice), _Wire()
            connection = RtmpConnection(cast(Streams, streams), rights, metrics, lambda _: None)
            connection.connection_made(cast(asyncio.Transport, wire))
            cut = dice.randrange(len(data) + 1)
            for piece in (data[:cut], data[cut:]):
                try:
                    connection.data_received(piece)
                    for _ in range(4):
                        await asyncio.sleep(0)  # admission runs
                except Exception as error:
                    raise AssertionError(f"SEED={_SEED}, input {number}") from error
            connection.connection_lost(None)
            assert not failures, f"SEED={_SEED}, input {number}: {failures}"
            if number % max(1, _INPUTS // 4) == max(1, _INPUTS // 4) - 1:
                held.append(_held_by_the_relay())
    finally:
        tracemalloc.stop()
    assert streams.let_in > _INPUTS // 4, "most inputs come as far as publishing"
    assert held[-1] - held[0] < 200_000, held


@pytest.mark.parametrize("piece", [b"", b"\0\1\0\0"], ids=["messages of nothing", "chunk sizes"])
async def test_a_flood_of_the_shortest_messages_ends_its_own_connection_within_one_read(piece: bytes) -> None:
    # given an encoder that publishes
    streams, rights, wire = cast(Streams, _Everyone()), Rights("s" * 64, "p" * 64, ""), _Wire()
    connection = RtmpConnection(streams, rights, Metrics(), lambda _: None)
    connection.connection_made(cast(asyncio.Transport, wire))
    connection.data_received(encoder.HANDSHAKE + encoder.wire(encoder.publish_commands(_KEY)))
    async with asyncio.timeout(5):
        while b"On air" not in wire.said:
            await asyncio.sleep(0)
    # when it sends as many messages as the socket's buffer holds, of one byte each or hardly more
    kind = SET_CHUNK_SIZE if piece else AUDIO
    first = chunked(7, Message(kind, 0, 0, piece or b"a"), 128)
    if not piece:
        first += b"\x47" + bytes(6) + bytes([AUDIO])
    connection.data_received(first)
    assert not wire.closed
    repeated = b"\xc7" + piece
    connection.data_received(repeated * (READ_BYTES_MAX // len(repeated)))
    # then it is told, and ended
    assert wire.closed and b"too many messages" in wire.said
    connection.connection_lost(None)


async def test_who_has_shown_no_key_may_send_few_messages_of_any_kind() -> None:
    # given a connection that only shook hands
    rights, wire = Rights("s" * 64, "p" * 64, ""), _Wire()
    connection = RtmpConnection(cast(Streams, _Everyone()), rights, Metrics(), lambda _: None)
    connection.connection_made(cast(asyncio.Transport, wire))
    connection.data_received(encoder.HANDSHAKE + chunked(7, Message(DATA, 0, 0, b"a"), 128))
    assert not wire.closed
    # when it sends a thousand messages more that ask for nothing
    connection.data_received(b"\xc7a" * 1_000)
    # then it is ended
    assert wire.closed and b"Too many messages before publish" in wire.said
    connection.connection_lost(None)
