"""Lambda of `$default`: whatever is no known action is told so."""

from __future__ import annotations

from functions.errors import OnairError
from functions.rooms.answer import Caller, route
from functions.rooms.messages import AnyMessage


@route(AnyMessage, visitors=True)
def handle(_who: Caller, message: AnyMessage) -> None:
    """Refuse: not JSON and over 32 KB are told by `route`, the rest here."""
    if message.action is None:
        raise OnairError("invalid_request", "A message names its `action`.", field="action")
    raise OnairError("invalid_request", "This action is not known.", field="action")
