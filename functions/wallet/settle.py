"""Lambda: turns gifts that wait into a creator's diamonds, rung through the Settle queue; and the ring itself.

After each ring what was settled is counted on the creator's boards (tally.py).

Which gifts wait is read from an index that may lag and may still list settled ones; what is true is decided by the
conditions of the transaction: each gift still waits, the wallet has not moved. So a crash, a retry or a second settler
changes nothing but time.
"""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from msgspec import Struct
from pynamodb.exceptions import PynamoDBException

from functions import aws, clock, observe, settings
from functions.errors import OnairError
from functions.wallet import ledger, model, tally
from functions.wallet.ledger import Ledger, LedgerError, MovedError, Posting, TakenError, UncertainError
from functions.wallet.model import Transfer, Wallet
from functions.wallet.table import StoredLedger
from functions.wallet.tally_table import StoredBoards

SLOT_MS: Final = 1000
# A ring that deduplication swallowed belongs to a slot that is still open: read only after its end, and after the time
# that clocks differ and that the index usually needs to show a gift.
GUARD_MS: Final = 300
# A ring does this many transactions and rings again for the rest, so that a batch of ten stays within the function's
# time.
ROUNDS_MAX: Final = 10
RUNG_MAX: Final = 1_000
# The slot in which this container rang for a creator last, and by which client: the queue has that ring.
_rung: dict[tuple[str, str, str], tuple[Any, int]] = {}


class Ring(Struct, frozen=True):
    """The Settle queue's message: a creator whose gifts wait, and the slot of `SLOT_MS` in which one was given."""

    creator: str
    slot: int


def ring_settle(creator: str) -> None:
    """Wake the settler for ``creator``: however many gifts come within a slot, they ring once.

    What this container knows to be in the queue already is not sent to be dropped there: each sending is paid for.
    """
    slot = clock.now_ms() // SLOT_MS
    queue_url, queues = settings.required("SETTLE_QUEUE_URL"), aws.client("sqs")
    # By function too: where all run in one process, each still is a container of its own.
    key = (settings.optional("AWS_LAMBDA_FUNCTION_NAME", ""), queue_url, creator)
    if _rung.get(key) == (queues, slot):
        return
    queues.send_message(
        QueueUrl=queue_url,
        MessageBody=msgspec.json.encode(Ring(creator, slot)).decode(),
        MessageGroupId=creator,
        MessageDeduplicationId=f"{creator}#{slot}",
    )
    if len(_rung) >= RUNG_MAX:
        _rung.clear()
    _rung[key] = (queues, slot)


def handle(event: dict[str, Any], context: Any) -> Any:
    """Settle each ring of the batch; one that fails goes back to the queue with the rest of its creator's."""
    # A processor keeps the state of its batch, and the local stack runs several batches at once in one process.
    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    processor.raise_on_entire_batch_failure = False
    return process_partial_response(event, _on_record, processor, context)


def _on_record(record: SQSRecord) -> None:
    ring = msgspec.json.decode(record.body, type=Ring)
    clock.sleep_ms(min(SLOT_MS + GUARD_MS, (ring.slot + 1) * SLOT_MS + GUARD_MS - clock.now_ms()))
    book = StoredLedger()
    all_settled = settle_all(book, ring.creator)
    try:
        all_counted = tally.catch_up(book, StoredBoards(), ring.creator)
    except (LedgerError, PynamoDBException) as error:
        # Money first: boards are derived, and whoever settles or reads next goes on where they stand.
        observe.logger.warning("boards lag", extra={"creator": ring.creator, "error": str(error)})
        all_counted = True
    if not (all_settled and all_counted):
        ring_settle(ring.creator)


def settle_all(book: Ledger, creator: str, rounds_max: int = ROUNDS_MAX, rng: random.Random | None = None) -> bool:
    """Settle until nothing waits, or ``rounds_max`` transactions are done; tells whether nothing is left."""
    for _ in range(rounds_max):
        settled, seen = settle_once(book, creator, rng or random.Random())
        if seen < model.SETTLED_AT_ONCE_MAX:
            return True
        observe.logger.debug("settled", extra={"creator": creator, "gifts": settled})
    return False


def settle_once(book: Ledger, creator: str, rng: random.Random) -> tuple[int, int]:
    """Settle what the index shows, up to one transaction's worth; returns how many gifts it settled and how many
    it saw.

    Raises
    ------
    OnairError
        ``unavailable`` when every attempt met another writer: the ring goes back to the queue.
    """
    waiting: list[Transfer] | None = None
    seen = 0
    for _ in ledger.attempts(rng):
        try:
            if waiting is None:
                waiting = book.unsettled(creator, model.SETTLED_AT_ONCE_MAX)
                seen = len(waiting)
            if not waiting:
                return 0, seen
            before = book.wallet(creator)
            after, transfer = model.settle(before or Wallet(creator), waiting, at=clock.now_ms())
            book.write(Posting(before=before, after=after, transfer=transfer, settles=tuple(waiting)))
            return len(waiting), seen
        except MovedError:
            continue
        except (TakenError, UncertainError):
            # Another settler, or our own attempt that looked failed, took some: look at each gift itself.
            waiting = _still_waiting(book, waiting)
    raise OnairError("unavailable")


def _still_waiting(book: Ledger, gifts: list[Transfer] | None) -> list[Transfer] | None:
    if gifts is None:
        return None
    still: list[Transfer] = []
    for gift in gifts:
        try:
            found = book.transfer(gift.account, gift.id)
        except LedgerError:
            return gifts  # not known yet; the transaction's conditions still decide
        if found is not None and found.settlement is None:
            still.append(gift)
    return still
