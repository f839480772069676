"""Sockets to listen on: an IPv6 address takes IPv4 too, where the machine has both."""

from __future__ import annotations

import socket

_BACKLOG = 4_096
# Linux has it; macOS, on which only the local stack runs, has not.
_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)


def listening(host: str, port: int, unread_s: float = 0.0) -> socket.socket:
    """A socket that listens on ``host`` (``::`` is every address of both families) and ``port``; raises OSError.

    With ``unread_s`` the kernel ends connections whose peer takes nothing of what was sent for so long (RFC 5482; those
    accepted have it from this socket). Where the system has no such option, they stay until they are closed.
    """
    if ":" not in host:
        made = socket.create_server((host, port), backlog=_BACKLOG)
    else:
        both = socket.has_dualstack_ipv6() and host == "::"
        made = socket.create_server((host, port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=both)
    if unread_s and _USER_TIMEOUT is not None:
        made.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(unread_s * 1000))
    return made
