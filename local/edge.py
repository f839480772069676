"""The one HTTP server of the stack: page, ``/config.json``, REST API, socket, ``/_local/``, and on LAN the relay."""

from __future__ import annotations

import hashlib
import mimetypes
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import jwt
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from moto.s3.models import s3_backends

from functions import clock
from local.addresses import Addresses
from local.control import Control
from local.deployment import ACCOUNT
from local.lan import authority_file
from local.ports import LOOPBACK
from local.rest import BODY_BYTES_MAX, RestGateway
from local.sockets import SocketGateway
from local.template import ROOT

DIST: Final = ROOT / "web" / "dist"
# Time for requests under way when the stack stops.
SHUTDOWN_S: Final = 1.0
# A blocking playlist reload waits for one part; anything slower is broken.
PROXY_TIMEOUT: Final = ClientTimeout(total=30)
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length"})
_ANY_ORIGIN: Final = {"Access-Control-Allow-Origin": "*"}


class Edge:
    """Listens on loopback and, where asked, on an address of the home network with TLS."""

    def __init__(
        self,
        addresses: Addresses,
        rest: RestGateway,
        sockets: SocketGateway,
        control: Control,
        stages: tuple[str, str],
        playback_secret: str,
    ) -> None:
        self._addresses = addresses
        self._rest = rest
        self._playback_secret = playback_secret
        rest_stage, socket_stage = stages
        self._rest_stage = rest_stage
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        route = app.router.add_route
        route("GET", "/config.json", self._config)
        route("GET", f"/{socket_stage}", sockets.serve)
        for method in ("POST", "GET", "DELETE"):
            route(method, f"/{socket_stage}/@connections/{{id}}", sockets.connections_api)
        route("*", f"/{rest_stage}", rest.serve)
        # Any character: a line feed in a parameter is for the functions to refuse, as on the service.
        route("*", f"/{rest_stage}/{{path:(?s:.*)}}", rest.serve)
        # As CloudFront leads them on (infra/web.py): a shared link has the page's address.
        route("GET", "/s/{code}", self._shared)
        control.add_routes(app)
        if addresses.public_host:
            route("*", "/relay/{path:.*}", self._relay)
            route("GET", "/ca.pem", self._authority)
        route("GET", "/images/{path:.*}", self._image)
        route("GET", "/replay/{token}/{stream}/{name}", self._recording)
        route("GET", "/{path:.*}", self._page)
        app.cleanup_ctx.append(self._proxy_session)
        self._app = app
        self._runner: web.AppRunner | None = None
        self._session: ClientSession | None = None
        self._pages: dict[Path, tuple[float, bytes, str]] = {}

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen; raises ``OSError`` when a port is taken."""
        # One line a request would drown everything else.
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._addresses.ports.edge, backlog=1024).start()
        if self._addresses.public_host:
            host, port = self._addresses.public_host, self._addresses.ports.edge
            await web.TCPSite(self._runner, host, port, ssl_context=tls).start()

    async def stop(self) -> None:
        """Close the listeners and end what is open."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _config(self, _: web.Request) -> web.Response:
        return web.json_response(self._addresses.config(), headers={"Cache-Control": "no-cache", **_ANY_ORIGIN})

    async def _shared(self, request: web.Request) -> web.StreamResponse:
        return await self._rest.serve(request.clone(rel_url=f"/{self._rest_stage}{request.rel_url.raw_path}"))

    async def _authority(self, _: web.Request) -> web.Response:
        # The type that makes phones offer to install it.
        return web.Response(body=authority_file().read_bytes(), content_type="application/x-x509-ca-cert")

    async def _image(self, request: web.Request) -> web.Response:
        """A picture out of moto's S3, as CloudFront serves it there."""
        found = _stored(f"images/{request.match_info['path']}")
        headers = {"Cache-Control": "public, max-age=31536000, immutable", **_ANY_ORIGIN}
        return web.Response(body=found.value, content_type="image/webp", headers=headers)

    async def _recording(self, request: web.Request) -> web.Response:
        """An object of a recording for who holds its token, as infra/playback.js checks it and CloudFront serves it."""
        token, stream, name = (request.match_info[part] for part in ("token", "stream", "name"))
        if not self._may_play(token, stream):
            body = {"error": {"code": "unauthenticated", "message": "This right to watch is not valid here."}}
            return web.json_response(body, status=401, headers={"Cache-Control": "no-store", **_ANY_ORIGIN})
        found = _stored(f"replay/{stream}/{name}")
        headers = {"Cache-Control": found.metadata.get("cache-control") or "no-cache", **_ANY_ORIGIN}
        kind = found.metadata.get("Content-Type") or found.metadata.get("content-type") or "application/octet-stream"
        if name.startswith("download-"):
            headers["Content-Disposition"] = "attachment"
        return web.Response(body=found.value, headers={**headers, "Content-Type": kind})

    def _may_play(self, token: str, stream: str) -> bool:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._playback_secret,
                algorithms=["HS256"],
                audience="replay",
                options={"require": ["exp", "sub"], "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            return False
        return claims["sub"] == stream and clock.now_ms() < int(claims["exp"]) * 1000

    async def _page(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["path"] or "index.html"
        path = (DIST / wanted).resolve()
        if not path.is_relative_to(DIST):
            raise web.HTTPNotFound
        if not path.is_file():
            # A screen's address is not a file: the page itself finds its way. A missing file is missing.
            if "." in Path(wanted).name:
                raise web.HTTPNotFound
            path = DIST / "index.html"
            if not path.is_file():
                raise web.HTTPServiceUnavailable(text="The page is not built: npm ci && npm run build in web/")
        content, tag = self._read(path)
        # Always asked for, seldom sent: a rebuilt page shows on the next reload.
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        charset = "utf-8" if kind.startswith("text/") or kind.endswith(("javascript", "json")) else None
        return web.Response(body=content, headers=headers, content_type=kind, charset=charset)

    def _read(self, path: Path) -> tuple[bytes, str]:
        changed = path.stat().st_mtime
        kept = self._pages.get(path)
        if kept is None or kept[0] != changed:
            content = path.read_bytes()
            kept = (changed, content, f'"{hashlib.sha256(content).hexdigest()[:24]}"')
            self._pages[path] = kept
        return kept[1], kept[2]

    async def _proxy_session(self, _: web.Application) -> AsyncIterator[None]:
        self._session = ClientSession(timeout=PROXY_TIMEOUT, auto_decompress=False)
        yield
        await self._session.close()

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        target = f"http://{LOOPBACK}:{self._addresses.ports.relay}/{request.raw_path.removeprefix('/relay/')}"
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        try:
            async with self._session.request(
                request.method, target, headers=headers, data=await request.read(), allow_redirects=False
            ) as answer:
                body = await answer.read()
        except (ClientError, TimeoutError):
            return web.json_response(
                {"error": {"code": "unavailable", "message": "The relay does not answer."}},
                status=503,
                headers=_ANY_ORIGIN,
            )
        passed = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP]
        response = web.Response(status=answer.status, body=body)
        response.headers.extend(passed)
        return response


def _stored(key: str) -> Any:
    """The object of moto's S3 with this key, in whatever bucket; 404 without one."""
    buckets: Any = s3_backends[ACCOUNT]["aws"].buckets
    for bucket in buckets.values():
        found = bucket.keys.get(key)
        if found is not None:
            return found
    raise web.HTTPNotFound
