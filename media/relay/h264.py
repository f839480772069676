"""H.264 as the relay needs it: NAL units of an access unit, what a sequence parameter set says, nothing decoded.

Terms and syntax are those of ITU-T H.264 (08/2021); section numbers in comments refer to it.
"""

from __future__ import annotations

from typing import Final

import msgspec

START_CODE: Final = b"\x00\x00\x00\x01"
NAL_SLICE: Final = 1
NAL_IDR: Final = 5
NAL_SEI: Final = 6
NAL_SPS: Final = 7
NAL_PPS: Final = 8
NAL_AUD: Final = 9
NAL_FILLER: Final = 12
# itu_t_t35_country_code, itu_t_t35_provider_code, ATSC identifier, user data type code.
_CAPTIONS: Final = b"\xb5\x00\x31GA94\x03"

# nal_ref_idc is 0 to 3 before either type.
_SLICE_HEADERS: Final = frozenset(bytes([ref << 5 | kind]) for ref in range(4) for kind in (NAL_SLICE, NAL_IDR))

# profile_idc values with the chroma and bit depth fields in their SPS (7.3.2.1.1).
_HIGH_PROFILES: Final = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_CROP_UNITS: Final = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}
_SPS_BYTES_MAX: Final = 1_024
_SIDE_PIXELS_MAX: Final = 8_192


class Sps(msgspec.Struct, frozen=True):
    """What a sequence parameter set tells about the pictures that refer to it."""

    profile_idc: int
    constraints: int
    level_idc: int
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    width: int
    height: int

    @property
    def codec(self) -> str:
        """The RFC 6381 string, for example ``avc1.42e01f``."""
        return f"avc1.{self.profile_idc:02x}{self.constraints:02x}{self.level_idc:02x}"


class BitstreamError(ValueError):
    """Bits that are not what the standard says; whoever sent them is refused or skipped."""


class Bits:
    """Reads fixed and Exp-Golomb coded numbers (9.1) from a raw byte sequence payload."""

    def __init__(self, payload: bytes) -> None:
        self._value = int.from_bytes(payload, "big")
        self._length = len(payload) * 8
        self._position = 0

    def u(self, count: int) -> int:
        """The next ``count`` bits as an unsigned number."""
        self._position += count
        if self._position > self._length:
            raise BitstreamError("the NAL unit ends too early")
        return (self._value >> (self._length - self._position)) & ((1 << count) - 1)

    def ue(self) -> int:
        """The next unsigned Exp-Golomb number."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise BitstreamError("an Exp-Golomb number is longer than 32 bits")
        return (1 << zeros) - 1 + (self.u(zeros) if zeros else 0)

    def se(self) -> int:
        """The next signed Exp-Golomb number."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def nal_units(annex_b: bytes) -> list[bytes]:
    """NAL units of a byte stream (Annex B) with 3- or 4-byte start codes; empty ones are left out.

    A NAL unit holds neither 00 00 01 nor trailing zeros (7.4.1), so searching start codes is exact.
    """
    found: list[bytes] = []
    start = annex_b.find(b"\x00\x00\x01")
    while start >= 0:
        start += 3
        following = annex_b.find(b"\x00\x00\x01", start)
        unit = annex_b[start:] if following < 0 else annex_b[start:following].rstrip(b"\x00")
        if unit:
            found.append(unit)
        start = following
    return found


def annex_b(data: bytes) -> bytes:
    """Length-prefixed NAL units with start codes instead, which are as long (4 bytes)."""
    made, at = bytearray(data), 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        made[at : at + 4] = START_CODE
        at += 4 + size
    return bytes(made)


def carries_captions(data: bytes) -> bool:
    """Whether an access unit holds CEA-608/708 captions (ANSI/SCTE 128: registered user data "GA94" of type 3).

    Looks for the eight bytes by which the message begins, wherever they stand: they are no chance in coded pictures.
    ``data`` is length-prefixed. SEI comes before the slices (7.4.1.2.3), so a unit that begins with one has none.
    """
    return data[4:5] not in _SLICE_HEADERS and _CAPTIONS in data


def captions(data: bytes) -> list[bytes]:
    """The NAL units with captions of an access unit whose NAL units stand after their lengths (4 bytes)."""
    found: list[bytes] = []
    at, last = 0, data.rfind(_CAPTIONS)
    while at <= last and at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        nal = data[at + 4 : at + 4 + size]
        if nal and nal[0] & 0x1F == NAL_SEI and _CAPTIONS in nal:
            found.append(nal)
        at += 4 + size
    return found


def without_emulation_prevention(nal: bytes) -> bytes:
    """The raw byte sequence payload with its NAL header: 00 00 03 becomes 00 00 (7.3.1)."""
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")


def parse_sps(nal: bytes) -> Sps:
    """Read a sequence parameter set (7.3.2.1.1).

    Raises
    ------
    BitstreamError
        If it is cut short, or describes pictures that no publisher of ours makes (over 8,192 pixels a side).
    """
    if len(nal) < 4 or nal[0] & 0x1F != NAL_SPS or len(nal) > _SPS_BYTES_MAX:
        raise BitstreamError("not a sequence parameter set")
    bits = Bits(without_emulation_prevention(nal)[1:])
    profile_idc, constraints, level_idc = bits.u(8), bits.u(8), bits.u(8)
    bits.ue()  # seq_parameter_set_id
    chroma_format_idc, depth_luma, depth_chroma, separate_planes = 1, 8, 8, 0
    if profile_idc in _HIGH_PROFILES:
        chroma_format_idc = bits.ue()
        if chroma_format_idc > 3:
            raise BitstreamError("chroma_format_idc is above 3")
        if chroma_format_idc == 3:
            separate_planes = bits.u(1)
        depth_luma, depth_chroma = 8 + bits.ue(), 8 + bits.ue()
        bits.u(1)  # qpprime_y_zero_transform_bypass_flag
        if bits.u(1):
            _skip_scaling_matrix(bits, 12 if chroma_format_idc == 3 else 8)
    bits.ue()  # log2_max_frame_num_minus4
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()
    elif order_type == 1:
        bits.u(1)
        bits.se()
        bits.se()
        for _ in range(_bounded(bits.ue(), 255)):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.u(1)  # gaps_in_frame_num_value_allowed_flag
    width, map_units = (bits.ue() + 1) * 16, bits.ue() + 1
    frame_mbs_only = bits.u(1)
    height = (2 - frame_mbs_only) * map_units * 16
    if not frame_mbs_only:
        bits.u(1)  # mb_adaptive_frame_field_flag
    bits.u(1)  # direct_8x8_inference_flag
    if bits.u(1):
        unit_x, unit_y = _CROP_UNITS[0 if separate_planes else chroma_format_idc]
        unit_y *= 2 - frame_mbs_only
        width -= (bits.ue() + bits.ue()) * unit_x
        height -= (bits.ue() + bits.ue()) * unit_y
    if not (0 < width <= _SIDE_PIXELS_MAX and 0 < height <= _SIDE_PIXELS_MAX):
        raise BitstreamError(f"a picture of {width}x{height} pixels")
    return Sps(profile_idc, constraints, level_idc, chroma_format_idc, depth_luma, depth_chroma, width, height)


def _skip_scaling_matrix(bits: Bits, lists: int) -> None:
    for index in range(lists):
        if not bits.u(1):
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last


def _bounded(value: int, limit: int) -> int:
    if value > limit:
        raise BitstreamError(f"{value} where at most {limit} is allowed")
    return value
