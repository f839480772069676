"""Relay to relay: signed, short-lived tokens, one HTTP client for all of it, and signalling passed on to the owner.

A request that comes with a token is answered here or refused, never passed on again, so that two tasks that each think
the other one owns a stream cannot send a request in circles.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

import aiohttp
import jwt
from aiohttp import web

from media.relay.errors import RelayError
from media.relay.lease import Lease, Leases
from media.relay.metrics import Metrics
from media.relay.settings import Settings

logger = logging.getLogger(__name__)

HEADER: Final = "X-Onair-Relay"
_ALGORITHM: Final = "HS256"
_LIFETIME_S: Final = 30
# A token is used again for this long, so that not every request costs a signature.
_REUSED_S: Final = 10
_TOKENS_MAX: Final = 4_096
_TOKEN_BYTES_MAX: Final = 2_048
_CONNECT_S: Final = 1.0
_SIGNALLING_S: Final = 10.0
# A task that lives answers for a session at once; the publisher who asks has little patience.
_SESSION_S: Final = 1.0
# Whose media stays away is asked, but not waited for long: its machine may be gone.
_SILENT_OWNER_S: Final = 1.5
_BODY_BYTES_MAX: Final = 64 * 1024
_CONNECTIONS_MAX: Final = 1_000
_ASKED: Final = ("Authorization", "Content-Type", "If-Match", "Accept-Language")
_ANSWERED: Final = (
    "Location", "ETag", "Link", "Accept-Patch", "Content-Type", "Cache-Control", "Retry-After", "WWW-Authenticate",
)  # fmt: skip


class Peers:
    """The other tasks, as this one speaks to them.

    Parameters
    ----------
    settings : Settings
        Who we are, and the secret that all tasks share.
    leases : Leases
        Who owns what.
    is_here : Callable[[str], bool]
        Whether a stream's program is on this task.
    metrics : Metrics
        Counts what is passed on.
    """

    def __init__(self, settings: Settings, leases: Leases, is_here: Callable[[str], bool], metrics: Metrics) -> None:
        self._settings = settings
        self._leases = leases
        self._is_here = is_here
        self._metrics = metrics
        self._tokens: dict[tuple[str, str], tuple[float, str]] = {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The client for requests to other tasks."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS_MAX)
            timeout = aiohttp.ClientTimeout(total=_SIGNALLING_S, sock_connect=_CONNECT_S)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=True)
        return self._session

    async def close(self) -> None:
        """End the client."""
        if self._session is not None:
            await self._session.close()

    # ---- tokens ----

    def headers(self, owner: Lease) -> dict[str, str]:
        """The header that opens one stream at its owner's task, and nothing else, for half a minute."""
        now = time.time()
        known = self._tokens.get((owner.stream_id, owner.task))
        if known is None or now - known[0] > _REUSED_S:
            if len(self._tokens) >= _TOKENS_MAX:
                self._tokens.clear()
            claims = {
                "aud": f"relay:{owner.task}",
                "sub": owner.stream_id,
                "iss": self._settings.task,
                "exp": int(now) + _LIFETIME_S,
            }
            known = (now, jwt.encode(claims, self._settings.signing_secret, _ALGORITHM))
            self._tokens[(owner.stream_id, owner.task)] = known
        return {HEADER: known[1]}

    def comes_from_peer(self, headers: Mapping[str, str], stream_id: str) -> bool:
        """Whether another task asks; raises ``forbidden`` for a token that is forged, stale or for something else."""
        token = headers.get(HEADER)
        if token is None:
            return False
        try:
            if len(token) > _TOKEN_BYTES_MAX:
                raise jwt.InvalidTokenError("too long")
            claims = jwt.decode(
                token,
                self._settings.signing_secret,
                algorithms=[_ALGORITHM],
                audience=f"relay:{self._settings.task}",
                options={"require": ["exp", "sub", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            logger.warning("a relay token was refused: %s", error)
            raise RelayError("forbidden", "This relay token is not valid here.") from None
        if claims["sub"] != stream_id:
            raise RelayError("forbidden", "This relay token is for another broadcast.")
        return True

    # ---- signalling ----

    async def pass_on(self, request: web.Request) -> web.Response | None:
        """Answer a WHIP or WHEP request by the task that it concerns; None when that is this one."""
        _, protocol, stream_id, *rest = [*request.path.split("/"), "", ""][:5]
        if protocol not in ("whip", "whep") or not stream_id or request.method == "OPTIONS":
            return None
        if self.comes_from_peer(request.headers, stream_id) or not request.headers.get("Authorization"):
            return None
        session_task = rest[0].partition(".")[0] if request.method in ("PATCH", "DELETE") else ""
        if session_task == self._settings.task or (not session_task and self._is_here(stream_id)):
            return None
        owner = await self._leases.owner(stream_id)
        if owner is None or owner.task == self._settings.task:
            return None
        if session_task:
            return await self._to_session(request, owner, session_task)
        # A stream stays where it is as long as its task takes publishers: viewers then see no other run of it.
        return await self._to_owner(request, owner)

    async def _to_session(self, request: web.Request, owner: Lease, task: str) -> web.Response | None:
        if owner.task != task:
            # Another task owns the stream by now: the session ended with that.
            return None
        try:
            return await self._forward(request, owner, _SESSION_S)
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.info("task %s does not answer for %s: %r", owner.task, owner.stream_id, error)
            if await self._leases.is_alive(owner):
                raise RelayError(
                    "unavailable", "The broadcast's relay does not answer. Try again in a moment."
                ) from None
            return None

    async def _to_owner(self, request: web.Request, owner: Lease) -> web.Response | None:
        if owner.beat.media_ms == 0:
            # Given up by its owner, as when that is replaced.
            return None
        alive = await self._leases.is_alive(owner)
        try:
            answer = await self._forward(request, owner, _SIGNALLING_S if alive else _SILENT_OWNER_S)
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.info("task %s does not take %s: %r", owner.task, owner.stream_id, error)
            return None
        # Full or being replaced: then here.
        return None if answer.status == 503 else answer

    async def _forward(self, request: web.Request, owner: Lease, timeout_s: float) -> web.Response:
        if (request.content_length or 0) > _BODY_BYTES_MAX:
            raise RelayError("too_large", "The body is over 64 KB.")
        # aiohttp keeps what was read, so that a handler here can read it too.
        body = await request.read()
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        headers.update(self.headers(owner))
        self._metrics.passed_on.inc()
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        async with self.http.request(
            request.method, f"{owner.address}{request.rel_url.raw_path}", data=body, headers=headers, timeout=timeout
        ) as answer:
            response = web.Response(status=answer.status, body=await answer.read())
            for name in _ANSWERED:
                for value in answer.headers.getall(name, []):
                    response.headers.add(name, value) if name == "Link" else response.headers.update({name: value})
            return response
