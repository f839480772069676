"""How long from sending a comment to seeing it on another screen, with 50 sockets at 5 comments a second?

A client like any other: it finds everything in `/config.json`. Five accounts comment once a second each, 45 visitors
only read; every arrival on every other socket counts. Limits: p50 ≤ 200 ms, p95 ≤ 400 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
import uuid

import aiohttp

from bench.stack import local_stack

READERS, WRITERS, SECONDS = 45, 5, 20
P50_MS_MAX, P95_MS_MAX = 200, 400


async def sign_in(http: aiohttp.ClientSession, api: str, handle: str, password: str) -> str:
    async with http.post(f"{api}/sessions", json={"handle": handle, "password": password}) as answer:
        answer.raise_for_status()
        return str((await answer.json())["access_token"])


async def new_account(http: aiohttp.ClientSession, api: str) -> str:
    handle = f"bench_{uuid.uuid4().hex[:12]}"
    person = {
        "handle": handle,
        "password": "Onair-bench-1",
        "display_name": handle,
        "birth_date": "1990-05-17",
        "market": "US",
    }
    async with http.post(f"{api}/accounts", json=person) as answer:
        answer.raise_for_status()
    return await sign_in(http, api, handle, "Onair-bench-1")


async def measure(origin: str) -> dict[str, float]:
    """Latencies in milliseconds: p50, p95, p99 and how many of how many arrived."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{origin}/config.json") as answer:
            config = await answer.json()
        api = config["api_url"]
        host = next(a for a in config["demo"]["accounts"] if a["handle"] == "demo_host")
        token = await sign_in(http, api, host["handle"], host["password"])
        auth = {"Authorization": f"Bearer {token}"}
        devices = {"camera": True, "microphone": True}
        async with http.post(
            f"{api}/streams", json={"title": "Bench", "topics": [], "devices": devices}, headers=auth
        ) as a:
            a.raise_for_status()
            stream = (await a.json())["id"]
        async with http.post(f"{api}/streams/{stream}/start", json={"devices": devices}, headers=auth) as a:
            a.raise_for_status()
        try:
            return await in_room(http, api, stream)
        finally:
            async with http.post(f"{api}/streams/{stream}/end", json={}, headers=auth) as a:
                a.raise_for_status()


async def in_room(http: aiohttp.ClientSession, api: str, stream: str) -> dict[str, float]:
    sent: dict[str, tuple[float, int]] = {}
    seen: list[float] = []
    acks: list[float] = []
    joined = asyncio.Semaphore(0)

    async def listen(number: int, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            data = json.loads(message.data)
            now = time.perf_counter()
            if data["type"] == "joined":
                joined.release()
            elif data["type"] == "ack":
                acks.append((now - sent[data["id"]][0]) * 1000)
            elif data["type"] == "error":
                raise RuntimeError(f"refused: {data}")
            elif data["type"] == "frame":
                for event in data["events"]:
                    started = sent.get(event.get("client_id", ""))
                    if started and started[1] != number:
                        seen.append((now - started[0]) * 1000)

    async def open_socket(token: str | None) -> aiohttp.ClientWebSocketResponse:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with http.post(f"{api}/streams/{stream}/ticket", json={}, headers=headers) as answer:
            answer.raise_for_status()
            url = (await answer.json())["socket_url"]
        socket = await http.ws_connect(url, max_msg_size=1 << 20)
        await socket.send_json({"action": "join"})
        return socket

    tokens: list[str | None] = [await new_account(http, api) for _ in range(WRITERS)]
    tokens += [None] * READERS
    sockets = [await open_socket(token) for token in tokens]
    listeners = [asyncio.ensure_future(listen(i, socket)) for i, socket in enumerate(sockets)]
    for _ in sockets:
        await asyncio.wait_for(joined.acquire(), 20)

    async def comment(number: int) -> None:
        await asyncio.sleep(random.random())
        for turn in range(SECONDS):
            key = uuid.uuid4().hex
            sent[key] = (time.perf_counter(), number)
            await sockets[number].send_json({"action": "chat", "id": key, "text": f"Comment {turn} of writer {number}"})
            await asyncio.sleep(1)

    await asyncio.gather(*(comment(i) for i in range(WRITERS)))
    expected = len(sent) * (len(sockets) - 1)
    deadline = time.monotonic() + 5
    while len(seen) < expected and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    for listener in listeners:
        if listener.done():
            listener.result()
        listener.cancel()
    for socket in sockets:
        await socket.close()
    cuts = statistics.quantiles(seen, n=100)
    ack_cuts = statistics.quantiles(acks, n=100)
    return {
        "p50": cuts[49],
        "p95": cuts[94],
        "p99": cuts[98],
        "ack_p50": ack_cuts[49],
        "ack_p95": ack_cuts[94],
        "arrived": len(seen),
        "expected": expected,
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--origin", help="a running stack, e.g. http://127.0.0.1:8080; without it one is started")
    with local_stack(parser.parse_args().origin) as origin:
        found = asyncio.run(measure(origin))
    print("| sent → shown | p50 | p95 | p99 | limits (p50, p95) |\n|---|---|---|---|---|")
    print(
        f"| on another socket | {found['p50']:.0f} ms | {found['p95']:.0f} ms | {found['p99']:.0f} ms "
        f"| {P50_MS_MAX} ms, {P95_MS_MAX} ms |"
    )
    print(f"| acknowledged | {found['ack_p50']:.0f} ms | {found['ack_p95']:.0f} ms | | |")
    print(f"\n{found['arrived']:.0f} of {found['expected']:.0f} arrivals.")
    held = found["p50"] <= P50_MS_MAX and found["p95"] <= P95_MS_MAX
    return 0 if held and found["arrived"] == found["expected"] else 1


if __name__ == "__main__":
    sys.exit(main())
