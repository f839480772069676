"""HTTP to viewers: playlists with blocking reload, parts, segments, previews; who may read and how long caches keep it.

Section numbers are those of draft-pantos-hls-rfc8216bis-16. Everything that waits has a bound.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from typing import Final
from weakref import WeakKeyDictionary

from aiohttp import web

from media.relay.errors import RelayError
from media.relay.metrics import Metrics
from media.relay.peers import Peers
from media.relay.program import Program
from media.relay.pull import OPEN_HEADER, MovedError, Pull
from media.relay.rendition import Rendition
from media.relay.rights import Rights
from media.relay.settings import Settings

_PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
_ORIGIN_HEADER: Final = "X-Onair-Origin"
# Media never changes under its name. A playlist asked for by number is final for it, so caches keep it while viewers
# ask for it; without a number it is stale at once, but 0 would stop CloudFront from collapsing requests.
_CACHE_MEDIA: Final = "public, max-age=31536000, immutable"
_CACHE_BLOCKING: Final = "public, max-age=6"
_CACHE_PLAYLIST: Final = "public, max-age=1"
_CACHE_PREVIEW: Final = "public, max-age=5"
_CACHE_OWN_PREVIEW: Final = "private, max-age=5"
_CACHE_NOTHING: Final = "no-store"
# A viewer who comes before the first part waits this long; then the app tries again.
_FIRST_PART_S: Final = 4.0
# 6.2.5.2: a server that cannot answer within three target durations says 503.
_BLOCKED_TARGETS: Final = 3
_MSN_AHEAD_MAX: Final = 2
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_GZIP_LEVEL: Final = 5
# A stream that changes its task while it is asked for does so once, perhaps twice.
_MOVES_MAX: Final = 4


class Delivery:
    """Handlers of `/live/…` and `/preview/…`; what is on another task is pulled from there."""

    def __init__(
        self,
        programs: Mapping[str, Program],
        pull: Pull,
        peers: Peers,
        rights: Rights,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._programs = programs
        self._pull = pull
        self._peers = peers
        self._rights = rights
        self._settings = settings
        self._metrics = metrics
        # Goes with its program: nothing of a stream outlives it here.
        self._compressed: WeakKeyDictionary[Program, dict[str, tuple[bytes, bytes]]] = WeakKeyDictionary()

    def routes(self) -> list[web.RouteDef]:
        """What to register; CloudFront has checked and cut the token where there is none."""
        return [
            web.get("/live/{token}/{stream}/{name}", self.by_token),
            web.get("/live/{stream}/{name}", self.by_origin),
            web.get("/preview/{stream}.jpg", self.preview),
            web.get("/preview/{token}/{stream}.jpg", self.preview_by_token),
        ]

    async def by_token(self, request: web.Request) -> web.Response:
        """``/live/{token}/{stream}/{name}``: the playback token decides."""
        self._rights.check_playback(request.match_info["token"], request.match_info["stream"])
        return await self._answer(request)

    async def by_origin(self, request: web.Request) -> web.Response:
        """``/live/{stream}/{name}``: only with CloudFront's header, or for another task, which is sent no further."""
        if self._peers.comes_from_peer(request.headers, request.match_info["stream"]):
            program = self._programs.get(request.match_info["stream"])
            if program is None:
                raise RelayError("not_found", "This broadcast is not on air here.")
            return await self._local(request, program)
        self._rights.check_origin(request.headers.get(_ORIGIN_HEADER))
        return await self._answer(request)

    async def preview(self, request: web.Request) -> web.Response:
        """The newest preview picture (JPEG, at most 640 pixels wide) of a stream whose audience is everyone.

        CloudFront's header opens nothing here: it stands on every request that came through CloudFront, whoever asked.
        """
        stream_id = request.match_info["stream"]
        program = self._programs.get(stream_id)
        if self._peers.comes_from_peer(request.headers, stream_id):
            response = self._preview(program, _CACHE_OWN_PREVIEW)
            response.headers[OPEN_HEADER] = "1" if program is not None and program.preview_open else "0"
            return response
        is_open = program is None or program.preview_open
        if program is None and (pulled := await self._pull.preview(stream_id)) is not None:
            is_open = pulled.is_open
        if not is_open:
            raise RelayError("unauthenticated", "This broadcast is not for everyone. Open it in the app.")
        return await self._any_preview(program, stream_id, _CACHE_PREVIEW)

    async def preview_by_token(self, request: web.Request) -> web.Response:
        """The same for who may play the stream; kept by no cache that others share."""
        self._rights.check_playback(request.match_info["token"], request.match_info["stream"])
        stream_id = request.match_info["stream"]
        return await self._any_preview(self._programs.get(stream_id), stream_id, _CACHE_OWN_PREVIEW)

    async def _any_preview(self, program: Program | None, stream_id: str, cache: str) -> web.Response:
        if program is None and (pulled := await self._pull.preview(stream_id)) is not None:
            return web.Response(body=pulled.body, content_type="image/jpeg", headers={"Cache-Control": cache})
        return self._preview(program, cache)

    def _preview(self, program: Program | None, cache: str) -> web.Response:
        if program is None or program.preview is None:
            raise RelayError("not_found", "There is no preview picture yet.")
        headers = {"Cache-Control": cache}
        return web.Response(body=program.preview, content_type="image/jpeg", headers=headers)

    async def _answer(self, request: web.Request) -> web.Response:
        for _ in range(_MOVES_MAX):
            program = self._programs.get(request.match_info["stream"])
            try:
                return await (self._pulled(request) if program is None else self._local(request, program))
            except MovedError:
                continue
            except RelayError:
                if program is None or not program.moved:
                    raise
        raise RelayError("unavailable", "The broadcast is interrupted. Try again in a moment.")

    async def _pulled(self, request: web.Request) -> web.Response:
        stream_id, name = request.match_info["stream"], request.match_info["name"]
        if not name.endswith(".m3u8"):
            return await self._pull.media(stream_id, name)
        directives = _directives(request.query)
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        response = await self._pull.playlist(stream_id, name, directives, zipped=zipped)
        response.headers["Cache-Control"] = _CACHE_PLAYLIST if directives[0] is None else _CACHE_BLOCKING
        return response

    async def _local(self, request: web.Request, program: Program) -> web.Response:
        name = request.match_info["name"]
        if name == "index.m3u8":
            await self._wait_for_start(program, program.as_sent)
            return self._playlist(request, program, name, program.multivariant_playlist(), _CACHE_PLAYLIST)
        if (named := program.named(name)) is not None:
            return await self._media_playlist(request, program, name, *named)
        found = await program.media(name, self._settings.target_duration_s * _BLOCKED_TARGETS)
        if found is None:
            raise RelayError("not_found", "This part of the broadcast is gone, or never was.")
        body, content_type = found
        self._metrics.media_bytes.inc(len(body))
        self._metrics.media_answers.inc()
        return web.Response(body=body, content_type=content_type, headers={"Cache-Control": _CACHE_MEDIA})

    async def _media_playlist(
        self, request: web.Request, program: Program, name: str, rendition: Rendition, step: int
    ) -> web.Response:
        msn, part, skip = _directives(request.query)
        if msn is None or not _has_begun(program, rendition, step):
            await self._wait_for_start(program, rendition, step)
        if msn is None:
            cache = _CACHE_PLAYLIST
        else:
            self._check_not_ahead(rendition, msn, part, step)
            deadline_s = self._settings.target_duration_s * _BLOCKED_TARGETS
            came = await program.wait(lambda: rendition.holds(msn, part, step), deadline_s, rendition)
            if not came and not rendition.ended:
                raise RelayError("unavailable", "The broadcast is interrupted. Try again in a moment.")
            cache = _CACHE_BLOCKING
        kind = f"delta {name}" if skip else name
        return self._playlist(request, program, kind, program.media_playlist(skip, step, rendition), cache)

    async def _wait_for_start(self, program: Program, rendition: Rendition, step: int = 1) -> None:
        if not await program.wait(lambda: _has_begun(program, rendition, step), _FIRST_PART_S, rendition):
            raise RelayError("not_found", "The broadcast has no picture yet. Try again in a moment.")

    def _check_not_ahead(self, rendition: Rendition, msn: int, part: int | None, step: int) -> None:
        """400 for what no honest client asks: over two segments or the advance part limit ahead (6.2.5.2)."""
        if rendition.ended:
            return
        last_msn, last_part = rendition.last_of(step)
        part_target_s = self._settings.part_target_s * step
        advance_parts = 3 if part_target_s >= 1 else int(3 / part_target_s)
        if msn > last_msn + _MSN_AHEAD_MAX:
            raise RelayError("invalid_request", "_HLS_msn is too far ahead of the playlist.")
        if part is not None and msn >= last_msn and part > (last_part if msn == last_msn else -1) + advance_parts:
            raise RelayError("invalid_request", "_HLS_part is too far ahead of the playlist.")

    def _playlist(self, request: web.Request, program: Program, kind: str, text: bytes, cache: str) -> web.Response:
        headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
        self._metrics.playlist_answers.inc()
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            # One compression a change, however many viewers were woken by it.
            compressed = self._compressed.setdefault(program, {})
            known = compressed.get(kind)
            if known is None or known[0] != text:
                known = compressed[kind] = (text, gzip.compress(text, _GZIP_LEVEL, mtime=0))
            headers["Content-Encoding"] = "gzip"
            text = known[1]
        return web.Response(body=text, content_type=_PLAYLIST_TYPE, headers=headers)


def _has_begun(program: Program, rendition: Rendition, step: int) -> bool:
    """Whether there is something to play in such parts; a playlist of nothing would number its segments from 0."""
    return program.has_started(rendition) and rendition.last_of(step)[0] >= 0


def _directives(query: Mapping[str, str]) -> tuple[int | None, int | None, bool]:
    """Delivery directives (6.2.5); 400 for what is malformed, other names are ignored."""
    msn, part, skip = query.get("_HLS_msn"), query.get("_HLS_part"), query.get("_HLS_skip")
    for name, value in (("_HLS_msn", msn), ("_HLS_part", part)):
        if value is not None and not _NUMBER.fullmatch(value):
            raise RelayError("invalid_request", f"{name} must be a whole number.")
    if part is not None and msn is None:
        raise RelayError("invalid_request", "_HLS_part needs _HLS_msn.")
    if skip not in (None, "YES", "v2"):
        raise RelayError("invalid_request", "_HLS_skip must be YES or v2.")
    return None if msn is None else int(msn), None if part is None else int(part), skip is not None


def no_store(response: web.StreamResponse) -> None:
    """Errors are never cached: the next request may succeed."""
    response.headers["Cache-Control"] = _CACHE_NOTHING
