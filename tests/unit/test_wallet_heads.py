"""What a container remembers of wallets: it saves a read, and never decides anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from functions import clock
from functions.errors import OnairError
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import RoomView
from functions.wallet import catalogue, gift_transfer, heads, model
from functions.wallet.giving import Giver
from functions.wallet.heads import Heads
from functions.wallet.ledger import Posting
from functions.wallet.model import Wallet
from tests.simulation.wallet.memory_ledger import MemoryLedger

SENDER = Sender("viewer", "viewer", "Viewer")
ROOM = RoomView("stream", "host", True)
GIVER = Giver("US", 30)


class CountingLedger(MemoryLedger):
    """Counts reads of wallets and writes that were tried."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.tries = 0

    def wallet(self, account: str) -> Wallet | None:
        self.reads += 1
        return super().wallet(account)

    def write(self, posting: Posting) -> None:
        self.tries += 1
        super().write(posting)


class StandingClock:
    """Time that only waiting moves."""

    def __init__(self) -> None:
        self.at = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.at

    def sleep_ms(self, duration_ms: float) -> None:
        self.at += int(duration_ms)


@pytest.fixture
def time() -> Iterator[StandingClock]:
    made, before = StandingClock(), clock.clock
    clock.use(made)
    yield made
    clock.use(before)


@pytest.fixture
def book(time: StandingClock) -> CountingLedger:
    made = CountingLedger()
    buy(made, 10)
    return made


def buy(book: MemoryLedger, coins: int) -> None:
    before = book.wallets.get("viewer")
    pack = model.CoinPack("pack", coins, 1)
    receipt = f"r{len(book.transfers)}"
    after, transfer = model.purchase(
        before or Wallet("viewer"), provider="p", receipt=receipt, pack=pack, at=clock.now_ms()
    )
    MemoryLedger.write(book, Posting(before=before, after=after, transfer=transfer))


def give(book: MemoryLedger, memory: Heads, client_id: str, count: int = 1) -> int:
    message = GiftMessage(client_id, "rose", count)
    return int(gift_transfer.give(book, SENDER, message, ROOM, GIVER, heads=memory).coins or 0)


def test_the_next_gift_of_a_combo_reads_nothing(book: CountingLedger) -> None:
    memory = Heads()
    assert [give(book, memory, f"g{n}") for n in range(5)] == [9, 8, 7, 6, 5]
    assert (book.reads, book.tries) == (1, 5)


def test_a_wallet_that_moved_on_elsewhere_costs_one_try_and_is_read_from_then_on(
    book: CountingLedger, time: StandingClock
) -> None:
    here, elsewhere = Heads(), Heads()
    give(book, here, "a")
    give(book, elsewhere, "b")
    assert give(book, here, "c") == 7
    assert (book.reads, book.tries) == (3, 4)  # the refused try, then a read
    give(book, here, "d")
    assert book.reads == 4  # memory was wrong a moment ago: it is not asked
    time.at += heads.DISTRUST_MS
    give(book, here, "e")
    give(book, here, "f")
    assert book.reads == 5


def test_memory_never_refuses(book: CountingLedger) -> None:
    memory = Heads()
    give(book, memory, "a", 10)
    buy(book, 5)
    assert give(book, memory, "b", 5) == 0
    with pytest.raises(OnairError) as caught:
        give(book, memory, "c")
    assert (caught.value.code, caught.value.details["coins"]) == ("insufficient_coins", 0)


def test_memory_never_allows_what_the_wallet_no_longer_does(book: CountingLedger) -> None:
    memory = Heads()
    give(book, memory, "a")
    spent = book.wallets["viewer"]
    gift = catalogue.gift("star")
    after, transfer = model.give(
        spent, host="host", gift=gift, count=1, stream="s", client_id="elsewhere", event_id="e", at=clock.now_ms()
    )
    MemoryLedger.write(book, Posting(before=spent, after=after, transfer=transfer, unsettled_key="creator#host#0"))
    with pytest.raises(OnairError) as caught:
        give(book, memory, "b", 5)
    assert caught.value.code == "insufficient_coins"
    assert book.wallets["viewer"].coins == 0


def test_a_frozen_wallet_is_seen_as_frozen_at_once(book: CountingLedger) -> None:
    memory = Heads()
    give(book, memory, "a")
    book.wallets["viewer"] = replace(book.wallets["viewer"], frozen=True)
    with pytest.raises(OnairError) as caught:
        give(book, memory, "b")
    assert caught.value.code == "forbidden"


def test_another_chain_of_the_same_length_is_not_taken_for_the_remembered_one(book: CountingLedger) -> None:
    """A table that was restored to an earlier time may grow to the same version by other entries."""
    memory = Heads()
    give(book, memory, "a")
    book.wallets["viewer"] = replace(book.wallets["viewer"], coins=3, hash="f" * 64)
    assert give(book, memory, "b") == 2


def test_a_resent_gift_gets_its_first_answer_from_any_container(book: CountingLedger) -> None:
    first, second = Heads(), Heads()
    answer = give(book, first, "a", 3)
    give(book, first, "b")
    assert give(book, first, "a", 3) == answer
    assert give(book, second, "a", 3) == answer
    assert book.wallets["viewer"].coins == 6


def test_memory_is_bounded_in_number_and_time() -> None:
    memory = Heads()
    for n in range(heads.WALLETS_MAX + 1):
        memory.keep(Wallet(f"w{n}"), 1_000)
    assert memory.recall("w0", 1_000) is None
    assert memory.recall("w1", 1_000) == Wallet("w1")
    assert memory.recall("w1", 1_000 + heads.AGE_MS_MAX + 1) is None
    assert memory.recall("w1", 999) is None  # a clock that ran back
    memory.cache_clear()
    assert memory.recall("w1", 1_000) is None
