"""Leases: one owner, fences that only rise, takeover by a publisher alone, and DynamoDB that goes away."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from media.relay import lease
from media.relay.errors import RelayError
from media.relay.lease import Beat, Leases
from media.relay.metrics import Metrics
from media.relay.settings import Settings

_ALIVE_S = 0.4


class Table:
    """One DynamoDB item a key with the two calls and conditions that leases use; may be away, or lose its answers."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.away = False
        self.answers_lost: random.Random | None = None
        self.history: list[tuple[int, str]] = []
        self._lock = threading.Lock()

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        assert ConsistentRead, "a stale read could make a dead owner look alive, or a fence go back"
        self._reach()
        with self._lock:
            item = self.items.get(Key["pk"]["S"])
            return {} if item is None else {"Item": dict(item)}

    def update_item(
        self,
        *,
        TableName: str,
        Key: dict[str, Any],
        UpdateExpression: str,
        ConditionExpression: str,
        ExpressionAttributeValues: dict[str, Any],
    ) -> dict[str, Any]:
        self._reach()
        values = ExpressionAttributeValues
        with self._lock:
            item = self.items.get(Key["pk"]["S"], {})
            holds = all(self._holds(one, item, values) for one in ConditionExpression.split(" AND "))
            if not holds:
                raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
            changed = dict(item)
            for assignment in UpdateExpression.removeprefix("SET ").split(", "):
                name, value = assignment.split(" = ")
                changed[name] = values[value]
            self.items[Key["pk"]["S"]] = changed
            if changed.get("fence") != item.get("fence"):
                self.history.append((int(changed["fence"]["N"]), changed["task"]["S"]))
        if self.answers_lost is not None and self.answers_lost.random() < 0.2:
            raise ConnectTimeoutError(endpoint_url="after the commit")
        return {}

    def _reach(self) -> None:
        if self.away:
            raise ConnectTimeoutError(endpoint_url="away")

    @staticmethod
    def _holds(condition: str, item: dict[str, Any], values: dict[str, Any]) -> bool:
        if condition == "attribute_not_exists(fence)":
            return "fence" not in item
        name, value = condition.split(" = ")
        return item.get(name) == values[value]


class Task:
    """Leases as one task has them; its publishers are alive as long as `alive` says."""

    def __init__(self, table: Table, name: str, address: str = "", alive_s: float = _ALIVE_S) -> None:
        self.alive = True
        self.lost: list[str] = []
        settings = Settings(task=name, address=address or f"http://{name}", lost_after_s=alive_s)
        self.metrics = Metrics()
        self.leases = Leases(settings, self.metrics, table)
        self.leases.beat_of = lambda _: Beat(_now_ms() if self.alive else 1, last_msn=77, breaks=2)
        self.leases.on_lost = self.lost.append

    async def renew(self) -> None:
        """What the running loop does each second."""
        for each in list(self.leases.held.values()):
            await self.leases._keep(each)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


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
    assert _ALIVE_S * 0.5 < time.monotonic() - began < _ALIVE_S + 0.5
    assert before is not None and (before.last_msn, before.breaks) == (77, 2)
    assert table.items["stream#show"]["fence"]["N"] == "2"


async def test_silence_alone_takes_nothing_from_an_owner() -> None:
    table = Table()
    one = Task(table, "one")
    await one.leases.claim("show", 1)
    one.alive = False
    await one.renew()
    await asyncio.sleep(_ALIVE_S * 1.5)
    await one.renew()
    assert one.leases.holds("show") and not one.lost


async def test_a_process_started_again_at_the_same_address_need_not_wait_for_itself() -> None:
    table = Table()
    before, after = Task(table, "before", "http://here"), Task(table, "after", "http://here")
    await before.leases.claim("show", 1)
    await before.renew()
    began = time.monotonic()
    assert await after.leases.claim("show", 1) is not None
    assert time.monotonic() - began < _ALIVE_S * 0.5


async def test_a_stream_that_was_given_up_is_taken_at_once() -> None:
    table = Table()
    one, two = Task(table, "one"), Task(table, "two")
    await one.leases.claim("show", 1)
    await one.leases.release("show")
    assert not one.leases.holds("show")
    began = time.monotonic()
    assert await two.leases.claim("show", 1) is not None
    assert time.monotonic() - began < _ALIVE_S * 0.5


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
