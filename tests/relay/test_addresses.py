"""Addresses of both families: what the relay listens on, and what it tells publishers."""

from __future__ import annotations

import socket

import pytest

from media.relay.listen import listening
from media.relay.signalling import reachable

_ANSWER = (
    "v=0\r\n"
    "a=candidate:1 1 udp 2130706431 10.0.1.7 40001 typ host\r\n"
    "a=candidate:2 1 udp 2130706431 2600:1f14:abc::7 40002 typ host\r\n"
    "a=candidate:3 1 udp 1694498815 198.51.100.9 40003 typ srflx raddr 10.0.1.7 rport 40001\r\n"
)


def test_only_private_ipv4_addresses_become_the_public_one() -> None:
    told = reachable(_ANSWER, "203.0.113.5")
    assert "203.0.113.5 40001 typ host" in told
    assert "2600:1f14:abc::7 40002 typ host" in told, "an IPv6 address is public already"
    assert "198.51.100.9 40003 typ srflx" in told
    assert reachable(_ANSWER, "") == _ANSWER


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("host", "reached_by"),
    [("127.0.0.1", ["127.0.0.1"]), ("::", ["127.0.0.1", "::1"]), ("::1", ["::1"])],
)
def test_the_relay_listens_on_both_families_when_told_to(host: str, reached_by: list[str]) -> None:
    if ":" in host and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with listening(host, 0) as server:
        port = server.getsockname()[1]
        for address in reached_by:
            with socket.create_connection((address, port), timeout=2):
                server.accept()[0].close()
