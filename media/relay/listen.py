"""Sockets to listen on: an IPv6 address takes IPv4 too, where the machine has both."""

from __future__ import annotations

import socket

_BACKLOG = 4_096


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` (``::`` is every address of both families) and ``port``; raises OSError."""
    if ":" not in host:
        return socket.create_server((host, port), backlog=_BACKLOG)
    both = socket.has_dualstack_ipv6() and host == "::"
    return socket.create_server((host, port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=both)
