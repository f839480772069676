"""A WHEP client that decodes what it receives, and reads the bar code clock off the pictures."""

from __future__ import annotations

import array
import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from media.test_source import BAR_PX, BARS, WIDTH
from tests.relay.stack import fetch

_MIDDLE_LUMA = 128


def clock_of(frame: Any, now_ms: int) -> int:
    """How old the bar code clock of a picture is, in ms (modulo 2^32)."""
    plane = frame.planes[0]
    row = bytes(plane)[40 * frame.height // 720 * plane.line_size :]
    scale = frame.width / WIDTH
    bits = [row[int((BAR_PX * bar + BAR_PX // 2) * scale)] > _MIDDLE_LUMA for bar in range(BARS)]
    shown = sum(bit << (BARS - 1 - place) for place, bit in enumerate(bits))
    return (now_ms - shown) % (1 << BARS)


class Watching:
    """Watches one seat; an async context manager."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.pictures = 0
        self.sounds = 0
        self.ages_ms: list[int] = []
        self.loudness = 0
        self.resource = ""
        self.first_picture_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Watching:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in ("video", "audio"):
            transceiver = self.peer.addTransceiver(kind, direction="recvonly")
            wanted = ("video/h264", "video/rtx", "audio/opus")
            codecs: Any = RTCRtpReceiver.getCapabilities(kind).codecs
            transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType.lower() in wanted])
        self.peer.on("track", self._track)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        headers = {**self._headers, "Content-Type": "application/sdp"}
        self._asked_s = time.monotonic()
        answer = await asyncio.to_thread(fetch, self._url, "POST", headers, self.peer.localDescription.sdp.encode())
        assert answer.status == 201, answer.text
        self.resource = answer.headers["location"]
        await self.peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self.peer.close()

    async def until(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait until ``condition`` holds."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
            await asyncio.sleep(0.02)

    def _track(self, track: Any) -> None:
        self._tasks.append(asyncio.ensure_future(self._receive(track)))

    async def _receive(self, track: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    self.first_picture_s = self.first_picture_s or time.monotonic() - self._asked_s
                    self.pictures += 1
                    self.ages_ms.append(clock_of(frame, time.time_ns() // 1_000_000))
                else:
                    self.sounds += 1
                    self.loudness = max(self.loudness, max(map(abs, array.array("h", bytes(frame.planes[0])))))
        except MediaStreamError:
            return
