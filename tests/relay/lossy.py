"""A real publisher behind a bad network: aiortc, x264, and a UDP forwarder that loses, delays and reorders.

The forwarder stands between publisher and relay on loopback and touches RTP and RTCP alone: what is lost comes from a
seed, so that each run loses the packets of the same numbers. The publisher offers H.264 without RTX (RFC 4588), so
that a request for a packet is answered by the same packet again, under its own SSRC, or not at all.
"""

from __future__ import annotations

import asyncio
import functools
import io
import itertools
import random
import re
import time
from fractions import Fraction
from typing import Any
from urllib.parse import urljoin

import aiohttp
import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.video.frame import PictureType, VideoFrame

from media.relay import passthrough
from media.test_source import ToneTrack
from tests.relay import checker
from tests.relay.stack import Stack, fetch

_WIDTH, _HEIGHT, _RATE = 320, 192, 30
_BIT_RATE = 1_500_000
_LATE_S = 0.1
_KEY_APART_S = 0.3
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host.*\r?\n", re.MULTILINE | re.IGNORECASE)
_ANY_CANDIDATE = re.compile(r"^a=(?:candidate:.*|end-of-candidates)\r?\n", re.MULTILINE)
ONE_WAY_S = 0.03
_REORDER_S = 0.01


class LossyPath:
    """Carries datagrams both ways, ``ONE_WAY_S`` each; loses the share ``loss``, and ``reorder`` of them come late."""

    def __init__(self, loss: float, reorder: float, seed: int) -> None:
        self._loss = loss
        self._reorder = reorder
        self._dice = random.Random(seed)
        self._publisher: tuple[str, int] | None = None
        self._relay = ("", 0)
        self._near: asyncio.DatagramTransport | None = None
        self._far: asyncio.DatagramTransport | None = None
        self.carried = 0
        self.lost = 0

    async def open(self, relay: tuple[str, int]) -> int:
        """Forward to the relay's candidate; returns the port of loopback that stands for it."""
        loop = asyncio.get_running_loop()
        self._relay = relay
        self._near, _ = await loop.create_datagram_endpoint(lambda: _End(self._outward), ("127.0.0.1", 0))
        self._far, _ = await loop.create_datagram_endpoint(lambda: _End(self._inward), ("127.0.0.1", 0))
        return int(self._near.get_extra_info("sockname")[1])

    def close(self) -> None:
        """Nothing is carried any longer."""
        for end in (self._near, self._far):
            if end is not None:
                end.close()

    def _outward(self, data: bytes, source: tuple[str, int]) -> None:
        self._publisher = source
        self._carry(self._far, data, self._relay)

    def _inward(self, data: bytes, _source: tuple[str, int]) -> None:
        if self._publisher is not None:
            self._carry(self._near, data, self._publisher)

    def _carry(self, end: asyncio.DatagramTransport | None, data: bytes, to: tuple[str, int]) -> None:
        assert end is not None
        delay_s = ONE_WAY_S
        if 128 <= data[0] < 192:
            self.carried += 1
            if self._dice.random() < self._loss:
                self.lost += 1
                return
            if self._dice.random() < self._reorder:
                delay_s += _REORDER_S * self._dice.random()
        asyncio.get_running_loop().call_later(delay_s, _send, end, data, to)


class _End(asyncio.DatagramProtocol):
    def __init__(self, carry: Any) -> None:
        self.datagram_received = carry


def _send(end: asyncio.DatagramTransport, data: bytes, to: tuple[str, int]) -> None:
    if not end.is_closing():
        end.sendto(data, to)


