"""The port to the ledger: what the wallet asks of storage, and how a write that did not happen is told apart.

`table.StoredLedger` keeps it in DynamoDB; the simulation has one in memory with the service's faults. Every change is
one `Posting`, that is one transaction, so that both have a single write to get right.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from msgspec import Struct

from functions import clock
from functions.accounts.trail import Entry
from functions.rooms.messages import GiftEvent
from functions.wallet.model import PastTransfer, Transfer, Wallet
from functions.wallet.payout_rules import Payout

# A wallet takes one write at a time; with sixteen senders on one, each round lets one through. 24 rounds of at most
# 100 ms stay well inside a route's time, and whoever still loses is told to send again, which is safe.
ATTEMPTS_MAX: Final = 24
PAUSE_MS_FIRST: Final = 4.0
PAUSE_MS_MAX: Final = 100.0
# Spreads a creator's open gifts over this many index keys: one key takes 1,000 writes a second, and a throttled index
# would throttle the gifts themselves.
UNSETTLED_KEYS: Final = 8
UNSETTLED_PREFIX: Final = "creator#"


# No provider: the namespace of receipts that remember a request by its key.
REQUEST: Final = "request"


class Claim(Struct, frozen=True):
    """How much of a payment its payer has back, or demands back, in one matter (the refund, or one dispute).

    ``millionths`` is the part of the payment, 0 when the matter ended in our favour; of two claims in one matter the
    one with the larger ``order`` is newer, whichever arrives first.
    """

    matter: str
    millionths: int
    order: int


class Receipt(Struct, frozen=True):
    """A provider's receipt that was turned into coins: whose, which pack, and the transfer that minted them.

    ``transfer`` is empty while only a refund is known of it: that may arrive before the purchase. ``clawed`` of its
    coins were taken back for its ``claims``. Each change raises ``revision`` by one, which makes a change happen once.
    Requests that people name by an ``Idempotency-Key`` are kept the same way (provider `REQUEST`), with the
    ``fingerprint`` of their content.
    """

    provider: str
    id: str
    account: str
    pack: str
    transfer: str
    claims: tuple[Claim, ...] = ()
    clawed: int = 0
    revision: int = 0
    fingerprint: str = ""


class Posting(Struct, frozen=True):
    """One transaction: a wallet moves from ``before`` (None: it did not exist) to ``after`` by ``transfer``.

    Beside these it may put one event in a room's inbox (a gift), one receipt in its next revision (a purchase, a
    refund), the request that brought it, or mark gifts as settled by
    ``transfer`` (a settlement). ``unsettled_key`` lists the transfer for settlement. ``payout`` is a payout's next
    version (a reserve, a reversal): its first must not exist, a later one follows the one before it; ``note`` is what
    the operators' audit trail says of it.
    """

    before: Wallet | None
    after: Wallet
    transfer: Transfer
    unsettled_key: str | None = None
    stream: str | None = None
    event: GiftEvent | None = None
    receipt: Receipt | None = None
    request: Receipt | None = None
    settles: tuple[Transfer, ...] = ()
    payout: Payout | None = None
    note: Entry | None = None


class LedgerError(Exception):
    """A posting was not, or not surely, written."""


class TakenError(LedgerError):
    """Nothing was written: transfer or receipt exist already, or a gift is settled already."""


class MovedError(LedgerError):
    """Nothing was written: the wallet has moved on, or the service was busy. Read again and try again."""


class UncertainError(LedgerError):
    """No answer came: the posting may have been written, or may yet be. Only reading its transfer tells."""


class Ledger(Protocol):
    """Reads are strongly consistent unless said otherwise; each may raise `MovedError` or `UncertainError`."""

    def wallet(self, account: str) -> Wallet | None: ...

    def transfer(self, account: str, transfer_id: str) -> PastTransfer | None: ...

    def receipt(self, provider: str, receipt_id: str) -> Receipt | None: ...

    def statement(self, account: str, newest: int | None, limit: int) -> list[Transfer]:
        """Up to ``limit`` transfers, newest first, from version ``newest`` on; by which one a gift was settled is not
        told (`transfer` does)."""
        ...

    def unsettled(self, creator: str, limit: int) -> list[Transfer]:
        """Up to ``limit`` gifts that wait for settlement; may lag behind and may still list settled ones."""
        ...

    def keep(self, receipt: Receipt) -> None:
        """Write a receipt alone; `TakenError` unless it is the next revision of what is there."""
        ...

    def write(self, posting: Posting) -> None:
        """Write all of ``posting`` or nothing; raises a `LedgerError` unless it was surely written."""
        ...


def unsettled_key(creator: str, client_id: str) -> str:
    """The index key under which a gift waits for settlement; the same for the same gift."""
    return f"creator#{creator}#{zlib.crc32(client_id.encode()) % UNSETTLED_KEYS}"


def unsettled_keys(creator: str) -> list[str]:
    """Every index key under which gifts to ``creator`` may wait."""
    return [f"creator#{creator}#{n}" for n in range(UNSETTLED_KEYS)]


def creator_of(key: str) -> str:
    """The creator that an index key belongs to."""
    return key.removeprefix("creator#").rpartition("#")[0]


def attempts(rng: random.Random, attempts_max: int = ATTEMPTS_MAX) -> Iterator[int]:
    """Count tries from 0, waiting before each but the first: full jitter under a doubling bound.

    See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """
    for attempt in range(attempts_max):
        if attempt:
            clock.sleep_ms(rng.uniform(0, min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2**attempt)))
        yield attempt
