"""Lambda `Work`: what an account set going and does not wait for: letters with codes, and erasure.

Each message may come twice: a second letter carries a code of its own, and erasing goes on where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from functions import aws, ids, observe, settings
from functions.accounts import codes, erasing, letters, table


class Work(Struct, frozen=True):
    """One thing to do. ``letter``: send a code to ``contact``; ``reset``: to the verified contact of ``handle``."""

    kind: Literal["letter", "reset", "erase"]
    account: str = ""
    handle: str = ""
    contact: str = ""
    language: str = "en"


def order(work: Work) -> None:
    """Have it done soon; things of one account are done in their order."""
    aws.client("sqs").send_message(
        QueueUrl=settings.required("WORK_QUEUE_URL"),
        MessageBody=msgspec.json.encode(work).decode(),
        MessageGroupId=work.account or ids.derived(work.handle),
        MessageDeduplicationId=ids.new(),
    )


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Do each; what fails is given back to the queue alone."""
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        try:
            _do(msgspec.json.decode(record["body"], type=Work), context.get_remaining_time_in_millis)
        except Exception as error:  # noqa: BLE001 - logged with its trace, tried again, and put aside in the end
            observe.logger.exception("work failed", exc_info=error)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _do(work: Work, left_ms: Callable[[], int]) -> None:
    if work.kind == "letter":
        letters.send_code(work.contact, codes.issue(work.account, "contact", work.contact), work.language)
    elif work.kind == "reset":
        _reset(work)
    elif not erasing.erase(work.account, left_ms):
        order(work)


def _reset(work: Work) -> None:
    account_id = table.id_of(work.handle)
    account = table.read(account_id) if account_id is not None else None
    if account is None or account.contact is None or not account.contact_verified:
        observe.logger.info("no verified contact to reset by")
        return
    letters.send_code(account.contact, codes.issue(account.id, "reset", account.contact), work.language)
