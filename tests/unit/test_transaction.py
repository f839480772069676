"""When a transaction is tried again, and when its failure leaves at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ReadTimeoutError
from pynamodb.exceptions import CancellationReason, TransactWriteError, VerboseClientError

from functions import clock, transaction
from functions.errors import OnairError


class StandingClock:
    """Time stands still and waits are only noted."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now_ms(self) -> int:
        return 0

    def sleep_ms(self, duration_ms: float) -> None:
        self.waits.append(duration_ms)


@pytest.fixture
def standing() -> Iterator[StandingClock]:
    before, made = clock.clock, StandingClock()
    clock.use(made)
    yield made
    clock.use(before)


def cancelled(*codes: str) -> TransactWriteError:
    cause = VerboseClientError(
        {"Error": {"Code": "TransactionCanceledException", "Message": "cancelled"}},
        "TransactWriteItems",
        {},
        cancellation_reasons=[CancellationReason(code=code, message="") for code in codes],
    )
    return TransactWriteError("cancelled", cause)


def test_a_timeout_without_an_answer_leaves_as_it_came(standing: StandingClock) -> None:
    def write() -> None:
        raise TransactWriteError("timed out", ReadTimeoutError(endpoint_url="http://127.0.0.1"))

    with pytest.raises(TransactWriteError):
        transaction.commit(write)
    assert standing.waits == []


def test_a_transaction_that_meets_another_is_tried_again_and_then_done(standing: StandingClock) -> None:
    failures = [cancelled("None", "TransactionConflict"), cancelled("ThrottlingError", "None")]

    def write() -> None:
        if failures:
            raise failures.pop()

    transaction.commit(write, lambda: 1.0)
    assert failures == []
    assert standing.waits == [20, 40]


def test_a_failed_condition_leaves_at_once_and_says_where(standing: StandingClock) -> None:
    def write() -> None:
        raise cancelled("None", "ConditionalCheckFailed")

    with pytest.raises(transaction.ConditionError) as refused:
        transaction.commit(write)
    assert refused.value.failed == {1}
    assert standing.waits == []


def test_a_transaction_that_always_meets_others_ends_as_unavailable(standing: StandingClock) -> None:
    def write() -> None:
        raise cancelled("TransactionConflict")

    with pytest.raises(OnairError) as refused:
        transaction.commit(write)
    assert refused.value.code == "unavailable"
    assert len(standing.waits) == transaction.ATTEMPTS_MAX
