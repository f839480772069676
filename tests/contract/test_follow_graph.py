"""The follow graph under concurrent changes: whatever people do at once, both sides and all counts agree afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from functions.accounts import blocks, follows, reconcile
from functions.accounts.table import AccountsItem, account_key
from functions.errors import OnairError
from tests.contract.conftest import Service

pytestmark = pytest.mark.dynamodb_local

PEOPLE = 3
THREADS = 4
RESENT_MAX = 10

_examples = itertools.count()


class Act(Struct, frozen=True):
    """What one of them does to another."""

    kind: Literal["follow", "unfollow", "block", "unblock", "ask", "accept"]
    who: int
    whom: int


ACTS = st.builds(
    Act,
    st.sampled_from(("follow", "follow", "unfollow", "block", "unblock", "ask", "accept")),
    st.integers(0, PEOPLE - 1),
    st.integers(0, PEOPLE - 1),
).filter(lambda act: act.who != act.whom)
LANES = st.lists(st.lists(ACTS, min_size=1, max_size=6), min_size=2, max_size=THREADS)


def do(act: Act, people: Sequence[str]) -> None:
    """An act as its route does it, sent again while nothing answers."""
    who, whom = people[act.who], people[act.whom]
    for _ in range(RESENT_MAX):
        try:
            _do(act.kind, who, whom)
            return
        except OnairError as error:
            if error.code == "blocked":
                return
            if error.code != "unavailable":
                raise
    raise AssertionError(f"{act} was not answered in {RESENT_MAX} tries")


def _do(kind: str, who: str, whom: str) -> None:
    if kind == "follow":
        follows.follow(who, whom)
    elif kind == "unfollow":
        follows.unfollow(who, whom)
    elif kind == "ask":
        follows.ask(who, whom)
    elif kind == "accept":
        if follows.drop_request(whom, who):
            follows.follow(whom, who)
    elif kind == "unblock":
        blocks.unblock(who, whom)
    else:
        blocks.block(who, whom)
        for follower, followed in ((who, whom), (whom, who)):
            follows.unfollow(follower, followed)
            follows.drop_request(follower, followed)


def everything(account: str) -> set[str]:
    return {item.sk for item in AccountsItem.query(account_key(account), consistent_read=True)}


def test_both_sides_and_counts_agree_whatever_happens_at_once(real: Service) -> None:
    held: list[int] = []

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(LANES)
    def agree(lanes: list[list[Act]]) -> None:
        example = next(_examples)
        people = [f"{example}-{name}" for name in range(PEOPLE)]

        def run(lane: list[Act]) -> None:
            for act in lane:
                do(act, people)

        with ThreadPoolExecutor(len(lanes)) as pool:
            list(pool.map(run, lanes))
        rows = {one: everything(one) for one in people}
        for one, other in itertools.permutations(people, 2):
            follow = f"follows#{other}" in rows[one]
            assert follow == (f"follower#{one}" in rows[other])
            assert (f"requested#{other}" in rows[one]) == (f"request#{one}" in rows[other])
            block = f"block#{other}" in rows[one]
            assert block == (f"block#{one}" in rows[other])
            assert not (block and follow), "someone follows through a block"
        assert [finding for one in people for finding in reconcile.check(one)] == []
        held.append(sum(map(len, lanes)))

    agree()
    assert sum(held) > 100


def test_a_crowd_that_follows_at_once_is_counted_one_by_one(real: Service) -> None:
    fans = 200

    def come(n: int) -> None:
        do(Act("follow", 0, 1), [f"fan-{n}", "host"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come, range(fans)))
    assert reconcile.check("host") == []
    assert len([key for key in everything("host") if key.startswith("follower#")]) == fans
