"""The ledger in memory: the port's contract without a service, and the same with the service's faults and races.

`MemoryLedger` keeps the contract that tests/contract holds it to. `FaultyLedger` does to it what DynamoDB may do:
refuse with a conflict or a throttle, lose the answer before or after the commit, commit later than it said, lag in its
index; and between any two of its calls it lets somebody else act, or the function die.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from functions.accounts.trail import Entry
from functions.rooms.messages import GiftEvent
from functions.wallet import ledger
from functions.wallet.ledger import MovedError, Posting, Receipt, TakenError, UncertainError
from functions.wallet.model import PastTransfer, Transfer, Wallet
from functions.wallet.payout_rules import Payout, State, TaxProfile


class CrashError(BaseException):
    """The function died here; nothing of it runs on, so nothing may catch it."""


class MemoryLedger:
    """Wallets, transfers, receipts and a room's inbox; `write` is one transaction."""

    def __init__(self) -> None:
        self.wallets: dict[str, Wallet] = {}
        self.transfers: dict[tuple[str, str], PastTransfer] = {}
        self.chains: dict[str, list[str]] = {}
        self.receipts: dict[tuple[str, str], Receipt] = {}
        self.waiting: dict[str, dict[tuple[str, str], None]] = {}
        self.waits_under: dict[tuple[str, str], str] = {}
        self.inbox: dict[tuple[str, str], GiftEvent] = {}
        self.kept_payouts: dict[tuple[str, str], Payout] = {}
        self.profiles: dict[str, TaxProfile] = {}
        self.notes: list[Entry] = []

    def payout(self, account: str, payout_id: str) -> Payout | None:
        return self.kept_payouts.get((account, payout_id))

    def payouts(self, account: str) -> list[Payout]:
        found = [each for each in self.kept_payouts.values() if each.account == account]
        return sorted(found, key=lambda each: (-each.at, each.id))

    def waiting_payouts(self, state: State, until_ms: int, limit: int, after: Payout | None = None) -> list[Payout]:
        found = [each for each in self.kept_payouts.values() if each.state == state and each.since <= until_ms]
        found.sort(key=lambda each: (each.since, each.account, each.id))
        if after is not None:
            found = [
                each for each in found if (each.since, each.account, each.id) > (after.since, after.account, after.id)
            ]
        return found[:limit]

    def move(self, after: Payout, note: Entry | None = None) -> None:
        self._check_follows(after)
        self.notes += [] if note is None else [note]
        self.kept_payouts[after.account, after.id] = after

    def profile(self, account: str) -> TaxProfile | None:
        return self.profiles.get(account)

    def keep_profile(self, profile: TaxProfile) -> None:
        self.profiles[profile.account] = profile

    def _check_follows(self, after: Payout) -> None:
        known = self.kept_payouts.get((after.account, after.id))
        if after.version != (1 if known is None else known.version + 1):
            raise TakenError(after.id)

    def wallet(self, account: str) -> Wallet | None:
        return self.wallets.get(account)

    def transfer(self, account: str, transfer_id: str) -> PastTransfer | None:
        return self.transfers.get((account, transfer_id))

    def receipt(self, provider: str, receipt_id: str) -> Receipt | None:
        return self.receipts.get((provider, receipt_id))

    def statement(self, account: str, newest: int | None, limit: int) -> list[Transfer]:
        chain = self.chains.get(account, [])
        end = len(chain) if newest is None else min(newest, len(chain))
        return [self.transfers[account, each].transfer for each in reversed(chain[max(0, end - limit) : end])]

    def unsettled(self, creator: str, limit: int) -> list[Transfer]:
        found: list[Transfer] = []
        for key in ledger.unsettled_keys(creator):
            for place in self.waiting.get(key, ()):
                if len(found) == limit:
                    return found
                found.append(self.transfers[place].transfer)
        return found

    def keep(self, receipt: Receipt) -> None:
        self._check_next(receipt)
        self.receipts[receipt.provider, receipt.id] = receipt

    def _check_next(self, receipt: Receipt) -> None:
        known = self.receipts.get((receipt.provider, receipt.id))
        if receipt.revision != (0 if known is None else known.revision + 1):
            raise TakenError(receipt.id)

    def write(self, posting: Posting) -> None:
        transfer, after = posting.transfer, posting.after
        place = (transfer.account, transfer.id)
        receipt = posting.receipt
        gifts = [(gift.account, gift.id) for gift in posting.settles]
        if place in self.transfers:
            raise TakenError(transfer.id)
        for each in (receipt, posting.request):
            if each is not None:
                self._check_next(each)
        if posting.payout is not None:
            self._check_follows(posting.payout)
        if any(gift not in self.waits_under for gift in gifts):
            raise TakenError("a gift is settled")
        now, before = self.wallets.get(after.account), posting.before
        if (now is None) != (before is None):
            raise MovedError(after.account)
        if now is not None and before is not None and _head(now) != _head(before):
            raise MovedError(after.account)
        self.wallets[after.account] = after
        self.transfers[place] = PastTransfer(transfer)
        self.chains.setdefault(transfer.account, []).append(transfer.id)
        if posting.unsettled_key is not None:
            self.waiting.setdefault(posting.unsettled_key, {})[place] = None
            self.waits_under[place] = posting.unsettled_key
        for each in (receipt, posting.request):
            if each is not None:
                self.receipts[each.provider, each.id] = each
        if posting.payout is not None:
            self.kept_payouts[posting.payout.account, posting.payout.id] = posting.payout
        if posting.note is not None:
            self.notes.append(posting.note)
        if posting.event is not None and posting.stream is not None:
            self.inbox[posting.stream, posting.event.id] = posting.event
        for gift in gifts:
            del self.waiting[self.waits_under.pop(gift)][gift]
            self.transfers[gift] = replace(self.transfers[gift], settlement=transfer.id)

    def records(self, segment: int, segments: int) -> Iterable[Wallet | PastTransfer | Receipt | Payout]:
        if segment == 0:
            yield from self.wallets.values()
            yield from self.transfers.values()
            yield from self.receipts.values()
            yield from self.kept_payouts.values()


def _head(wallet: Wallet) -> tuple[int, str, bool]:
    return wallet.version, wallet.hash, wallet.frozen


@dataclass
class Faults:
    """How often each thing happens, from 0 to 1."""

    conflict: float = 0.05
    throttle: float = 0.02
    lost_before_commit: float = 0.02
    lost_after_commit: float = 0.02
    commits_later: float = 0.01
    crash: float = 0.01
    read_lost: float = 0.01
    index_lag: float = 0.2
    somebody_else: float = 0.15


@dataclass
class FaultyLedger:
    """A `MemoryLedger` as one function sees it through a bad day of the service."""

    inner: MemoryLedger
    rng: random.Random
    faults: Faults = field(default_factory=Faults)
    somebody_else: Callable[[], None] | None = None
    happened: dict[str, int] = field(default_factory=dict[str, int])
    late: list[Posting | Receipt] = field(default_factory=list[Posting | Receipt])
    _stale: dict[str, list[Transfer]] = field(default_factory=dict[str, list[Transfer]])

    def wallet(self, account: str) -> Wallet | None:
        self._before_read()
        return self.inner.wallet(account)

    def transfer(self, account: str, transfer_id: str) -> PastTransfer | None:
        self._before_read()
        return self.inner.transfer(account, transfer_id)

    def receipt(self, provider: str, receipt_id: str) -> Receipt | None:
        self._before_read()
        return self.inner.receipt(provider, receipt_id)

    def statement(self, account: str, newest: int | None, limit: int) -> list[Transfer]:
        self._before_read()
        return self.inner.statement(account, newest, limit)

    def unsettled(self, creator: str, limit: int) -> list[Transfer]:
        self._before_read()
        if creator in self._stale and self._chance("index_lag", self.faults.index_lag):
            return self._stale[creator][:limit]
        self._stale[creator] = self.inner.unsettled(creator, limit)
        return self._stale[creator]

    def keep(self, receipt: Receipt) -> None:
        self._commit(receipt)

    def write(self, posting: Posting) -> None:
        self._commit(posting)

    def _commit(self, posting: Posting | Receipt) -> None:
        self._between()
        faults = self.faults
        if self._chance("conflict", faults.conflict) or self._chance("throttle", faults.throttle):
            raise MovedError("the service was busy")
        if self._chance("lost_before_commit", faults.lost_before_commit):
            raise UncertainError("no answer")
        if self._chance("commits_later", faults.commits_later):
            self.late.append(posting)
            raise UncertainError("no answer yet")
        self._commit_inside(posting)
        if self._chance("crash", faults.crash):
            raise CrashError
        if self._chance("lost_after_commit", faults.lost_after_commit):
            raise UncertainError("no answer")

    def arrive_late(self) -> None:
        """Let a posting whose answer was lost reach the service now."""
        if self.late:
            posting = self.late.pop(self.rng.randrange(len(self.late)))
            try:
                self._commit_inside(posting)
            except (TakenError, MovedError):
                self._count("late_refused")
            else:
                self._count("late_committed")

    def _commit_inside(self, posting: Posting | Receipt) -> None:
        if isinstance(posting, Receipt):
            self.inner.keep(posting)
        else:
            self.inner.write(posting)

    def _before_read(self) -> None:
        self._between()
        if self._chance("read_lost", self.faults.read_lost):
            raise UncertainError("no answer")

    def _between(self) -> None:
        if self._chance("crash", self.faults.crash / 2):
            raise CrashError
        if self.late and self.rng.random() < 0.3:
            self.arrive_late()
        if self.somebody_else is not None and self.rng.random() < self.faults.somebody_else:
            self.somebody_else()

    def _chance(self, name: str, probability: float) -> bool:
        if self.rng.random() >= probability:
            return False
        self._count(name)
        return True

    def _count(self, name: str) -> None:
        self.happened[name] = self.happened.get(name, 0) + 1
