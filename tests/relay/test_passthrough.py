"""The contract with aiortc's private parts: fails when an upgrade changes what passthrough.py touches."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version
from typing import Any

from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.codecs import CODECS
from aiortc.codecs.h264 import H264Encoder
from aiortc.rate import BandwidthUsage, RemoteBitrateEstimator
from aiortc.rtp import RTCP_PSFB_FIR, RTCP_PSFB_PLI, RtcpPsfbPacket, RtpPacket

from media.relay import passthrough
from media.relay.jitter import Frame
from media.relay.outlet import Outlet, OutletTrack
from media.relay.passthrough import Inlet


def test_aiortc_is_the_version_that_passthrough_was_held_against() -> None:
    assert version("aiortc") == "1.16.0", (
        "read the touches listed in media/relay/passthrough.py again, then change this"
    )


async def test_a_receiver_hands_its_packets_to_the_inlet_and_decodes_nothing() -> None:
    sender, receiver = RTCPeerConnection(), RTCPeerConnection()
    sender.addTransceiver("video", direction="sendonly")
    offer = await sender.createOffer()
    await sender.setLocalDescription(offer)
    frames: list[Frame] = []
    tracks: list[Any] = []
    receiver.on("track", tracks.append)
    await receiver.setRemoteDescription(RTCSessionDescription(sender.localDescription.sdp, "offer"))
    inner: Any = receiver.getTransceivers()[0].receiver
    assert (
        tracks
        and hasattr(inner, "_RTCRtpReceiver__jitter_buffer")
        and hasattr(inner, "_RTCRtpReceiver__nack_generator")
    )

    inlet = Inlet(inner, "video", frames.append, lambda _: None)
    codec = next(codec for codec in CODECS["video"] if codec.mimeType == "video/H264")
    inner._RTCRtpReceiver__codecs[codec.payloadType] = codec
    packet = RtpPacket(payload_type=codec.payloadType, sequence_number=1, timestamp=3_000, marker=1)
    packet.ssrc, packet.payload = 99, b"\x65\x88abc"
    await inner._handle_rtp_packet(packet, arrival_time_ms=0)

    assert [(frame.timestamp, frame.data) for frame in frames] == [(3_000, b"\0\0\0\1\x65\x88abc")]
    assert inner._RTCRtpReceiver__decoder_queue.empty()
    inlet.close()
    await receiver.close()
    await sender.close()


async def test_what_never_comes_is_asked_for_again_and_given_up_without_another_packet() -> None:
    transport = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer()), [RTCCertificate.generateCertificate()])
    receiver = RTCRtpReceiver("video", transport)
    touched: Any = receiver
    asked: list[list[int]] = []

    async def nack(_ssrc: int, lost: list[int]) -> None:
        asked.append(lost)

    touched._send_rtcp_nack = nack
    frames: list[Frame] = []
    inlet = Inlet(receiver, "video", frames.append, lambda _: None)
    for number in (1, 3, 4):
        packet: Any = RtpPacket(sequence_number=number, timestamp=number * 3_000, marker=1)
        packet.ssrc, packet._data = 99, b"frame"
        inlet._packet(packet)
    async with asyncio.timeout(5):
        while len(frames) < 2:
            await asyncio.sleep(0.01)
    assert [frame.after_loss for frame in frames] == [False, True]
    assert len(asked) >= 2 and all(lost == [2] for lost in asked)
    assert inlet._timer is None, "nothing is missing: nothing wakes the loop"
    inlet.close()


async def test_an_overused_path_is_told_of_five_times_a_second_and_not_with_every_packet() -> None:
    transport = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer()), [RTCCertificate.generateCertificate()])
    receiver: Any = RTCRtpReceiver("video", transport)
    estimator = receiver._RTCRtpReceiver__remote_bitrate_estimator
    assert isinstance(estimator, RemoteBitrateEstimator)
    estimator.detector.state = lambda: BandwidthUsage.OVERUSING
    inlet = Inlet(receiver, "video", lambda _: None, lambda _: None)
    told: list[Any] = []

    async def send(packet: Any) -> None:
        told.append(packet)

    receiver._send_rtcp = send
    receiver._enabled = True
    receiver._RTCRtpReceiver__rtcp_ssrc = 1
    for at_ms in range(0, 4_000, 4):
        packet = RtpPacket(payload_type=120, sequence_number=at_ms // 4, timestamp=at_ms * 90)
        packet.ssrc, packet.payload = 99, bytes(1_000)
        packet.extensions.abs_send_time = at_ms * 262_144 // 1_000 & 0xFFFFFF
        await receiver._handle_rtp_packet(packet, arrival_time_ms=100_000 + at_ms)
    assert 10 <= len(told) <= 20
    inlet.close()


def test_feedback_is_sent_by_the_methods_that_we_call() -> None:
    receiver: Any = RTCRtpReceiver
    assert list(inspect.signature(receiver._send_rtcp_pli).parameters) == ["self", "media_ssrc"]
    assert list(inspect.signature(receiver._send_rtcp_nack).parameters) == ["self", "media_ssrc", "lost"]
    assert inspect.iscoroutinefunction(receiver._handle_rtcp_packet)


def test_installing_twice_offers_each_profile_once() -> None:
    passthrough.install()
    passthrough.install()
    profiles = [c.parameters.get("profile-level-id") for c in CODECS["video"] if c.mimeType == "video/H264"]
    assert sorted(profiles, key=str) == sorted({"42001f", "42e01f", "4d001f", "4de01f", "640c1f", "64001f"})
    types = [c.payloadType for c in CODECS["video"]]
    assert len(types) == len(set(types)), "payload types do not collide"


async def test_whoever_watches_is_heard_asking_for_a_key_frame() -> None:
    peer = RTCPeerConnection()
    sender: Any = peer.addTransceiver("video", direction="sendonly").sender
    asked: list[str] = []
    passthrough.on_key_frame_wanted(sender, lambda: asked.append("now"))
    for fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR, 2):
        await sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=fmt, ssrc=1, media_ssrc=sender._ssrc))
    assert asked == ["now", "now"]
    await peer.close()


async def test_what_is_encoded_already_is_packed_and_not_encoded_again() -> None:
    track = OutletTrack("video", Outlet())
    track.offer(1, Frame(timestamp=90_000, data=b"\0\0\0\1\x65\x88abc", arrival_s=1.0, after_loss=False))
    packet = await track.recv()
    payloads, timestamp = H264Encoder().pack(packet)
    assert payloads == [b"\x65\x88abc"]
    assert timestamp == packet.pts
    track.stop()
