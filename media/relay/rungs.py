"""Which lower renditions a source has, how big they are and what their CODECS will be. Pure.

A rung is named by its short side, as on every player ("480p"). Only those below the source's short side are made;
upright sources have upright rungs.
"""

from __future__ import annotations

from typing import Final

import msgspec

from media.relay.settings import Settings

# Highest level that is asked of a decoder, by macroblocks a second (H.264 table A-1): level_idc and its limit.
_LEVELS: Final = ((21, 19_800), (30, 40_500), (31, 108_000), (32, 216_000), (40, 245_760), (51, 983_040))
# Levels are told for what cameras and games send at most; a picture rate is not known before the first byte.
_RATE_MAX: Final = 60
_MACROBLOCK: Final = 16
# Main, and constraint_set1_flag as x264 sets it.
_MAIN: Final = "4d40"


class Rung(msgspec.Struct, frozen=True, array_like=True):
    """One lower rendition as a worker is to make it; ``track`` is told with what it makes."""

    track: str
    short: int
    width: int
    height: int
    rate: int
    bit_rate: int

    @property
    def level(self) -> int:
        """level_idc: 31 is level 3.1."""
        blocks = -(-self.width // _MACROBLOCK) * -(-self.height // _MACROBLOCK) * _RATE_MAX
        return next((level for level, limit in _LEVELS if blocks <= limit), _LEVELS[-1][0])

    @property
    def codec(self) -> str:
        """The RFC 6381 string."""
        return f"avc1.{_MAIN}{self.level:02x}"


def below(settings: Settings, width: int, height: int) -> tuple[int, ...]:
    """Short sides of the rungs that this source has, biggest first."""
    return tuple(short for short in sorted(settings.ladder, reverse=True) if short < min(width, height))


def rung(settings: Settings, short: int, width: int, height: int, rate: float, track: str) -> Rung:
    """The rung of a source of that size; one that became smaller than the rung is not made bigger.

    ``rate`` is the pictures a second that its bit rate is shared out among; 0 is unknown.
    """
    source_short, source_long = min(width, height), max(width, height)
    made = min(short, source_short) // 2 * 2
    long = round(source_long * made / source_short / 2) * 2
    upright = height > width
    return Rung(
        track=track,
        short=short,
        width=made if upright else long,
        height=long if upright else made,
        rate=min(_RATE_MAX, max(5, round(rate / 5) * 5)) if rate else 30,
        bit_rate=settings.ladder_bit_rates[short],
    )
