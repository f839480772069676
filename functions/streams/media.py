"""Lambda `Media`: takes the relay's reports of what flows, from the Media queue, into the stream and its room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.batch import (
    SqsFifoPartialProcessor,
    process_partial_response,
)

from functions import observe
from functions.rooms import table as rooms
from functions.streams import announce, forgetting, model, recording, table
from functions.streams.model import MediaReport, Stream


def _unhurried() -> int:
    return 60_000


def take(report: MediaReport, left_ms: Callable[[], int] = _unhurried) -> bool:
    """Store a report and tell the room, unless the stream knows better; True when it was taken.

    Media that flows for the first time is what followers are told of. A report that comes again, after a crash between
    the steps, takes all of them again.
    """
    stream = table.read(report.stream)
    if report.state == "deleted":
        return forgetting.forget(report, left_ms)
    if report.state == "archived":
        if stream is None:
            # Deleted while the relay was still storing: what came after the deletion goes as well.
            return forgetting.forget(report, left_ms)
        return record(stream)
    if stream is None or not model.is_newer(stream, report):
        return False
    if not table.set_media(stream, report):
        # Someone wrote between read and write (a new key, the end): the queue brings the report again.
        raise ChangedError(report.stream)
    rooms.set_media(report.stream, report.state)
    if report.state == "flowing" and not stream.announced:
        # Marked after: a crash between the two orders it again, which tells nobody twice.
        announce.order(stream)
        table.set_announced(stream.id)
    return True


def record(stream: Stream) -> bool:
    """Make the replay of what the relay stored; again, of what is there then. False for a broadcast without one."""
    if stream.state != "ended" or not model.may_have_recording(stream):
        return False
    return table.set_replay(stream.id, recording.put_together(stream.id))


class ChangedError(Exception):
    """The stream changed while a report of it was being taken."""


def _record(record: Any, left_ms: Callable[[], int]) -> None:
    try:
        report = msgspec.json.decode(record.body, type=MediaReport)
    except msgspec.DecodeError:
        # It will be no better the next time: log it and let the queue go on.
        observe.logger.error("unreadable media report", body=record.body[:500])
        return
    taken = take(report, left_ms)
    observe.logger.info("media", stream=report.stream, state=report.state, taken=taken)


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], context: Any) -> Any:
    """A batch of the Media queue; answers the messages that must come again."""
    # One stream's reports fail together, so that their order holds; others of the batch go on.
    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    left_ms = _unhurried if context is None else context.get_remaining_time_in_millis

    def taking(record: Any) -> None:
        _record(record, left_ms)

    return process_partial_response(event=event, record_handler=taking, processor=processor, context=context)
