"""Encoded media out of aiortc without decoding: the one file that touches what aiortc keeps private.

aiortc decodes what it receives and hides packet timestamps, sender reports and feedback. The touches below put our
`FrameBuffer` (jitter.py) in the place of its jitter buffer, which also means that no decoder ever runs:

1. ``RTCRtpReceiver.__jitter_buffer``: replaced by a `_Tap` that hands on each packet (RTX undone) and returns no frame.
2. ``RTCRtpReceiver.__nack_generator``: removed; ours asks again on a timer.
3. ``RTCRtpReceiver._handle_rtcp_packet``: wrapped, to see sender reports.
4. ``RTCRtpReceiver._send_rtcp_nack`` and ``_send_rtcp_pli``: called.
5. ``RTCRtpSender._handle_rtcp_packet``: wrapped, to hear of key frames that a watcher asks for.
6. ``RTCRtpReceiver.__remote_bitrate_estimator``: wrapped. aiortc tells its estimate (REMB) with every packet while it
   finds the path overused, which cost 2 % of a core a publisher.
7. ``aiortc.codecs.CODECS``: Main and High profile are added, which aiortc's decoder list leaves out.

aiortc is pinned exactly and tests/relay/test_passthrough.py fails when one of these changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.codecs import CODECS
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters
from aiortc.rtp import RTCP_PSFB_FIR, RTCP_PSFB_PLI, RtcpPsfbPacket, RtcpSrPacket

from media.relay.jitter import Frame, FrameBuffer, Packet

_JITTER_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
_NACK_GENERATOR: Final = "_RTCRtpReceiver__nack_generator"
_ESTIMATOR: Final = "_RTCRtpReceiver__remote_bitrate_estimator"
# Browsers follow an estimate within a second; five a second tell them of a path that narrows soon enough.
_ESTIMATE_INTERVAL_MS: Final = 200
# Constrained baseline and baseline are aiortc's own. Main, and High in three spellings that encoders offer.
_MORE_PROFILES: Final = ("4d001f", "4de01f", "640c1f", "64001f")
_FIRST_PAYLOAD_TYPE: Final = 110
_NTP_EPOCH_S: Final = 2_208_988_800
TICK_S: Final = 0.02
# Video waits 200–500 ms for a repair; audio is not repeated, so 60 ms is only for packets that overtook each other.
VIDEO_DEADLINE_S: Final = (0.2, 0.5)
_AUDIO_DEADLINE_S: Final = (0.06, 0.06)
PLI_INTERVAL_S: Final = 0.3


class SenderReport(msgspec.Struct, frozen=True):
    """RTCP sender report (RFC 3550 6.4.1): the sender's wall clock and the RTP timestamp of the same instant."""

    wall_s: float
    timestamp: int


def install() -> None:
    """Let SDP negotiation take Main and High profile H.264; safe to call again."""
    known = {str(codec.parameters.get("profile-level-id")) for codec in CODECS["video"]}
    payload_type = _FIRST_PAYLOAD_TYPE
    for profile in _MORE_PROFILES:
        if profile not in known:
            feedback = [RTCRtcpFeedback("nack"), RTCRtcpFeedback("nack", "pli"), RTCRtcpFeedback("goog-remb")]
            parameters: Any = {"level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": profile}
            CODECS["video"].append(
                RTCRtpCodecParameters(
                    mimeType="video/H264", clockRate=90_000, payloadType=payload_type, rtcpFeedback=feedback,
                    parameters=parameters,
                )
            )  # fmt: skip
            CODECS["video"].append(
                RTCRtpCodecParameters(
                    mimeType="video/rtx", clockRate=90_000, payloadType=payload_type + 1,
                    parameters={"apt": payload_type},
                )
            )  # fmt: skip
        payload_type += 2


