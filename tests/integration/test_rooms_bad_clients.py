"""Clients that mean harm, over the real gateway: each is refused by its code or a stated limit, and slows nobody."""

from __future__ import annotations

import json
import socket as sockets
import statistics
import threading
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from functions.rooms.flood import REFUSALS_MAX, WINDOW_MS
from functions.rooms.model import Connection
from functions.rooms.posts import ApiSockets
from local.client import Client
from local.sockets import PENDING_MAX, UNSENT_BYTES_MAX
from local.testing import Message, Onair, Socket, wait_until

LINES = 8
FLOOD_S = 4.0
FLOOD_RATE = 1_000
# What a comment takes with the bad client in the room, beside what it takes without: the local stack's gateway,
# functions and tables share one interpreter, which the service's do not.
RATIO_MAX = 3.0
SLACK_MS = 150.0


def latencies_ms(talker: Socket, viewer: Socket) -> list[float]:
    """From sending to seeing it on the other's screen, for a few lines a second apart."""
    found: list[float] = []
    for number in range(LINES):
        text = f"line {number} {time.monotonic_ns()}"
        started_s = time.monotonic()
        answer = talker.chat(text)
        assert answer["type"] == "ack", answer
        viewer.wait_for_event("chat", text=text)
        found.append((time.monotonic() - started_s) * 1000)
        time.sleep(max(0.0, started_s + 1.05 - time.monotonic()))
    return found


def told(message: Message) -> str:
    """What a message comes to: an error's code, the code of a `bye`, or its type."""
    if message.get("type") == "bye":
        return f"bye {message['code']}"
    return str(message.get("code") or message.get("type") or "gateway")


def flood(stream_id: str, by: Client, counts: Counter[str], until_s: float) -> None:
    """A thousand messages a second, and again with a new ticket whenever the socket is closed; counts the answers."""
    while time.monotonic() < until_s:
        _flood(str(by.call("POST", f"/streams/{stream_id}/ticket")["socket_url"]), counts, until_s)


def _flood(url: str, counts: Counter[str], until_s: float) -> None:
    counts["sockets"] += 1
    began_s = time.monotonic()
    with connect(url, max_size=None, max_queue=None) as bad:
        bad.send('{"action":"join"}')

        def read() -> None:
            try:
                for text in bad:
                    message: dict[str, Any] = json.loads(text)
                    kind = message.get("type") or "gateway"
                    counts[
                        message["code"] if kind == "error" else f"bye {message['code']}" if kind == "bye" else kind
                    ] += 1
            except ConnectionClosed:
                pass  # counted below, by whoever sends

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        sent, started_s = 0, time.monotonic()
        try:
            while time.monotonic() < until_s:
                due = int((time.monotonic() - started_s) * FLOOD_RATE)
                for _ in range(min(due - sent, 100)):
                    bad.send(json.dumps({"action": "chat", "id": f"{counts['sockets']}-{sent}", "text": "flood " * 30}))
                    sent += 1
                time.sleep(0.01)
        except ConnectionClosed:
            counts["closed"] += 1
        reader.join(5)
        counts["sent"] += sent
    counts["longest_s"] = max(counts["longest_s"], int(time.monotonic() - began_s) + 1)


