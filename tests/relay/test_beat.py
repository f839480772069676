"""Beats: one item a second for all streams of a task, what others read of it, and what a lease needs beside it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ConnectTimeoutError
from msgspec import structs

from media.relay import lease, lease_table
from media.relay.errors import RelayError
from media.relay.lease import Beat
from tests.relay.lease_scene import ALIVE_S, Table, Task, now_ms


async def test_ten_streams_on_air_cost_one_write_and_one_read_a_second() -> None:
    table = Table()
    one = Task(table, "one")
    for number in range(10):
        await one.leases.claim(f"show{number}", 1)
    table.writes, table.reads = [], 0
    await one.renew()
    assert table.writes == ["task#one"] and table.reads == 1
    assert len(one.leases.held) == 10 and not one.lost


async def test_a_task_without_streams_costs_nothing() -> None:
    table = Table()
    one = Task(table, "one")
    await one.renew()
    assert not table.writes and table.reads == 0


async def test_each_stream_of_a_task_is_alive_or_silent_by_itself() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    silent = {"dead"}
    one.leases.beat_of = lambda stream_id: Beat(1 if stream_id in silent else now_ms(), last_msn=5, breaks=1)
    for stream_id in ("live", "dead"):
        await one.leases.claim(stream_id, 1)

    async def keep_renewing() -> None:
        while True:
            await one.renew()
            await asyncio.sleep(0.05)

    renewing = asyncio.create_task(keep_renewing())
    # when another task is asked to take both
    took, refused = await asyncio.gather(
        two.leases.claim("dead", 1), two.leases.claim("live", 1), return_exceptions=True
    )
    # then only the silent one moves, and one keeps the other
    renewing.cancel()
    assert isinstance(took, Beat) and isinstance(refused, RelayError) and refused.code == "conflict"
    await one.renew()
    assert one.lost == ["dead"] and one.leases.holds("live")


async def test_whether_an_owner_lives_is_known_from_what_it_told_last() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    claimed = await two.leases.owner("show", kept_s=0)
    assert claimed is not None
    long_ago = structs.replace(claimed, beat=Beat(now_ms() - 60_000))
    assert not await two.leases.is_alive(long_ago), "nothing was told since it was claimed"
    await one.renew()
    assert await two.leases.is_alive(long_ago), "by its beat, though the lease is old"
    one.alive = False
    await one.renew()
    assert not await two.leases.is_alive(long_ago)
    one.alive = True
    await one.renew()
    await one.leases.release("show")
    given_up = await two.leases.owner("show", kept_s=0)
    assert given_up is not None and not await two.leases.is_alive(given_up), "whatever was told before"


async def test_an_owner_that_dies_before_its_first_beat_hands_on_the_numbers_of_the_one_before() -> None:
    table = Table()
    one, two, three = (Task(table, name) for name in ("one", "two", "three"))
    await one.leases.claim("show", 1)
    await one.renew()
    assert await two.leases.claim("show", 1) is not None
    before = await three.leases.claim("show", 1)
    assert before is not None and (before.last_msn, before.breaks) == (77, 2)


async def test_an_owner_whose_program_never_came_hands_on_the_numbers_of_the_one_before() -> None:
    table = Table()
    one, two, three = (Task(table, name) for name in ("one", "two", "three"))
    await one.leases.claim("show", 1)
    await one.renew()
    two.leases.beat_of = lambda _: Beat(now_ms())
    assert await two.leases.claim("show", 2) is not None
    await two.renew()
    await two.leases.release("show")
    before = await three.leases.claim("show", 2)
    assert before is not None and (before.last_msn, before.breaks) == (77, 2)


async def test_a_stream_that_was_given_up_keeps_its_numbers_though_its_program_is_forgotten() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    await one.renew()
    one.leases.beat_of = lambda _: Beat(1)
    await one.leases.release("show")
    await one.leases.claim("other", 1)
    await one.renew()
    assert "show" not in table.items["task#one"]["beats"]["S"], "its own item has them"
    before = await two.leases.claim("show", 1)
    assert before is not None and (before.last_msn, before.breaks) == (77, 2)


async def test_a_stream_given_up_while_dynamodb_is_away_is_given_up_later_and_keeps_its_numbers_meanwhile() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    for stream_id in ("show", "other"):
        await one.leases.claim(stream_id, 1)
    await one.renew()
    # given
    table.away = True
    await one.leases.release("show")
    await one.leases.check()
    table.away = False
    # when the task tells again of what it still plays
    await one.leases.tell()
    assert table.items["stream#show"]["media_ms"]["N"] != "0"
    assert msgspec.json.decode(table.items["task#one"]["beats"]["S"])["show"][1:] == [77, 2]
    await one.leases.check()
    # then its item says so, and the beat no longer speaks of it
    assert table.items["stream#show"]["media_ms"]["N"] == "0"
    await one.leases.tell()
    assert list(msgspec.json.decode(table.items["task#one"]["beats"]["S"])) == ["other"]
    began = time.monotonic()
    before = await two.leases.claim("show", 1)
    assert before is not None and (before.last_msn, before.breaks) == (77, 2)
    assert time.monotonic() - began < ALIVE_S * 0.5


async def test_giving_up_again_says_nothing_of_a_stream_that_another_task_owns_by_now() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    table.away = True
    await one.leases.release("show")
    table.away = False
    assert await two.leases.claim("show", 2) is not None
    await one.leases.check()
    assert table.items["stream#show"]["media_ms"]["N"] != "0"
    await one.leases.tell()
    assert table.writes.count("task#one") == 0, "there is nothing left to tell"
    await two.renew()
    assert two.leases.holds("show") and not two.lost


async def test_a_release_that_comes_late_does_not_leave_a_stream_on_air_free_to_take() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    # given a stream that its task claimed again before it was written that it had given it up
    await one.leases.claim("show", 1)
    await one.leases.release("show")
    given_up = dict(table.items["stream#show"])
    await one.leases.claim("show", 1)
    table.items["stream#show"] = given_up
    # when
    await one.renew()
    # then its item says that it is owned
    found = await two.leases.owner("show", kept_s=0)
    assert found is not None and found.beat.media_ms > 0 and await two.leases.is_alive(found)
    assert one.leases.holds("show") and found.fence == one.leases.held["show"].fence


async def test_what_a_throttled_read_leaves_out_is_neither_lost_nor_written_again() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    await one.leases.claim("other", 1)
    assert await two.leases.claim("show", 2) is not None
    table.throttled = {"stream#show"}
    table.writes = []
    await one.leases.check()
    assert one.leases.holds("show") and one.leases.holds("other") and not table.writes
    table.throttled = set()
    await one.leases.check()
    assert one.lost == ["show"]


async def test_a_task_of_many_streams_reads_all_of_their_leases() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    for number in range(230):
        await one.leases.claim(f"show{number}", 1)
    await two.leases.claim("show7", 2)
    await two.leases.claim("show229", 2)
    await one.renew()
    assert sorted(one.lost) == ["show229", "show7"] and len(one.leases.held) == 228


async def test_the_beat_is_bounded_and_leaves_out_who_is_silent_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_BEATS_MAX", 3)
    table = Table()
    one = Task(table, "one")
    for number in range(5):
        await one.leases.claim(f"show{number}", 1)
    one.leases.beat_of = lambda stream_id: Beat(1_000 + int(stream_id[-1]))
    await one.renew()
    assert set(msgspec.json.decode(table.items["task#one"]["beats"]["S"])) == {"show2", "show3", "show4"}
    assert len(one.leases.held) == 5


async def test_the_item_of_a_stream_that_is_on_air_for_days_does_not_expire() -> None:
    table = Table()
    one = Task(table, "one")
    await one.leases.claim("show", 1)
    table.items["stream#show"]["expires_at"] = {"N": str(int(time.time()) + lease_table.KEPT_LEAST_S - 60)}
    await one.renew()
    assert int(table.items["stream#show"]["expires_at"]["N"]) > time.time() + 1.5 * lease_table.KEPT_LEAST_S
    table.writes = []
    await one.renew()
    assert table.writes == ["task#one"]


async def test_a_beat_that_nobody_can_read_is_like_silence() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    await one.renew()
    table.items["task#one"]["beats"] = {"S": '{"show":"soon"}'}
    assert await two.leases.claim("show", 1) is not None


async def test_a_clock_that_is_put_right_after_a_claim_makes_no_live_owner_look_dead() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    table.items["stream#show"]["media_ms"] = {"N": str(now_ms() + 3_600_000)}
    await one.renew()
    found = await two.leases.owner("show", kept_s=0)
    assert found is not None and await two.leases.is_alive(found)


async def test_the_beat_of_a_task_that_lost_a_stream_says_nothing_for_its_next_owner() -> None:
    table = Table()
    one, two, three = (Task(table, name) for name in ("one", "two", "three"))
    await one.leases.claim("show", 1)
    await two.leases.claim("show", 2)
    # given an owner of old that does not know yet, and a new one that is silent
    await one.leases.tell()
    table.items["stream#show"]["media_ms"] = {"N": "1"}
    began = time.monotonic()
    assert await three.leases.claim("show", 2) is not None
    assert time.monotonic() - began < ALIVE_S * 0.5
    assert int(table.items["stream#show"]["fence"]["N"]) == 3


async def test_beats_go_on_while_the_leases_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_S", 0.02)
    table = Table()
    one = Task(table, "one")
    await one.leases.claim("show", 1)

    def away(**_: Any) -> dict[str, Any]:
        raise ConnectTimeoutError(endpoint_url="away")

    table.batch_get_item = away  # type: ignore[method-assign]
    running = asyncio.create_task(one.leases.run())
    until_s = time.monotonic() + 5
    while table.writes.count("task#one") < 5:
        assert time.monotonic() < until_s and not running.done()
        await asyncio.sleep(0.01)
    running.cancel()
    assert one.leases.holds("show") and not one.lost


async def test_numbers_that_were_told_stay_told_while_there_is_no_program() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    await one.renew()
    one.leases.beat_of = lambda _: Beat(1)
    await one.renew()
    before = await two.leases.claim("show", 1)
    assert before is not None and (before.last_msn, before.breaks) == (77, 2)


async def test_an_owner_that_dies_before_its_program_comes_hands_on_the_numbers_of_the_one_before() -> None:
    table = Table()
    one, two, three = (Task(table, name) for name in ("one", "two", "three"))
    await one.leases.claim("show", 1)
    await one.renew()
    two.leases.beat_of = lambda _: Beat(1)
    assert await two.leases.claim("show", 2) is not None
    await two.renew()
    before = await three.leases.claim("show", 2)
    assert before is not None and (before.last_msn, before.breaks) == (77, 2)


async def test_a_stream_that_is_claimed_here_again_is_not_given_up_afterwards() -> None:
    table = Table()
    one = Task(table, "one")
    await one.leases.claim("show", 1)
    table.away = True
    await one.leases.release("show")
    table.away = False
    await one.leases.claim("show", 1)
    table.writes = []
    await one.leases.check()
    assert not table.writes and one.leases.holds("show")
