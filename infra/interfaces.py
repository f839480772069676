"""Where CDK's Python types do not fit each other, and only there.

CDK's classes name some parameters of their methods otherwise than the interfaces that they implement (``_id`` for
``id``), which a strict type checker rightly refuses, though at run time jsii passes references and no names.
"""

from __future__ import annotations

from typing import Any


def interface(made: object) -> Any:
    """``made``, to be handed where one of its own interfaces is asked for."""
    return made
