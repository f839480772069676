"""One video track whose format changes: parameter sets in front of each key frame (`avc3`, ISO/IEC 14496-15 5.3.3).

A track described once for each format (several entries in `stsd`) would be the other way, and players stop at its first
change. Pure; one map or one segment at a time, as the relay writes them (media/relay/cmaf.py).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgspec

from functions.streams.fragments import boxes, inside, only

_HEADER_BYTES: Final = 8
# 14496-12 12.1.3 and 8.5.2: what stands in a description before its boxes, and before descriptions.
_VISUAL_ENTRY_BYTES: Final = 78
_DESCRIPTIONS_AT: Final = 8
_TRACK_PATH: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
# trun flags (14496-12 8.8.8), and the bit of a sample's flags that says it is no key frame.
_DATA_OFFSET, _FIRST_FLAGS, _DURATION, _SIZE, _FLAGS, _COMPOSITION = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
_NOT_SYNC: Final = 0x10000


class _Description(msgspec.Struct, frozen=True):
    """Where a map describes its picture: the `avc1` box, those it stands in, and the width and height in `tkhd`."""

    track: int
    start: int
    end: int
    around: tuple[int, ...]
    size_at: int


def without_picture(init: bytes) -> bytes:
    """A map but for what it says of its picture's format: the same for maps that differ in nothing else."""
    found = _description(init)
    if found is None:
        return init
    made = bytearray(init)
    for at in found.around:
        struct.pack_into(">I", made, at, 0)
    made[found.size_at : found.size_at + 8] = bytes(8)
    return bytes(made[: found.start] + made[found.end :])


def of_many_formats(init: bytes) -> bytes:
    """The map of a file whose key frames bring their parameter sets; it tells the size of the first picture."""
    found = _required(init)
    return init[: found.start + 4] + b"avc3" + init[found.start + _HEADER_BYTES :]


def with_parameter_sets(segment: bytes, init: bytes) -> bytes:
    """A segment whose key frames begin with the parameter sets of ``init``, its map.

    Raises
    ------
    ValueError
        Where boxes do not fit, or a run of samples does not tell the size and flags of each.
    """
    track, sets = _required(init).track, _parameter_sets(init)
    made: list[bytes] = []
    waiting: bytes = b""
    keys: list[int] = []
    for kind, payload, end in boxes(segment):
        start = payload - _HEADER_BYTES
        if kind == b"moof":
            keys = list(_key_frames(segment, payload, end, track))
            waiting = _grown(segment, payload, end, track, keys, len(sets))
        elif kind == b"mdat":
            made += [waiting, _filled(segment, start, end, keys, sets)]
            waiting, keys = b"", []
        else:
            made.append(segment[start:end])
    if waiting:
        raise ValueError("there is no media after a fragment")
    return b"".join(made)


def _description(init: bytes) -> _Description | None:
    for trak, trak_end in inside(init, b"moov", b"trak"):
        around = [next(inside(init, b"moov"))[0] - _HEADER_BYTES, trak - _HEADER_BYTES]
        at, end = trak, trak_end
        for kind in _TRACK_PATH[2:]:
            at, end = next(inside(init, kind, start=at, end=end))
            around.append(at - _HEADER_BYTES)
        for kind, payload, stop in boxes(init, at + _DESCRIPTIONS_AT, end):
            if kind == b"avc1":
                header = only(init, trak, trak_end, b"tkhd")
                (track,) = struct.unpack_from(">I", init, header + (20 if init[header] == 1 else 12))
                size_at = header + (88 if init[header] == 1 else 76)
                return _Description(track, payload - _HEADER_BYTES, stop, tuple(around), size_at)
    return None


def _required(init: bytes) -> _Description:
    found = _description(init)
    if found is None:
        raise ValueError("there is no picture in a map")
    return found


