"""Encoders' sockets, read together 25 times a second: one wake of the loop takes all that came meanwhile.

An encoder sends 77 messages a second, and each by itself would wake the loop, which costs more than what is done with
it. So media lies in the kernel for 20 ms on average and 40 ms at most; a full receive window slows the sender down as
it always does (docs/decisions/0375).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import Final, Protocol

logger = logging.getLogger(__name__)

SWEEP_S: Final = 0.04
# Read of one socket at a time: 6.5 MB/s, more than any encoder may send for long.
READ_BYTES_MAX: Final = 256 << 10


class Reader(Protocol):
    """Who is given what came."""

    def swept(self, data: memoryview) -> None:
        """Bytes, which stay what they are until this returns; none when the peer is done."""
        ...

    def sweep_failed(self, error: Exception) -> None:
        """The socket broke, or `swept` did; it is read no more."""
        ...


class Sweep:
    """Reads the sockets of those who joined, for as long as there are any."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(READ_BYTES_MAX))
        self._sockets: dict[Reader, socket.socket] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_s = 0.0

    def join(self, reader: Reader, transport: asyncio.Transport) -> None:
        """Read the socket of ``transport``, which must be paused and stay so until `leave`."""
        held = transport.get_extra_info("socket")
        assert held is not None, "a transport of TCP has its socket"
        # Transports keep their socket's reads to themselves; a descriptor of our own may be read.
        own = socket.socket(fileno=os.dup(held.fileno()))
        own.setblocking(False)
        self._sockets[reader] = own
        if self._timer is None:
            self._next_s = asyncio.get_running_loop().time()
            self._again()

    def leave(self, reader: Reader) -> None:
        """Read no more; safe to call again."""
        own = self._sockets.pop(reader, None)
        if own is not None:
            own.close()

    def read(self) -> None:
        """Read all of them now; not from within `Reader.swept`."""
        buffer = self._buffer
        for reader, own in list(self._sockets.items()):
            try:
                count = own.recv_into(buffer)
                reader.swept(buffer[:count])
            except BlockingIOError:
                continue
            except OSError as error:
                self._fail(reader, error)
            except Exception as error:
                # One encoder's trouble must not end the reading of the others.
                logger.exception("what an encoder sent could not be worked on")
                self._fail(reader, error)

    def _fail(self, reader: Reader, error: Exception) -> None:
        self.leave(reader)
        reader.sweep_failed(error)

    def _again(self) -> None:
        loop = asyncio.get_running_loop()
        # On a grid, so that reading takes nothing from the pause; after a stall the grid begins anew.
        self._next_s = max(self._next_s + SWEEP_S, loop.time())
        self._timer = loop.call_at(self._next_s, self._tick)

    def _tick(self) -> None:
        try:
            self.read()
        finally:
            # Whatever goes wrong there, the others are read on.
            if self._sockets:
                self._again()
            else:
                self._timer = None
