"""Fragmented MP4 (ISO/IEC 14496-12) as the relay stores it: moving fragments in time, so that they follow one another.

Pure, and of no other boxes than those that tell time: media is never touched. Works on one segment at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_HEADER_BYTES: Final = 8
# 8.8.5: fragments are numbered upwards through a file; a segment of a second and a half has about ten.
_FRAGMENTS_A_SEGMENT: Final = 1 << 10


def boxes(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of the payload and end of each box in order; raises ``ValueError`` where there are none."""
    at, stop = start, len(data) if end is None else end
    while at < stop:
        if stop - at < _HEADER_BYTES:
            raise ValueError("a box is cut off")
        size, kind = struct.unpack_from(">I4s", data, at)
        if not _HEADER_BYTES <= size <= stop - at:
            raise ValueError(f"a box {kind!r} of {size} bytes does not fit")
        yield kind, at + _HEADER_BYTES, at + size
        at += size


def timescales(init: bytes) -> dict[int, int]:
    """Ticks a second of each track of a map."""
    found: dict[int, int] = {}
    for start, end in inside(init, b"moov", b"trak"):
        (track,) = struct.unpack_from(">I", init, only(init, start, end, b"tkhd") + _id_at(init, start, end))
        media = next(inside(init, b"mdia", start=start, end=end))
        header = only(init, *media, b"mdhd")
        (found[track],) = struct.unpack_from(">I", init, header + (20 if init[header] == 1 else 12))
    return found


def starts_s(segment: bytes, scales: dict[int, int]) -> float:
    """When the first sample of a segment is decoded, by its own timeline in seconds."""
    firsts: dict[int, float] = {}
    for track, at in _decode_times(segment):
        firsts.setdefault(track, _read(segment, at) / scales[track])
    return min(firsts.values(), default=0.0)


def moved(segment: bytes, scales: dict[int, int], by_s: float, number: int) -> bytes:
    """The segment ``by_s`` later, as the ``number``-th of its file. Each track moves by whole ticks of its own."""
    made = bytearray(segment)
    for track, at in _decode_times(segment):
        later = max(0, _read(segment, at) + round(by_s * scales[track]))
        struct.pack_into(">Q" if segment[at] == 1 else ">I", made, at + 4, later)
    for count, (start, end) in enumerate(inside(segment, b"moof")):
        sequence = (number * _FRAGMENTS_A_SEGMENT + count + 1) & 0xFFFFFFFF
        struct.pack_into(">I", made, only(segment, start, end, b"mfhd") + 4, sequence)
    return bytes(made)


def with_length(init: bytes, seconds: float) -> bytes:
    """The map of a file that plays so long (`mehd`, 8.8.2), which players show before they have read all of it."""
    movie = next(inside(init, b"moov"))
    header = only(init, *movie, b"mvhd")
    (scale,) = struct.unpack_from(">I", init, header + (20 if init[header] == 1 else 12))
    extends = only(init, *movie, b"mvex")
    told = struct.pack(">I4sIQ", 20, b"mehd", 1 << 24, round(seconds * scale))
    made = bytearray(init)
    for payload in (movie[0], extends):
        (size,) = struct.unpack_from(">I", made, payload - _HEADER_BYTES)
        struct.pack_into(">I", made, payload - _HEADER_BYTES, size + len(told))
    return bytes(made[:extends] + told + made[extends:])


def _decode_times(segment: bytes) -> Iterator[tuple[int, int]]:
    """Track and place of each `tfdt`."""
    for start, end in inside(segment, b"moof", b"traf"):
        (track,) = struct.unpack_from(">I", segment, only(segment, start, end, b"tfhd") + 4)
        yield track, only(segment, start, end, b"tfdt")


def _read(segment: bytes, at: int) -> int:
    (value,) = struct.unpack_from(">Q" if segment[at] == 1 else ">I", segment, at + 4)
    return int(value)


def _id_at(init: bytes, start: int, end: int) -> int:
    return 20 if init[only(init, start, end, b"tkhd")] == 1 else 12


def inside(data: bytes, *path: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Start of the payload and end of each box at a path, from the outermost kind on."""
    first, *rest = path
    for kind, payload, stop in boxes(data, start, end):
        if kind == first:
            if rest:
                yield from inside(data, *rest, start=payload, end=stop)
            else:
                yield payload, stop


def only(data: bytes, start: int, end: int, kind: bytes) -> int:
    """Where the payload of the first box of a kind starts; raises ``ValueError`` where there is none."""
    for found, payload, _ in boxes(data, start, end):
        if found == kind:
            return payload
    raise ValueError(f"there is no {kind!r}")