class Inlet:
    """One track of a publisher: frames and sender reports go to callbacks on the event loop, in order.

    Attach before media flows (in the ``track`` event of the peer connection); `close` when the publisher goes.
    """

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        kind: str,
        on_frame: Callable[[Frame], None],
        on_report: Callable[[SenderReport], None],
    ) -> None:
        self.kind = kind
        video = kind == "video"
        self.buffer = FrameBuffer(*(VIDEO_DEADLINE_S if video else _AUDIO_DEADLINE_S), repair=video)
        self._on_frame = on_frame
        self._on_report = on_report
        self._receiver: Any = receiver
        self._ssrc: int | None = None
        self._pli_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        if not all(hasattr(receiver, name) for name in (_JITTER_BUFFER, _NACK_GENERATOR, _ESTIMATOR)):
            raise RuntimeError("aiortc has changed: passthrough.py must be held against the new version")
        setattr(receiver, _JITTER_BUFFER, _Tap(self._packet))
        setattr(receiver, _NACK_GENERATOR, None)
        estimator: Any = getattr(receiver, _ESTIMATOR)
        if estimator is not None:
            setattr(receiver, _ESTIMATOR, _SeldomTold(estimator))
        self._handle_rtcp = self._receiver._handle_rtcp_packet
        self._receiver._handle_rtcp_packet = self._rtcp
        # Set only while something is missing: a timer that always ran woke the loop 50 times a second for nothing.
        self._timer: asyncio.TimerHandle | None = None

    def request_key_frame(self) -> None:
        """Ask the sender for a key frame (PLI, RFC 4585 6.3.1), at most once in 300 ms."""
        now = time.monotonic()
        if self._ssrc is not None and now - self._pli_at >= PLI_INTERVAL_S:
            self._pli_at = now
            self._spawn(self._receiver._send_rtcp_pli(self._ssrc))

    def close(self) -> None:
        """Stop asking for repairs and handing on frames."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _packet(self, packet: Any) -> None:
        now = time.monotonic()
        self._ssrc = packet.ssrc
        taken = Packet(packet.sequence_number, packet.timestamp, bool(packet.marker), packet._data, now)
        for frame in self.buffer.add(taken):
            self._on_frame(frame)
        if self.buffer.waiting:
            self._repair(now)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _repair(self, now: float) -> None:
        wanted = self.buffer.requests(now)
        if wanted and self._ssrc is not None:
            self._spawn(self._receiver._send_rtcp_nack(self._ssrc, wanted))

    def _tick(self) -> None:
        self._timer = None
        now = time.monotonic()
        for frame in self.buffer.expire(now):
            self._on_frame(frame)
        if self.buffer.waiting:
            self._repair(now)
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    async def _rtcp(self, packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            ntp = packet.sender_info.ntp_timestamp
            wall_s = (ntp >> 32) - _NTP_EPOCH_S + (ntp & 0xFFFFFFFF) / (1 << 32)
            self._on_report(SenderReport(wall_s=wall_s, timestamp=packet.sender_info.rtp_timestamp))
        await self._handle_rtcp(packet)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def on_key_frame_wanted(sender: RTCRtpSender, tell: Callable[[], None]) -> None:
    """Tell of each PLI or FIR (RFC 4585 6.3.1, RFC 5104 4.3.1) that the receiver of ``sender`` sends.

    aiortc would force its encoder, and what is passed through has none.
    """
    touched: Any = sender
    if not hasattr(touched, "_handle_rtcp_packet"):
        raise RuntimeError("aiortc has changed: passthrough.py must be held against the new version")
    handle = touched._handle_rtcp_packet

    async def rtcp(packet: Any) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            tell()
        await handle(packet)

    touched._handle_rtcp_packet = rtcp


class _Tap:
    """Stands where aiortc's jitter buffer stood; never asks for a key frame and never completes a frame."""

    def __init__(self, on_packet: Callable[[Any], None]) -> None:
        self._on_packet = on_packet

    def add(self, packet: Any) -> tuple[bool, None]:
        self._on_packet(packet)
        return False, None


class _SeldomTold:
    """Stands before aiortc's bandwidth estimator and lets an estimate through at most five times a second."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._told_ms = -_ESTIMATE_INTERVAL_MS

    def add(self, *, arrival_time_ms: int, **packet: int) -> tuple[int, list[int]] | None:
        estimate: tuple[int, list[int]] | None = self._estimator.add(arrival_time_ms=arrival_time_ms, **packet)
        if estimate is None or arrival_time_ms - self._told_ms < _ESTIMATE_INTERVAL_MS:
            return None
        self._told_ms = arrival_time_ms
        return estimate
