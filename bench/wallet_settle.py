"""How long until a gift is the host's diamonds, at 200 gifts a second to one host on the local stack?

Twenty viewers send up to ten roses a second each over their sockets, the next when the one before is answered, as a
combo's button does. The lag is what the ledger itself says: from the time in a gift's entry to the time in the
settlement that names it. Where the machine does not take 200 a second, the rate that it took is what the table says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import botocore.session

from bench.rooms_chat import new_account, sign_in
from bench.stack import local_stack

VIEWERS, RATE, SECONDS = 20, 200, 10
PACK = "coins_350"
SETTLED_WITHIN_S = 60


@dataclass
class Evening:
    """What was sent, and what came back."""

    sent: int = 0
    refused: dict[str, int] = field(default_factory=dict[str, int])
    acks_ms: list[float] = field(default_factory=list[float])
    took_s: float = 0.0


async def measure(origin: str) -> tuple[Evening, list[int]]:
    """The evening, and the lag of each gift that was answered (ms)."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{origin}/config.json") as answer:
            config = await answer.json()
        api = config["api_url"]
        host = next(each for each in config["demo"]["accounts"] if each["handle"] == "demo_host")
        auth = {"Authorization": f"Bearer {await sign_in(http, api, host['handle'], host['password'])}"}
        devices = {"camera": True, "microphone": True}
        stream = (await post(http, f"{api}/streams", auth, title="Bench", topics=[], devices=devices))["id"]
        await post(http, f"{api}/streams/{stream}/start", auth, devices=devices)
        evening = await send_all(http, api, stream)
        await post(http, f"{api}/streams/{stream}/end", auth)
    return evening, await settled(origin, stream, len(evening.acks_ms))


async def post(http: aiohttp.ClientSession, url: str, headers: dict[str, str], **body: Any) -> Any:
    async with http.post(url, json=body, headers=headers) as answer:
        answer.raise_for_status()
        return await answer.json()


async def send_all(http: aiohttp.ClientSession, api: str, stream: str) -> Evening:
    evening = Evening()
    sockets: list[aiohttp.ClientWebSocketResponse] = []
    for _ in range(VIEWERS):
        token = {"Authorization": f"Bearer {await new_account(http, api)}"}
        await post(http, f"{api}/purchases", token, provider="sandbox", pack=PACK, proof=uuid.uuid4().hex)
        ticket = await post(http, f"{api}/streams/{stream}/ticket", token)
        socket = await http.ws_connect(ticket["socket_url"], max_msg_size=1 << 20)
        await socket.send_json({"action": "join"})
        await answer_to(socket, "", ("joined",))
        sockets.append(socket)
    begin = time.perf_counter()
    await asyncio.gather(*(viewer(socket, evening, begin) for socket in sockets))
    evening.took_s = time.perf_counter() - begin
    for socket in sockets:
        await socket.close()
    return evening


async def viewer(socket: aiohttp.ClientWebSocketResponse, evening: Evening, begin: float) -> None:
    """Send for `SECONDS`, at most the viewer's part of `RATE`."""
    sent = 0
    while time.perf_counter() < begin + SECONDS:
        await asyncio.sleep(max(0.0, begin + sent * VIEWERS / RATE - time.perf_counter()))
        client_id = uuid.uuid4().hex
        gift = {"action": "gift", "id": client_id, "gift_id": "rose", "count": 1, "combo": "run"}
        started = time.perf_counter()
        await socket.send_json(gift)
        sent += 1
        evening.sent += 1
        answer = await answer_to(socket, client_id, ("ack", "error"))
        if answer.get("type") == "ack":
            evening.acks_ms.append((time.perf_counter() - started) * 1000)
        else:
            code = str(answer.get("code", answer.get("message")))
            evening.refused[code] = evening.refused.get(code, 0) + 1


async def answer_to(socket: aiohttp.ClientWebSocketResponse, client_id: str, types: tuple[str, ...]) -> dict[str, Any]:
    """The answer among all that arrives; one without a type is the gateway's own, of a function that failed."""
    while True:
        message = await asyncio.wait_for(socket.receive(), 60)
        data: dict[str, Any] = json.loads(message.data)
        if "type" not in data or (data["type"] in types and data.get("id", client_id) == client_id):
            return data


async def settled(origin: str, stream: str, wanted: int) -> list[int]:
    """Lags of the stream's gifts by the ledger, once all are settled."""
    address = urlsplit(origin)
    client = botocore.session.Session().create_client(
        "dynamodb",
        "us-east-1",
        endpoint_url=f"http://{address.hostname}:{(address.port or 80) + 2}",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    table = next(each for each in client.list_tables()["TableNames"] if "Ledger" in each)
    until_s = time.monotonic() + SETTLED_WITHIN_S
    while True:
        items = [each for page in client.get_paginator("scan").paginate(TableName=table) for each in page["Items"]]
        gifts = [each for each in items if each.get("reference", {}).get("S") == stream]
        done = [each for each in gifts if "settlement" in each]
        if len(done) >= wanted or time.monotonic() > until_s:
            break
        await asyncio.sleep(0.5)
    assert len(gifts) == wanted, f"{wanted} gifts were answered and {len(gifts)} are there"
    assert len(done) == wanted, f"{wanted - len(done)} gifts are not settled after {SETTLED_WITHIN_S} s"
    return lags(items, done)


def lags(items: list[dict[str, Any]], gifts: list[dict[str, Any]]) -> list[int]:
    """From the time in each gift's entry to that in the settlement that names it (ms), shortest first."""
    at = {(each["pk"]["S"], each["sk"]["S"]): int(each["at"]["N"]) for each in items if "at" in each}
    creator = gifts[0]["credit"]["S"].partition("/")[2]
    return sorted(at[f"wallet#{creator}", each["settlement"]["S"]] - int(each["at"]["N"]) for each in gifts)


def quantile(values: list[float] | list[int], part: float) -> float:
    """The value that ``part`` of ``values`` do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * part) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--origin")
    with local_stack(parser.parse_args().origin) as origin:
        evening, lags = asyncio.run(measure(origin))
    rate = len(evening.acks_ms) / evening.took_s
    print(
        f"{evening.sent} gifts of {VIEWERS} viewers, at most {RATE} a second; {len(evening.acks_ms)} answered, "
        f"**{rate:.0f} a second**; refused: {evening.refused or 'none'}.\n"
    )
    print("| | p50 | p95 | p99 |")
    print("|---|---|---|---|")
    print(
        f"| gift → settled, by the ledger | {quantile(lags, 0.5):.0f} ms | {quantile(lags, 0.95):.0f} ms "
        f"| {quantile(lags, 0.99):.0f} ms |"
    )
    acks = evening.acks_ms
    print(
        f"| gift → acknowledged | {quantile(acks, 0.5):.0f} ms | {quantile(acks, 0.95):.0f} ms "
        f"| {quantile(acks, 0.99):.0f} ms |"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
