"""One encoded picture, as sources hand it on: whatever is decoded, cut or sent to a worker begins with it. Pure."""

from __future__ import annotations

import msgspec


class AccessUnit(msgspec.Struct, frozen=True):
    """One encoded picture: times in 1/90,000 s from the publisher's first one, ``data`` length-prefixed."""

    dts: int
    pts: int
    key: bool
    data: bytes
    wall_s: float

    def moved(self, ticks: int) -> AccessUnit:
        """The same picture ``ticks`` later."""
        if not ticks:
            return self
        return AccessUnit(self.dts + ticks, self.pts + ticks, self.key, self.data, self.wall_s)
