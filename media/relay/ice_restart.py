"""ICE restarts under a running DTLS transport (RFC 8445 9): new credentials and addresses, the same session and media.

aiortc binds a transport to one aioice connection for life. Here a second connection gathers and checks beside it, and
takes its place once the publisher has nominated a pair; one that fails leaves the first as it was. What this touches:

1. ``RTCIceTransport._connection``, ``_recv`` and ``_send``, and ``RTCIceGatherer._connection``: set to the new one.
2. ``aioice.Connection._queue``: shared by both, so that DTLS reads on whichever of them a datagram comes to.
3. ``aioice.Connection._event_waiter``: handed on, so that the old connection's end is not taken for the end of all.

aiortc and aioice are pinned exactly and tests/relay/test_ice_restart.py fails when one of these changes.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from typing import Any, Final

from aioice import Candidate, Connection
from aiortc import RTCPeerConnection

from media.relay.errors import RelayError

logger = logging.getLogger(__name__)

# Each opens a socket an address: a client whose network really changes needs no more.
_INTERVAL_S: Final = 1.0
# Consent to send on the old pair expires after 30 s without an answer (RFC 7675 5.1); a restart must be over by then.
_CONNECT_S: Final = 15.0
# Packets that were on their way to the old address still count.
_LINGER_S: Final = 1.0
# ice-char of RFC 8839 5.4.
_USER: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")


class IceRestarts:
    """The ICE restarts of one peer connection: one at a time, and the newest wins."""

    def __init__(self, peer: RTCPeerConnection) -> None:
        self._peer = peer
        self._begun_s = float("-inf")
        self._checking: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._work: asyncio.Task[None] | None = None
        self.done = 0

    async def begin(self, user: str, password: str, candidates: Sequence[str]) -> str:
        """Restart with the client's new credentials and candidates (values of ``a=candidate:``).

        Returns
        -------
        str
            Our new credentials and all our candidates, as a fragment of RFC 8840; checks go on after it.

        Raises
        ------
        RelayError
            422 when there is no connection to restart or the credentials are none, 429 within a second of another one,
            409 when a newer one, or the end of the session, came before its candidates were gathered.
        ValueError, IndexError, AssertionError
            A candidate that cannot be read.
        """
        if not (_USER.fullmatch(user) and _PASSWORD.fullmatch(password)):
            raise RelayError("invalid_request", "These ICE credentials are not well-formed.", 422)
        transport = self._transport()
        remote = [Candidate.from_sdp(line) for line in candidates]
        now = time.monotonic()
        if now - self._begun_s < _INTERVAL_S:
            raise RelayError("rate_limited", "Wait a second before the next ICE restart.")
        self._begun_s = now
        await self._abandon()
        old: Any = transport._connection
        # Roles stay as they are (RFC 8445 9).
        new = Connection(ice_controlling=old.ice_controlling, use_ipv4=old._use_ipv4, use_ipv6=old._use_ipv6)
        new.remote_is_lite, new.remote_username, new.remote_password = old.remote_is_lite, user, password
        self._checking = new
        await new.gather_candidates()
        if self._checking is not new:
            # Whoever gave it up closed the sockets that were there by then.
            await _end(new)
            raise RelayError("conflict", "A newer ICE restart, or the end of the session, came first.")
        _share_queue(old, new)
        self._work = self._spawn(self._connect(transport, old, new, remote))
        return self._fragment(new)

    async def add_candidate(self, line: str) -> bool:
        """One more candidate of the client's (a value of ``a=candidate:``); False when no restart is going on."""
        if self._checking is None:
            return False
        await self._checking.add_remote_candidate(Candidate.from_sdp(line))
        return True

    async def close(self) -> None:
        """Give up what is going on; the peer connection is closed by whoever made it."""
        await self._abandon()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _transport(self) -> Any:
        transceivers = self._peer.getTransceivers()
        transports = {id(each.receiver.transport): each.receiver.transport.transport for each in transceivers}
        if len(transports) != 1:
            # RFC 9725 4.4.2 asks for one bundle; without it there would be as many restarts to keep in step.
            raise RelayError("invalid_request", "Only bundled media restarts ICE: connect again.", 422)
        transport: Any = next(iter(transports.values()))
        if self._peer.connectionState != "connected":
            raise RelayError("invalid_request", "There is no connection to restart yet: connect again.", 422)
        return transport

    def _fragment(self, new: Connection) -> str:
        first = self._peer.getTransceivers()[0]
        lines = [
            f"a=ice-ufrag:{new.local_username}",
            f"a=ice-pwd:{new.local_password}",
            f"m={first.kind} 9 UDP/TLS/RTP/SAVPF 0",
            f"a=mid:{first.mid}",
            *[f"a=candidate:{candidate.to_sdp()}" for candidate in new.local_candidates],
            "a=end-of-candidates",
        ]
        return "\r\n".join(lines) + "\r\n"

    async def _connect(self, transport: Any, old: Connection, new: Connection, remote: list[Candidate]) -> None:
        # Beside the checks: a name of mDNS may take its time to be resolved, and checks of the client's come anyway.
        adding = self._spawn(_add(new, remote))
        try:
            await asyncio.wait_for(new.connect(), _CONNECT_S)
            if transport.state != "completed":
                raise ConnectionError("the old connection ended meanwhile")
        except (ConnectionError, TimeoutError) as error:
            logger.info("an ICE restart came to nothing: %r", error)
            adding.cancel()
            self._forget(new)
            await _end(new)
            return
        _replace(transport, old, new)
        self._forget(new)
        self.done += 1
        try:
            await asyncio.sleep(_LINGER_S)
        finally:
            await _end(old)

    def _forget(self, new: Connection) -> None:
        if self._checking is new:
            self._checking = None

    async def _abandon(self) -> None:
        """Ends the one that is still being checked, if any."""
        new, self._checking = self._checking, None
        if new is None:
            return
        if self._work is not None:
            self._work.cancel()
        await _end(new)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _add(new: Connection, remote: list[Candidate]) -> None:
    for candidate in remote:
        await new.add_remote_candidate(candidate)


def _share_queue(old: Any, new: Any) -> None:
    if not all(hasattr(each, "_queue") and hasattr(each, "_event_waiter") for each in (old, new)):
        raise RuntimeError("aioice has changed: ice_restart.py must be held against the new version")
    new._queue = old._queue


def _replace(transport: Any, old: Any, new: Any) -> None:
    new._event_waiter, old._event_waiter = old._event_waiter, None
    transport._connection = transport.iceGatherer._connection = new
    transport._recv, transport._send = new.recv, new.send


async def _end(connection: Any) -> None:
    # Closing wakes whoever reads from its queue with the news that all is over: not from the shared one.
    connection._queue = asyncio.Queue()
    await connection.close()
