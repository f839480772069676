"""`python -m media.test_source WHIP_URL STREAM_KEY`: a moving picture with a clock and a tone, published over WHIP.

The picture is 1280x720. Its top 80 rows are a bar code of the wall clock: 32 cells of 40 pixels, the milliseconds since
the Unix epoch modulo 2^32, most significant bit first, white is 1; a player that reads it back knows the delay from
glass to glass. Below stand the time in digits and bars that move. A beep of 100 ms marks each second. Drawing copies
rows, so that nearly all of its time is x264's. Reconnects for ever, at most every two seconds; SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import logging
import math
import signal
import time
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
import av
import uvloop
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

logger = logging.getLogger("media.test_source")

WIDTH: Final = 1280
HEIGHT: Final = 720
BARS: Final = 32
BAR_PX: Final = WIDTH // BARS
BAR_ROWS: Final = 80
_SAMPLE_RATE: Final = 48_000
_OPUS_SAMPLES: Final = 960
_VIDEO_TICKS: Final = 90_000
_WHITE: Final = 235
_BLACK: Final = 16
_RECONNECT_S: Final = 1.0
_RECONNECT_MAX_S: Final = 2.0
# Reports come every 0.5 to 1.5 s and for each track: two seconds without one are no accident.
_SILENT_S: Final = 2.0
_PROBE_S: Final = 2.0
_LISTEN_S: Final = 0.25
# 5x7 dot matrix, one row a number, most significant bit left.
_GLYPHS: Final = {
    "0": (14, 17, 19, 21, 25, 17, 14), "1": (4, 12, 4, 4, 4, 4, 14), "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14), "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14), "7": (31, 1, 2, 4, 8, 8, 8), "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12), ":": (0, 4, 4, 0, 4, 4, 0), ".": (0, 0, 0, 0, 0, 4, 4),
}  # fmt: skip
_DOT_PX: Final = 14
_DIGITS_ROW: Final = 130
_FIELD_ROW: Final = 280


def bar_code(at_ms: int) -> bytes:
    """One row of the bar code of ``at_ms``."""
    return b"".join([bytes([_WHITE if at_ms >> (BARS - 1 - bar) & 1 else _BLACK]) * BAR_PX for bar in range(BARS)])


class Picture:
    """Draws frame n of the moving picture; only rows that change are written."""

    def __init__(self) -> None:
        quiet = bytes([60])
        self._luma = bytearray(quiet * (WIDTH * HEIGHT))
        # A field twice as wide as the picture, of soft vertical bands: each frame shows another window of it.
        band = bytes(int(110 + 70 * math.sin(x / 40) * math.cos(x / 97)) for x in range(2 * WIDTH))
        self._band = band
        half = (WIDTH // 2) * (HEIGHT // 2)
        self._blue = bytes(int(128 + 50 * math.sin(i % (WIDTH // 2) / 90)) for i in range(half))
        self._red = bytes(int(128 + 50 * math.cos(i // (WIDTH // 2) / 60)) for i in range(half))

    def draw(self, number: int, at_ms: int) -> VideoFrame:
        """Frame ``number``, which shows the time ``at_ms``."""
        luma = self._luma
        luma[: WIDTH * BAR_ROWS] = bar_code(at_ms) * BAR_ROWS
        self._digits(datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:10])
        shift = number * 4 % WIDTH
        rows = HEIGHT - _FIELD_ROW
        luma[_FIELD_ROW * WIDTH :] = self._band[shift : shift + WIDTH] * rows
        self._block(number)
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, data in zip(frame.planes, (luma, self._blue, self._red), strict=True):
            plane.update(_padded(data, plane.line_size, plane.width, plane.height))
        return frame

    def _digits(self, text: str) -> None:
        for row in range(7):
            line = bytearray([60]) * WIDTH
            for place, sign in enumerate(text):
                bits = _GLYPHS[sign][row]
                for column in range(5):
                    if bits >> (4 - column) & 1:
                        left = 60 + (place * 6 + column) * _DOT_PX
                        line[left : left + _DOT_PX - 2] = bytes([_WHITE]) * (_DOT_PX - 2)
            start = (_DIGITS_ROW + row * _DOT_PX) * WIDTH
            self._luma[start : start + WIDTH * _DOT_PX] = bytes(line) * _DOT_PX

    def _block(self, number: int) -> None:
        left = int((WIDTH - 160) * (0.5 + 0.5 * math.sin(number / 25)))
        top = _FIELD_ROW + int((HEIGHT - _FIELD_ROW - 160) * (0.5 + 0.5 * math.cos(number / 37)))
        for row in range(top, top + 160):
            start = row * WIDTH + left
            self._luma[start : start + 160] = bytes([210]) * 160


class PictureTrack(MediaStreamTrack):
    """Encoded pictures in real time; aiortc sends packets as they are."""

    kind = "video"

    def __init__(self, rate: int, bit_rate: int) -> None:
        super().__init__()
        self._picture = Picture()
        self._rate = rate
        self._number = 0
        self._started_s: float | None = None
        kilobits = bit_rate // 1000
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.time_base = Fraction(1, rate)
        encoder.framerate = Fraction(rate, 1)
        encoder.bit_rate = bit_rate
        encoder.thread_count = 1
        encoder.profile = "Baseline"
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            # A key frame each second, because packets that are encoded already cannot answer a request for one.
            "g": str(rate),
            "x264-params": f"scenecut=0:vbv-maxrate={kilobits * 3 // 2}:vbv-bufsize={kilobits}:repeat-headers=1",
        }
        self._encoder = encoder

    async def recv(self) -> Any:
        """The next access unit, when its time has come."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._started_s is None:
            self._started_s = now
        due_s = self._started_s + self._number / self._rate
        if now > due_s + 1.0:
            # The machine slept: frames of the past are left out rather than sent in a rush.
            self._number = int((now - self._started_s) * self._rate)
        await asyncio.sleep(max(0.0, due_s - now))
        packets = await asyncio.to_thread(self._encode)
        packet = packets[0]
        packet.pts = packet.dts = self._number * _VIDEO_TICKS // self._rate
        packet.time_base = Fraction(1, _VIDEO_TICKS)
        self._number += 1
        return packet

    def _encode(self) -> list[Any]:
        frame = self._picture.draw(self._number, time.time_ns() // 1_000_000 % (1 << BARS))
        frame.pts = self._number
        frame.time_base = Fraction(1, self._rate)
        return list(self._encoder.encode(frame))


class ToneTrack(MediaStreamTrack):
    """Opus in real time: a soft 500 Hz tone with a 1 kHz beep on each full second of the wall clock."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._started_s: float | None = None
        encoder = av.CodecContext.create("libopus", "w")
        encoder.sample_rate = _SAMPLE_RATE
        encoder.layout = "stereo"
        encoder.format = "s16"
        encoder.bit_rate = 48_000
        encoder.time_base = Fraction(1, _SAMPLE_RATE)
        encoder.options = {"frame_duration": "20"}
        self._encoder = encoder
        self._soft = _tone(500, 2_000)
        self._beep = _tone(1_000, 12_000)

    async def recv(self) -> Any:
        """The next Opus packet, when its time has come."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._started_s is None:
            self._started_s = now
        due_s = self._started_s + self._number * _OPUS_SAMPLES / _SAMPLE_RATE
        if now > due_s + 1.0:
            self._number = int((now - self._started_s) * _SAMPLE_RATE / _OPUS_SAMPLES)
        await asyncio.sleep(max(0.0, due_s - now))
        while True:
            frame = AudioFrame(format="s16", layout="stereo", samples=_OPUS_SAMPLES)
            frame.planes[0].update(self._beep if time.time() % 1 < 0.1 else self._soft)
            frame.sample_rate = _SAMPLE_RATE
            frame.pts = self._number * _OPUS_SAMPLES
            frame.time_base = Fraction(1, _SAMPLE_RATE)
            self._number += 1
            packets = self._encoder.encode(frame)
            if packets:
                packet: Any = packets[0]
                packet.pts = packet.dts = frame.pts
                packet.time_base = Fraction(1, _SAMPLE_RATE)
                return packet


class Publisher:
    """One WHIP session (RFC 9725): publish, stop."""

    def __init__(self, url: str, key: str, tracks: list[MediaStreamTrack]) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._tracks = tracks
        self._location = ""
        self._etag = ""
        self._listening: asyncio.Task[None] | None = None
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.gone = asyncio.Event()

    async def start(self) -> None:
        """Publish; raises ``aiohttp.ClientError`` when refused or not reached."""
        for track in self._tracks:
            transceiver = self.peer.addTransceiver(track, direction="sendonly")
            if track.kind == "video":
                codecs: Any = RTCRtpSender.getCapabilities("video").codecs
                wanted = [codec for codec in codecs if codec.mimeType.lower() in ("video/h264", "video/rtx")]
                transceiver.setCodecPreferences(wanted)
        self.peer.on("connectionstatechange", self._changed)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        headers = {**self._headers, "Content-Type": "application/sdp"}
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            async with session.post(self._url, data=self.peer.localDescription.sdp, headers=headers) as response:
                self._location = urljoin(str(response.url), response.headers["Location"])
                self._etag = response.headers.get("ETag", "")
                answer = await response.text()
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        self._listening = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """End the session; a relay that is gone is not an error."""
        if self._listening is not None:
            self._listening.cancel()
        if self._location:
            try:
                async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
                    async with session.delete(self._location, headers=self._headers):
                        self._location = ""
            except (aiohttp.ClientError, TimeoutError):
                logger.info("the relay did not answer the goodbye")
        await self.peer.close()

    async def _listen(self) -> None:
        """Hear the relay's reports, which come about each second; when they stay away, ask whether it is still there.

        ICE alone takes half a minute to call a relay gone that died.
        """
        started = time.time()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PROBE_S)) as session:
            while not self.gone.is_set():
                await asyncio.sleep(_LISTEN_S)
                reports = [
                    entry.timestamp.timestamp()
                    for entry in (await self.peer.getStats()).values()
                    if entry.type == "remote-inbound-rtp"
                ]
                if time.time() - max([started, *reports]) > _SILENT_S and await self._is_over(session):
                    self.gone.set()

    async def _is_over(self, session: aiohttp.ClientSession) -> bool:
        """Whether the relays say that there is no such session any longer (an empty PATCH changes nothing)."""
        headers = {**self._headers, "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": self._etag}
        try:
            async with session.patch(self._location, data=b"", headers=headers) as answer:
                return answer.status == 404
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _changed(self) -> None:
        if self.peer.connectionState in ("failed", "closed"):
            self.gone.set()


