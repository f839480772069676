"""The WebSocket API as API Gateway serves it: authorize, route by the body, answer where declared, post to connections.

Shapes and limits from the API Gateway Developer Guide ("Working with WebSocket APIs", "Quotas"). Differences, both
stricter: a message over 32 KB closes the connection with 1009 however its client fragments it (the service measures
frames, and allows a message of four), and a message must be text.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from functions import clock
from local.declared import SocketApi, SocketRoute
from local.deployment import ACCOUNT, REGION
from local.faults import FaultOrders, PostFate
from local.runtime import Outcome, Runtime

# Messages of one connection in functions at once; more wait in the connection, and then in the client. The service has
# a function instance for each; here all share one interpreter, and a client that floods must not take it from others.
PENDING_MAX: Final = 4
# And of all connections: more at once end no sooner, and keep frames from being made and posted meanwhile.
ROUTES_MAX: Final = 6
# What may wait unsent for a client that does not read before its connection is given up.
UNSENT_BYTES_MAX: Final = 1024 * 1024
# How long a client that is sent away has to say that it goes; who has it closed waits no longer for an answer.
CLOSE_TIMEOUT_S: Final = 0.8


@dataclass(frozen=True)
class Limits:
    """The service's quotas; tests lower them."""

    frame_bytes: int = 32 * 1024
    message_bytes: int = 128 * 1024
    idle_s: float = 600
    lifetime_s: float = 7_200
    posts_per_s: int = 10_000


@dataclass
class Connection:
    """One open socket."""

    id: str
    socket: web.WebSocketResponse
    authorizer: dict[str, Any]
    source_ip: str
    user_agent: str
    connected_ms: int
    opened_s: float
    active_s: float
    transport: asyncio.Transport | None
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])


