"""Lambda on the Later queue: rings rooms whose time has come, so that a poll's result does not wait for the minute."""

from __future__ import annotations

from typing import Any

import msgspec

from functions import observe
from functions.rooms.ring import Later, ring_all


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Ring each; answers which messages failed. One that comes twice rings twice, and changes nothing."""
    due: dict[str, list[str]] = {}
    failed: list[str] = []
    for record in event.get("Records", []):
        try:
            due.setdefault(msgspec.json.decode(record["body"], type=Later).room, []).append(record["messageId"])
        except msgspec.MsgspecError:
            observe.logger.exception("unreadable", extra={"id": record["messageId"]})
            failed.append(record["messageId"])
    for room in ring_all(list(due)):
        failed += due[room]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
