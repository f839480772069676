"""Not a question: `@connections` that takes every post, in a process of its own, so that only the poster counts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Taker(asyncio.Protocol):
    """Reads requests with a body of known length and answers each 200, after a while if asked."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._held) < end + 4 + length:
                return
            self._held = self._held[end + 4 + length :]
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, _ANSWER)


async def _serve(delay_ms: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Taker(delay_ms / 1000), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def gateway(delay_ms: float) -> Iterator[str]:
    """The callback URL of a running one, each answer ``delay_ms`` late."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.gateway_fake", str(delay_ms)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/live"
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
