"""Standing: what strikes, their expiry, decisions and appeals come to, as properties over any record."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from functions.accounts import standing
from functions.accounts.model import DAY_MS
from functions.accounts.standing import POINTS, SEVERITY, STRIKE_DAYS, Appeal, Entry, Evidence

NOW_MS = 1_800_000_000_000
RULES = st.sampled_from(sorted(POINTS))


def strike_at(at_ms: int, rule: str = "spam", id: str = "s") -> Entry:
    return standing.strike(f"{id}-{at_ms}", rule, at_ms, "olga", "why", Evidence())  # type: ignore[arg-type]


def decision(at_ms: int, what: str, until_ms: int | None) -> Entry:
    return Entry(f"d-{at_ms}", at_ms, "olga", "why", standing=what, until_ms=until_ms)  # type: ignore[arg-type]


@st.composite
def records(draw: st.DrawFn, decisions: bool = True) -> list[Entry]:
    times = draw(st.lists(st.integers(0, 200 * DAY_MS), unique=True, max_size=8))
    found: list[Entry] = []
    for at in sorted(times):
        at_ms = NOW_MS + at
        if decisions and draw(st.booleans()):
            what = draw(st.sampled_from(["good", "limited", "suspended", "banned"]))
            until = draw(st.one_of(st.none(), st.integers(1, 60 * DAY_MS).map(lambda more, at=at_ms: at + more)))
            found.append(decision(at_ms, what, None if what in ("good", "banned") else until))
        else:
            found.append(strike_at(at_ms, draw(RULES)))
    return found


def at(record: Sequence[Entry], now_ms: int) -> str:
    """The standing of a record by the definition: the gravest of all effects that hold."""
    held = [effect.standing for effect in standing.effects(record) if effect.holds(now_ms)]
    return max(held, key=lambda one: SEVERITY[one], default="good")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], ("good", None)),
        (["spam"], ("limited", 7)),
        (["spam", "spam"], ("suspended", 7)),
        (["spam", "spam", "spam"], ("suspended", 30)),
        (["spam"] * 4, ("banned", None)),
        (["fraud"], ("suspended", 7)),
        (["fraud", "spam"], ("suspended", 30)),
        (["minor_safety"], ("banned", None)),
    ],
)
def test_each_strike_is_a_step_of_the_ladder(rules: list[str], expected: tuple[str, int | None]) -> None:
    record = [strike_at(NOW_MS + at, rule) for at, rule in enumerate(rules)]
    now, until_ms = standing.at(standing.steps(record, NOW_MS + 10), NOW_MS + 10)
    days = None if until_ms is None else round((until_ms - NOW_MS) / DAY_MS)
    assert (now, days) == expected


@given(rule=RULES, gap=st.integers(0, 200 * DAY_MS))
def test_a_strike_counts_towards_the_next_until_it_expires_to_the_millisecond(rule: str, gap: int) -> None:
    record = [strike_at(NOW_MS, "spam", "a"), strike_at(NOW_MS + gap, rule, "b")]
    counted = POINTS["spam"] if gap < STRIKE_DAYS * DAY_MS else 0
    assert standing.active_points(record, NOW_MS + gap) == POINTS[rule] + counted  # type: ignore[index]


@given(record=records(), look=st.integers(0, 300 * DAY_MS), later=st.integers(0, 300 * DAY_MS))
def test_the_steps_tell_the_standing_of_any_later_time(record: list[Entry], look: int, later: int) -> None:
    now_ms = max([NOW_MS + look, *(one.at_ms for one in record)])
    steps = standing.steps(record, now_ms)
    found, until_ms = standing.at(steps, now_ms + later)
    assert found == at(record, now_ms + later)
    assert steps[0][0] == 0
    names = [what for _, what in steps]
    assert names and all(one != next_one for one, next_one in pairwise(names))
    if until_ms is not None:
        assert until_ms > now_ms + later
        assert at(record, until_ms - 1) == found != at(record, until_ms)


@given(record=records(decisions=False), more=RULES, look=st.integers(0, 300 * DAY_MS))
def test_another_strike_never_makes_a_standing_better(record: list[Entry], more: str, look: int) -> None:
    end_ms = max([NOW_MS, *(one.at_ms for one in record)]) + 1
    worse = [*record, strike_at(end_ms, more)]
    assert SEVERITY[at(worse, end_ms + look)] >= SEVERITY[at(record, end_ms + look)]  # type: ignore[index]
    assert SEVERITY[at(worse, end_ms)] > SEVERITY["good"]  # type: ignore[index]


@given(record=records(decisions=False), which=st.integers(0, 7), look=st.integers(0, 300 * DAY_MS))
def test_what_an_appeal_overturns_never_makes_a_standing_worse(record: list[Entry], which: int, look: int) -> None:
    if not record:
        return
    at_ms = NOW_MS + look
    taken = record[which % len(record)]
    overturned = replace(taken, appeal=Appeal("no", taken.at_ms, "overturned", taken.at_ms + 1))
    after = [overturned if one is taken else one for one in record]
    assert SEVERITY[at(after, at_ms)] <= SEVERITY[at(record, at_ms)]  # type: ignore[index]
    assert at(after, at_ms) == at([one for one in record if one is not taken], at_ms)


@given(record=records())
def test_without_a_ban_everyone_is_in_good_standing_in_the_end(record: list[Entry]) -> None:
    forever = [one for one in standing.effects(record) if one.until_ms is None]
    end = at(record, NOW_MS + 1_000 * DAY_MS)
    assert end == max((one.standing for one in forever), key=lambda one: SEVERITY[one], default="good")


@given(record=records(), what=st.sampled_from(["good", "limited", "suspended", "banned"]))
def test_a_decision_is_what_holds_from_then_on(record: list[Entry], what: str) -> None:
    at_ms = max([NOW_MS, *(one.at_ms for one in record)]) + 1
    assert at([*record, decision(at_ms, what, None)], at_ms) == what


def test_there_is_one_appeal_within_thirty_days_and_none_against_being_let_off() -> None:
    struck = strike_at(NOW_MS)
    assert standing.may_appeal(struck, NOW_MS)
    assert not standing.may_appeal(struck, NOW_MS + 30 * DAY_MS)
    assert not standing.may_appeal(replace(struck, appeal=Appeal("no", NOW_MS, "upheld")), NOW_MS)
    assert not standing.may_appeal(decision(NOW_MS, "good", None), NOW_MS)
