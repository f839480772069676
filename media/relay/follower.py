"""The port of what makes other renditions of a program (ladders.py): told of everything, in order; holds up nothing."""

from __future__ import annotations

from typing import Protocol

from media.relay.access_unit import AccessUnit
from media.relay.as_sent import Formats
from media.relay.held_segment import HeldSegment
from media.relay.segmenter import CutPart


class Follower(Protocol):
    """Follows one program."""

    def configured(self, formats: Formats) -> None:
        """Formats of what follows."""
        ...

    def interrupted(self) -> None:
        """Nothing of what was told so far goes on; all parts of it are cut."""
        ...

    def placed(self, unit: AccessUnit, begins: bool) -> None:
        """An access unit on the program's timeline; ``begins`` when it is the first picture of its segment."""
        ...

    def cut(self, segment: HeldSegment, part: CutPart) -> None:
        """The newest part of the newest segment."""
        ...

    def ended(self) -> None:
        """No part follows."""
        ...