class NoiseTrack(MediaStreamTrack):
    """Encoded pictures that compress badly, so that each takes several packets; key frames when they are asked for.

    A key frame comes 300 ms after the one before at the soonest, as libwebrtc's encoders have it.
    """

    kind = "video"

    def __init__(self, seed: int) -> None:
        super().__init__()
        # Blocks of 8 pixels: what moves, x264 has to send again.
        dice = random.Random(seed)
        self._row = b"".join([bytes([dice.randint(16, 235)]) * 8 for _ in range(4 * _WIDTH)])
        self._number = 0
        self._started_s: float | None = None
        self._key_wanted = True
        self._key_at_s = float("-inf")
        self.left_out = 0
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, _RATE), Fraction(_RATE, 1)
        encoder.bit_rate = _BIT_RATE
        encoder.thread_count = 1
        encoder.profile = "Baseline"
        kilobits = _BIT_RATE // 1000
        rate = f"vbv-maxrate={kilobits}:vbv-bufsize={kilobits // 2}"
        encoder.options = {
            "preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1",
            "x264-params": f"keyint=infinite:scenecut=0:repeat-headers=1:{rate}",
        }  # fmt: skip
        self._encoder = encoder

    def request_key_frame(self) -> None:
        """The next picture, or one soon, is to be a key frame."""
        self._key_wanted = True

    async def recv(self) -> Any:
        """The next access unit, when its time has come."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._started_s is None:
            self._started_s = now
        if now - self._started_s - self._number / _RATE > _LATE_S:
            # A busy machine: pictures of the past are left out, so that timestamps stay with time.
            on_time = int((now - self._started_s) * _RATE)
            self.left_out += on_time - self._number
            self._number = on_time
        await asyncio.sleep(max(0.0, self._started_s + self._number / _RATE - now))
        packet: Any = self._encoder.encode(self._picture())[0]
        packet.pts = packet.dts = self._number * 90_000 // _RATE
        packet.time_base = Fraction(1, 90_000)
        self._number += 1
        return packet

    def _picture(self) -> VideoFrame:
        frame = VideoFrame(_WIDTH, _HEIGHT, "yuv420p")
        luma = bytearray()
        for row in range(_HEIGHT):
            start = (row // 8 * 1_031 + self._number * 37) % (len(self._row) - _WIDTH)
            luma += self._row[start : start + _WIDTH]
        for plane in frame.planes:
            plane.update(bytes(luma[: plane.buffer_size]))
        frame.pts = self._number
        frame.time_base = Fraction(1, _RATE)
        now = time.monotonic()
        if self._key_wanted and now - self._key_at_s >= _KEY_APART_S:
            self._key_wanted, self._key_at_s = False, now
            frame.pict_type = PictureType.I
        return frame


class LossyPublisher:
    """Publishes noise and a tone to ``url`` through a `LossyPath`; with ``repeats`` off it answers no request."""

    def __init__(self, url: str, key: str, path: LossyPath, *, repeats: bool, seed: int = 1) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._location = ""
        self.path = path
        self.repeated = 0
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.picture = NoiseTrack(seed)
        video = self.peer.addTransceiver(self.picture, direction="sendonly")
        passthrough.on_key_frame_wanted(video.sender, self.picture.request_key_frame)
        codecs: Any = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([codec for codec in codecs if codec.mimeType.lower() == "video/h264"])
        self.peer.addTransceiver(ToneTrack(), direction="sendonly")
        sender: Any = video.sender
        retransmit = sender._retransmit

        async def repeat(sequence: int) -> None:
            if repeats:
                self.repeated += 1
                await retransmit(sequence)

        sender._retransmit = repeat

    async def start(self) -> None:
        """Connect through the path; raises ``aiohttp.ClientError`` when refused."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = _ANY_CANDIDATE.sub("", self.peer.localDescription.sdp)
        assert "rtx" not in offer
        headers = {**self._headers, "Content-Type": "application/sdp"}
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            async with session.post(self._url, data=offer, headers=headers) as response:
                self._location = urljoin(str(response.url), response.headers["Location"])
                answer = await response.text()
        host, port = _CANDIDATE.findall(answer)[0]
        here = await self.path.open((host, int(port)))
        only = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {here} typ host\r\na=end-of-candidates\r\n"
        answer = _ANY_CANDIDATE.sub("", answer)
        answer = re.sub(r"^(a=mid:.*\r\n)", lambda found: found[0] + only, answer, count=1, flags=re.MULTILINE)
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def stop(self) -> None:
        """End the session."""
        if self._location:
            async with aiohttp.ClientSession() as session:
                async with session.delete(self._location, headers=self._headers):
                    self._location = ""
        await self.peer.close()
        self.path.close()


class Recorder:
    """Keeps the closed segments of a stream as they come, and holds each playlist to the rules (checker.py)."""

    def __init__(self, stack: Stack, stream_id: str) -> None:
        self._url = functools.partial(stack.live_url, stream_id)
        self._playlist: checker.ReadPlaylist | None = None
        self._bodies: dict[str, bytes] = {}
        self._init = ""

    async def look(self) -> None:
        """Read the playlist and what it has that is new; nothing yet is nothing wrong."""
        answer = await asyncio.to_thread(fetch, self._url("media.m3u8"))
        if answer.status == 404:
            return
        playlist = checker.read(answer.text)
        if self._playlist is not None:
            checker.check_succession(self._playlist, playlist)
        self._playlist = playlist
        for segment in playlist.closed:
            assert self._init in ("", segment.init), "one publisher, one format"
            self._init = segment.init
            if segment.uri not in self._bodies:
                self._bodies[segment.uri] = (await asyncio.to_thread(fetch, self._url(segment.uri))).body

    async def times(self) -> list[float]:
        """When each new picture is shown, in seconds, as FFmpeg reads the segments.

        After a second without one the relay repeats the last key frame: that is no new picture.
        """
        init = (await asyncio.to_thread(fetch, self._url(self._init))).body
        shown: dict[bytes, float] = {}
        with av.open(io.BytesIO(init + b"".join(self._bodies.values()))) as media:
            for packet in media.demux(media.streams.video[0]):
                if packet.pts is not None and packet.time_base:
                    shown.setdefault(bytes(packet), float(packet.pts * packet.time_base))
        return sorted(shown.values())


def stands(times: list[float]) -> list[float]:
    """How long each picture stands until the next one."""
    return [after - before for before, after in itertools.pairwise(times)]


async def publish_through(stack: Stack, streams: dict[str, LossyPublisher], seconds: float) -> dict[str, list[float]]:
    """Publish all at once for ``seconds`` and record what viewers get: stream → how long each picture stood."""
    recorders = {stream_id: Recorder(stack, stream_id) for stream_id in streams}
    for publisher in streams.values():
        await publisher.start()
    try:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            await asyncio.gather(*[recorder.look() for recorder in recorders.values()], asyncio.sleep(1))
        return {stream_id: stands(await recorder.times()) for stream_id, recorder in recorders.items()}
    finally:
        for publisher in streams.values():
            await publisher.stop()
