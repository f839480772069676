"""Ten thousand connections that ask for nothing, and readers that do not read: viewers notice nothing, and they go."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.relay import checker
from tests.relay.stack import Stack, fetch, until

_IDLE = 10_000
_IDLE_S = 12
_SLOW = 100
_UNREAD_S = 5
# A connection takes about 20 kB; what slow readers do not take is shared by all who asked for it.
_IDLE_MB_MAX = 350
_SLOW_MB_MAX = 120


@pytest.fixture(scope="module")
def busy() -> Iterator[Stack]:
    with Stack(IDLE_CONNECTION_S=str(_IDLE_S), UNREAD_S=str(_UNREAD_S)) as stack:
        stack.put_stream("busy")
        stack.start_source("busy")
        until(lambda: fetch(stack.live_url("busy")).status == 200, 20, "on air")
        until(lambda: checker.parse(fetch(stack.live_url("busy", "media.m3u8")).text).closed, 20, "a whole segment")
        yield stack


def _resident_mb(stack: Stack) -> float:
    return psutil.Process(stack.relay.pid).memory_info().rss / 1e6


def _assert_plays(stack: Stack, parts: int) -> None:
    """A viewer gets each next part in time."""
    before = checker.read(fetch(stack.live_url("busy", "media.m3u8")).text)
    for _ in range(parts):
        newest = before.segments[-1]
        msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))
        asked_s = time.monotonic()
        now = checker.read(fetch(stack.live_url("busy", "media.m3u8") + f"?_HLS_msn={msn}&_HLS_part={part}").text)
        assert time.monotonic() - asked_s < 2.0
        checker.check_succession(before, now)
        before = now


def _closed(connections: list[socket.socket]) -> int:
    """How many of the connections the relay has ended."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
    return len(poll.poll(0))


def _held(stack: Stack, ports: set[int]) -> int:
    """How many connections from these ports the relay still has; the kernel tells nobody of those that it gives up."""
    found = psutil.Process(stack.relay.pid).net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr[1] in ports for each in found)


def test_ten_thousand_idle_connections_cost_memory_alone_and_are_closed_in_time(busy: Stack) -> None:
    before_mb = _resident_mb(busy)
    connections: list[socket.socket] = []
    try:
        connections.extend(socket.create_connection(("127.0.0.1", busy.port), timeout=5) for _ in range(_IDLE))
        _assert_plays(busy, 6)
        assert _resident_mb(busy) - before_mb < _IDLE_MB_MAX
        until(lambda: _closed(connections) == _IDLE, 3 * _IDLE_S, "all are closed")
        _assert_plays(busy, 3)
    finally:
        for connection in connections:
            connection.close()


def test_readers_that_do_not_read_hold_nobody_up_and_are_hung_up_on(busy: Stack) -> None:
    segment = checker.read(fetch(busy.live_url("busy", "media.m3u8")).text).closed[-1]
    path = busy.live_url("busy", segment.uri).removeprefix(busy.relay_url)
    request = f"GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n".encode() * 8
    before_mb = _resident_mb(busy)
    connections: list[socket.socket] = []
    try:
        for _ in range(_SLOW):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.settimeout(5)
            connection.connect(("127.0.0.1", busy.port))
            connection.sendall(request)
            connections.append(connection)
        _assert_plays(busy, 6)
        assert _resident_mb(busy) - before_mb < _SLOW_MB_MAX
        assert _held(busy, {connections[-1].getsockname()[1]}) == 1
        ours = {connection.getsockname()[1] for connection in connections}
        until(lambda: not _held(busy, ours), 8 * _UNREAD_S, "who reads nothing is hung up on")
        _assert_plays(busy, 3)
    finally:
        for connection in connections:
            connection.close()