def test_a_flood_from_one_socket_is_refused_and_closed_and_slows_nobody(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    talker, viewer = (onair.socket(onair.account(), stream["id"]) for _ in range(2))
    for one in (talker, viewer):
        one.join()
    calm = statistics.median(latencies_ms(talker, viewer))

    counts = Counter[str]()
    until_s = time.monotonic() + LINES * 1.05 + FLOOD_S
    thread = threading.Thread(target=flood, args=(stream["id"], onair.account(), counts, until_s))
    began_s = time.monotonic()
    thread.start()
    flooded = statistics.median(latencies_ms(talker, viewer))
    thread.join(30)
    assert not thread.is_alive()

    # One a second and a burst of five, however many sockets; everything else has the code that says so, and after so
    # many of these the socket is told why and closed, each time.
    assert counts["ack"] <= 5 + (time.monotonic() - began_s) + 1, counts
    assert counts["rate_limited"] >= REFUSALS_MAX - PENDING_MAX, counts
    assert counts["closed"] >= 1, counts
    assert counts["sockets"] - counts["closed"] <= 1, counts
    # This client drops what it has not read yet when its sending fails; all were told (tests/unit/test_rooms_flood.py).
    assert 2 * counts["bye rate_limited"] >= counts["closed"], counts
    assert counts["longest_s"] < WINDOW_MS / 1000, counts
    assert counts["sent"] > 500, counts
    assert flooded <= RATIO_MAX * calm + SLACK_MS, f"{flooded:.0f} ms beside {calm:.0f} ms; {counts}"


def deaf(url: str) -> sockets.socket:
    """A WebSocket that joins and never reads, with as little room for what comes as the system allows."""
    parts = urlsplit(url)
    made = sockets.socket()
    made.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1024)
    made.settimeout(10)
    made.connect((str(parts.hostname), int(parts.port or 0)))
    made.sendall(
        f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert made.recv(12) == b"HTTP/1.1 101"
    payload = b'{"action":"join"}'
    made.sendall(bytes([0x81, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)
    return made


def test_sockets_that_never_read_slow_nobody(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    talker, viewer = (onair.socket(onair.account(), stream["id"]) for _ in range(2))
    for one in (talker, viewer):
        one.join()
    calm = statistics.median(latencies_ms(talker, viewer))
    visitor = onair.client()
    tickets = [visitor.call("POST", f"/streams/{stream['id']}/ticket") for _ in range(12)]
    held = [deaf(str(ticket["socket_url"])) for ticket in tickets]
    try:
        viewer.wait_for(lambda got: got.get("viewers", 0) >= 14, "everybody to be counted")
        with_deaf = statistics.median(latencies_ms(talker, viewer))
    finally:
        for one in held:
            one.close()
    assert with_deaf <= RATIO_MAX * calm + SLACK_MS, f"{with_deaf:.0f} ms beside {calm:.0f} ms"


def test_a_socket_that_never_reads_is_closed_when_a_mebibyte_waits_for_it(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    ticket = onair.client().call("POST", f"/streams/{stream['id']}/ticket")
    held = deaf(str(ticket["socket_url"]))
    gateway = onair.stack.sockets
    (connection_id,) = wait_until(lambda: list(gateway._connections), "the socket to open")
    posts = ApiSockets(onair.addresses.callback_url)
    one = Connection(connection_id, account="", shard=0, expires_s=0)
    body, posted = "x" * 100_000, 0
    try:
        # What the kernel takes for it is beside the limit, a few MiB on loopback.
        while not posts.post([body], [one], 2_000):
            posted += 1
            assert posted < 200, "20 MB were taken for a client that reads nothing"
    finally:
        held.close()
    assert posted * len(body) > UNSENT_BYTES_MAX
    wait_until(lambda: not gateway._connections, "the socket to be closed")


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ({"action": "chat", "id": "1", "text": "x" * 201}, "invalid_request", "text"),
        ({"action": "chat", "id": "1", "text": "\u202e\u200b\u200b" * 50}, "invalid_request", "text"),
        ({"action": "chat", "id": "1", "text": "\x00\x07\x1b"}, "invalid_request", "text"),
        ({"action": "react", "counts": {"🦖": 1}}, "invalid_request", "counts"),
        ({"action": "react", "counts": {"❤️": -5}}, "invalid_request", "counts"),
        ({"action": "react", "counts": {"❤️": 10**12}}, "invalid_request", "counts"),
        ({"action": "react", "counts": {}}, "invalid_request", "counts"),
        ({"action": "vote", "poll_id": "no-such-poll", "option": 0}, "not_found", None),
        ({"action": "poll", "id": "1", "question": "Q?", "options": ["a", "b"], "seconds": 30}, "forbidden", None),
        ({"action": "answer", "question_id": "q", "state": "showing"}, "forbidden", None),
        ({"action": "upvote", "question_id": "no-such-question"}, "not_found", None),
    ],
)
def test_what_nobody_honest_sends_has_its_code(onair: Onair, message: Any, code: str, field: str | None) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    viewer = onair.socket(onair.account(), stream["id"])
    viewer.join()
    refused = viewer.request(message, lambda got: got.get("type") == "ack")
    assert (refused["type"], refused["code"]) == ("error", code), refused
    if field is not None:
        assert refused["details"]["field"] == field


def test_what_hides_or_reverses_is_taken_out_of_what_is_shown(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    viewer = onair.socket(onair.account(), stream["id"])
    viewer.join()
    assert viewer.chat("pay \u202emoc.live\u202c\u200b\u200b now\x07\n\n!" + "\u0301" * 40)["type"] == "ack"
    shown = viewer.wait_for_event("chat")["text"]
    assert not set(shown) & set("\u202e\u202c\u200b\x07\n")
    assert shown.count("\u0301") <= 4


def test_a_vote_for_a_poll_that_is_over_is_a_conflict(onair: Onair) -> None:
    host = onair.account(followers=1_200)
    stream = onair.broadcast(host)
    studio, viewer = onair.socket(host, stream["id"]), onair.socket(onair.account(), stream["id"])
    for one in (studio, viewer):
        one.join()
    poll = studio.request(
        {"action": "poll", "id": "p", "question": "Now?", "options": ["yes", "no"], "seconds": 1},
        lambda got: got.get("type") == "ack",
    )
    # Nobody does anything: the result comes by itself, on time.
    begun_s = time.monotonic()
    result = viewer.wait_for_event("poll", state="closed", within_s=8)
    assert result["poll_id"] == poll["event_id"]
    assert time.monotonic() - begun_s < 6
    refused = viewer.request(
        {"action": "vote", "poll_id": poll["event_id"], "option": 0}, lambda got: got.get("type") == "ack"
    )
    assert refused["code"] == "conflict"
