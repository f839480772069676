"""An encoder's side of RTMP for tests: messages, handshake, FLV tags of known media, and a session as bytes."""

from __future__ import annotations

import struct
from functools import cache

from media.relay import aac, amf, chunks
from media.relay.chunks import Message
from media.relay.cmaf import length_prefixed
from media.relay.h264 import NAL_PPS, NAL_SPS, nal_units
from tests.relay.encoded import pictures

CHUNK_BYTES = 4_096
HANDSHAKE = b"\3" + bytes(1_536) + bytes(1_536)


def command(name: str, transaction: float, *values: amf.Value) -> Message:
    """A command message in AMF0."""
    return Message(chunks.COMMAND, 0, 0, amf.encode(name, transaction, *values))


def publish_commands(key: str, application: str = "live") -> list[Message]:
    """What OBS and ffmpeg send before media."""
    return [
        Message(chunks.SET_CHUNK_SIZE, 0, 0, struct.pack(">I", CHUNK_BYTES)),
        command("connect", 1.0, {"app": application, "type": "nonprivate", "tcUrl": "rtmp://127.0.0.1/live"}),
        command("releaseStream", 2.0, None, key),
        command("FCPublish", 3.0, None, key),
        command("createStream", 4.0, None),
        command("publish", 5.0, None, key, "live"),
    ]


def wire(messages: list[Message]) -> bytes:
    """The messages as chunks: the first in small ones, as SET_CHUNK_SIZE demands."""
    made = b""
    size = 128
    for message in messages:
        stream = {chunks.AUDIO: 4, chunks.VIDEO: 6}.get(message.kind, 2 if message.kind < 8 else 3)
        made += chunks.chunked(stream, message, size)
        if message.kind == chunks.SET_CHUNK_SIZE:
            size = CHUNK_BYTES
    return made


def video_tag(data: bytes, key: bool, composition_ms: int = 0, kind: int = 1) -> bytes:
    """A video tag body: H.264."""
    return bytes([(0x10 if key else 0x20) | 7, kind]) + composition_ms.to_bytes(3, "big", signed=True) + data


def configuration_record(sps: bytes, pps: bytes) -> bytes:
    """An `AVCDecoderConfigurationRecord` with lengths of four bytes."""
    head = bytes([1, sps[1], sps[2], sps[3], 0xFF, 0xE1])
    return head + struct.pack(">H", len(sps)) + sps + b"\1" + struct.pack(">H", len(pps)) + pps


@cache
def video(count: int = 60, b_frames: int = 0, gop: int = 30, width: int = 320, height: int = 240) -> list[Message]:
    """Configuration and ``count`` access units at 30 a second."""
    made: list[Message] = []
    first_dts: int | None = None
    for packet in pictures(count, width, height, "Main", b_frames, gop):
        nals = nal_units(bytes(packet))
        sets = {nal[0] & 31: nal for nal in nals if nal[0] & 31 in (NAL_SPS, NAL_PPS)}
        if not made:
            record = configuration_record(sets[NAL_SPS], sets[NAL_PPS])
            made.append(Message(chunks.VIDEO, 0, 1, video_tag(record, key=True, kind=0)))
        assert packet.pts is not None and packet.dts is not None
        first_dts = packet.dts if first_dts is None else first_dts
        dts_ms, pts_ms = (packet.dts - first_dts) // 90, (packet.pts - first_dts) // 90
        slices = length_prefixed([nal for nal in nals if nal[0] & 31 not in (NAL_SPS, NAL_PPS)])
        made.append(Message(chunks.VIDEO, dts_ms, 1, video_tag(slices, bool(packet.is_keyframe), pts_ms - dts_ms)))
    return made


@cache
def sound(count: int = 90, rate: int = 48_000) -> list[Message]:
    """Configuration and ``count`` frames of (silent) AAC."""
    audio, frame = aac.silence(rate, 2)
    head = bytes([0xAF])
    made = [Message(chunks.AUDIO, 0, 1, head + b"\0" + audio.config)]
    made += [Message(chunks.AUDIO, n * 1_024_000 // rate, 1, head + b"\1" + frame) for n in range(count)]
    return made


def session(key: str) -> bytes:
    """Two seconds of picture and sound from the first byte on."""
    media = sorted([*video()[1:], *sound()[1:]], key=lambda message: message.timestamp)
    return HANDSHAKE + wire([*publish_commands(key), video()[0], sound()[0], *media])