async def publish(url: str, key: str, rate: int, bit_rate: int) -> None:
    """Publish until cancelled, reconnecting whenever the relay refuses or goes away."""
    pause_s = _RECONNECT_S
    while True:
        publisher = Publisher(url, key, [PictureTrack(rate, bit_rate), ToneTrack()])
        try:
            await publisher.start()
            logger.info("publishing to %s", url)
            pause_s = _RECONNECT_S
            await publisher.gone.wait()
            logger.info("the relay is gone: publishing again")
            continue
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.info("not published: %s", error)
        finally:
            await publisher.stop()
        await asyncio.sleep(pause_s)
        pause_s = min(_RECONNECT_MAX_S, pause_s * 2)


def _tone(hertz: int, amplitude: int) -> bytes:
    # 20 ms hold whole periods of both tones, so each packet continues the one before.
    samples = array.array("h")
    for index in range(_OPUS_SAMPLES):
        value = int(amplitude * math.sin(2 * math.pi * hertz * index / _SAMPLE_RATE))
        samples.extend((value, value))
    return samples.tobytes()


def _padded(data: bytes | bytearray, line_size: int, width: int, height: int) -> bytes:
    if line_size == width:
        return bytes(data)
    gap = bytes(line_size - width)
    return b"".join([bytes(data[row * width : (row + 1) * width]) + gap for row in range(height)])


async def _run(arguments: argparse.Namespace) -> None:
    work = asyncio.ensure_future(publish(arguments.url, arguments.key, arguments.rate, arguments.bit_rate))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    await asyncio.wait([work])
    if not work.cancelled() and (error := work.exception()) is not None:
        raise error


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Publish a moving picture with a clock and a tone over WHIP.")
    parser.add_argument("url", help="WHIP endpoint, for example http://127.0.0.1:8081/whip/STREAM")
    parser.add_argument("key", help="stream key")
    parser.add_argument("--rate", type=int, default=30, help="frames a second (default 30)")
    parser.add_argument("--bit-rate", type=int, default=1_500_000, help="of the video, bits a second (default 1500000)")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("aioice", "aiortc"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
