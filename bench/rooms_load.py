"""1,000 sockets in one room, 50 comments a second and hearts from all: how long until a comment is shown, at what cost?

The same clients load Onair's local stack, a socket.io room (npm) and a bare `websockets` broadcast, one after the other
in one run. Those who comment do so once a second and read everything; all others are read and not looked into, so that
the client does not become what is measured. Hearts are sent by as many as Onair's frames ask for, in all three.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from bench.rooms_server import cpu_s, running
from functions.rooms.model import Limits, react_sample, tick_ms
from local.template import LOCAL_POSTS_BUDGET

# Sockets, and comments a second: what the local stack carries on one interpreter, and the evening that is aimed at.
LOADS: Final = ((250, 10), (1_000, 50))
SECONDS: Final = 12
LIMITS: Final = Limits(posts_budget=LOCAL_POSTS_BUDGET)
CALM_S: Final = 3
ARRIVE_S: Final = 60
# An account has at most three connections.
CONNECTIONS_AN_ACCOUNT: Final = 3
ON_THE_WAY: Final = 12


class Wire(asyncio.Protocol):
    """A WebSocket client (RFC 6455) that costs almost nothing: counts bytes, and gives text on only where asked."""

    def __init__(self, path: str, host: str, listen: Callable[[str], None] | None) -> None:
        self._path, self._host, self._listen = path, host, listen
        self._held = bytearray()
        self._open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if self._open and self._listen is None:
            return
        self._held += data
        if not self._open:
            end = self._held.find(b"\r\n\r\n")
            if end < 0:
                return
            status = bytes(self._held[:end]).split(b" ", 2)[1]
            del self._held[: end + 4]
            if status != b"101":
                self.opened.set_exception(RuntimeError(f"the socket did not open: {status.decode()}"))
                return
            self._open = True
            self.opened.set_result(None)
        if self._listen is not None:
            self._frames(self._listen)

    def _frames(self, listen: Callable[[str], None]) -> None:
        held = self._held
        while len(held) >= 2:
            length, at = held[1] & 0x7F, 2
            if length == 126:
                length, at = int.from_bytes(held[2:4], "big"), 4
            elif length == 127:
                length, at = int.from_bytes(held[2:10], "big"), 10
            if len(held) < at + length:
                return
            kind, payload = held[0] & 0x0F, bytes(held[at : at + length])
            del held[: at + length]
            if kind == 1:
                listen(payload.decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed"))

    def send(self, text: str) -> None:
        """One text frame, masked with zeros: a mask is for proxies, of which there are none here."""
        payload = text.encode()
        size = len(payload)
        head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0xFE]) + size.to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + payload)


@dataclass
class Found:
    """What one server did."""

    name: str
    seen: list[float] = field(default_factory=list[float])
    acks: list[float] = field(default_factory=list[float])
    expected: int = 0
    cpu: float = 0.0
    bytes: int = 0
    refused: int = 0
    lost: int = 0
    sockets: int = 0
    writers: int = 0


@dataclass
class Load:
    """The same load for each server: who comments when, and what was seen."""

    found: Found
    sent: dict[str, tuple[float, int]] = field(default_factory=dict[str, tuple[float, int]])

    def shown(self, key: str, at: int) -> None:
        started = self.sent.get(key)
        if started is not None and started[1] != at:
            self.found.seen.append((time.perf_counter() - started[0]) * 1000)

    def acknowledged(self, key: str) -> None:
        if key in self.sent:
            self.found.acks.append((time.perf_counter() - self.sent[key][0]) * 1000)

    async def run(
        self,
        pid: int,
        wires: list[Wire],
        comment: Callable[[int, str, str], None],
        heart: Callable[[int], None],
        hearts_s: float,
    ) -> None:
        """Comments of the first writers, hearts of anyone, for `SECONDS`."""
        worked_s, started_s, before = cpu_s(pid), time.perf_counter(), sum(wire.bytes for wire in wires)

        async def write(number: int) -> None:
            await asyncio.sleep(random.random())
            for turn in range(SECONDS):
                key = uuid.uuid4().hex
                self.sent[key] = (time.perf_counter(), number)
                comment(number, key, f"Comment {turn} of writer {number}, and what a goal that was")
                await asyncio.sleep(1)

        async def tap() -> None:
            for number in range(int(hearts_s * SECONDS)):
                await asyncio.sleep(max(0.0, started_s + number / hearts_s - time.perf_counter()))
                heart(random.randrange(len(wires)))

        await asyncio.gather(tap(), *(write(number) for number in range(self.found.writers)))
        self.found.expected = len(self.sent) * (self.found.writers - 1)
        until = time.monotonic() + 8
        while len(self.found.seen) < self.found.expected and time.monotonic() < until:
            await asyncio.sleep(0.05)
        self.found.cpu = (cpu_s(pid) - worked_s) / (time.perf_counter() - started_s) * 100
        self.found.bytes = sum(wire.bytes for wire in wires) - before
        self.found.lost = sum(wire.closed for wire in wires)


async def opened(url: str, listen: Callable[[str], None] | None) -> Wire:
    """A wire that is open."""
    parts = urlsplit(url)
    assert parts.scheme == "ws" and parts.hostname and parts.port, "loopback only, without TLS"
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    host = f"{parts.hostname}:{parts.port}"
    _, wire = await asyncio.get_running_loop().create_connection(
        lambda: Wire(path, host, listen), parts.hostname, parts.port
    )
    await asyncio.wait_for(wire.opened, ARRIVE_S)
    return wire


async def all_of(makers: list[Any], at_once: int = ON_THE_WAY) -> list[Any]:
    """Results in order, some at a time."""
    limit = asyncio.Semaphore(at_once)

    async def one(maker: Any) -> Any:
        async with limit:
            return await maker

    return list(await asyncio.gather(*(one(maker) for maker in makers)))


async def load_bare(sockets: int, writers: int, hearts_s: float) -> Found:
    load = Load(Found("`websockets` broadcast", sockets=sockets, writers=writers))
    with running("websockets") as (url, pid):

        def listen(at: int) -> Callable[[str], None]:
            return lambda text: load.shown(json.loads(text).get("id", ""), at)

        wires = await all_of([opened(url, listen(at) if at < writers else None) for at in range(sockets)])

        def comment(number: int, key: str, text: str) -> None:
            wires[number].send(json.dumps({"type": "chat", "id": key, "from": f"writer {number}", "text": text}))

        await load.run(pid, wires, comment, lambda at: wires[at].send('{"type":"react","count":7}'), hearts_s)
    return load.found


async def load_socketio(sockets: int, writers: int, hearts_s: float) -> Found:
    load = Load(Found("socket.io room", sockets=sockets, writers=writers))
    with running("socketio") as (url, pid):
        wires: list[Wire] = []

        def listen(at: int) -> Callable[[str], None]:
            def heard(text: str) -> None:
                # Engine.IO 4: "2" is a ping, "42" an event (https://socket.io/docs/v4/engine-io-protocol/).
                if text == "2":
                    wires[at].send("3")
                elif text.startswith('42["chat"'):
                    load.shown(json.loads(text[2:])[1]["id"], at)

            return heard

        wires += await all_of([opened(url, listen(at) if at < writers else None) for at in range(sockets)])
        for wire in wires:
            wire.send("40")
        await asyncio.sleep(CALM_S)

        def comment(number: int, key: str, text: str) -> None:
            wires[number].send("42" + json.dumps(["chat", {"id": key, "from": f"writer {number}", "text": text}]))

        await load.run(pid, wires, comment, lambda at: wires[at].send('42["react",{"count":7}]'), hearts_s)
    return load.found


async def load_onair(sockets: int, writers: int, hearts_s: float) -> Found:
    load = Load(Found("Onair, local stack", sockets=sockets, writers=writers))
    with running("onair") as (origin, pid):
        async with aiohttp.ClientSession() as http:
            api = (await (await http.get(f"{origin}/config.json")).json())["api_url"]
            host, stream = await broadcast_of(http, api, origin)
            accounts = -(-sockets // CONNECTIONS_AN_ACCOUNT)
            tokens = await all_of([account(http, api) for _ in range(accounts)], 4)

            async def join(at: int) -> Wire:
                headers = {"Authorization": f"Bearer {tokens[at % accounts]}"}
                async with http.post(f"{api}/streams/{stream}/ticket", json={}, headers=headers) as answer:
                    answer.raise_for_status()
                    url = (await answer.json())["socket_url"]
                wire = await opened(url, heard(at) if at < writers else None)
                wire.send('{"action":"join"}')
                return wire

            def heard(at: int) -> Callable[[str], None]:
                def hear(text: str) -> None:
                    message = json.loads(text)
                    if message.get("type") == "ack":
                        load.acknowledged(message["id"])
                    elif message.get("type") in ("error", None):
                        load.found.refused += 1
                    elif message["type"] == "frame":
                        for event in message["events"]:
                            load.shown(event.get("client_id", ""), at)

                return hear

            wires = await all_of([join(at) for at in range(sockets)], 4)
            await calm(http, api, stream, host, sockets)

            def comment(number: int, key: str, text: str) -> None:
                wires[number].send(json.dumps({"action": "chat", "id": key, "text": text}))

            sample = react_sample(sockets, LIMITS)
            heart = json.dumps({"action": "react", "counts": {"❤️": 7}, "sample": sample})
            await load.run(pid, wires, comment, lambda at: wires[at].send(heart), hearts_s)
    return load.found


async def calm(http: aiohttp.ClientSession, api: str, stream: str, token: str, sockets: int) -> None:
    """Until everybody who came is counted."""
    until = time.monotonic() + ARRIVE_S
    headers = {"Authorization": f"Bearer {token}"}
    while time.monotonic() < until:
        async with http.get(f"{api}/streams/{stream}", headers=headers) as answer:
            if (await answer.json())["viewers"] >= sockets * 0.99:
                await asyncio.sleep(CALM_S)
                return
        await asyncio.sleep(0.5)
    raise RuntimeError("not everybody came in")


async def broadcast_of(http: aiohttp.ClientSession, api: str, origin: str) -> tuple[str, str]:
    """The demo host's token and a live stream of theirs."""
    config = await (await http.get(f"{origin}/config.json")).json()
    host = next(one for one in config["demo"]["accounts"] if one["handle"] == "demo_host")
    token = await signed_in(http, api, host["handle"], host["password"])
    headers, devices = {"Authorization": f"Bearer {token}"}, {"camera": True, "microphone": True}
    async with http.post(f"{api}/streams", json={"title": "Bench", "devices": devices}, headers=headers) as answer:
        answer.raise_for_status()
        stream = (await answer.json())["id"]
    async with http.post(f"{api}/streams/{stream}/start", json={"devices": devices}, headers=headers) as answer:
        answer.raise_for_status()
    return token, stream


