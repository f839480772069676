"""Sending a gift: one transaction of wallet, transfer and event in the room's inbox, safe to send again for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

from botocore.exceptions import BotoCoreError, ClientError

from functions import clock, ids, observe, settings
from functions.errors import OnairError
from functions.rooms.messages import GiftEvent, GiftMessage, Sender
from functions.rooms.model import GiftAnswer, RoomView
from functions.wallet import catalogue, giving, ledger, model, settle
from functions.wallet.giving import Giver
from functions.wallet.heads import Heads
from functions.wallet.ledger import Ledger, LedgerError, MovedError, Posting
from functions.wallet.model import GiftDetails, PastTransfer, Wallet
from functions.wallet.table import StoredLedger

# This container's: a function runs one gift at a time, and the next of a combo mostly meets the same container.
heads = Heads()


def send_gift(sender: Sender, room: RoomView, message: GiftMessage, giver: Giver) -> GiftAnswer:
    """Send a gift in a room, and wake the settler for its host.

    Raises
    ------
    OnairError
        ``invalid_request`` (gift, count), ``not_live``, ``forbidden`` (to oneself, frozen wallet, no gifts here),
        ``age_restricted``, ``limit_reached``, ``insufficient_coins``, ``id_reused``, ``unavailable`` (send the same
        again).
    """
    answer = give(
        StoredLedger(),
        sender,
        message,
        room,
        giver,
        permille=settings.integer("CREATOR_SHARE_PERMILLE", model.CREATOR_SHARE_PERMILLE),
        heads=heads,
    )
    try:
        settle.ring_settle(room.host_id)
    except (BotoCoreError, ClientError) as error:
        # The gift is recorded; the schedule rings for what was not rung here.
        observe.logger.warning("settle ring failed", extra={"creator": room.host_id, "error": str(error)})
    return answer


def give(
    book: Ledger,
    sender: Sender,
    message: GiftMessage,
    room: RoomView,
    giver: Giver,
    *,
    permille: int = model.CREATOR_SHARE_PERMILLE,
    rng: random.Random | None = None,
    new_id: Callable[[], str] = ids.new,
    heads: Heads | None = None,
) -> GiftAnswer:
    """`send_gift` over any ledger. A resent message is answered before anything else is looked at that may have changed
    since: balance, whether the room is live, the catalogue. ``heads`` is what a container remembers (None: nothing)."""
    event_id = new_id()
    memory = heads or Heads()
    for _ in ledger.attempts(rng or random.Random()):
        known = memory.recall(sender.id, clock.now_ms())
        try:
            posting = None
            if known is not None:
                # What memory refuses may be allowed by now: only what is read may refuse.
                with suppress(OnairError):
                    posting = _posting(known, sender, message, room, giver, permille, event_id)
            if posting is None:
                known, before = None, book.wallet(sender.id)
                try:
                    posting = _posting(before, sender, message, room, giver, permille, event_id)
                except OnairError:
                    earlier = book.transfer(sender.id, model.gift_transfer_id(message.id))
                    if earlier is None:
                        raise
                    return _answer_again(earlier, message, room.stream_id)
            book.write(posting)
            memory.keep(posting.after, clock.now_ms())
            return GiftAnswer(event_id, posting.after.coins)
        except LedgerError as error:
            if known is not None:
                memory.was_wrong(sender.id, clock.now_ms())
            if isinstance(error, MovedError):
                continue
            # Taken, or no answer: the transfer tells. Absent after a time-out, it may still come; then the condition
            # that it must not exist, and the wallet's version, refuse the second one.
            earlier = _read(book, sender.id, message)
            if earlier is not None:
                return _answer_again(earlier, message, room.stream_id)
    raise OnairError("unavailable")


def _posting(
    before: Wallet | None,
    sender: Sender,
    message: GiftMessage,
    room: RoomView,
    giver: Giver,
    permille: int,
    event_id: str,
) -> Posting:
    gift = catalogue.gift(message.gift_id)
    model.check_count(message.count)
    if not room.live:
        raise OnairError("not_live")
    now = clock.now_ms()
    giving.check(giver, gift, clock.today_utc(now), gifts_on=room.gifts_on, host_badges=room.host_badges)
    after, transfer = model.give(
        before or Wallet(sender.id),
        host=room.host_id,
        gift=gift,
        count=message.count,
        combo=message.combo,
        combo_end=message.combo_end,
        stream=room.stream_id,
        client_id=message.id,
        event_id=event_id,
        at=now,
        permille=permille,
        created_ms=giver.created_ms,
    )
    event = GiftEvent(
        id=event_id,
        at=clock.rfc3339(transfer.at),
        sender=sender,
        client_id=message.id,
        gift_id=gift.id,
        count=message.count,
        coins=transfer.amount,
        combo=message.combo,
        repeat_count=after.combo_count if message.combo is not None else None,
        combo_end=message.combo_end and message.combo is not None,
    )
    return Posting(
        before=before,
        after=after,
        transfer=transfer,
        unsettled_key=ledger.unsettled_key(room.host_id, message.id),
        stream=room.stream_id,
        event=event,
    )


def _read(book: Ledger, account: str, message: GiftMessage) -> PastTransfer | None:
    try:
        return book.transfer(account, model.gift_transfer_id(message.id))
    except LedgerError:
        return None


def _answer_again(earlier: PastTransfer, message: GiftMessage, stream: str) -> GiftAnswer:
    given = earlier.transfer.details
    assert isinstance(given, GiftDetails)
    if (given.stream, given.gift_id, given.count, given.combo) != (
        stream,
        message.gift_id,
        message.count,
        message.combo,
    ):
        raise OnairError("id_reused", field="id")
    return GiftAnswer(given.event_id, earlier.transfer.balance_after)
