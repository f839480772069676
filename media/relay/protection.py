"""Keeps ECS from ending this task for scaling in while it is live, by the agent's task protection endpoint.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
import msgspec

from media.relay.metrics import Metrics

logger = logging.getLogger(__name__)

AGENT: Final = "ECS_AGENT_URI"
_PATH: Final = "/task-protection/v1/state"
# A task that died in some strange way is protected no longer than this.
_EXPIRES_MIN: Final = 30
_REFRESH_S: Final = 600.0
# Between two broadcasts, or while a publisher reconnects, protection stays.
_IDLE_S: Final = 60.0
_STEP_S: Final = 1.0
# The agent limits calls; after a failure it is asked again this much later.
_RETRY_S: Final = 10.0
_TIMEOUT_S: Final = 5.0


class ProtectionError(RuntimeError):
    """The agent refused, or did not answer as documented."""


class Protection:
    """Sets and lifts protection as streams come and go.

    Parameters
    ----------
    environment : Mapping[str, str]
        ECS gives ``ECS_AGENT_URI``; without it there is nothing to protect.
    is_live : Callable[[], bool]
        Whether anybody publishes here.
    metrics : Metrics
        ``protected`` shows the state that the agent confirmed, ``control_errors`` counts refusals.
    """

    def __init__(self, environment: Mapping[str, str], is_live: Callable[[], bool], metrics: Metrics) -> None:
        self._url = environment.get(AGENT, "").rstrip("/")
        self._is_live = is_live
        self._metrics = metrics
        self._protected = False
        self._told_s = 0.0
        self._live_s: float | None = None

    async def run(self) -> None:
        """Keep the agent told, for ever; returns at once where there is no agent."""
        if not self._url:
            return
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                pause_s = _STEP_S
                wanted = self.wanted(time.monotonic())
                if wanted is not None:
                    try:
                        await self.tell(session, wanted)
                    except (ProtectionError, aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                        self._metrics.control_errors.inc()
                        logger.warning("task protection could not be set to %s: %s", wanted, error)
                        pause_s = _RETRY_S
                await asyncio.sleep(pause_s)

    def wanted(self, now: float) -> bool | None:
        """What the agent is to be told now; None when it knows."""
        if self._is_live():
            self._live_s = now
            due = not self._protected or now - self._told_s >= _REFRESH_S
            return True if due else None
        idle = self._live_s is None or now - self._live_s >= _IDLE_S
        return False if self._protected and idle else None

    async def tell(self, session: aiohttp.ClientSession, protect: bool) -> None:
        """Set or lift protection.

        Raises
        ------
        ProtectionError
            The answer is an error or a failure, or protection is not what was asked for.
        """
        asked: dict[str, Any] = {"ProtectionEnabled": protect}
        if protect:
            asked["ExpiresInMinutes"] = _EXPIRES_MIN
        async with session.put(self._url + _PATH, json=asked) as answer:
            body = await answer.read()
        told = msgspec.json.decode(body, type=dict[str, Any])
        problem = told.get("error") or told.get("failure")
        if answer.status != 200 or problem:
            raise ProtectionError(f"HTTP {answer.status}: {problem}")
        state: dict[str, Any] = told.get("protection") or {}
        if bool(state.get("ProtectionEnabled")) is not protect:
            raise ProtectionError(f"the agent answers {state}")
        self._protected = protect
        self._told_s = time.monotonic()
        self._metrics.protected.set(protect)
        logger.info("task protection is %s", "on" if protect else "off")
