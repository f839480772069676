"""WHIP: a browser, a phone or an encoder publishes by one HTTP request (RFC 9725, whose sections are cited)."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.sdp import SessionDescription, candidate_from_sdp

from media.relay import signalling
from media.relay.composition import HOST, Track
from media.relay.errors import RelayError
from media.relay.ice_restart import IceRestarts
from media.relay.jitter import Frame
from media.relay.metrics import Metrics
from media.relay.outlet import Outlet
from media.relay.passthrough import Inlet
from media.relay.rights import Rights, StreamKey
from media.relay.settings import Settings
from media.relay.source import Program, Source
from media.relay.stages import Stage
from media.relay.streams import Streams

logger = logging.getLogger(__name__)

_CODECS_NEEDED: Final = "Offer H.264 video (packetization-mode 1) and Opus audio, at most one of each."
_NEGOTIATION_S: Final = 5.0
_CLOSE_S: Final = 2.0


class WhipSession:
    """One publisher by WHIP: peer connection, inlets, source."""

    def __init__(
        self,
        key: StreamKey,
        settings: Settings,
        metrics: Metrics,
        place: Place,
    ) -> None:
        self.key = key
        self.muted = False
        # The task's name leads requests for this session to it, whichever task they reach.
        self.id = f"{settings.task}.{secrets.token_urlsafe(16)}"
        self.etag = f'"{secrets.token_hex(8)}"'
        self._settings = settings
        self._place = place
        self._metrics = metrics
        # No STUN from here: the relay is reached at its own address.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._restarts = IceRestarts(self._peer)
        self._inlets: list[Inlet] = []
        self._closing: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self.candidates = 0
        self.source: Source
        self.ice_user = ""

    async def negotiate(self, offer: str) -> str:
        """Answer an SDP offer; media flows into the stream's program from then on. Raises `RelayError` 400 or 406."""
        description = _read(offer)
        kinds = [media.kind for media in description.media]
        self.source = Source(
            self._place.sink(),
            has_video="video" in kinds,
            request_key_frame=self.request_key_frame,
            audio_bit_rate=self._settings.audio_bit_rate,
        )
        self.source.media_at_s = time.monotonic()
        self._peer.on("track", self._track)
        self._peer.on("connectionstatechange", self._connection_changed)
        for kind in kinds:
            transceiver = self._peer.addTransceiver(kind, direction="recvonly")
            wanted = ("video/h264", "video/rtx") if kind == "video" else ("audio/opus",)
            capabilities: Any = RTCRtpReceiver.getCapabilities(kind)
            transceiver.setCodecPreferences([c for c in capabilities.codecs if c.mimeType.lower() in wanted])
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except OperationError:
            raise RelayError("invalid_request", _CODECS_NEEDED, 406) from None
        except (*signalling.NOT_SDP, InvalidStateError) as error:
            logger.info("offer for %s not understood: %r", self.key.stream_id, error)
            raise RelayError("invalid_request", "This SDP offer cannot be answered.") from None
        self.ice_user = signalling.ice_user(description)
        return signalling.reachable(self._peer.localDescription.sdp, self._settings.ice_public_address)

    async def add_candidate(self, line: str, mid: str) -> None:
        """One trickled candidate (a value of ``a=candidate:``), or the end of them (empty)."""
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

    @property
    def media_at_s(self) -> float:
        """When media came last, by the monotonic clock."""
        return self.source.media_at_s

    def request_key_frame(self) -> None:
        """PLI on the video track, if there is one."""
        for inlet in self._inlets:
            if inlet.kind == "video":
                inlet.request_key_frame()

    async def leave(self) -> None:
        """The publisher is done."""
        await self._place.left(self)

    async def close(self) -> None:
        """Disconnect; counts what the network did."""
        if self._closing is None:
            self._place.outlet().end(self.request_key_frame)
            for inlet in self._inlets:
                inlet.close()
                self._metrics.packets_lost.inc(inlet.buffer.packets_lost)
                self._metrics.packets_repaired.inc(inlet.buffer.packets_repaired)
            self._closing = asyncio.ensure_future(self._disconnect())
        await asyncio.wait([self._closing], timeout=_CLOSE_S)

    async def _disconnect(self) -> None:
        await self._restarts.close()
        await self._peer.close()

    def _track(self, track: Any) -> None:
        receiver = next(t.receiver for t in self._peer.getTransceivers() if t.receiver.track is track)
        source = self.source
        if track.kind == "video":
            self._inlets.append(Inlet(receiver, "video", self._video_frame, source.video_report))
        else:
            self._inlets.append(Inlet(receiver, "audio", self._audio_frame, source.audio_report))

    def _video_frame(self, frame: Frame) -> None:
        self._place.outlet().frame("video", frame)
        self.source.video_frame(frame)

    def _audio_frame(self, frame: Frame) -> None:
        if self.muted:
            # The source makes silence of what does not come.
            self.source.media_at_s = frame.arrival_s
            return
        self._place.outlet().frame("audio", frame)
        self.source.audio_frame(frame)

    def _connection_changed(self) -> None:
        if self._peer.connectionState in ("failed", "closed") and self._leaving is None:
            self._leaving = asyncio.ensure_future(self._place.left(self))


