"""What a program is fed with (source.py), by track, as messages: the port of a worker process, in both directions.

Each message is its length in 4 bytes and MessagePack. Access units go in, access units come out; what a worker makes of
them is its own affair (compositor.py). A host's media goes to another task in the same way (feed.py), and its Opus
packets with it, for the other host's ears. Pure.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AudioFormat, AudioSample, VideoFormat
from media.relay.rungs import Rung

LENGTH: Final = struct.Struct(">I")
# An access unit is at most 4 MiB (source.py).
MESSAGE_BYTES_MAX: Final = 5 << 20
# What fits into one datagram on its way to whoever listens.
OPUS_BYTES_MAX: Final = 1_400


class Configure(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Formats of what follows on a track."""

    track: str
    video: VideoFormat | None
    audio: AudioFormat | None


class Picture(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """An access unit of a track."""

    track: str
    unit: AccessUnit


class Sound(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """An AAC frame of a track; ``wall_s`` is when it came."""

    track: str
    sample: AudioSample
    wall_s: float


class Opus(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """An Opus packet as the publisher sent it; ``timestamp`` is that of its RTP packet (32 bits, 48 kHz)."""

    track: str
    timestamp: int
    data: bytes


class Gone(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A track is over, or begins anew on another timeline."""

    track: str


class Arrange(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """To a compositor: which tracks are shown, in order, and in which layout."""

    layout: str
    tracks: tuple[str, ...]


class KeyFrame(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """To a worker: its next picture shall be a key frame."""


class Make(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """To a ladder: which renditions are made of what follows."""

    rungs: tuple[Rung, ...]


Message = Configure | Picture | Sound | Opus | Gone | Arrange | KeyFrame | Make

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encoded(message: Message) -> bytes:
    """The message with its length."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def decoded(body: bytes) -> Message:
    """The message in ``body`` (without its length); raises ``msgspec.DecodeError``."""
    return _decoder.decode(body)


def length(header: bytes) -> int:
    """The length that ``header`` tells; raises ``ValueError`` beyond the bound."""
    (size,) = LENGTH.unpack(header)
    if size > MESSAGE_BYTES_MAX:
        raise ValueError(f"a message of {size} bytes")
    return int(size)
