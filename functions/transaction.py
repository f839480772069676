"""DynamoDB transactions that lose to another one are tried again, a bounded number of times.

`TransactionConflict` says only that someone else wrote the same item at that moment; a failed condition is an answer
and leaves at once (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from botocore.exceptions import ClientError
from pynamodb.exceptions import TransactWriteError

from functions import clock
from functions.errors import OnairError

ATTEMPTS_MAX: Final = 6
BACKOFF_MS: Final = 20
# Throttles inside a transaction come as reasons, not as errors that botocore would retry.
_AGAIN: Final = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class ConditionError(Exception):
    """A condition did not hold: ``failed`` has the positions of those items, in the order of the request.

    DynamoDB orders a request as PynamoDB sends it: condition checks, then deletes, puts, updates.
    """

    def __init__(self, failed: frozenset[int]) -> None:
        self.failed = failed
        super().__init__(f"conditions failed at {sorted(failed)}")


def commit(write: Callable[[], None], random_unit: Callable[[], float] = random.random) -> None:
    """Run ``write`` (one whole `TransactWrite`), again with growing jittered pauses while it meets another transaction.

    Parameters
    ----------
    write : Callable[[], None]
        Builds and commits the transaction anew on each call.
    random_unit : Callable[[], float]
        Jitter from 0 to 1.

    Raises
    ------
    ConditionError
        A condition failed: the caller knows what that means.
    OnairError
        ``unavailable`` when every attempt met another transaction.
    """
    for attempt in range(ATTEMPTS_MAX):
        try:
            write()
            return
        except TransactWriteError as error:
            codes = [reason.code if reason is not None else "None" for reason in error.cancellation_reasons]
            failed = frozenset(at for at, code in enumerate(codes) if code == "ConditionalCheckFailed")
            if failed:
                raise ConditionError(failed) from error
            if _code(error) != "TransactionInProgressException" and not _AGAIN.intersection(codes):
                raise
        clock.sleep_ms(BACKOFF_MS * 2**attempt * random_unit())
    raise OnairError("unavailable")


def _code(error: TransactWriteError) -> str | None:
    # Not `cause_response_code`: botocore's time-outs carry a `response` of None, on which it fails.
    return error.cause.response.get("Error", {}).get("Code") if isinstance(error.cause, ClientError) else None
