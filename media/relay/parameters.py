"""Parameter sets of a publisher's H.264: collected from its access units, made into the format that a key frame has."""

from __future__ import annotations

from typing import Final

from media.relay import h264
from media.relay.cmaf import VideoFormat

_PPS_MAX: Final = 8
# Samples hold neither parameter sets (they stand in the init segment) nor delimiters and filler.
_NOT_IN_SAMPLES: Final = frozenset((h264.NAL_SPS, h264.NAL_PPS, h264.NAL_AUD, h264.NAL_FILLER))


class Parameters:
    """The parameter sets seen last."""

    def __init__(self) -> None:
        self._sps = b""
        self._pps: dict[bytes, None] = {}
        self.format: VideoFormat | None = None

    def take(self, nals: list[bytes]) -> bool:
        """Take in parameter sets; returns whether the access unit is a whole IDR picture's beginning."""
        key = False
        for nal in nals:
            kind = nal[0] & 0x1F
            if kind == h264.NAL_SPS and nal != self._sps:
                self._sps = nal
                self._pps.clear()
            elif kind == h264.NAL_PPS and nal not in self._pps:
                if len(self._pps) >= _PPS_MAX:
                    self._pps.clear()
                self._pps[nal] = None
            elif kind == h264.NAL_IDR and len(nal) > 1 and nal[1] & 0x80:
                # first_mb_in_slice is 0 (one bit, 7.3.3): the first slice is here, the picture is not cut off in front.
                key = True
        return key

    def changed(self) -> bool | None:
        """Whether `format` became another one by what was taken in; None when there is none that can be read."""
        if not self._sps or not self._pps:
            return None
        pps = tuple(self._pps)
        if self.format is not None and self.format.sps == self._sps and self.format.pps == pps:
            return False
        try:
            parsed = h264.parse_sps(self._sps)
        except h264.BitstreamError:
            return None
        self.format = VideoFormat(sps=self._sps, pps=pps, parsed=parsed)
        return True


def of_sample(nals: list[bytes]) -> list[bytes]:
    """The NAL units that a sample holds; none when there is no slice among them."""
    kept = [nal for nal in nals if nal[0] & 0x1F not in _NOT_IN_SAMPLES]
    return kept if any(nal[0] & 0x1F in (h264.NAL_SLICE, h264.NAL_IDR) for nal in kept) else []
