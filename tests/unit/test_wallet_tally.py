"""Boards add up to what was given, however counting crashes, repeats and overlaps."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from functions.wallet import catalogue, model, tally
from functions.wallet.ledger import Posting, unsettled_key
from functions.wallet.model import Transfer, Wallet
from functions.wallet.tally import GIFT, GIVER, MONTH, Sums
from tests.simulation.wallet.memory_boards import MemoryBoards
from tests.simulation.wallet.memory_ledger import CrashError, MemoryLedger

DAY_MS = 24 * 3600 * 1000
START = 1_794_960_000_000  # Wednesday 2026-11-18, 00:00 UTC


@dataclass
class Story:
    """A creator's ledger with gifts from some people in some streams, and what was really given."""

    book: MemoryLedger
    givers: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    gifts: Counter[str] = field(default_factory=Counter[str])
    coins: int = 0


def story(seed: int, settlements: int = 230) -> Story:
    rng = random.Random(seed)
    made = Story(MemoryLedger())
    wallets: dict[str, Wallet] = {}
    creator: Wallet | None = None
    for n in range(settlements):
        batch: list[Transfer] = []
        for each in range(rng.randrange(1, 6)):
            account, stream = f"v{rng.randrange(5)}", f"s{rng.randrange(2)}"
            gift = catalogue.gift(rng.choice(("rose", "heart")))
            before = wallets.get(account)
            after, transfer = model.give(
                before or Wallet(account, coins=1_000_000),
                host="host",
                gift=gift,
                count=rng.randrange(1, 4),
                stream=stream,
                client_id=f"{n}-{each}",
                event_id="e",
                at=START + n * 1000,
            )
            made.book.write(Posting(before, after, transfer, unsettled_key=unsettled_key("host", "x")))
            wallets[account] = after
            batch.append(transfer)
            assert isinstance(transfer.details, model.GiftDetails)
            made.givers[stream, account] += transfer.amount
            made.gifts[gift.id] += transfer.details.count
            made.coins += transfer.amount
        after, settled = model.settle(creator or Wallet("host"), batch, at=START + n * 1000)
        made.book.write(Posting(creator, after, settled, settles=tuple(batch)))
        creator = after
    return made


def counted(boards: MemoryBoards, made: Story) -> None:
    for stream in ("s0", "s1"):
        rows = boards.rows(tally.stream_board("host", stream), GIVER)
        told = {(stream, each.name.removeprefix(GIVER)): each.sums.coins for each in rows}
        assert told == {key: coins for key, coins in made.givers.items() if key[0] == stream}
    assert {each.name.removeprefix(GIFT): each.sums.gifts for each in boards.rows("host", GIFT)} == made.gifts
    week = boards.rows(tally.week_board("host", START), GIVER)
    assert sum(each.sums.coins for each in week) == made.coins
    (month,) = boards.rows("host", MONTH)
    assert (month.name, month.sums.coins) == ("month#2026-11", made.coins)


def until_done(step: Callable[[], bool]) -> None:
    for _ in range(20_000):
        try:
            if step():
                return
        except CrashError:
            continue
    raise AssertionError("counting came to no end")


@pytest.mark.parametrize("seed", range(5))
def test_boards_are_right_when_counters_crash_and_overlap(seed: int) -> None:
    made, rng = story(seed), random.Random(seed)
    depth = 0

    def between() -> None:
        nonlocal depth
        if rng.random() < 0.02:
            raise CrashError
        if depth < 2 and rng.random() < 0.05:
            depth += 1
            try:
                tally.catch_up(made.book, boards, "host")
            finally:
                depth -= 1

    boards = MemoryBoards(between)
    until_done(lambda: tally.catch_up(made.book, boards, "host"))
    boards.between = lambda: None
    counted(boards, made)


def test_a_late_counter_of_an_old_batch_changes_nothing() -> None:
    made, boards = story(1, 120), MemoryBoards()
    late = made.book.statement("host", 100, 100)
    assert tally.catch_up(made.book, boards, "host", 3)
    for row in tally.folded("host", late):
        boards.add(row, 100)
    counted(boards, made)


def test_many_givers_are_written_side_by_side_and_ranked() -> None:
    boards = MemoryBoards()
    book = MemoryLedger()
    batch: list[Transfer] = []
    for n in range(30):
        wallet = Wallet(f"v{n}", coins=1_000)
        rose = catalogue.gift("rose")
        after, transfer = model.give(
            wallet, host="host", gift=rose, count=n + 1, stream="s", client_id="c", event_id="e", at=START
        )
        book.write(Posting(None, after, transfer, unsettled_key="k"))
        batch.append(transfer)
    after, settled = model.settle(Wallet("host"), batch, at=START)
    book.write(Posting(None, after, settled, settles=tuple(batch)))
    assert tally.catch_up(book, boards, "host")
    top = boards.top(tally.stream_board("host", "s"), 3)
    assert [(each.name, each.sums) for each in top] == [
        ("giver#v29", Sums(30, 30)),
        ("giver#v28", Sums(29, 29)),
        ("giver#v27", Sums(28, 28)),
    ]


def test_a_week_begins_on_monday_in_utc() -> None:
    sunday = START + 5 * DAY_MS - 1
    assert tally.week_board("host", sunday) == "host#week#2026-W47"
    assert tally.week_board("host", sunday + 1) == "host#week#2026-W48"
