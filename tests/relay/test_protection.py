"""Task protection and load against fakes over HTTP: ECS's agent with its errors, CloudWatch's metric format."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from media.relay import identity
from media.relay.load import Load
from media.relay.metrics import Metrics
from media.relay.protection import AGENT, Protection, ProtectionError
from media.relay.public_address import METADATA
from media.relay.settings import Settings

_TASK_ARN = "arn:aws:ecs:us-west-2:111122223333:task/onair/1234567890abcdef0"


class Agent:
    """The endpoint as ECS documents it; `answers` are given first, each once."""

    def __init__(self) -> None:
        self.protected = False
        self.asked: list[dict[str, Any]] = []
        self.answers: list[tuple[int, Any]] = []
        self.url = ""

    async def state(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        self.asked.append(asked)
        if self.answers:
            status, body = self.answers.pop(0)
            return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))
        self.protected = asked["ProtectionEnabled"]
        told = {"ProtectionEnabled": self.protected, "TaskArn": _TASK_ARN}
        if self.protected:
            told["ExpirationDate"] = "2026-01-01T00:00:00Z"
        return web.json_response({"protection": told})

    async def container(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "Labels": {"com.amazonaws.ecs.task-arn": _TASK_ARN},
                "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.1.7"], "MACAddress": "0e:10"}],
            }
        )


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    fake = Agent()
    app = web.Application()
    app.add_routes([web.put("/api/x/task-protection/v1/state", fake.state), web.get("/v4/x", fake.container)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = site.name
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


async def test_a_live_task_is_protected_and_an_idle_one_no_longer(agent: Agent) -> None:
    metrics, live = Metrics(), [True]
    protection = Protection({AGENT: f"{agent.url}/api/x"}, lambda: live[0], metrics)
    running = asyncio.create_task(protection.run())
    async with asyncio.timeout(5):
        while not agent.protected:
            await asyncio.sleep(0.02)
    running.cancel()
    assert agent.asked == [{"ProtectionEnabled": True, "ExpiresInMinutes": 30}]
    now = time.monotonic()
    assert protection.wanted(now) is None, "the agent knows"
    assert protection.wanted(now + 700) is True, "told anew before it expires"
    live[0] = False
    assert protection.wanted(now + 701) is None, "a publisher that reconnects finds the task protected"
    assert protection.wanted(now + 800) is False
    async with aiohttp.ClientSession() as session:
        await protection.tell(session, False)
    assert not agent.protected and agent.asked[-1] == {"ProtectionEnabled": False}
    assert metrics.registry.get_sample_value("onair_relay_protected") == 0
    assert protection.wanted(now + 900) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"Code": "InvalidParameterException", "Message": "wrong"}}),
        (403, {"error": {"Code": "AccessDeniedException", "Message": "no right"}}),
        (429, {"error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}),
        (500, {"error": {"Code": "ServerException", "Message": "later"}}),
        (200, {"failure": {"Arn": _TASK_ARN, "Reason": "DEPLOYMENT_BLOCKED", "Detail": "deploying"}}),
        (200, {"protection": {"ProtectionEnabled": False}}),
        (200, {}),
    ],
)
async def test_what_the_agent_refuses_is_no_protection(agent: Agent, status: int, body: Any) -> None:
    protection = Protection({AGENT: f"{agent.url}/api/x"}, lambda: True, Metrics())
    agent.answers.append((status, body))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ProtectionError):
            await protection.tell(session, True)
        assert protection.wanted(time.monotonic()) is True, "it is asked again"
        await protection.tell(session, True)
    assert agent.protected


async def test_an_agent_that_talks_nonsense_does_not_end_the_relay(agent: Agent) -> None:
    metrics = Metrics()
    protection = Protection({AGENT: f"{agent.url}/api/x"}, lambda: True, metrics)
    agent.answers.append((200, "<html>"))
    running = asyncio.create_task(protection.run())
    async with asyncio.timeout(5):
        while not metrics.registry.get_sample_value("onair_relay_control_errors_total"):
            await asyncio.sleep(0.02)
    assert not running.done()
    running.cancel()


async def test_without_an_agent_nothing_is_asked() -> None:
    await asyncio.wait_for(Protection({}, lambda: True, Metrics()).run(), 1)


async def test_a_task_learns_its_name_and_address_from_its_metadata(agent: Agent) -> None:
    settings = Settings(port=8081)
    told = await asyncio.to_thread(identity.identified, settings, {METADATA: f"{agent.url}/v4/x"})
    assert (told.task, told.address) == ("1234567890abcdef0", "http://10.0.1.7:8081")
    with pytest.raises(identity.IdentityError):
        await asyncio.to_thread(identity.identified, settings, {METADATA: f"{agent.url}/nowhere"})


def test_on_one_machine_each_process_is_a_task_of_its_own() -> None:
    one, two = (identity.identified(Settings(port=8081), {}) for _ in range(2))
    assert one.task != two.task and one.address == two.address == "http://127.0.0.1:8081"
    assert identity.identified(Settings(task="a", address="http://x"), {}).address == "http://x"


def test_the_load_is_told_as_cloudwatch_reads_it() -> None:
    lines: list[str] = []
    sent, lost = [0.0], [2.0]
    load = Load("Onair", lambda: 3, lambda: sent[0], lambda: lost[0], lines.append)
    began = load._at_s
    sent[0] = 25e6
    load.measure(began + 20, 1_700_000_000_000)
    told = json.loads(lines[0])
    (directive,) = told["_aws"]["CloudWatchMetrics"]
    assert told["_aws"]["Timestamp"] == 1_700_000_000_000
    for name in [metric["Name"] for metric in directive["Metrics"]] + directive["Dimensions"][0]:
        assert name in told, "each metric and dimension stands at the root"
    assert (told["Publishers"], told["EgressMbps"], told["Deployment"]) == (3, 10.0, "Onair")
    assert told["RecordingLosses"] == 2
    load.measure(began + 40, 0)
    assert json.loads(lines[1])["EgressMbps"] == 0.0
    assert json.loads(lines[1])["RecordingLosses"] == 0, "each loss is told once"


async def test_on_a_laptop_no_load_is_told() -> None:
    await asyncio.wait_for(Load("", lambda: 0, lambda: 0.0, lambda: 0.0).run(), 1)
