"""Leases: one owner, fences that only rise, takeover by a publisher alone, and DynamoDB that goes away."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from media.relay import lease
from media.relay.errors import RelayError
from media.relay.lease import Beat
from tests.relay.lease_scene import ALIVE_S, Table, Task


async def test_the_first_publisher_makes_its_task_the_owner_and_others_find_it() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    assert await two.leases.owner("show") is None
    assert await one.leases.claim("show", 1) is None
    found = await two.leases.owner("show", kept_s=0)
    assert found is not None and (found.task, found.address, found.fence) == ("one", "http://one", 1)
    assert not two.leases.holds("show") and one.leases.holds("show")


async def test_a_live_owner_keeps_the_stream_from_the_same_key_but_not_from_a_newer_one() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)

    async def keep_renewing() -> None:
        while True:
            await one.renew()
            await asyncio.sleep(0.05)

    renewing = asyncio.create_task(keep_renewing())
    with pytest.raises(RelayError, match="conflict"):
        await two.leases.claim("show", 1)
    assert await two.leases.claim("show", 2) is not None
    renewing.cancel()
    await one.renew()
    assert one.lost == ["show"] and not one.leases.holds("show") and two.leases.holds("show")


async def test_a_dead_owner_is_followed_after_two_seconds_of_silence_with_its_numbers() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    await one.renew()
    began = time.monotonic()
    before = await two.leases.claim("show", 1)
    assert ALIVE_S * 0.5 < time.monotonic() - began < ALIVE_S + 0.5
    assert before is not None and (before.last_msn, before.breaks) == (77, 2)
    assert table.items["stream#show"]["fence"]["N"] == "2"


async def test_silence_alone_takes_nothing_from_an_owner() -> None:
    table = Table()
    one = Task(table, "one")
    await one.leases.claim("show", 1)
    one.alive = False
    await one.renew()
    await asyncio.sleep(ALIVE_S * 1.5)
    await one.renew()
    assert one.leases.holds("show") and not one.lost


async def test_a_process_started_again_at_the_same_address_need_not_wait_for_itself() -> None:
    table = Table()
    before, after = Task(table, "before", "http://here"), Task(table, "after", "http://here")
    await before.leases.claim("show", 1)
    await before.renew()
    began = time.monotonic()
    assert await after.leases.claim("show", 1) is not None
    assert time.monotonic() - began < ALIVE_S * 0.5


async def test_a_stream_that_was_given_up_is_taken_at_once() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    await one.leases.release("show")
    assert not one.leases.holds("show")
    began = time.monotonic()
    assert await two.leases.claim("show", 1) is not None
    assert time.monotonic() - began < ALIVE_S * 0.5


async def test_while_dynamodb_is_away_owners_keep_and_nobody_becomes_one() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    assert (await two.leases.owner("show")) is not None
    table.away = True
    for _ in range(5):
        await one.renew()
    assert one.leases.holds("show") and not one.lost
    known = await two.leases.owner("show", kept_s=0)
    assert known is not None and known.task == "one", "what was known is used on"
    with pytest.raises(RelayError, match="unavailable"):
        await two.leases.claim("show", 2)
    table.away = False
    await one.renew()
    assert one.leases.holds("show")


async def test_a_lease_that_somebody_deleted_is_written_again() -> None:
    table = Table()
    one = Task(table, "one")
    await one.leases.claim("show", 3)
    table.items.clear()
    await one.renew()
    assert one.leases.holds("show") and table.items["stream#show"]["task"]["S"] == "one"


async def test_viewers_who_ask_at_once_cost_one_read() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    reads = 0
    real = table.get_item

    def counted(**arguments: Any) -> dict[str, Any]:
        nonlocal reads
        reads += 1
        return real(**arguments)

    table.get_item = counted  # type: ignore[method-assign]
    await asyncio.gather(*(two.leases.owner("show") for _ in range(200)))
    assert reads == 1


@pytest.mark.parametrize("seed", range(20))
async def test_two_owners_never(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks claim at once, renew, fall silent and give up in any order, answers get lost: each fence has one task."""
    monkeypatch.setattr(lease, "_WAIT_MARGIN_S", 0.02)
    chance = random.Random(seed)
    table = Table()
    table.answers_lost = random.Random(seed + 1_000)
    tasks = [Task(table, f"task{number}", alive_s=0.02) for number in range(4)]
    generation = 1
    for _ in range(40):
        step = chance.random()
        for task in tasks:
            task.alive = chance.random() < 0.7
        if step < 0.5:
            generation += chance.random() < 0.7
            rivals = chance.sample(tasks, chance.randint(1, 3))
            claims = (rival.leases.claim("show", generation) for rival in rivals)
            for outcome in await asyncio.gather(*claims, return_exceptions=True):
                assert outcome is None or isinstance(outcome, Beat | RelayError), f"seed {seed}: {outcome!r}"
        elif step < 0.9:
            await asyncio.gather(*(each.renew() for each in tasks))
        else:
            await chance.choice(tasks).leases.release("show")
        # Fences only rise, and each belongs to one task for ever.
        fences = [fence for fence, _ in table.history]
        assert fences == list(range(1, len(fences) + 1)), f"seed {seed}"
        current = int(table.items["stream#show"]["fence"]["N"]) if table.items else 0
        owners = [each for each in tasks if each.leases.holds("show") and each.leases.held["show"].fence == current]
        assert len(owners) <= 1, f"seed {seed}"
    # Whoever lost it hears of it with the next renewal that is answered.
    table.answers_lost = None
    await asyncio.gather(*(each.renew() for each in tasks))
    assert sum(each.leases.holds("show") for each in tasks) <= 1, f"seed {seed}"


async def test_who_is_started_again_at_a_dead_task_s_address_does_not_ask_itself_for_the_stream() -> None:
    table = Table()
    before = Task(table, "one", address="http://same")
    await before.leases.claim("show", 1)
    again, other = Task(table, "two", address="http://same"), Task(table, "three")
    assert await again.leases.owner("show", kept_s=0) is None
    assert await again.leases.claim("show", 1) is not None
    found = await other.leases.owner("show", kept_s=0)
    assert found is not None and (found.task, found.fence) == ("two", 2)