class Place(Protocol):
    """Where a WHIP session publishes to: the host's place of a stream, or a guest's seat."""

    def sink(self) -> Program:
        """What its source feeds."""
        ...

    def outlet(self) -> Outlet:
        """What hands on its frames to those who watch by WHEP."""
        ...

    async def arrived(self, session: WhipSession) -> None:
        """The session is connected; raises `RelayError` when the place was taken or taken away meanwhile."""
        ...

    async def left(self, session: WhipSession) -> None:
        """The session is over."""
        ...

    def gave_up(self) -> None:
        """The publisher that was admitted did not come."""
        ...


class HostPlace:
    """The host's place: its media is the program, as long as nobody is on screen with the host."""

    def __init__(self, streams: Streams, key: StreamKey) -> None:
        self._streams = streams
        self._key = key
        self._outlet = streams.stages.of(key.stream_id).outlet(HOST)

    def sink(self) -> Program:
        """The stream's program, or its place in what is composed."""
        return self._streams.sink(self._key.stream_id)

    def outlet(self) -> Outlet:
        """What guests watch."""
        return self._outlet

    async def arrived(self, session: WhipSession) -> None:
        """The host replaces whoever published before."""
        await self._streams.arrived(session)
        self.outlet().begin(session.request_key_frame)

    async def left(self, session: WhipSession) -> None:
        """The host is gone; the program stays."""
        await self._streams.left(session)

    def gave_up(self) -> None:
        """The host did not come."""
        self._streams.gave_up(self._key)


class GuestPlace:
    """A guest's seat."""

    def __init__(self, streams: Streams, stage: Stage, key: StreamKey) -> None:
        self._stages = streams.stages
        self._stage = stage
        self._key = key
        self._outlet = stage.outlet(key.seat)
        self._track: Track | None = None

    def sink(self) -> Program:
        """The guest's place in what is composed."""
        self._track = self._stages.track(self._stage, self._key.seat)
        return self._track

    def outlet(self) -> Outlet:
        """What the host and the other guests watch."""
        return self._outlet

    async def arrived(self, session: WhipSession) -> None:
        """The guest is on screen."""
        await self._stages.arrived(self._stage, session)
        if self._track is not None:
            self._track.request_key_frame = session.request_key_frame
        self.outlet().begin(session.request_key_frame)

    async def left(self, session: WhipSession) -> None:
        """The guest left the screen."""
        await self._stages.left(self._stage, session)

    def gave_up(self) -> None:
        """The guest did not come: nothing was kept for it."""


class Whip:
    """Handlers of `/whip/{stream}` and of the resource that a POST makes."""

    def __init__(self, streams: Streams, rights: Rights, settings: Settings, metrics: Metrics) -> None:
        self._streams = streams
        self._rights = rights
        self._settings = settings
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        """What to register."""
        endpoint, resource = "/whip/{stream}", "/whip/{stream}/{session}"
        return [
            web.options(endpoint, self.options),
            web.options(resource, self.options),
            web.post(endpoint, self.publish),
            web.patch(resource, self.trickle),
            web.delete(resource, self.stop),
        ]

    async def options(self, _request: web.Request) -> web.Response:
        """CORS preflight, and what may be posted here (4.2)."""
        return signalling.options()

    async def publish(self, request: web.Request) -> web.Response:
        """POST of an SDP offer: 201 with the answer, its resource and its entity tag (4.2)."""
        key = self._rights.stream_key(request.headers.get("Authorization"), request.match_info["stream"])
        offer = await signalling.read_offer(request)
        _read(offer)
        place = await self._admit(key)
        session = WhipSession(key, self._settings, self._metrics, place)
        try:
            async with asyncio.timeout(_NEGOTIATION_S):
                answer = await session.negotiate(offer)
        except TimeoutError:
            await _refuse(session, place)
            raise RelayError("unavailable", "The connection could not be prepared in time. Try again.") from None
        except BaseException:
            await _refuse(session, place)
            raise
        try:
            await place.arrived(session)
        except RelayError:
            await session.close()
            raise
        return signalling.created(answer, f"/whip/{key.stream_id}/{session.id}", session, self._settings)

    async def trickle(self, request: web.Request) -> web.Response:
        """PATCH with candidates (4.3.2), or with new credentials for an ICE restart (4.3.3)."""
        return await signalling.take_fragment(request, self._session(request))

    async def stop(self, request: web.Request) -> web.Response:
        """DELETE: the publisher is done (4.2)."""
        await self._session(request).leave()
        return web.Response(status=200)

    def _session(self, request: web.Request) -> WhipSession:
        stream_id = request.match_info["stream"]
        key = self._rights.stream_key(request.headers.get("Authorization"), stream_id)
        stage = self._streams.stages.find(stream_id) if key.seat else None
        session = stage.guests.get(key.seat) if stage else self._streams.publishers.get(stream_id)
        if not isinstance(session, WhipSession) or session.id != request.match_info["session"]:
            raise RelayError("not_found", "This WHIP session is over.")
        if key.generation != session.key.generation:
            raise RelayError("forbidden", "This stream key did not open the session.")
        return session

    async def _admit(self, key: StreamKey) -> Place:
        if not key.seat:
            await self._streams.admit(key)
            return HostPlace(self._streams, key)
        return GuestPlace(self._streams, await self._streams.stage(key), key)


async def _refuse(session: WhipSession, place: Place) -> None:
    place.gave_up()
    await session.close()


def _read(offer: str) -> SessionDescription:
    return signalling.parse_offer(offer, ("sendonly", "sendrecv"), _CODECS_NEEDED)
