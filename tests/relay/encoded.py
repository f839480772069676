"""Encoded media for relay tests, made by PyAV: H.264 access units (Annex B) and Opus packets of known content."""

from __future__ import annotations

import array
import math
import random
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from media.relay.cmaf import VideoFormat
from media.relay.h264 import NAL_PPS, NAL_SPS, nal_units, parse_sps


def pictures(
    count: int, width: int = 320, height: int = 240, profile: str = "Baseline", b_frames: int = 0, gop: int = 30
) -> list[av.Packet]:
    """Access units in decode order with pts and dts in 1/90,000 s at 30 a second."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.framerate = Fraction(30, 1)
    encoder.profile = profile
    encoder.thread_count = 1
    encoder.options = {
        "preset": "veryfast", "x264-params": f"bframes={b_frames}:keyint={gop}:scenecut=0:repeat-headers=1",
    }  # fmt: skip
    packets: list[av.Packet] = []
    for number in range(count):
        frame = VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([(number * 7) % 255]) * plane.buffer_size)
        frame.pts = number
        frame.time_base = Fraction(1, 30)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    for packet in packets:
        assert packet.pts is not None and packet.dts is not None
        packet.pts, packet.dts = packet.pts * 3000, packet.dts * 3000
        packet.time_base = Fraction(1, 90_000)
    return packets


def video_format(packet: av.Packet) -> VideoFormat:
    """Parameter sets of a key frame."""
    nals = nal_units(bytes(packet))
    sps = next(nal for nal in nals if nal[0] & 31 == NAL_SPS)
    return VideoFormat(sps=sps, pps=tuple(nal for nal in nals if nal[0] & 31 == NAL_PPS), parsed=parse_sps(sps))


def opus(count: int, hertz: float = 1000.0, noise: int = 0) -> list[bytes]:
    """Packets of 20 ms of a tone with white noise of amplitude ``noise`` (always the same) on each side."""
    dice = random.Random(1)
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    encoder.time_base = Fraction(1, 48_000)
    packets: list[bytes] = []
    for number in range(count):
        samples = array.array("h")
        for index in range(number * 960, number * 960 + 960):
            value = int(8_000 * math.sin(2 * math.pi * hertz * index / 48_000))
            samples.extend((value + dice.randint(-noise, noise), value + dice.randint(-noise, noise)))
        frame = AudioFrame(format="s16", layout="stereo", samples=960)
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate = 48_000
        frame.pts = number * 960
        frame.time_base = Fraction(1, 48_000)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets
