"""Many at once on one wallet and one host, with settlers racing: no coin is lost, doubled or stuck."""

from __future__ import annotations

import contextlib
import random
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from functions import clock
from functions.errors import OnairError
from functions.rooms.items import InboxItem, room_key
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import GiftAnswer, RoomView
from functions.wallet import gift_transfer, purchases, settle, tally
from functions.wallet.audit import audit
from functions.wallet.giving import Giver
from functions.wallet.ledger import LedgerError
from functions.wallet.model import PurchaseDetails, SettlementDetails
from functions.wallet.purchases import PurchaseRequest, SandboxProvider
from functions.wallet.table import StoredLedger
from functions.wallet.tally_table import StoredBoards
from tests.contract.conftest import Service

GIVER = Giver("US", 30)
SANDBOX = {"sandbox": SandboxProvider()}
RESENT_MAX = 20
WITHIN_S = 90.0


pytestmark = pytest.mark.dynamodb_local


def buy(account: str, proof: str, pack: str = "coins_7000") -> None:
    purchases.purchase(StoredLedger(), account, PurchaseRequest("sandbox", pack, proof), SANDBOX)


def give_until_answered(account: str, client_id: str, count: int = 1) -> GiftAnswer:
    """What a client does: the same message again while it is told that nothing answered."""
    message = GiftMessage(client_id, "rose", count)
    for _ in range(RESENT_MAX):
        try:
            return gift_transfer.give(
                StoredLedger(), Sender(account, account, account), message, RoomView("s", "host", True), GIVER
            )
        except OnairError as error:
            if error.code != "unavailable":
                raise
    raise AssertionError(f"{client_id} was not answered in {RESENT_MAX} tries")


def inbox_ids() -> list[str]:
    return [
        each.sk.removeprefix("inbox#") for each in InboxItem.query(room_key("s"), InboxItem.sk.startswith("inbox#"))
    ]


def test_sixteen_workers_on_one_wallet_spend_each_coin_once(real: Service) -> None:
    buy("viewer", "p", "coins_70")
    workers, gifts = 16, 3

    def work(worker: int) -> list[GiftAnswer | str]:
        answers: list[GiftAnswer | str] = []
        for n in range(gifts):
            try:
                answers.append(give_until_answered("viewer", f"{worker}-{n}", 2))
            except OnairError as error:
                answers.append(error.code)
        return answers

    with ThreadPoolExecutor(workers) as pool:
        answers = [each for some in pool.map(work, range(workers)) for each in some]
    given = [each for each in answers if isinstance(each, GiftAnswer)]
    # 48 gifts of two coins were tried with 70 coins: exactly 35 went through, each with a balance of its own.
    assert len(given) == 35
    assert [each for each in answers if isinstance(each, str)] == ["insufficient_coins"] * 13
    assert sorted(each.coins for each in given) == list(range(0, 70, 2))
    assert sorted(inbox_ids()) == sorted(each.event_id for each in given)
    wallet = StoredLedger().wallet("viewer")
    assert wallet is not None
    assert (wallet.coins, wallet.version) == (0, 36)
    assert audit(StoredLedger(), clock.now_ms() + 1000).differences == ()


def test_one_message_sent_by_many_at_once_is_one_gift(real: Service) -> None:
    buy("viewer", "p", "coins_70")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: give_until_answered("viewer", "same", 3), range(12)))
    assert len(set(answers)) == 1
    assert answers[0].coins == 67
    assert inbox_ids() == [answers[0].event_id]
    assert audit(StoredLedger(), clock.now_ms() + 1000).differences == ()


def test_one_receipt_brought_by_many_at_once_mints_once(real: Service) -> None:
    def bring(n: int) -> str:
        try:
            buy(f"buyer-{n % 3}", "the same proof")
        except OnairError as error:
            return error.code
        return f"buyer-{n % 3}"

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(bring, range(12)))
    winners = set(outcomes) - {"conflict"}
    assert len(winners) == 1
    report = audit(StoredLedger(), clock.now_ms() + 1000)
    assert report.differences == ()
    assert report.proof.coins_minted == 7000


