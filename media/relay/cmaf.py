"""Boxes of fragmented MP4 as LL-HLS plays them: an init segment, and one `moof` + `mdat` a part. Pure.

Own writer because no kept library flushes a fragment when it is told to (docs/decisions). Box layouts are those of
ISO/IEC 14496-12 (base), 14496-15 (avc1, avcC), 14496-14 (mp4a, esds) and 23000-19 (CMAF brands).
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from media.relay.h264 import Sps

VIDEO_TRACK: Final = 1
AUDIO_TRACK: Final = 2
VIDEO_TIMESCALE: Final = 90_000
AUDIO_TIMESCALE: Final = 48_000
AAC_FRAME_SAMPLES: Final = 1_024

_MATRIX: Final = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_LANGUAGE_UNDETERMINED: Final = 0x55C4
# sample_flags (14496-12 8.8.3.1): depends on nothing, and depends on others + not a sync sample.
_SYNC: Final = 0x02000000
_NOT_SYNC: Final = 0x01010000
_TFHD_DEFAULT_BASE_IS_MOOF: Final = 0x020000
_TFHD_EMPTY: Final = 0x010000
_TFHD_DEFAULT_DURATION: Final = 0x000008
_TFHD_DEFAULT_FLAGS: Final = 0x000020
_TRUN_DATA_OFFSET: Final = 0x000001
_TRUN_DURATION: Final = 0x000100
_TRUN_SIZE: Final = 0x000200
_TRUN_FLAGS: Final = 0x000400
_TRUN_COMPOSITION: Final = 0x000800


class VideoFormat(msgspec.Struct, frozen=True):
    """Parameter sets of a video track and what the first SPS says."""

    sps: bytes
    pps: tuple[bytes, ...]
    parsed: Sps


class AudioFormat(msgspec.Struct, frozen=True):
    """AudioSpecificConfig of an AAC track (14496-3 1.6.2.1) with its rate and channels."""

    config: bytes
    sample_rate: int
    channels: int
    bit_rate: int

    @property
    def codec(self) -> str:
        """The RFC 6381 string; the object type stands in the first five bits of the configuration."""
        return f"mp4a.40.{self.config[0] >> 3}"


class VideoSample(msgspec.Struct, frozen=True):
    """One access unit with 4-byte NAL lengths; times in ticks of 1/90,000 s."""

    dts: int
    composition: int
    duration: int
    key: bool
    data: bytes


class AudioSample(msgspec.Struct, frozen=True):
    """One AAC frame; ``pts`` and ``duration`` in samples."""

    pts: int
    duration: int
    data: bytes

    def at(self, pts: int) -> AudioSample:
        """The same frame at another time."""
        return self if pts == self.pts else AudioSample(pts, self.duration, self.data)


def box(kind: bytes, *payload: bytes) -> bytes:
    """A box: size, type, payload."""
    body = b"".join(payload)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *payload: bytes) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *payload)


def length_prefixed(nals: list[bytes]) -> bytes:
    """NAL units as samples hold them: each after its length in 4 bytes (14496-15 5.3.4.2)."""
    return b"".join([part for nal in nals for part in (struct.pack(">I", len(nal)), nal)])


def init_segment(video: VideoFormat | None, audio: AudioFormat | None) -> bytes:
    """`ftyp` and `moov` for the tracks given; at least one."""
    if video is None and audio is None:
        raise ValueError("an init segment needs a track")
    tracks: list[bytes] = []
    extends: list[bytes] = []
    if video is not None:
        parsed = video.parsed
        header = full_box(b"vmhd", 0, 1, bytes(8))
        tracks.append(_track(VIDEO_TRACK, VIDEO_TIMESCALE, b"vide", header, _avc1(video), parsed.width, parsed.height))
        extends.append(full_box(b"trex", 0, 0, struct.pack(">5I", VIDEO_TRACK, 1, 0, 0, 0)))
    if audio is not None:
        header = full_box(b"smhd", 0, 0, bytes(4))
        tracks.append(_track(AUDIO_TRACK, audio.sample_rate, b"soun", header, _mp4a(audio), 0, 0))
        extends.append(full_box(b"trex", 0, 0, struct.pack(">5I", AUDIO_TRACK, 1, 0, 0, 0)))
    movie_header = full_box(
        b"mvhd", 0, 0, struct.pack(">4I", 0, 0, 1000, 0), struct.pack(">IH", 0x10000, 0x100), bytes(10), _MATRIX,
        bytes(24), struct.pack(">I", AUDIO_TRACK + 1),
    )  # fmt: skip
    brands = box(b"ftyp", b"iso6", bytes(4), b"iso6cmfcmp41")
    return brands + box(b"moov", movie_header, *tracks, box(b"mvex", *extends))


def fragment(sequence: int, video: list[VideoSample], audio: list[AudioSample], start: int) -> bytes:
    """`moof` + `mdat` with the samples of a part that begins at ``start`` (video ticks); both lists may be empty.

    Each track's samples are consecutive: a sample starts where the one before it ends.
    """
    if not video and not audio:
        return _empty(sequence, VIDEO_TRACK, start)
    video_bytes = sum(len(sample.data) for sample in video)
    # The size of moof does not depend on the offsets in it, so it is made once to know where mdat's payload begins.
    draft = _moof(sequence, video, audio, 0, 0)
    payload_at = len(draft) + 8
    moof = _moof(sequence, video, audio, payload_at, payload_at + video_bytes)
    return moof + box(b"mdat", *[sample.data for sample in video], *[sample.data for sample in audio])


def sound_fragment(sequence: int, audio: list[AudioSample], start: int, sample_rate: int) -> bytes:
    """`fragment` for media whose only track is sound; ``start`` in ticks of the video clock all the same."""
    if not audio:
        return _empty(sequence, AUDIO_TRACK, start * sample_rate // VIDEO_TIMESCALE)
    return fragment(sequence, [], audio, start)


def _empty(sequence: int, track_id: int, start: int) -> bytes:
    """A fragment of a stretch in which nothing came: 14496-12 8.8.7 has a flag for it."""
    header = full_box(b"tfhd", 0, _TFHD_DEFAULT_BASE_IS_MOOF | _TFHD_EMPTY, struct.pack(">I", track_id))
    track = box(b"traf", header, full_box(b"tfdt", 1, 0, struct.pack(">Q", start)))
    return box(b"moof", full_box(b"mfhd", 0, 0, struct.pack(">I", sequence & 0xFFFFFFFF)), track) + box(b"mdat")


def _moof(sequence: int, video: list[VideoSample], audio: list[AudioSample], video_at: int, audio_at: int) -> bytes:
    tracks: list[bytes] = []
    if video:
        header = full_box(b"tfhd", 0, _TFHD_DEFAULT_BASE_IS_MOOF, struct.pack(">I", VIDEO_TRACK))
        flags = _TRUN_DATA_OFFSET | _TRUN_DURATION | _TRUN_SIZE | _TRUN_FLAGS | _TRUN_COMPOSITION
        entries = b"".join(
            [struct.pack(">IIIi", s.duration, len(s.data), _SYNC if s.key else _NOT_SYNC, s.composition) for s in video]
        )
        # Version 1: composition offsets are signed (14496-12 8.8.8).
        run = full_box(b"trun", 1, flags, struct.pack(">Ii", len(video), video_at), entries)
        tracks.append(box(b"traf", header, full_box(b"tfdt", 1, 0, struct.pack(">Q", video[0].dts)), run))
    if audio:
        flags = _TFHD_DEFAULT_BASE_IS_MOOF | _TFHD_DEFAULT_DURATION | _TFHD_DEFAULT_FLAGS
        header = full_box(b"tfhd", 0, flags, struct.pack(">III", AUDIO_TRACK, audio[0].duration, _SYNC))
        entries = b"".join([struct.pack(">I", len(sample.data)) for sample in audio])
        run = full_box(b"trun", 0, _TRUN_DATA_OFFSET | _TRUN_SIZE, struct.pack(">Ii", len(audio), audio_at), entries)
        tracks.append(box(b"traf", header, full_box(b"tfdt", 1, 0, struct.pack(">Q", audio[0].pts)), run))
    return box(b"moof", full_box(b"mfhd", 0, 0, struct.pack(">I", sequence & 0xFFFFFFFF)), *tracks)


def _track(
    track_id: int, timescale: int, handler: bytes, media_header: bytes, entry: bytes, width: int, height: int
) -> bytes:
    volume = 0x100 if handler == b"soun" else 0
    header = full_box(
        b"tkhd", 0, 3, struct.pack(">5I", 0, 0, track_id, 0, 0), bytes(8), struct.pack(">hhHH", 0, 0, volume, 0),
        _MATRIX, struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip
    media = full_box(
        b"mdhd", 0, 0, struct.pack(">4I", 0, 0, timescale, 0), struct.pack(">HH", _LANGUAGE_UNDETERMINED, 0)
    )
    name = full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), b"Onair\0")
    data = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))
    table = box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        full_box(b"stts", 0, 0, bytes(4)),
        full_box(b"stsc", 0, 0, bytes(4)),
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )
    return box(b"trak", header, box(b"mdia", media, name, box(b"minf", media_header, data, table)))


def _avc1(video: VideoFormat) -> bytes:
    parsed = video.parsed
    configuration = [
        bytes([1]), video.sps[1:4], bytes([0xFF, 0xE1]), struct.pack(">H", len(video.sps)), video.sps,
        bytes([len(video.pps)]), *[struct.pack(">H", len(pps)) + pps for pps in video.pps],
    ]  # fmt: skip
    if parsed.profile_idc in (100, 110, 122, 144):
        # 14496-15 5.3.3.1.2 asks for these of the High profiles; no SPS extensions follow.
        chroma, luma, colour = parsed.chroma_format_idc, parsed.bit_depth_luma, parsed.bit_depth_chroma
        configuration.append(bytes([0xFC | chroma, 0xF8 | (luma - 8), 0xF8 | (colour - 8), 0]))
    return box(
        b"avc1", bytes(6), struct.pack(">H", 1), bytes(16),
        struct.pack(">HHIIIH", parsed.width, parsed.height, 0x480000, 0x480000, 0, 1), bytes(32),
        struct.pack(">Hh", 24, -1), box(b"avcC", *configuration),
    )  # fmt: skip


def _mp4a(audio: AudioFormat) -> bytes:
    specific = bytes([5, len(audio.config)]) + audio.config
    rates = struct.pack(">II", audio.bit_rate, audio.bit_rate)
    decoder = bytes([4, 13 + len(specific), 0x40, 0x15, 0, 0, 0]) + rates + specific
    descriptor = bytes([3, 3 + len(decoder) + 3, 0, 1, 0]) + decoder + bytes([6, 1, 2])
    return box(
        b"mp4a", bytes(6), struct.pack(">H", 1), bytes(8),
        struct.pack(">HHIHH", audio.channels, 16, 0, audio.sample_rate, 0), full_box(b"esds", 0, 0, descriptor),
    )  # fmt: skip
