"""WHEP: who is on screen watches the others at once, as they are sent (draft-ietf-wish-whep).

The others are the host, the guests, and in a match (seat ``match``) the other broadcast's host.

The request is WHIP's with the media the other way round. Nothing is decoded: a frame goes out as it came in, under a
new RTP sequence. Whoever merely watches the broadcast plays the program (delivery.py).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.sdp import SessionDescription, candidate_from_sdp

from media.relay import passthrough, signalling
from media.relay.errors import RelayError
from media.relay.ice_restart import IceRestarts
from media.relay.outlet import Outlet, OutletTrack
from media.relay.rights import Rights, StreamKey
from media.relay.settings import Settings
from media.relay.stages import Stage
from media.relay.streams import Streams

logger = logging.getLogger(__name__)

_NEGOTIATION_S: Final = 5.0
_CLOSE_S: Final = 2.0
_CODECS_NEEDED: Final = "Offer to receive H.264 video and Opus audio, at most one of each."


class WhepSession:
    """One watcher of one seat: a peer connection that sends what the seat's outlet hands on."""

    def __init__(self, key: StreamKey, watched: str, stage: Stage, settings: Settings, streams: Streams) -> None:
        self.key = key
        self.watched = watched
        self.id = f"{settings.task}.{secrets.token_urlsafe(16)}"
        self.etag = f'"{secrets.token_hex(8)}"'
        self.candidates = 0
        self.ice_user = ""
        self._stage = stage
        self._settings = settings
        self._streams = streams
        self._outlet: Outlet = stage.outlet(watched)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._restarts = IceRestarts(self._peer)
        self._tracks: list[OutletTrack] = []
        self._closing: asyncio.Task[None] | None = None

    async def negotiate(self, offer: str) -> str:
        """Answer an SDP offer; media flows from then on. Raises `RelayError` 400 or 406."""
        description = _read(offer)
        self._peer.on("connectionstatechange", self._connection_changed)
        for media in description.media:
            track = OutletTrack(media.kind, self._outlet)
            self._tracks.append(track)
            # Before the offer is applied: aiortc pairs its media with what is there, and later choices change nothing.
            sender = self._peer.addTrack(track)
            transceiver = next(one for one in self._peer.getTransceivers() if one.sender is sender)
            wanted = ("video/h264", "video/rtx") if media.kind == "video" else ("audio/opus",)
            capabilities: Any = RTCRtpSender.getCapabilities(media.kind)
            transceiver.setCodecPreferences([c for c in capabilities.codecs if c.mimeType.lower() in wanted])
            transceiver.direction = "sendonly"
            if media.kind == "video":
                passthrough.on_key_frame_wanted(sender, self._outlet.request_key_frame)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except OperationError:
            raise RelayError("invalid_request", _CODECS_NEEDED, 406) from None
        except (*signalling.NOT_SDP, InvalidStateError) as error:
            logger.info("offer to watch %s not understood: %r", self.key.stream_id, error)
            raise RelayError("invalid_request", "This SDP offer cannot be answered.") from None
        self.ice_user = signalling.ice_user(description)
        return signalling.reachable(self._peer.localDescription.sdp, self._settings.ice_public_address)

    async def add_candidate(self, line: str, mid: str) -> None:
        """One trickled candidate, or the end of them (empty)."""
        if not line:
            await self._peer.addIceCandidate(None)
            return
        if await self._restarts.add_candidate(line):
            return
        candidate = candidate_from_sdp(line)
        candidate.sdpMid = mid
        await self._peer.addIceCandidate(candidate)

    async def restart_ice(self, user: str, password: str, candidates: Sequence[str]) -> str:
        """Restart ICE; media goes on meanwhile. Raises as `IceRestarts.begin` does."""
        answer = await self._restarts.begin(user, password, candidates)
        return signalling.reachable(answer, self._settings.ice_public_address)

    async def close(self) -> None:
        """Disconnect; safe to call again."""
        if self._closing is None:
            for track in self._tracks:
                track.stop()
            self._closing = asyncio.ensure_future(self._disconnect())
        await asyncio.wait([self._closing], timeout=_CLOSE_S)

    async def _disconnect(self) -> None:
        await self._restarts.close()
        await self._peer.close()

    def _connection_changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected":
            # What is shown first must be whole.
            self._outlet.request_key_frame()
        elif state in ("failed", "closed"):
            self._streams.stages.stopped(self._stage, self)


class Whep:
    """Handlers of `/whep/{stream}/{seat}` and of the resource that a POST makes."""

    def __init__(self, streams: Streams, rights: Rights, settings: Settings) -> None:
        self._streams = streams
        self._rights = rights
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """What to register: endpoint and resource differ in method alone."""
        path = "/whep/{stream}/{name}"
        return [
            web.options(path, self.options),
            web.post(path, self.watch),
            web.patch(path, self.trickle),
            web.delete(path, self.stop),
        ]

    async def options(self, _request: web.Request) -> web.Response:
        """CORS preflight, and what may be posted here."""
        return signalling.options()

    async def watch(self, request: web.Request) -> web.Response:
        """POST an offer: 201 with the answer, its resource in ``Location``."""
        stream_id, seat = request.match_info["stream"], request.match_info["name"]
        key = self._rights.stream_key(request.headers.get("Authorization"), stream_id)
        offer = await signalling.read_offer(request)
        _read(offer)
        stage = await self._streams.watched(key, seat)
        session = WhepSession(key, seat, stage, self._settings, self._streams)
        try:
            async with asyncio.timeout(_NEGOTIATION_S):
                answer = await session.negotiate(offer)
        except TimeoutError:
            await session.close()
            raise RelayError("unavailable", "The connection could not be prepared in time. Try again.") from None
        except BaseException:
            await session.close()
            raise
        self._streams.stages.watches(stage, session)
        return signalling.created(answer, f"/whep/{stream_id}/{session.id}", session, self._settings)

    async def trickle(self, request: web.Request) -> web.Response:
        """PATCH with candidates or for an ICE restart, as for WHIP."""
        return await signalling.take_fragment(request, self._session(request))

    async def stop(self, request: web.Request) -> web.Response:
        """DELETE: the watcher is done."""
        session = self._session(request)
        self._streams.stages.stopped(self._streams.stages.of(session.key.stream_id), session)
        return web.Response(status=200)

    def _session(self, request: web.Request) -> WhepSession:
        stream_id = request.match_info["stream"]
        key = self._rights.stream_key(request.headers.get("Authorization"), stream_id)
        stage = self._streams.stages.find(stream_id)
        session = stage.watchers.get(request.match_info["name"]) if stage else None
        if not isinstance(session, WhepSession):
            raise RelayError("not_found", "This WHEP session is over.")
        if key != session.key:
            raise RelayError("forbidden", "This key did not open the session.")
        return session


def _read(offer: str) -> SessionDescription:
    return signalling.parse_offer(offer, ("recvonly", "sendrecv"), _CODECS_NEEDED)
