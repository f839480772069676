"""Lambda on the Ring queue: deals with one room's ring. What is done, and in which order, is sequencing.py."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions import aws, clock, observe, settings
from functions.rooms.limits import limits
from functions.rooms.posts import sockets
from functions.rooms.ring import Ring
from functions.rooms.sequencing import sequence
from functions.rooms.stored import StoredRooms

# The function's own limit is below the queue's visibility timeout of 5 s; a run stops making frames before either.
RUN_MS_MAX: Final = 3_000
RETRY_S_MAX: Final = 3


def _deal(record: SQSRecord) -> None:
    # The batch processor calls with the keyword `record`: the name is its.
    seen: dict[str, Any] = record.raw_event
    attributes: dict[str, str] = seen.get("attributes") or {}
    tries = int(attributes.get("ApproximateReceiveCount", "1"))
    started_ms = clock.now_ms()
    try:
        ring = msgspec.json.decode(seen["body"], type=Ring)
        outcome = sequence(
            StoredRooms(),
            sockets(),
            ring.room,
            ring.slot,
            first_try=tries == 1,
            limits=limits(),
            deadline_ms=started_ms + RUN_MS_MAX,
        )
    except Exception:
        observe.logger.exception("sequence failed", extra={"tries": tries})
        _give_back(seen, tries)
        raise
    observe.logger.debug("sequenced", extra={"room": ring.room, "outcome": outcome, "ms": clock.now_ms() - started_ms})


def _give_back(seen: dict[str, Any], tries: int) -> None:
    # A room stands still until its message is seen again: at once the first time, then a little later each time, so
    # that a short outage does not use up the five tries before the dead-letter queue.
    aws.client("sqs").change_message_visibility(
        QueueUrl=settings.required("RING_QUEUE_URL"),
        ReceiptHandle=seen["receiptHandle"],
        VisibilityTimeout=min(tries - 1, RETRY_S_MAX),
    )


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Deal with the batch (of one ring); answers which messages failed."""
    processor = SqsFifoPartialProcessor()
    # A batch is one ring: its failure is reported like any other, not as an error of the function.
    processor.raise_on_entire_batch_failure = False
    return dict(process_partial_response(event=event, record_handler=_deal, processor=processor, context=context))
