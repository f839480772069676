"""Defects that somebody might put into the wallet, each as a patch: a proof that misses one of them proves little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from functions.rooms.messages import GiftMessage
from functions.rooms.model import GiftAnswer
from functions.wallet import gift_transfer, model, purchases, settle
from functions.wallet.ledger import Posting, UncertainError
from functions.wallet.model import GiftDetails, PastTransfer, Transfer, Wallet
from tests.simulation.wallet.memory_ledger import MemoryLedger

Patch = pytest.MonkeyPatch
Defect = Callable[[Patch], None]
_write = MemoryLedger.write
_settle = model.settle
_post: Any = model.post
_share = model.share_milli


def storage_lets_a_transfer_be_written_twice(patch: Patch) -> None:
    def write(self: MemoryLedger, posting: Posting) -> None:
        self.transfers.pop((posting.transfer.account, posting.transfer.id), None)
        _write(self, posting)

    patch.setattr(MemoryLedger, "write", write)


def storage_lets_a_receipt_be_used_twice(patch: Patch) -> None:
    def write(self: MemoryLedger, posting: Posting) -> None:
        if posting.receipt is not None:
            self.receipts.pop((posting.receipt.provider, posting.receipt.id), None)
            transfer_id = f"{posting.transfer.id}#{len(self.transfers)}"
            transfer = replace(posting.transfer, id=transfer_id)
            posting = replace(posting, transfer=replace(transfer, hash=model.seal(transfer)))
            posting = replace(posting, after=replace(posting.after, hash=posting.transfer.hash))
        _write(self, posting)

    patch.setattr(MemoryLedger, "write", write)


def storage_settles_what_is_settled(patch: Patch) -> None:
    def write(self: MemoryLedger, posting: Posting) -> None:
        for gift in posting.settles:
            self.waits_under.setdefault((gift.account, gift.id), "lost")
            self.waiting.setdefault("lost", {})[gift.account, gift.id] = None
        _write(self, posting)

    patch.setattr(MemoryLedger, "write", write)


def storage_forgets_the_wallets_version(patch: Patch) -> None:
    def write(self: MemoryLedger, posting: Posting) -> None:
        _write(self, replace(posting, before=self.wallets.get(posting.after.account)))

    patch.setattr(MemoryLedger, "write", write)


def storage_writes_the_event_before_the_transaction(patch: Patch) -> None:
    def write(self: MemoryLedger, posting: Posting) -> None:
        if posting.event is not None and posting.stream is not None:
            self.inbox[posting.stream, posting.event.id] = posting.event
        _write(self, posting)

    patch.setattr(MemoryLedger, "write", write)


def storage_forgets_the_event(patch: Patch) -> None:
    patch.setattr(MemoryLedger, "write", lambda self, posting: _write(self, replace(posting, event=None)))


def storage_marks_only_the_first_gift_settled(patch: Patch) -> None:
    patch.setattr(
        MemoryLedger, "write", lambda self, posting: _write(self, replace(posting, settles=posting.settles[:1]))
    )


def storage_forgets_to_list_gifts_for_settlement(patch: Patch) -> None:
    patch.setattr(MemoryLedger, "write", lambda self, posting: _write(self, replace(posting, unsettled_key=None)))


def a_settlement_drops_the_remainder(patch: Patch) -> None:
    def settled(wallet: Wallet, gifts: list[Transfer], *, at: int) -> tuple[Wallet, Transfer]:
        return _settle(replace(wallet, carried_milli=0), gifts, at=at)

    patch.setattr(model, "settle", settled)


def a_settlement_credits_each_gift_twice(patch: Patch) -> None:
    patch.setattr(model, "settle", lambda wallet, gifts, *, at: _settle(wallet, (gifts * 2)[:98], at=at))


def a_settlement_leaves_one_gift_out(patch: Patch) -> None:
    patch.setattr(model, "settle", lambda wallet, gifts, *, at: _settle(wallet, gifts[1:] or gifts, at=at))


def a_settlement_may_lie_before_its_gifts(patch: Patch) -> None:
    def settled(wallet: Wallet, gifts: list[Transfer], *, at: int) -> tuple[Wallet, Transfer]:
        early = [replace(each, at=0) for each in gifts]
        return _settle(wallet, early, at=at - 5_000)

    patch.setattr(model, "settle", settled)


def a_share_is_rounded_down_for_each_gift(patch: Patch) -> None:
    patch.setattr(model, "share_milli", lambda coins, permille: _share(coins, permille) // 1000 * 1000)


def a_share_is_rounded_up_for_each_gift(patch: Patch) -> None:
    patch.setattr(model, "share_milli", lambda coins, permille: -(-_share(coins, permille) // 1000) * 1000)


def a_seal_leaves_out_what_came_before(patch: Patch) -> None:
    seal = model.seal
    patch.setattr(model, "post", lambda wallet, **given: _unchained(seal, *_post(wallet, **given)))


def _unchained(seal: Callable[[Transfer], str], after: Wallet, transfer: Transfer) -> tuple[Wallet, Transfer]:
    loose = replace(transfer, previous_hash=model.GENESIS)
    loose = replace(loose, hash=seal(loose))
    return replace(after, hash=loose.hash), loose


def an_entry_takes_the_time_of_the_clock(patch: Patch) -> None:
    patch.setattr(model, "post", lambda wallet, **given: _post(replace(wallet, at=0), **given))


def a_version_is_used_twice(patch: Patch) -> None:
    def posted(wallet: Wallet, **given: Any) -> tuple[Wallet, Transfer]:
        after, transfer = _post(wallet, **given)
        return replace(after, version=max(1, wallet.version)), transfer

    patch.setattr(model, "post", posted)


def a_lost_answer_is_taken_for_success(patch: Patch) -> None:
    def write(self: Any, posting: Posting) -> None:
        try:
            faulty_write(self, posting)
        except UncertainError:
            return

    from tests.simulation.wallet.memory_ledger import FaultyLedger

    faulty_write = FaultyLedger.write
    patch.setattr(FaultyLedger, "write", write)


def a_lost_answer_is_tried_again_under_another_id(patch: Patch) -> None:
    names: list[str] = []

    def renamed(client_id: str) -> str:
        names.append(client_id)
        return f"gift#{client_id}#{len(names)}"

    patch.setattr(model, "gift_transfer_id", renamed)


def other_content_gets_the_first_answer(patch: Patch) -> None:
    def again(earlier: PastTransfer, message: GiftMessage, stream: str) -> GiftAnswer:
        given = earlier.transfer.details
        assert isinstance(given, GiftDetails)
        return GiftAnswer(given.event_id, earlier.transfer.balance_after)

    patch.setattr(gift_transfer, "_answer_again", again)


def a_resent_gift_is_told_another_balance(patch: Patch) -> None:
    def again(earlier: PastTransfer, message: GiftMessage, stream: str) -> GiftAnswer:
        given = earlier.transfer.details
        assert isinstance(given, GiftDetails)
        if given.count != message.count:
            return original(earlier, message, stream)
        return GiftAnswer(given.event_id, earlier.transfer.balance_after - 1)

    original = gift_transfer._answer_again
    patch.setattr(gift_transfer, "_answer_again", again)


def anybody_may_use_a_receipt(patch: Patch) -> None:
    patch.setattr(purchases, "_check_buyer", lambda *_: None)


def a_settler_credits_what_it_could_not_mark(patch: Patch) -> None:
    """After somebody else took some of the gifts it credits all of them, and marks what is left."""

    def write(self: MemoryLedger, posting: Posting) -> None:
        left = tuple(gift for gift in posting.settles if (gift.account, gift.id) in self.waits_under)
        _write(self, replace(posting, settles=left))

    patch.setattr(MemoryLedger, "write", write)
    patch.setattr(settle, "_still_waiting", lambda _, gifts: gifts)


DEFECTS: list[Defect] = [
    storage_lets_a_transfer_be_written_twice,
    storage_lets_a_receipt_be_used_twice,
    storage_settles_what_is_settled,
    storage_forgets_the_wallets_version,
    storage_writes_the_event_before_the_transaction,
    storage_forgets_the_event,
    storage_marks_only_the_first_gift_settled,
    storage_forgets_to_list_gifts_for_settlement,
    a_settlement_drops_the_remainder,
    a_settlement_credits_each_gift_twice,
    a_settlement_leaves_one_gift_out,
    a_settlement_may_lie_before_its_gifts,
    a_share_is_rounded_down_for_each_gift,
    a_share_is_rounded_up_for_each_gift,
    a_seal_leaves_out_what_came_before,
    an_entry_takes_the_time_of_the_clock,
    a_version_is_used_twice,
    a_lost_answer_is_taken_for_success,
    a_lost_answer_is_tried_again_under_another_id,
    other_content_gets_the_first_answer,
    a_resent_gift_is_told_another_balance,
    anybody_may_use_a_receipt,
    a_settler_credits_what_it_could_not_mark,
]