class Bucket:
    """A token bucket: ``rate`` a second, at most ``burst`` at once (API Gateway's throttling)."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._at_s = time.monotonic()

    def take(self) -> bool:
        """Take one; False when none is left."""
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class SocketGateway:
    """Serves one WebSocket API at ``/{stage}`` and its connections at ``/{stage}/@connections/{id}``."""

    def __init__(self, api: SocketApi, runtime: Runtime, faults: FaultOrders, limits: Limits) -> None:
        self._api = api
        self._runtime = runtime
        self._faults = faults
        self._limits = limits
        self._connections: dict[str, Connection] = {}
        self._posts = Bucket(limits.posts_per_s, limits.posts_per_s)
        self._messages = Bucket(api.rate, api.burst) if api.rate else None
        self._turns = asyncio.Semaphore(ROUTES_MAX)

    @property
    def open_count(self) -> int:
        """Connections open now."""
        return len(self._connections)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Open a connection and serve it until it closes."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.json_response({"message": "Upgrade Required"}, status=426)
        if not self._admits():
            return web.json_response({"message": "Too Many Requests"}, status=429)
        connection_id = secrets.token_urlsafe(11)[:15] + "="
        now_s = time.monotonic()
        connection = Connection(
            id=connection_id,
            # Writes never wait for a slow client: UNSENT_BYTES_MAX ends its connection instead.
            socket=web.WebSocketResponse(
                timeout=CLOSE_TIMEOUT_S,
                max_msg_size=self._limits.frame_bytes,
                compress=False,
                writer_limit=2 * UNSENT_BYTES_MAX,
            ),
            authorizer={},
            source_ip=request.remote or "127.0.0.1",
            user_agent=request.headers.get("User-Agent", ""),
            connected_ms=clock.now_ms(),
            opened_s=now_s,
            active_s=now_s,
            transport=request.transport,
        )
        refused = await self._connect(request, connection)
        if refused is not None:
            return refused
        await connection.socket.prepare(request)
        self._connections[connection_id] = connection
        try:
            await self._receive(connection)
        finally:
            self._connections.pop(connection_id, None)
            await self._disconnected(connection)
        return connection.socket

    async def close_expired(self) -> None:
        """Close connections that were silent or open for too long; called once a second for all of them."""
        now_s, ordered = time.monotonic(), self._faults.sockets
        lifetime_s, idle_s = ordered.lifetime_s or self._limits.lifetime_s, ordered.idle_s or self._limits.idle_s
        for connection in list(self._connections.values()):
            if now_s - connection.opened_s >= lifetime_s or now_s - connection.active_s >= idle_s:
                await self._close(connection, WSCloseCode.GOING_AWAY, "Going away")

    async def close_all(self) -> None:
        """Close every connection (the stack stops or is reset)."""
        for connection in list(self._connections.values()):
            await self._close(connection, WSCloseCode.GOING_AWAY, "Going away")

    async def connections_api(self, request: web.Request) -> web.Response:
        """``POST``, ``GET`` and ``DELETE /@connections/{id}`` (API Gateway Management API)."""
        # Only a signed request gets in; whose signature it is, is not looked at.
        if not request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return _error(403, "ForbiddenException", "Missing Authentication Token")
        if request.method == "POST":
            return await self._post(request)
        connection = self._connections.get(request.match_info["id"])
        if connection is None:
            return _error(410, "GoneException", "")
        if request.method == "DELETE":
            await self._close(connection, WSCloseCode.OK, "Connection Closed Normally")
            return web.Response(status=204)
        return web.json_response(
            {
                "connectedAt": clock.rfc3339(connection.connected_ms),
                "lastActiveAt": clock.rfc3339(clock.now_ms() - int((time.monotonic() - connection.active_s) * 1000)),
                "identity": {"sourceIp": connection.source_ip, "userAgent": connection.user_agent},
            }
        )

    async def _post(self, request: web.Request) -> web.Response:
        connection = self._connections.get(request.match_info["id"])
        fate = self._faults.for_post() or PostFate()
        if fate.breaks and connection is not None and connection.transport is not None:
            connection.transport.abort()
        if fate.status == 429 or not self._posts.take():
            return _error(429, "LimitExceededException", "Too Many Requests")
        if fate.status == 413 or (request.content_length or 0) > self._limits.message_bytes:
            return _error(413, "PayloadTooLargeException", "Message too long")
        if fate.status is not None and fate.status != 410:
            return _error(fate.status, "InternalServerErrorException", "ordered by /_local/faults")
        body = await request.read()
        if fate.delay_ms:
            await asyncio.sleep(fate.delay_ms / 1000)
        if fate.lost:
            return web.Response()
        if fate.status == 410 or connection is None or not await self._send(connection, body):
            return _error(410, "GoneException", "")
        return web.Response()

    def _admits(self) -> bool:
        """Whether the stage's throttle lets one more message or connect in."""
        return self._messages is None or self._messages.take()

    async def _send(self, connection: Connection, body: bytes) -> bool:
        if connection.socket.closed:
            return False
        transport = connection.transport
        if transport is not None and transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            transport.abort()
            return False
        try:
            await connection.socket.send_str(body.decode())
        except (ConnectionError, RuntimeError, UnicodeDecodeError):
            return False
        connection.active_s = time.monotonic()
        return True

    async def _close(self, connection: Connection, code: int, reason: str) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await connection.socket.close(code=code, message=reason.encode(), drain=False)

    async def _connect(self, request: web.Request, connection: Connection) -> web.Response | None:
        """Run the authorizer and ``$connect``; the refusal when the connection may not open."""
        route = self._api.routes.get("$connect")
        if route is None:
            return None
        extra: dict[str, Any] = {
            "headers": dict(request.headers),
            "multiValueHeaders": {name: request.headers.getall(name) for name in request.headers},
            "queryStringParameters": dict(request.query) or None,
            "multiValueQueryStringParameters": {name: request.query.getall(name) for name in request.query} or None,
        }
        if route.authorizer is not None:
            values = [_identity(request, source) for source in route.authorizer.identity_sources]
            if not all(values):
                return web.json_response({"message": "Unauthorized"}, status=401)
            arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self._api.api_id}/{self._api.stage}/$connect"
            event = {"type": "REQUEST", "methodArn": arn, **extra} | self._event(connection, "$connect", "CONNECT")
            refused = self._judged(await self._runtime.call(route.authorizer.function, event), connection)
            if refused is not None:
                return refused
        if route.function is not None:
            event = self._event(connection, "$connect", "CONNECT") | extra
            outcome = await self._runtime.call(route.function, event)
            status = outcome.payload.get("statusCode") if isinstance(outcome.payload, dict) else None
            if outcome.failed or not isinstance(status, int):
                return web.json_response({"message": "Internal server error"}, status=502)
            if not 200 <= status < 300:
                return web.Response(status=status, text=str(outcome.payload.get("body") or ""))
        return None

    def _judged(self, outcome: Outcome, connection: Connection) -> web.Response | None:
        if outcome.failed:
            # The one exception with a meaning of its own: Exception("Unauthorized").
            if outcome.message == "Unauthorized":
                return web.json_response({"message": "Unauthorized"}, status=401)
            return web.json_response({"message": None}, status=500)
        payload: Any = outcome.payload
        try:
            statements = payload["policyDocument"]["Statement"]
            allowed = any(one["Effect"] == "Allow" for one in statements)
            denied = any(one["Effect"] == "Deny" for one in statements)
        except (KeyError, TypeError):
            return web.json_response({"message": None}, status=500)
        if denied or not allowed:
            return web.json_response({"message": "Forbidden"}, status=403)
        context: dict[str, Any] = payload.get("context") or {}
        if not all(isinstance(value, str | int | float | bool) for value in context.values()):
            return web.json_response({"message": None}, status=500)
        # Values arrive as text, whatever the authorizer gave.
        given = {
            name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for name, value in context.items()
        }
        connection.authorizer = {**given, "principalId": payload.get("principalId"), "integrationLatency": 1}
        return None

    async def _receive(self, connection: Connection) -> None:
        async for message in connection.socket:
            connection.active_s = time.monotonic()
            if message.type is not WSMsgType.TEXT:
                continue
            while len(connection.tasks) >= PENDING_MAX:
                await asyncio.wait(connection.tasks, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._handle(connection, message.data))
            connection.tasks.add(task)
            task.add_done_callback(connection.tasks.discard)

    async def _handle(self, connection: Connection, body: str) -> None:
        if not self._admits():
            await self._answer_error(connection, "Too Many Requests")
            return
        route = self._route(body)
        if route is None:
            await self._answer_error(connection, "Forbidden")
            return
        if route.function is None:
            return
        event = self._event(connection, route.key, "MESSAGE") | {"body": body}
        async with self._turns:
            outcome = await self._runtime.call(route.function, event)
        if outcome.failed:
            await self._answer_error(connection, "Internal server error")
        elif route.answers and isinstance(outcome.payload, dict):
            answer = outcome.payload.get("body")
            if isinstance(answer, str) and answer:
                await self._send(connection, answer.encode())

    async def _answer_error(self, connection: Connection, message: str) -> None:
        answer = {"message": message, "connectionId": connection.id, "requestId": secrets.token_urlsafe(11) + "="}
        await self._send(connection, msgspec.json.encode(answer))

    def _route(self, body: str) -> SocketRoute | None:
        try:
            value: Any = msgspec.json.decode(body)
            for name in self._api.selection:
                value = value[name]
        except (msgspec.DecodeError, KeyError, TypeError, IndexError):
            value = None
        # Names that begin with $ are the service's own; a client cannot choose them.
        if isinstance(value, str) and not value.startswith("$") and value in self._api.routes:
            return self._api.routes[value]
        return self._api.routes.get("$default")

    async def _disconnected(self, connection: Connection) -> None:
        route = self._api.routes.get("$disconnect")
        if route is None or route.function is None:
            return
        code = connection.socket.close_code or 1006
        event = self._event(connection, "$disconnect", "DISCONNECT")
        event["requestContext"] |= {"disconnectStatusCode": int(code), "disconnectReason": ""}
        # Not awaited: the service tells of a closed connection when it can, and nobody waits for it.
        task = asyncio.get_running_loop().create_task(self._tell(route.function, event))
        _told.add(task)
        task.add_done_callback(_told.discard)

    async def _tell(self, function: str, event: dict[str, Any]) -> None:
        await self._runtime.call(function, event)

    def _event(self, connection: Connection, key: str, kind: str) -> dict[str, Any]:
        now_ms = clock.now_ms()
        request_id = secrets.token_urlsafe(11) + "="
        context: dict[str, Any] = {
            "apiId": self._api.api_id,
            "authorizer": connection.authorizer,
            "connectedAt": connection.connected_ms,
            "connectionId": connection.id,
            "domainName": f"{self._api.api_id}.execute-api.{REGION}.amazonaws.com",
            "eventType": kind,
            "extendedRequestId": request_id,
            "identity": {"sourceIp": connection.source_ip, "userAgent": connection.user_agent},
            "messageDirection": "IN",
            "requestId": request_id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now_ms / 1000)),
            "requestTimeEpoch": now_ms,
            "routeKey": key,
            "stage": self._api.stage,
        }
        if kind == "MESSAGE":
            context["messageId"] = str(uuid.uuid4())
        return {"requestContext": context, "isBase64Encoded": False}


# Calls of $disconnect under way; a task without a reference may be collected before it ends.
_told: Final[set[asyncio.Task[None]]] = set()


def _identity(request: web.Request, source: str) -> str | None:
    name = source.rpartition(".")[2]
    return request.query.get(name) if ".querystring." in source else request.headers.get(name)


def _error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status, headers={"x-amzn-ErrorType": kind})
