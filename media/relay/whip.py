"""WHIP: a browser, a phone or an encoder publishes by one HTTP request (RFC 9725, whose sections are cited)."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import Any, Final

from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.sdp import SessionDescription, candidate_from_sdp

from media.relay.errors import RelayError
from media.relay.metrics import Metrics
from media.relay.passthrough import Inlet
from media.relay.rights import Rights, StreamKey
from media.relay.settings import Settings
from media.relay.source import Source
from media.relay.streams import Streams

logger = logging.getLogger(__name__)

SDP_BYTES_MAX: Final = 64 * 1024
_OFFER_TYPE: Final = "application/sdp"
_FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"
_NEGOTIATION_S: Final = 5.0
_CLOSE_S: Final = 2.0
_CODECS_OFFERED_MAX: Final = 200
_CANDIDATES_MAX: Final = 100
# What aiortc raises on text that is no SDP, for want of an exception of its own.
_NOT_SDP: Final = (ValueError, IndexError, KeyError, AttributeError, AssertionError, TypeError)
# Of IPv4 alone: an IPv6 address of the task is its public one already.
_HOST_CANDIDATE: Final = re.compile(r"^(a=candidate:\S+ \d+ \S+ \d+ )([\d.]+)( \d+ typ host.*)$", re.MULTILINE)


def reachable(answer: str, public_address: str) -> str:
    """An SDP answer whose IPv4 host candidates carry the address that the world knows; as it is without one."""
    return _HOST_CANDIDATE.sub(rf"\g<1>{public_address}\g<3>", answer) if public_address else answer


class WhipSession:
    """One publisher by WHIP: peer connection, inlets, source."""

    def __init__(self, key: StreamKey, settings: Settings, streams: Streams, metrics: Metrics) -> None:
        self.key = key
        # The task's name leads requests for this session to it, whichever task they reach.
        self.id = f"{settings.task}.{secrets.token_urlsafe(16)}"
        self.etag = f'"{secrets.token_hex(8)}"'
        self._settings = settings
        self._streams = streams
        self._metrics = metrics
        # No STUN from here: the relay is reached at its own address.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._inlets: list[Inlet] = []
        self._closing: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self.candidates = 0
        self.source: Source
        self.ice_user = ""

    async def negotiate(self, offer: str) -> str:
        """Answer an SDP offer; media flows into the stream's program from then on. Raises `RelayError` 400 or 406."""
        description = _read_offer(offer)
        kinds = [media.kind for media in description.media]
        program = self._streams.program(self.key.stream_id)
        self.source = Source(
            program,
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
        except (
            ValueError,
            InvalidStateError,
            IndexError,
            KeyError,
            AttributeError,
            AssertionError,
            TypeError,
        ) as error:
            logger.info("offer for %s not understood: %r", self.key.stream_id, error)
            raise RelayError("invalid_request", "This SDP offer cannot be answered.") from None
        ice = description.media[0].ice
        self.ice_user = (ice.usernameFragment if ice else None) or ""
        answer: str = self._peer.localDescription.sdp
        return reachable(answer, self._settings.ice_public_address)

    async def add_candidate(self, line: str, mid: str) -> None:
        """One trickled candidate (``a=candidate:`` without ``a=``), or the end of them (empty)."""
        if not line:
            await self._peer.addIceCandidate(None)
            return
        candidate = candidate_from_sdp(line.removeprefix("candidate:"))
        candidate.sdpMid = mid
        await self._peer.addIceCandidate(candidate)

    def request_key_frame(self) -> None:
        """PLI on the video track, if there is one."""
        for inlet in self._inlets:
            if inlet.kind == "video":
                inlet.request_key_frame()

    async def close(self) -> None:
        """Disconnect; counts what the network did."""
        if self._closing is None:
            for inlet in self._inlets:
                inlet.close()
                self._metrics.packets_lost.inc(inlet.buffer.packets_lost)
                self._metrics.packets_repaired.inc(inlet.buffer.packets_repaired)
            self._closing = asyncio.ensure_future(self._peer.close())
        await asyncio.wait([self._closing], timeout=_CLOSE_S)

    def _track(self, track: Any) -> None:
        receiver = next(t.receiver for t in self._peer.getTransceivers() if t.receiver.track is track)
        source = self.source
        if track.kind == "video":
            self._inlets.append(Inlet(receiver, "video", source.video_frame, source.video_report))
        else:
            self._inlets.append(Inlet(receiver, "audio", source.audio_frame, source.audio_report))

    def _connection_changed(self) -> None:
        if self._peer.connectionState in ("failed", "closed") and self._leaving is None:
            self._leaving = asyncio.ensure_future(self._streams.left(self))


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
        headers = {
            "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
            "Access-Control-Max-Age": "86400",
            "Accept-Post": _OFFER_TYPE,
            "Accept-Patch": _FRAGMENT_TYPE,
        }
        return web.Response(status=204, headers=headers)

    async def publish(self, request: web.Request) -> web.Response:
        """POST of an SDP offer: 201 with the answer, its resource and its entity tag (4.2)."""
        key = self._rights.stream_key(request.headers.get("Authorization"), request.match_info["stream"])
        if request.content_type != _OFFER_TYPE:
            raise RelayError("invalid_request", f"Send the offer as {_OFFER_TYPE}.", 415)
        offer = await _body(request)
        _read_offer(offer)
        await self._streams.admit(key)
        session = WhipSession(key, self._settings, self._streams, self._metrics)
        try:
            async with asyncio.timeout(_NEGOTIATION_S):
                answer = await session.negotiate(offer)
        except TimeoutError:
            await self._refuse(session)
            raise RelayError("unavailable", "The connection could not be prepared in time. Try again.") from None
        except BaseException:
            await self._refuse(session)
            raise
        try:
            await self._streams.arrived(session)
        except RelayError:
            await session.close()
            raise
        headers = {
            "Location": f"{self._settings.public_url}/whip/{key.stream_id}/{session.id}",
            "ETag": session.etag,
            "Accept-Patch": _FRAGMENT_TYPE,
        }
        response = web.Response(status=201, text=answer, content_type=_OFFER_TYPE, headers=headers)
        for server in self._settings.ice_servers:
            response.headers.add("Link", f'<{server}>; rel="ice-server"')
        return response

    async def trickle(self, request: web.Request) -> web.Response:
        """PATCH with candidates (4.3.2); an ICE restart is refused with 422, as 4.3.3 lets a server do."""
        session = self._session(request)
        if request.content_type != _FRAGMENT_TYPE:
            raise RelayError("invalid_request", f"Send candidates as {_FRAGMENT_TYPE}.", 415)
        tag = request.headers.get("If-Match")
        if tag is None:
            raise RelayError("invalid_request", "Send If-Match with the session's entity tag.", 428)
        fragment = await _body(request)
        users = re.findall(r"^a=ice-ufrag:(\S+)\s*$", fragment, re.MULTILINE)
        if any(user != session.ice_user for user in users):
            raise RelayError("invalid_request", "ICE restart is not supported: publish again.", 422)
        if tag != session.etag:
            raise RelayError("invalid_request", "This entity tag is of another ICE session.", 412)
        await self._add_candidates(session, fragment)
        return web.Response(status=204)

    async def stop(self, request: web.Request) -> web.Response:
        """DELETE: the publisher is done (4.2)."""
        await self._streams.left(self._session(request))
        return web.Response(status=200)

    async def _add_candidates(self, session: WhipSession, fragment: str) -> None:
        mid = ""
        for line in fragment.splitlines():
            name, _, value = line.strip().removeprefix("a=").partition(":")
            if name == "mid":
                mid = value
            elif name == "candidate":
                session.candidates += 1
                if session.candidates > _CANDIDATES_MAX:
                    raise RelayError("invalid_request", "Too many candidates.")
                try:
                    await session.add_candidate(value, mid)
                except (ValueError, IndexError, AssertionError):
                    raise RelayError("invalid_request", "A candidate in this fragment cannot be read.") from None
            elif name == "end-of-candidates":
                await session.add_candidate("", mid)

    def _session(self, request: web.Request) -> WhipSession:
        stream_id = request.match_info["stream"]
        key = self._rights.stream_key(request.headers.get("Authorization"), stream_id)
        session = self._streams.publishers.get(stream_id)
        if not isinstance(session, WhipSession) or session.id != request.match_info["session"]:
            raise RelayError("not_found", "This WHIP session is over.")
        if key.generation != session.key.generation:
            raise RelayError("forbidden", "This stream key did not open the session.")
        return session

    async def _refuse(self, session: WhipSession) -> None:
        self._streams.gave_up(session.key)
        await session.close()


_CODECS_NEEDED: Final = "Offer H.264 video (packetization-mode 1) and Opus audio, at most one of each."


def _read_offer(offer: str) -> SessionDescription:
    """The offer parsed, with its limits checked; 400 for what is no SDP, 406 for media that the relay does not take."""
    try:
        description = SessionDescription.parse(offer)
    except _NOT_SDP:
        raise RelayError("invalid_request", "The body is not an SDP offer.") from None
    kinds = [media.kind for media in description.media]
    if not kinds:
        raise RelayError("invalid_request", "The offer has no media.")
    if not set(kinds) <= {"audio", "video"} or len(kinds) != len(set(kinds)):
        raise RelayError("invalid_request", _CODECS_NEEDED, 406)
    for media in description.media:
        if len(media.rtp.codecs) > _CODECS_OFFERED_MAX or len(media.ice_candidates) > _CANDIDATES_MAX:
            raise RelayError("too_large", "The offer lists too many codecs or candidates.")
        wanted = "video/h264" if media.kind == "video" else "audio/opus"
        if not any(codec.mimeType.lower() == wanted for codec in media.rtp.codecs):
            raise RelayError("invalid_request", _CODECS_NEEDED, 406)
        if media.direction not in ("sendonly", "sendrecv"):
            raise RelayError("invalid_request", "A publisher's media must be sendonly.")
    return description


async def _body(request: web.Request) -> str:
    if (request.content_length or 0) > SDP_BYTES_MAX:
        raise RelayError("too_large", "The body is over 64 KB.")
    try:
        return (await request.read()).decode()
    except UnicodeDecodeError:
        raise RelayError("invalid_request", "The body is not UTF-8.") from None
