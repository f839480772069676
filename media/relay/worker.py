"""A worker process as the relay holds it: messages go down a pipe that never makes anyone wait, and come up another.

What a worker does not take in time is dropped until the next key frame of that track. One that ends by itself is told
to whoever holds it, who goes on without.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from media.relay import wire
from media.relay.wire import Configure, Message, Picture, Sound

logger = logging.getLogger(__name__)

# Two seconds of nine pictures at 1.5 Mb/s: a worker that is so far behind will not catch up.
_UNSENT_BYTES_MAX: Final = 4 << 20
_END_S: Final = 1.0


class Worker:
    """One process.

    Parameters
    ----------
    module : str
        What it runs (``python -m module``).
    options : tuple[str, ...]
        Its arguments.
    on_message : Callable[[Message], None]
        Called with what it says, in order.
    on_end : Callable[[], None]
        Called once when it ended by itself.
    on_key_frame_wanted : Callable[[str], None]
        Called with a track that waits for a key frame and has room for one; called often.
    """

    def __init__(
        self,
        module: str,
        options: tuple[str, ...],
        on_message: Callable[[Message], None],
        on_end: Callable[[], None],
        on_key_frame_wanted: Callable[[str], None] | None = None,
    ) -> None:
        self._arguments = ("-m", module, *options)
        self._on_message = on_message
        self._on_end = on_end
        self._on_key_frame_wanted = on_key_frame_wanted
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._before: list[bytes] = []
        self._shut: set[str] = set()
        # Tracks without a camera have no key frame to wait for.
        self._sound_alone: set[str] = set()
        self.closed = False
        self.dropped = 0

    async def start(self) -> None:
        """Start the process; what was sent before waits for it (within the bound of all that waits)."""
        # Of the environment only what Python needs: a worker has no business with secrets or AWS.
        kept = ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
            env={name: os.environ[name] for name in kept if name in os.environ},
        )
        self._reading = asyncio.create_task(self._read(self._process))
        if self.closed:
            # It was given up while it started, and nobody else knows of its process.
            await self._end(self._process)
            return
        waiting, self._before = self._before, []
        for each in waiting:
            self._write(each)

    @property
    def pid(self) -> int | None:
        """The process's id, once it runs."""
        return None if self._process is None else self._process.pid

    def send(self, message: Message) -> None:
        """Hand on a message; media beyond the bound is dropped."""
        if self.closed:
            return
        if isinstance(message, Picture | Sound):
            if self._unsent() > _UNSENT_BYTES_MAX:
                self._shut.add(message.track)
            if message.track in self._shut:
                room = self._unsent() <= _UNSENT_BYTES_MAX // 2
                whole = message.track in self._sound_alone or (isinstance(message, Picture) and message.unit.key)
                if not room or not whole:
                    self.dropped += 1
                    if room and self._on_key_frame_wanted is not None:
                        self._on_key_frame_wanted(message.track)
                    return
                self._shut.discard(message.track)
        elif isinstance(message, Configure):
            self._shut.discard(message.track)
            (self._sound_alone.add if message.video is None else self._sound_alone.discard)(message.track)
        self._write(wire.encoded(message))

    async def close(self) -> None:
        """End the process, also one that is still being started; it is killed when it does not go by itself in 1 s."""
        self.closed = True
        self._before.clear()
        if self._process is not None:
            await self._end(self._process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            self._reading.cancel()

    def _write(self, data: bytes) -> None:
        if self._process is None:
            self._before.append(data)
        elif self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    def _unsent(self) -> int:
        if self._process is None:
            return sum(map(len, self._before))
        assert self._process.stdin is not None
        return self._process.stdin.transport.get_write_buffer_size()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                size = wire.length(await process.stdout.readexactly(wire.LENGTH.size))
                message = wire.decoded(await process.stdout.readexactly(size))
                if not self.closed:
                    self._on_message(message)
        except asyncio.IncompleteReadError:
            logger.log(logging.INFO if self.closed else logging.ERROR, "a worker ended (%s)", self._arguments[1])
        except (ValueError, msgspec.DecodeError):
            logger.exception("a worker spoke nonsense: ending it")
        except Exception:
            logger.exception("what a worker said could not be worked on: ending it")
        finally:
            if not self.closed:
                self.closed = True
                # It may have closed its output alone, and nobody reads what it says any longer.
                with suppress(ProcessLookupError):
                    process.kill()
                self._on_end()
                await process.wait()
