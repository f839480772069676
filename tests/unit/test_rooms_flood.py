"""Who floods a container: what is counted, in which window, and when a socket is closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions import observe
from functions.rooms.flood import MESSAGES_MAX, REFUSALS_MAX, WATCHED_MAX, WINDOW_MS, Watch
from tests.unit import socket_room
from tests.unit.socket_room import SocketRoom


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketRoom]:
    with socket_room.made(monkeypatch) as made:
        yield made


def test_messages_beyond_the_limit_wait_for_the_windows_end_and_others_are_looked_at() -> None:
    watch = Watch()
    assert all(watch.wait_ms("fast", 1_000) == 0 for _ in range(MESSAGES_MAX))
    assert watch.wait_ms("fast", 3_000) == WINDOW_MS - 2_000
    assert watch.wait_ms("slow", 3_000) == 0
    assert watch.wait_ms("fast", 1_000 + WINDOW_MS) == 0


def test_refusals_of_a_window_close_once_and_nothing_more_of_it_is_looked_at() -> None:
    watch = Watch()
    assert watch.wait_ms("a", 0) == 0
    assert [watch.is_enough("a", 0) for _ in range(REFUSALS_MAX)].index(True) == REFUSALS_MAX - 1
    assert watch.wait_ms("a", 1) > 0
    # Where closing failed, it is tried again after as many.
    assert [watch.is_enough("a", 2) for _ in range(REFUSALS_MAX)].count(True) == 1


def test_refusals_far_apart_close_nothing() -> None:
    watch = Watch()
    every_ms = WINDOW_MS // (REFUSALS_MAX - 1) + 1
    assert not any(watch.is_enough("a", number * every_ms) for number in range(10 * REFUSALS_MAX))


def test_a_clock_that_goes_back_begins_a_new_window() -> None:
    watch = Watch()
    assert all(watch.wait_ms("a", 50_000) == 0 for _ in range(MESSAGES_MAX))
    assert watch.wait_ms("a", 1_000) == 0


def test_what_is_watched_is_bounded_and_the_most_silent_is_forgotten() -> None:
    watch = Watch()
    for _ in range(REFUSALS_MAX - 1):
        watch.is_enough("old", 0)
    for number in range(WATCHED_MAX):
        watch.wait_ms(str(number), 0)
    assert not watch.is_enough("old", 0)


def test_whoever_goes_on_after_many_refusals_gets_bye_and_is_closed(room: SocketRoom) -> None:
    ana, bo = room.joined("ana"), room.joined("bo")
    answers = [ana.chat(str(number), f"now {number}") for number in range(REFUSALS_MAX + 5)]
    assert {one["code"] for one in answers if one["type"] == "error"} == {"rate_limited"}
    byes = [body for body in room.gateway.posted[ana.id] if body["type"] == "bye"]
    assert [(bye["code"], bye["reconnect"]) for bye in byes] == [("rate_limited", True)]
    assert room.gateway.closed == [ana.id]
    assert bo.chat("1", "calm")["type"] == "ack"


def test_what_is_not_looked_at_of_a_flood_costs_no_call_to_aws(room: SocketRoom) -> None:
    ana = room.joined("ana")
    for _ in range(MESSAGES_MAX):
        ana.send("ping")
    with observe.counting() as calls:
        refused = ana.chat("more")
    assert refused["code"] == "rate_limited"
    assert 0 < refused["retry_after_ms"] <= WINDOW_MS
    assert calls == []
