"""Taking away what a deleted broadcast left: its recording and its room, by a message, since both may be large.

The order is given before the stream's item goes, so that a crash in between forgets nothing; it is carried out only
when the item is gone. Doing so again finds less, and in the end nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from functions import aws, clock, ids, observe, settings
from functions.rooms import clearing
from functions.streams import table
from functions.streams.model import MediaReport
from functions.streams.recording import prefix

# An item that still stands after this long was never deleted: whoever ordered it died in between.
STANDING_MS_MAX: Final = 120_000
# The item goes a moment after the order is given, and the queue is as quick: looking again costs less than its timeout.
LOOKS: Final = 4
PAUSE_MS: Final = 250
# A run ends this long before Lambda would end it.
RESERVE_MS: Final = 8_000


class StandingError(Exception):
    """The stream's item is there: the message came before it was deleted, and comes again."""


class DeletionError(Exception):
    """S3 did not delete some objects."""


def order(stream_id: str) -> None:
    """Have everything of a stream taken away as soon as its item is deleted, which is the caller's next step."""
    now_ms = clock.now_ms()
    report = MediaReport(stream_id, 0, "deleted", now_ms, seen_ms=now_ms)
    aws.client("sqs").send_message(
        QueueUrl=settings.required("MEDIA_QUEUE_URL"),
        MessageBody=msgspec.json.encode(report).decode(),
        MessageGroupId=stream_id,
        MessageDeduplicationId=ids.new(),
    )


def forget(report: MediaReport, left_ms: Callable[[], int]) -> bool:
    """Carry an order out, or as much of it as there is time for, and order the rest; False if the stream stands.

    Raises
    ------
    StandingError, DeletionError
        The queue brings the order again.
    """
    for _ in range(LOOKS):
        if table.read(report.stream) is None:
            break
        clock.sleep_ms(PAUSE_MS)
    else:
        if clock.now_ms() - report.at_ms < STANDING_MS_MAX:
            raise StandingError(report.stream)
        return False

    def has_time() -> bool:
        return left_ms() > RESERVE_MS

    done = _empty(report.stream, has_time) and clearing.clear(report.stream, has_time)
    if not done:
        order(report.stream)
    observe.logger.info("forgotten", stream=report.stream, done=done)
    return True


def _empty(stream_id: str, has_time: Callable[[], bool]) -> bool:
    """Delete the recording; False when time ran out first."""
    bucket = settings.required("MEDIA_BUCKET")
    while has_time():
        # From the start each time: what was deleted is not listed again.
        page: dict[str, Any] = aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix(stream_id))
        keys = [{"Key": each["Key"]} for each in page.get("Contents", [])]
        if not keys:
            return True
        answer: dict[str, Any] = aws.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        if answer.get("Errors"):
            raise DeletionError(str(answer["Errors"][:3]))
    return False
