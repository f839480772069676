"""The simulation on a few seeds (or on ``SEED=``), and the proof that it would notice: each known defect is caught.

Only failing promises count as caught, whether the simulation's checks or the rules' own assertions notice them.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.simulation.wallet.defects import DEFECTS, Defect
from tests.simulation.wallet.simulation import play

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else list(range(1, 11))
DEFECT_SEEDS = range(1, 9)
FAULTS = {
    "conflict",
    "throttle",
    "lost_before_commit",
    "lost_after_commit",
    "commits_later",
    "late_committed",
    "late_refused",
    "crash",
    "read_lost",
    "index_lag",
}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_coin_is_proved_after_a_bad_day(seed: int) -> None:
    simulation = play(seed)
    assert simulation.outcomes["given"] > 0
    assert simulation.outcomes["settled"] > 0


def test_a_seed_plays_the_same_day_again() -> None:
    first, second = play(7), play(7)
    assert first.outcomes == second.outcomes
    assert first.ledger.wallets == second.ledger.wallets


def test_every_fault_happens() -> None:
    happened: Counter[str] = Counter()
    for seed in range(1, 6):
        happened.update(play(seed).book.happened)
    assert {name for name, times in happened.items() if times >= 5} >= FAULTS


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_a_defect_is_caught(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    defect(monkeypatch)
    for seed in DEFECT_SEEDS:
        try:
            play(seed)
        except AssertionError:
            return
    pytest.fail(f"{defect.__name__} went unnoticed on seeds {DEFECT_SEEDS}")
