"""What every file that keeps things in the Ledger table shares: its setting, and refusals in the port's words."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException, TransactWriteError

from functions.wallet.ledger import LedgerError, MovedError, TakenError, UncertainError

SETTING: Final = "LEDGER_TABLE"
# What the local index `by_version` holds beside its keys: all of a transfer that never changes, and a giver's sums on
# a board. A write that changes none of it costs the index nothing.
STATEMENT_ATTRIBUTES: Final = (
    "at",
    "debit",
    "credit",
    "unit",
    "amount",
    "reason",
    "reference",
    "balance_after",
    "previous_hash",
    "details",
    "hash",
    "gifts",
    "coins",
)
# Refusals of DynamoDB after which surely nothing was written and another try makes sense.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_BUSY: Final = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
# Answers that leave open whether the transaction went through; without any code it was a time-out or a lost connection.
_UNCERTAIN: Final = frozenset(
    {"InternalServerError", "ServiceUnavailable", "TransactionInProgressException", "500", "503"}
)


def write_failed(error: PynamoDBException) -> LedgerError | PynamoDBException:
    """What became of a write: a `LedgerError`, or the error itself where it is a mistake of ours."""
    code = error_code(error)
    if code is None or code in _UNCERTAIN:
        return UncertainError(str(error))
    if code == "ConditionalCheckFailedException":
        return TakenError(str(error))
    if isinstance(error, TransactWriteError) and code == "TransactionCanceledException":
        # PynamoDB sends puts before updates: the wallet stands last, everything before it exists once or changes once.
        reasons = error.cancellation_reasons
        refused = [at for at, reason in enumerate(reasons) if reason and reason.code == "ConditionalCheckFailed"]
        if any(at < len(reasons) - 1 for at in refused):
            return TakenError(str(error))
        if refused or any(reason and reason.code in _BUSY for reason in reasons):
            return MovedError(str(error))
    if code in _BUSY:
        return MovedError(str(error))
    return error


def read_failed(error: PynamoDBException) -> LedgerError | PynamoDBException:
    """Why a read failed: a `LedgerError`, or the error itself where it is a mistake of ours."""
    code = error_code(error)
    if code is None or code in _UNCERTAIN:
        return UncertainError(str(error))
    return MovedError(str(error)) if code in _BUSY else error


def error_code(error: PynamoDBException) -> str | None:
    """DynamoDB's name of what went wrong; None where no answer came."""
    # Not `cause_response_code`: botocore's time-outs carry a `response` of None, on which it fails.
    return error.cause.response.get("Error", {}).get("Code") if isinstance(error.cause, ClientError) else None