def _parameter_sets(init: bytes) -> bytes:
    """Those of a map (`avcC`, 14496-15 5.3.3.1) as samples hold them, each after its length in four bytes."""
    found = _required(init)
    at = only(init, found.start + _HEADER_BYTES + _VISUAL_ENTRY_BYTES, found.end, b"avcC")
    if init[at + 4] & 3 != 3:
        raise ValueError("lengths of NAL units take four bytes")
    made: list[bytes] = []
    at += 5
    for mask in (0x1F, 0xFF):
        count = init[at] & mask
        at += 1
        for _ in range(count):
            (size,) = struct.unpack_from(">H", init, at)
            made += [struct.pack(">I", size), init[at + 2 : at + 2 + size]]
            at += 2 + size
    return b"".join(made)


class _Run(msgspec.Struct, frozen=True):
    """A run of samples (`trun`): whose, where its data begins in the fragment, and where its entries are."""

    track: int
    at: int
    flags: int
    offset: int
    entries: tuple[int, ...]


def _runs(segment: bytes, payload: int, end: int) -> Iterator[_Run]:
    for start, stop in inside(segment, b"traf", start=payload, end=end):
        (track,) = struct.unpack_from(">I", segment, only(segment, start, stop, b"tfhd") + 4)
        for at, _ in inside(segment, b"trun", start=start, end=stop):
            first, count = struct.unpack_from(">II", segment, at)
            flags = first & 0xFFFFFF
            if not flags & _DATA_OFFSET:
                raise ValueError("a run of samples does not tell where they are")
            (offset,) = struct.unpack_from(">i", segment, at + 8)
            begin = at + (16 if flags & _FIRST_FLAGS else 12)
            step = 4 * sum(bool(flags & one) for one in (_DURATION, _SIZE, _FLAGS, _COMPOSITION))
            yield _Run(track, at, flags, offset, tuple(range(begin, begin + step * count, step)) if step else ())


def _sizes(segment: bytes, run: _Run) -> Iterator[tuple[int, int, bool]]:
    """Where the size of each sample stands, the size, and whether it is a key frame."""
    if not run.flags & _SIZE or not run.flags & _FLAGS:
        raise ValueError("a run of samples does not tell the size and flags of each")
    skipped = 4 if run.flags & _DURATION else 0
    for entry in run.entries:
        size, flags = struct.unpack_from(">II", segment, entry + skipped)
        yield entry + skipped, size, not flags & _NOT_SYNC


def _key_frames(segment: bytes, payload: int, end: int, track: int) -> Iterator[int]:
    """Where in the segment each key frame of a fragment begins, in order."""
    for run in _runs(segment, payload, end):
        at = payload - _HEADER_BYTES + run.offset
        for _, size, key in _sizes(segment, run) if run.track == track else ():
            if key:
                yield at
            at += size


def _grown(segment: bytes, payload: int, end: int, track: int, keys: list[int], by: int) -> bytes:
    """The `moof` once each key frame is ``by`` bytes larger: sizes, and where the data of each run begins."""
    start = payload - _HEADER_BYTES
    made = bytearray(segment[start:end])
    for run in _runs(segment, payload, end):
        before = sum(key < start + run.offset for key in keys)
        struct.pack_into(">i", made, run.at + 8 - start, run.offset + before * by)
        for at, size, key in _sizes(segment, run) if run.track == track else ():
            if key:
                struct.pack_into(">I", made, at - start, size + by)
    return bytes(made)


def _filled(segment: bytes, start: int, end: int, keys: list[int], sets: bytes) -> bytes:
    """The `mdat` with ``sets`` before each key frame."""
    if any(not start + _HEADER_BYTES <= key < end for key in keys):
        raise ValueError("a sample lies outside of its media")
    cuts = [start + _HEADER_BYTES, *keys, end]
    media = sets.join(segment[one:other] for one, other in pairwise(cuts))
    return struct.pack(">I4s", _HEADER_BYTES + len(media), b"mdat") + media
