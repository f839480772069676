"""Lambda: takes payouts a step further, rung through the Payouts queue.

One at a time an account (the queue's group). A payout that must wait, for its hold or before it is tried again, is rung
anew by the minute's schedule (ring_unsettled.py), so a lost ring costs a minute.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions import observe
from functions.wallet import payout_checks, payout_notices, payout_provider, payouts
from functions.wallet.payout_provider import NobodyPaysError
from functions.wallet.payout_queue import Ring
from functions.wallet.table import StoredLedger


def handle(event: dict[str, Any], context: Any) -> Any:
    """Take each payout of the batch further; one that fails goes back to the queue with the rest of its account's."""
    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    processor.raise_on_entire_batch_failure = False
    return process_partial_response(event, _on_record, processor, context)


def _on_record(record: SQSRecord) -> None:
    rung = msgspec.json.decode(record.body, type=Ring)
    try:
        desk = payout_provider.desk()
    except NobodyPaysError as error:
        # It stays as it is, diamonds put aside, until somebody sets the provider up again.
        observe.logger.error("nobody pays", payout=rung.payout, why=error.why)
        return
    book = StoredLedger()
    payouts.advance(book, desk, rung.account, rung.payout, payout_checks.doubts)
    payout_notices.tell(book.payout(rung.account, rung.payout))
