"""Sockets read together: nothing is lost, a hang-up is noticed, and one encoder's trouble stays its own."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from media.relay.sweep import READ_BYTES_MAX, SWEEP_S, Sweep

_WITHIN_S = 5.0


class Reader(asyncio.Protocol):
    """A connection that is swept from its beginning."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.read = bytearray()
        self.wakes = 0
        self.done = False
        self.errors: list[Exception] = []
        self.trouble: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        self.sweep.join(self, self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.sweep.leave(self)

    def swept(self, data: memoryview) -> None:
        self.wakes += 1
        if self.trouble is not None:
            raise self.trouble
        self.read += data
        if not data:
            self.done = True
            self.sweep.leave(self)
            self.transport.close()

    def sweep_failed(self, error: Exception) -> None:
        self.errors.append(error)
        self.transport.abort()


class Door:
    """Lets encoders in, whose readers share one sweep."""

    def __init__(self) -> None:
        self.sweep = Sweep()
        self.readers: list[Reader] = []

    async def open(self) -> None:
        self.server = await asyncio.get_running_loop().create_server(self._make, "127.0.0.1", 0)
        self._address = self.server.sockets[0].getsockname()

    def _make(self) -> Reader:
        self.readers.append(Reader(self.sweep))
        return self.readers[-1]

    async def encoder(self) -> tuple[socket.socket, Reader]:
        before = len(self.readers)
        encoder = socket.create_connection(self._address)
        await until(lambda: len(self.readers) > before)
        return encoder, self.readers[-1]


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(wait(), _WITHIN_S)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    await made.open()
    yield made
    for reader in made.readers:
        reader.transport.abort()
    made.server.close()


async def test_everything_comes_in_order_however_much_it_is(door: Door) -> None:
    encoder, reader = await door.encoder()
    sent = random.Random(1).randbytes(5 * READ_BYTES_MAX + 17)
    sending = asyncio.create_task(asyncio.to_thread(encoder.sendall, sent))
    await until(lambda: len(reader.read) >= len(sent))
    await sending
    assert bytes(reader.read) == sent
    encoder.close()


async def test_many_messages_are_one_wake(door: Door) -> None:
    encoder, reader = await door.encoder()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(200):
        encoder.sendall(bytes([number]))
        await asyncio.sleep(0.001)
    await until(lambda: len(reader.read) == 200)
    assert reader.wakes <= (loop.time() - began_s) / SWEEP_S + 2
    encoder.close()


async def test_a_hang_up_is_noticed_at_once_by_who_asks(door: Door) -> None:
    encoder, reader = await door.encoder()
    encoder.sendall(b"last words")
    encoder.close()
    door.sweep.read()
    door.sweep.read()
    assert bytes(reader.read) == b"last words" and reader.done


async def test_a_reset_ends_its_own_connection_alone(door: Door) -> None:
    lost, lost_reader = await door.encoder()
    encoder, reader = await door.encoder()
    lost.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    lost.close()
    await until(lambda: bool(lost_reader.errors))
    encoder.sendall(b"still here")
    await until(lambda: bytes(reader.read) == b"still here")
    assert isinstance(lost_reader.errors[0], ConnectionResetError) and not reader.errors
    encoder.close()


async def test_one_readers_fault_is_not_the_others(door: Door) -> None:
    bad, bad_reader = await door.encoder()
    encoder, reader = await door.encoder()
    bad_reader.trouble = RuntimeError("a fault")
    for each in (bad, encoder):
        each.sendall(b"media")
    await until(lambda: bool(bad_reader.errors) and bytes(reader.read) == b"media")
    assert bad.recv(1) == b"", "its connection ends"
    encoder.sendall(b" goes on")
    await until(lambda: bytes(reader.read) == b"media goes on")
    encoder.close()


async def test_a_fault_in_the_handling_of_a_fault_is_not_the_others_either(door: Door) -> None:
    # given a connection that fails also over the news that it failed
    bad, bad_reader = await door.encoder()
    encoder, reader = await door.encoder()
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    bad_reader.trouble = RuntimeError("a fault")
    bad_reader.sweep_failed = _fail_again
    # when both send
    for each in (bad, encoder):
        each.sendall(b"media")
    await until(lambda: bool(told))
    # then the other is read on
    await until(lambda: bytes(reader.read) == b"media")
    for each in (bad, encoder):
        each.close()


def _fail_again(error: Exception) -> None:
    raise RuntimeError("another fault") from error


async def test_reading_stops_with_the_last_and_begins_again_with_the_next(door: Door) -> None:
    first, reader = await door.encoder()
    first.close()
    await until(lambda: reader.done)
    await asyncio.sleep(2 * SWEEP_S)
    second, again = await door.encoder()
    second.sendall(b"here")
    await until(lambda: bytes(again.read) == b"here")
    second.close()
