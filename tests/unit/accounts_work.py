"""What the worker's queue and the mail hold in a unit test, and a worker that is called as Lambda calls it."""

from __future__ import annotations

import re
from typing import Any

from moto.ses.models import ses_backends

from functions import aws, settings
from functions.accounts import work

ACCOUNT = "123456789012"


class Context:
    """Lambda's context with so much time left."""

    def __init__(self, left_ms: int = 300_000) -> None:
        self._left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._left_ms


def waiting() -> list[dict[str, Any]]:
    """Take every message from the queue."""
    found: list[dict[str, Any]] = []
    sqs, url = aws.client("sqs"), settings.required("WORK_QUEUE_URL")
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append({"messageId": message["MessageId"], "body": message["Body"]})
    return found


def do_work(left_ms: int = 300_000) -> int:
    """Do everything that waits, also what that sets going; returns how many messages there were."""
    done = 0
    while records := waiting():
        answer = work.handle({"Records": records}, Context(left_ms))
        assert answer == {"batchItemFailures": []}
        done += len(records)
        assert done < 50, "the work never ends"
    return done


def mail() -> list[Any]:
    """Every e-mail that was sent."""
    backend: Any = ses_backends[ACCOUNT]["us-east-1"]
    return list(backend.sent_messages)


def newest_code() -> str:
    """The code in the newest e-mail."""
    found = re.search(r"\b(\d{6})\b", str(mail()[-1].body))
    assert found is not None
    return found[1]