async def account(http: aiohttp.ClientSession, api: str) -> str:
    """A new account's token."""
    handle = f"load_{uuid.uuid4().hex[:12]}"
    person = {
        "handle": handle,
        "password": "Onair-bench-1",
        "display_name": handle,
        "birth_date": "1990-05-17",
        "market": "US",
    }
    async with http.post(f"{api}/accounts", json=person) as answer:
        answer.raise_for_status()
    return await signed_in(http, api, handle, "Onair-bench-1")


async def signed_in(http: aiohttp.ClientSession, api: str, handle: str, password: str) -> str:
    async with http.post(f"{api}/sessions", json={"handle": handle, "password": password}) as answer:
        answer.raise_for_status()
        return str((await answer.json())["access_token"])


def line(found: Found) -> str:
    cuts = statistics.quantiles(found.seen, n=100) if len(found.seen) > 1 else [float("nan")] * 99
    ack = f"{statistics.median(found.acks):.0f} ms" if found.acks else "none"
    arrived = len(found.seen) / found.expected if found.expected else 0.0
    return (
        f"| {found.sockets:,} · {found.writers} | {found.name} | {cuts[49]:.0f} ms | {cuts[94]:.0f} ms | "
        f"{cuts[98]:.0f} ms | {ack} | {arrived:.1%} | {found.cpu:.0f} % | {found.bytes / SECONDS / 1e6:.1f} MB/s |"
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sockets", type=int, help="one load only: so many sockets")
    parser.add_argument("--comments", type=int, default=10, help="and so many comments a second")
    asked = parser.parse_args()
    loads = ((asked.sockets, asked.comments),) if asked.sockets else LOADS
    limits = LIMITS
    print("| sockets · comments a second | room | p50 | p95 | p99 | acknowledged | arrived | processor | to clients |")
    print("|---|---|---|---|---|---|---|---|---|")
    held: list[str] = []
    failed = False
    for sockets, writers in loads:
        hearts_s = sockets * react_sample(sockets, limits) * 1000 / limits.react_interval_ms
        found = [asyncio.run(run(sockets, writers, hearts_s)) for run in (load_onair, load_socketio, load_bare)]
        print("\n".join(line(one) for one in found), flush=True)
        ours, tick = found[0], tick_ms(sockets, limits)
        p99 = statistics.quantiles(ours.seen, n=100)[98] if len(ours.seen) > 1 else float("inf")
        met = p99 <= 250 + tick and len(ours.seen) >= 0.99 * ours.expected
        failed |= not met
        held.append(
            f"{sockets:,} sockets: limit p99 ≤ {250 + tick} ms (250 ms and one tick of {tick} ms) "
            f"{'met' if met else '**not met**'}; {hearts_s:.0f} messages of hearts a second; {ours.refused} of our "
            f"messages were refused, {ours.lost} sockets lost."
        )
    print("\n" + " ".join(held))
    print(
        f"\nFrom sending to being shown on another screen, {SECONDS} s. Load average of the machine at the end: "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, the clients' share included. Where we stand: the "
        "others hand a comment on as it comes, from memory, and nobody can ask them for what was missed: a socket that "
        "was away a second has lost that second, and a restart loses the room. Ours is written in a transaction before "
        "it is acknowledged, ordered once for all, read again by whoever was away, and posted by one HTTPS request a "
        "socket and frame, as API Gateway wants it; a frame each tick is what keeps that payable. On the local stack "
        "all of it, and the service's own side too (gateway, tables and queues in moto), shares one interpreter: a "
        "comment takes it some 4 ms, a message of hearts 3, a post with its receipt about 1, so 50 comments, 62 "
        "messages of hearts and 500 posts a second are all that one has. On AWS each is a function, a queue and a "
        "table of its own."
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
