"""``/_local/``: health, reset, clock, mail, push and faults, for testers on this machine and for nobody else.

The template has none of these (a test holds it). A request is taken only from a loopback peer that names a loopback
host: the host check keeps out a page on the web that had its name resolve to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from functions import clock
from local.faults import FaultOrders, Faults

_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class ClockMove(msgspec.Struct, frozen=True):
    """Move the stack's clock: forward by ``advance_ms``, or to ``offset_ms`` against the host's clock."""

    advance_ms: Annotated[int, msgspec.Meta(ge=0, le=20 * 366 * 86_400_000)] | None = None
    offset_ms: int | None = None


@dataclass(frozen=True)
class Health:
    """What the stack says of itself."""

    status: str
    parts: dict[str, str]
    failures: list[str]


@dataclass(frozen=True)
class Actions:
    """What the routes can do to the stack; given by local/stack.py."""

    health: Callable[[], Health]
    reset: Callable[[bool], Awaitable[None]]
    mail: Callable[[], list[dict[str, Any]]]
    push: Callable[[], list[dict[str, Any]]]


class Control:
    """The routes under ``/_local/``."""

    def __init__(self, actions: Actions, faults: FaultOrders, system_clock: clock.SystemClock) -> None:
        self._actions = actions
        self._faults = faults
        self._clock = system_clock

    def add_routes(self, app: web.Application) -> None:
        """Add the routes, each behind the check of who asks."""
        for method, path, handler in (
            ("GET", "health", self._health),
            ("POST", "reset", self._reset),
            ("GET", "clock", self._read_clock),
            ("POST", "clock", self._move_clock),
            ("GET", "mail", self._mail),
            ("GET", "push", self._push),
            ("POST", "faults", self._order),
        ):
            app.router.add_route(method, f"/_local/{path}", _from_here(handler))

    async def _health(self, _: web.Request) -> web.Response:
        health = self._actions.health()
        body = {"status": health.status, "parts": health.parts, "failures": health.failures}
        return web.json_response(body, status=200 if health.status == "ready" else 503)

    async def _reset(self, request: web.Request) -> web.Response:
        await self._actions.reset(request.query.get("seed", "true") != "false")
        return web.Response(status=204)

    async def _read_clock(self, _: web.Request) -> web.Response:
        return web.json_response({"now": clock.rfc3339(clock.now_ms()), "offset_ms": self._clock.offset_ms})

    async def _move_clock(self, request: web.Request) -> web.Response:
        try:
            move = msgspec.json.decode(await request.read(), type=ClockMove)
        except msgspec.MsgspecError as error:
            return _invalid(str(error))
        if move.offset_ms is not None:
            self._clock.offset_ms = move.offset_ms
        self._clock.offset_ms += move.advance_ms or 0
        return await self._read_clock(request)

    async def _mail(self, _: web.Request) -> web.Response:
        return web.json_response({"items": self._actions.mail()})

    async def _push(self, _: web.Request) -> web.Response:
        return web.json_response({"items": self._actions.push()})

    async def _order(self, request: web.Request) -> web.Response:
        try:
            self._faults.order(msgspec.json.decode(await request.read(), type=Faults))
        except msgspec.MsgspecError as error:
            return _invalid(str(error))
        return web.Response(status=204)


def _from_here(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def checked(request: web.Request) -> web.Response:
        host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        if host not in _HOSTS or peer is None or not ipaddress.ip_address(peer[0]).is_loopback:
            raise web.HTTPNotFound
        return await handler(request)

    return checked


def _invalid(message: str) -> web.Response:
    return web.json_response({"error": {"code": "invalid_request", "message": message}}, status=400)
