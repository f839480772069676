"""The Payouts queue: its message, and how a payout is rung."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from functions import aws, clock, settings
from functions.wallet import payouts
from functions.wallet.payout_rules import Payout
from functions.wallet.payouts import PayoutBook

SLOT_MS: Final = 60_000


class Ring(Struct, frozen=True):
    """The Payouts queue's message."""

    account: str
    payout: str


def ring(payout: Payout) -> None:
    """Have a payout taken further; the same version within a minute rings once."""
    slot = clock.now_ms() // SLOT_MS
    aws.client("sqs").send_message(
        QueueUrl=settings.required("PAYOUTS_QUEUE_URL"),
        MessageBody=msgspec.json.encode(Ring(payout.account, payout.id)).decode(),
        MessageGroupId=payout.account,
        MessageDeduplicationId=f"{payout.id}#{payout.version}#{slot}",
    )


def ring_due(book: PayoutBook) -> int:
    """Ring every payout that is due, as the index shows it; returns how many."""
    found = payouts.due(book)
    for each in found:
        ring(each)
    return len(found)
