"""The rendition that the publisher sends, or that was composed: what its init segments describe."""

from __future__ import annotations

from typing import Final

import msgspec

from media.relay import playlist
from media.relay.cmaf import AudioFormat, VideoFormat
from media.relay.rendition import AS_SENT, BANDWIDTH_MARGIN, Rendition
from media.relay.settings import Settings

_BANDWIDTH_UNKNOWN: Final = 2_500_000


class Formats(msgspec.Struct, frozen=True):
    """What one init segment describes."""

    video: VideoFormat | None
    audio: AudioFormat | None

    @property
    def codecs(self) -> str:
        """CODECS of the multivariant playlist."""
        found = [] if self.video is None else [self.video.parsed.codec]
        return ",".join([*found, *([] if self.audio is None else [self.audio.codec])])


class AsSent(Rendition):
    """The rendition as sent; ``inits`` are the program's init segments by number, with what they describe."""

    def __init__(self, run: str, settings: Settings, first_msn: int, inits: dict[int, tuple[Formats, bytes]]) -> None:
        super().__init__(AS_SENT, run, settings, first_msn)
        self._inits = inits

    def init(self, number: int) -> bytes | None:
        held = self._inits.get(number)
        return None if held is None else held[1]

    def variant(self, step: int, formats: Formats) -> playlist.Variant:
        """How the multivariant playlist tells of it, by what was measured so far."""
        peak, average, frame_rate = self.measured()
        parsed = None if formats.video is None else formats.video.parsed
        return playlist.Variant(
            uri=self.uri(step),
            bandwidth=int((peak or _BANDWIDTH_UNKNOWN) * BANDWIDTH_MARGIN),
            average_bandwidth=int(average or _BANDWIDTH_UNKNOWN),
            codecs=formats.codecs,
            width=parsed.width if parsed else 0,
            height=parsed.height if parsed else 0,
            frame_rate=frame_rate,
        )
