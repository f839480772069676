"""The relay as one aiohttp application: routes, errors in one shape, CORS, health, start and end."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from media.relay import delivery, passthrough, signalling, whep, whip
from media.relay.control import Control
from media.relay.errors import RelayError
from media.relay.feed import Feeds
from media.relay.lease import Leases
from media.relay.load import Load
from media.relay.metrics import Metrics
from media.relay.peers import Peers
from media.relay.protection import Protection
from media.relay.pull import Pull
from media.relay.rights import Rights
from media.relay.rival import Rivals
from media.relay.rtmp import RtmpServer
from media.relay.settings import Settings
from media.relay.streams import Streams

logger = logging.getLogger(__name__)

STREAMS: Final = web.AppKey("streams", Streams)
LEASES: Final = web.AppKey("leases", Leases)
# Of the five seconds that ECS (and `make run`) wait after SIGTERM.
_DRAIN_S: Final = 2.5
_STORE_S: Final = 1.0
_STATUS_CODES: Final = {400: "invalid_request", 404: "not_found", 405: "invalid_request", 413: "too_large"}
_EXPOSED: Final = "Location, ETag, Link, Accept-Patch, Accept-Post, Date, Retry-After"


def make(settings: Settings) -> web.Application:
    """The application; its background work starts and ends with it."""
    passthrough.install()
    metrics = Metrics()
    control = Control(settings, metrics)
    leases = Leases(settings, metrics)
    streams = Streams(settings, control, metrics, leases)

    def is_here(stream_id: str) -> bool:
        return stream_id in streams.programs

    peers = Peers(settings, leases, is_here, metrics)
    pull = Pull(settings, leases, peers, is_here, metrics)
    leases.beat_of, leases.on_lost = streams.beat, streams.dispossess
    streams.on_begin = pull.moved_here
    rivals = Rivals(streams.stages, leases, peers, settings, metrics)
    streams.on_tick = rivals.watch
    protection = Protection(os.environ, lambda: bool(streams.publishers), metrics)
    load = Load(settings.deployment, lambda: len(streams.publishers), metrics.bytes_sent, metrics.recording_losses)
    rights = Rights(settings.signing_secret, settings.playback_secret, settings.origin_secret)
    rtmp = RtmpServer(streams, rights, settings, metrics)

    async def healthz(_request: web.Request) -> web.Response:
        counts = {
            "ok": not streams.draining,
            "streams": len(streams.programs),
            "publishers": len(streams.publishers),
            "flowing": sum(program.state == "flowing" for program in streams.programs.values()),
        }
        # 503 while draining: load balancers stop sending anything new.
        body = msgspec.json.encode(counts)
        headers = {"Cache-Control": "no-store"}
        status = 503 if streams.draining else 200
        return web.Response(body=body, status=status, content_type="application/json", headers=headers)

    async def prometheus(_request: web.Request) -> web.Response:
        metrics.leases.set(len(leases.held))
        metrics.followed.set(pull.streams)
        return web.Response(body=metrics.text(), content_type="text/plain", headers={"Cache-Control": "no-store"})

    @web.middleware
    async def errors(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except RelayError as error:
            refusal = error
        except web.HTTPException as error:
            if error.status < 400:
                raise
            code = _STATUS_CODES.get(error.status, "invalid_request" if error.status < 500 else "unavailable")
            refusal = RelayError(code, f"{error.reason}.", error.status)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, request.rel_url.path)
            refusal = RelayError("unavailable", "Something on our side failed. Try again in a moment.")
        metrics.refusals.labels(refusal.code).inc()
        response = web.Response(body=refusal.body(), status=refusal.status, content_type="application/json")
        delivery.no_store(response)
        if refusal.status == 401:
            # RFC 9110 11.6.1: a 401 names the scheme.
            response.headers["WWW-Authenticate"] = "Bearer"
        if refusal.status == 503:
            response.headers["Retry-After"] = "1"
        return response

    @web.middleware
    async def elsewhere(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        answer = await peers.pass_on(request)
        return await handler(request) if answer is None else answer

    async def cors(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Access-Control-Allow-Origin"] = settings.allowed_origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED

    async def background(_app: web.Application) -> AsyncIterator[None]:
        work = (streams.run(), streams.store(), control.run(), leases.run(), protection.run(), load.run())
        tasks = [asyncio.create_task(each) for each in work]
        for task in tasks:
            task.add_done_callback(_report_end)
        await rtmp.start()
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1)

    async def drain(_app: web.Application) -> None:
        await asyncio.gather(
            streams.drain(_DRAIN_S), control.drain(_DRAIN_S), rtmp.stop(), pull.close(), rivals.close()
        )
        await streams.store_rest(_STORE_S)
        await peers.close()

    app = web.Application(middlewares=[errors, elsewhere], client_max_size=signalling.SDP_BYTES_MAX)
    app[STREAMS], app[LEASES] = streams, leases
    app.add_routes(whip.Whip(streams, rights, settings, metrics).routes())
    app.add_routes(whep.Whep(streams, rights, settings).routes())
    app.add_routes(delivery.Delivery(streams.programs, pull, peers, rights, settings, metrics).routes())
    app.add_routes(Feeds(streams.stages.feed, peers, metrics).routes())
    app.add_routes([web.get("/healthz", healthz), web.get("/metrics", prometheus)])
    app.on_response_prepare.append(cors)
    app.on_shutdown.append(drain)
    app.cleanup_ctx.append(background)
    return app


def _report_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        # A relay that does not watch its streams is worse than none: end, and be started again.
        logger.critical("background work failed", exc_info=error)
        raise SystemExit(1)