def test_two_hundred_senders_to_one_host_with_three_settlers_racing_lose_and_double_nothing(real: Service) -> None:
    senders, gifts_each = 200, 2
    coins_each = sum(range(1, gifts_each + 1))
    done = Event()

    def settler(seed: int) -> int:
        settled = 0
        rng = random.Random(seed)
        until_s = time.monotonic() + WITHIN_S
        while time.monotonic() < until_s:
            last_look = done.is_set()
            try:
                settled_now, _ = settle.settle_once(StoredLedger(), "host", rng)
            except OnairError:
                continue
            settled += settled_now
            if last_look and settled_now == 0 and not StoredLedger().unsettled("host", 1):
                return settled
        raise AssertionError(f"gifts were still waiting after {WITHIN_S} s")

    def sender(n: int) -> int:
        buy(f"sender-{n}", f"proof-{n}", "coins_70")
        return sum(give_until_answered(f"sender-{n}", f"g{each}", each + 1) is not None for each in range(gifts_each))

    with ThreadPoolExecutor(3) as settlers, ThreadPoolExecutor(16) as pool:
        settling = [settlers.submit(settler, seed) for seed in (1, 2, 3)]
        try:
            given = sum(pool.map(sender, range(senders)))
        finally:
            done.set()
        settled = sum(each.result(WITHIN_S + 5) for each in settling)
    assert given == senders * gifts_each
    assert settled == given
    host = StoredLedger().wallet("host")
    assert host is not None
    assert (host.diamonds, host.carried_milli) == (senders * coins_each // 2, 0)
    report = audit(StoredLedger(), clock.now_ms() + 1000)
    assert report.differences == ()
    assert report.proof.coins_converted == senders * coins_each
    assert report.proof.coins_held == senders * (70 - coins_each)


def test_an_audit_taken_while_gifts_fly_finds_nothing_wrong(real: Service) -> None:
    for n in range(4):
        buy(f"sender-{n}", f"proof-{n}", "coins_350")
    done = Event()

    def sender(n: int) -> int:
        sent = 0
        while not done.is_set() and sent < 340:
            give_until_answered(f"sender-{n}", f"g{sent}")
            sent += 1
        return sent

    with ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(sender, n) for n in range(4)]
        try:
            # As of a moment that is over: what flies now is younger than the cut, and no false alarm.
            reports = [audit(StoredLedger(), clock.now_ms() - 200)]
            until_s = time.monotonic() + WITHIN_S
            while time.monotonic() < until_s and (len(reports) < 5 or reports[-1].transfers == reports[0].transfers):
                reports.append(audit(StoredLedger(), clock.now_ms() - 200))
        finally:
            done.set()
        assert all(each.result(WITHIN_S) > 0 for each in sending)
    assert [each.differences for each in reports if each.differences] == []
    assert reports[-1].transfers > reports[0].transfers


def test_a_first_purchase_and_a_first_settlement_may_meet_on_a_new_wallet(real: Service) -> None:
    buy("viewer", "p")
    give_until_answered("viewer", "1", 10)
    with ThreadPoolExecutor(2) as pool:
        settling = pool.submit(settle.settle_all, StoredLedger(), "host")
        buying = pool.submit(buy, "host", "own")
        assert settling.result(WITHIN_S)
        buying.result(WITHIN_S)
    kinds = [type(each.details) for each in StoredLedger().statement("host", None, 10)]
    assert sorted(kinds, key=str) == sorted([PurchaseDetails, SettlementDetails], key=str)
    assert audit(StoredLedger(), clock.now_ms() + 1000).differences == ()


def test_leaderboards_are_right_while_gifts_fly_and_four_count_at_once(real: Service) -> None:
    senders, gifts_each = 12, 4
    for n in range(senders):
        buy(f"sender-{n}", f"proof-{n}", "coins_70")
    done = Event()

    def counter(seed: int) -> None:
        rng = random.Random(seed)
        until_s = time.monotonic() + WITHIN_S
        while time.monotonic() < until_s:
            last_look = done.is_set()
            with contextlib.suppress(OnairError, LedgerError):
                settled, _ = settle.settle_once(StoredLedger(), "host", rng)
                counted = tally.catch_up(StoredLedger(), StoredBoards(), "host")
                if last_look and settled == 0 and counted and not StoredLedger().unsettled("host", 1):
                    return
        raise AssertionError(f"not all was counted after {WITHIN_S} s")

    with ThreadPoolExecutor(4) as counters, ThreadPoolExecutor(6) as pool:
        counting = [counters.submit(counter, seed) for seed in range(4)]
        try:
            list(
                pool.map(
                    lambda n: [give_until_answered(f"sender-{n}", f"g{each}", n + 1) for each in range(gifts_each)],
                    range(senders),
                )
            )
        finally:
            done.set()
        for each in counting:
            each.result(WITHIN_S + 5)
    places = StoredBoards().top(tally.stream_board("host", "s"), 5)
    assert [(each.name, each.sums.coins) for each in places] == [
        (f"giver#sender-{n}", (n + 1) * gifts_each) for n in range(senders - 1, senders - 6, -1)
    ]
    (roses,) = StoredBoards().rows("host", tally.GIFT)
    assert roses.sums.gifts == sum(range(1, senders + 1)) * gifts_each
    assert audit(StoredLedger(), clock.now_ms() + 1000).differences == ()
