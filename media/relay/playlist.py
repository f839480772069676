"""Playlists as text, from plain values. Pure. Section numbers are those of draft-pantos-hls-rfc8216bis-16."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

# EXT-X-SKIP needs version 9 (section 8).
_VERSION: Final = 9
# Parts older than three target durations are left out (6.2.2 allows it): a joining player starts behind none of them.
_PARTS_FOR_TARGETS: Final = 3
_SKIP_TARGETS: Final = 6
_HOLD_BACK_PARTS: Final = 3
_CAPTIONS: Final = (
    '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="captions",NAME="CC",INSTREAM-ID="CC1",DEFAULT=NO,AUTOSELECT=YES'
)


class Part(msgspec.Struct, frozen=True):
    """One EXT-X-PART."""

    uri: str
    duration_s: float
    independent: bool
    # It was not made in time, and never will be.
    gap: bool = False


class Report(msgspec.Struct, frozen=True):
    """One EXT-X-RENDITION-REPORT: where another playlist of the same multivariant one stands."""

    uri: str
    last_msn: int
    last_part: int


class Segment(msgspec.Struct, frozen=True):
    """One media segment; ``uri`` is empty while it grows."""

    msn: int
    uri: str
    init_uri: str
    program_date_s: float
    discontinuity: bool
    parts: tuple[Part, ...]

    @property
    def duration_s(self) -> float:
        """The sum of its parts, which is what EXTINF says."""
        return sum(part.duration_s for part in self.parts)

    @property
    def gap(self) -> bool:
        """Whether some of its media is absent (4.4.4.7): parent and parts hold the same samples (6.2.1)."""
        return any(part.gap for part in self.parts)


class MediaPlaylist(msgspec.Struct, frozen=True):
    """Everything a media playlist says at one moment."""

    segments: tuple[Segment, ...]
    discontinuity_sequence: int
    target_duration_s: int
    part_target_s: float
    hint_uri: str
    ended: bool
    reports: tuple[Report, ...] = ()

    @property
    def skip_until_s(self) -> float:
        """CAN-SKIP-UNTIL: at least six target durations (4.4.3.8)."""
        return float(_SKIP_TARGETS * self.target_duration_s)

    def text(self, skip: bool) -> str:
        """The playlist, as a delta update (6.2.5.1) if ``skip``, it goes on, and there is something to skip."""
        lines = [
            "#EXTM3U",
            f"#EXT-X-VERSION:{_VERSION}",
            f"#EXT-X-TARGETDURATION:{self.target_duration_s}",
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={_HOLD_BACK_PARTS * self.part_target_s:.3f},"
            f"CAN-SKIP-UNTIL={self.skip_until_s:.1f}",
            f"#EXT-X-PART-INF:PART-TARGET={self.part_target_s:.3f}",
            f"#EXT-X-MEDIA-SEQUENCE:{self.segments[0].msn if self.segments else 0}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.discontinuity_sequence}",
        ]
        skipped = self._skippable() if skip and not self.ended else 0
        if skipped:
            lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
        ages_s = self._ages_s()
        # A map holds until the next one (4.4.4.5); those of skipped segments the client already has.
        init_uri = self.segments[skipped - 1].init_uri if skipped else ""
        for segment, age_s in list(zip(self.segments, ages_s, strict=True))[skipped:]:
            if segment.discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.init_uri != init_uri:
                init_uri = segment.init_uri
                lines.append(f'#EXT-X-MAP:URI="{init_uri}"')
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_rfc3339(segment.program_date_s)}")
            if age_s <= _PARTS_FOR_TARGETS * self.target_duration_s or not segment.uri:
                lines += [_part(part) for part in segment.parts]
            if segment.uri and segment.gap:
                lines.append("#EXT-X-GAP")
            if segment.uri:
                lines += [f"#EXTINF:{segment.duration_s:.5f},", segment.uri]
        if self.ended:
            lines.append("#EXT-X-ENDLIST")
        elif self.hint_uri:
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{self.hint_uri}"')
        lines += [_report(report) for report in self.reports]
        return "\n".join(lines) + "\n"

    def _ages_s(self) -> list[float]:
        """For each segment, how far its end lies from the end of the playlist."""
        ages: list[float] = []
        age = 0.0
        for segment in reversed(self.segments):
            ages.append(age)
            age += segment.duration_s
        return ages[::-1]

    def _skippable(self) -> int:
        """Segments that end before the skip boundary, which is counted from the end of the last whole one (6.2.5.1)."""
        growing_s = sum(segment.duration_s for segment in self.segments if not segment.uri)
        return sum(1 for age_s in self._ages_s() if age_s - growing_s > self.skip_until_s)


class Variant(msgspec.Struct, frozen=True):
    """One rendition as the multivariant playlist describes it (4.4.6.2)."""

    uri: str
    bandwidth: int
    average_bandwidth: int
    codecs: str
    width: int
    height: int
    frame_rate: float


def multivariant(variants: list[Variant], captions: bool = False) -> str:
    """The multivariant playlist; sound alone has neither RESOLUTION nor FRAME-RATE.

    With ``captions`` the pictures hold CEA-608, of which channel 1 is told (4.4.6.1). Without, nothing is said of
    captions rather than NONE, because an encoder may begin with them later.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}"]
    if captions:
        lines.append(_CAPTIONS)
    for variant in variants:
        attributes = [
            f"BANDWIDTH={variant.bandwidth}",
            f"AVERAGE-BANDWIDTH={variant.average_bandwidth}",
            f'CODECS="{variant.codecs}"',
        ]
        if variant.width:
            attributes += [f"RESOLUTION={variant.width}x{variant.height}", f"FRAME-RATE={variant.frame_rate:.3f}"]
            if captions:
                attributes.append('CLOSED-CAPTIONS="captions"')
        lines += ["#EXT-X-STREAM-INF:" + ",".join(attributes), variant.uri]
    return "\n".join(lines) + "\n"


def _part(part: Part) -> str:
    independent = ",INDEPENDENT=YES" if part.independent else ""
    gap = ",GAP=YES" if part.gap else ""
    return f'#EXT-X-PART:DURATION={part.duration_s:.5f},URI="{part.uri}"{independent}{gap}'


def _report(report: Report) -> str:
    return f'#EXT-X-RENDITION-REPORT:URI="{report.uri}",LAST-MSN={report.last_msn},LAST-PART={report.last_part}'


def _rfc3339(at_s: float) -> str:
    moment = datetime.fromtimestamp(at_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
