"""FLV tag bodies as RTMP carries them: H.264 and AAC taken apart, everything else refused by name. Pure.

Adobe's "Video File Format Specification" 10.1 (annex E); `AVCDecoderConfigurationRecord` is that of 14496-15 5.3.3.1,
`AudioSpecificConfig` that of 14496-3 1.6.2.1.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from media.relay.cmaf import AudioFormat
from media.relay.h264 import NAL_SEI, NAL_SLICE, Bits, BitstreamError

_AVC: Final = 7
_AAC: Final = 10
# Enhanced RTMP: the top bit of a video tag, and this sound format of an audio tag, announce a FourCC.
_ENHANCED_VIDEO: Final = 0x80
_ENHANCED_AUDIO: Final = 9
_INFORMATION_FRAME: Final = 5
_VIDEO_CODECS: Final = {2: "Sorenson H.263", 4: "VP6", 5: "VP6 with alpha", 12: "H.265"}
_AUDIO_CODECS: Final = {0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 5: "Nellymoser", 6: "Nellymoser", 11: "Speex"}
_CONFIGURATION: Final = 0
_MEDIA: Final = 1
# No encoder reorders pictures by more than this; anything beyond is nonsense.
_COMPOSITION_MS_MAX: Final = 5_000
_AAC_LOW_COMPLEXITY: Final = 2
_RATES: Final = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_CONFIG_BYTES_MAX: Final = 64
# Slices for packets of 1,200 bytes make 700 of a picture of 800 kB; each costs as much time as it is short.
_NAL_UNITS_MAX: Final = 2_000
# A length in four bytes, and the NAL unit's header.
_NAL: Final = struct.Struct(">IB")
# Told to players (esds); a passed-through track does not say its own.
_BIT_RATE_ASSUMED: Final = 128_000


class UnsupportedError(ValueError):
    """A codec that viewers could not play; the text tells the publisher what to set instead."""


class VideoTag(msgspec.Struct, frozen=True):
    """A configuration record, or an access unit with NAL units behind their lengths."""

    configuration: bool
    composition_ms: int
    data: bytes


class AudioTag(msgspec.Struct, frozen=True):
    """An AudioSpecificConfig, or one AAC frame."""

    configuration: bool
    data: bytes


class DecoderConfiguration(msgspec.Struct, frozen=True):
    """How long the lengths before NAL units are, and the parameter sets."""

    length_bytes: int
    parameter_sets: list[bytes]


def video_tag(body: bytes) -> VideoTag | None:
    """The tag's content; None for what carries no picture. Raises `UnsupportedError`."""
    if len(body) < 5:
        return None
    if body[0] & _ENHANCED_VIDEO:
        raise UnsupportedError(f"Enhanced RTMP ({_four_cc(body)}) is not taken here. Set the encoder to H.264.")
    if body[0] >> 4 == _INFORMATION_FRAME:
        return None
    codec = body[0] & 0x0F
    if codec != _AVC:
        raise UnsupportedError(
            f"{_VIDEO_CODECS.get(codec, 'This video codec')} is not taken. Set the encoder to H.264."
        )
    composition_ms = int.from_bytes(body[2:5], "big", signed=True)
    if not -_COMPOSITION_MS_MAX <= composition_ms <= _COMPOSITION_MS_MAX:
        composition_ms = 0
    if body[1] not in (_CONFIGURATION, _MEDIA):
        return None
    return VideoTag(body[1] == _CONFIGURATION, composition_ms, body[5:])


def audio_tag(body: bytes) -> AudioTag | None:
    """The tag's content; None for what carries no sound. Raises `UnsupportedError`."""
    if len(body) < 2:
        return None
    codec = body[0] >> 4
    if codec == _ENHANCED_AUDIO:
        raise UnsupportedError(f"Enhanced RTMP ({_four_cc(body)}) is not taken here. Set the encoder to AAC.")
    if codec != _AAC:
        raise UnsupportedError(f"{_AUDIO_CODECS.get(codec, 'This audio codec')} is not taken. Set the encoder to AAC.")
    if body[1] not in (_CONFIGURATION, _MEDIA) or len(body) == 2:
        return None
    return AudioTag(body[1] == _CONFIGURATION, body[2:])


def decoder_configuration(record: bytes) -> DecoderConfiguration:
    """Read an `AVCDecoderConfigurationRecord`; raises `BitstreamError`."""
    if len(record) < 7 or record[0] != 1:
        raise BitstreamError("not a decoder configuration of H.264")
    length_bytes = (record[4] & 3) + 1
    if length_bytes == 3:
        raise BitstreamError("lengths of three bytes")
    sets: list[bytes] = []
    at = 5
    for mask in (0x1F, 0xFF):
        if at >= len(record):
            raise BitstreamError("the decoder configuration ends too early")
        count, at = record[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            at += 2
            if not size or at + size > len(record):
                raise BitstreamError("the decoder configuration ends too early")
            sets.append(record[at : at + size])
            at += size
    return DecoderConfiguration(length_bytes, sets)


def nal_units(data: bytes, length_bytes: int) -> list[bytes]:
    """NAL units of an access unit whose lengths stand before them; what is cut off at the end is left out.

    Raises
    ------
    BitstreamError
        For more of them, empty ones included, than any encoder makes of a picture.
    """
    found: list[bytes] = []
    at, size, left = 0, len(data), _NAL_UNITS_MAX
    while at + length_bytes <= size:
        left -= 1
        if left < 0:
            raise BitstreamError("a picture of too many NAL units")
        length = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if length > size - at:
            break
        if length:
            found.append(data[at : at + length])
        at += length
    return found


def is_sample(data: bytes) -> bool:
    """Whether an access unit with lengths of four bytes is a sample as it stands: slices and SEI, nothing cut off.

    Pictures between key frames nearly always are. Of the others the NAL units are looked at one by one (`nal_units`).
    """
    at, size, left, slices = 0, len(data), _NAL_UNITS_MAX, False
    while at + 4 < size:
        left -= 1
        if left < 0:
            return False
        length, header = _NAL.unpack_from(data, at)
        kind = header & 0x1F
        if kind == NAL_SLICE:
            slices = True
        elif kind != NAL_SEI:
            return False
        if not length:
            return False
        at += 4 + length
    return slices and at == size


def audio_format(config: bytes) -> AudioFormat:
    """Read an `AudioSpecificConfig`.

    Raises
    ------
    UnsupportedError
        For anything but AAC-LC in mono or stereo, in frames of 1,024 samples.
    BitstreamError
        When it is cut short.
    """
    if not 2 <= len(config) <= _CONFIG_BYTES_MAX:
        raise BitstreamError("not an AudioSpecificConfig")
    bits = Bits(config)
    object_type, index = bits.u(5), bits.u(4)
    rate = bits.u(24) if index == 15 else _RATES[index] if index < len(_RATES) else 0
    channels = bits.u(4)
    short_frames = bits.u(1)
    if object_type != _AAC_LOW_COMPLEXITY or short_frames:
        raise UnsupportedError("Set the encoder's sound to AAC-LC (not HE-AAC).")
    if channels not in (1, 2) or rate not in _RATES:
        raise UnsupportedError("Set the encoder's sound to mono or stereo at 44.1 or 48 kHz.")
    return AudioFormat(config=config, sample_rate=rate, channels=channels, bit_rate=_BIT_RATE_ASSUMED)


def _four_cc(body: bytes) -> str:
    text = body[1:5].decode("ascii", "replace")
    return text if text.isalnum() else "an unnamed codec"
