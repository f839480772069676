"""Schedules of EventBridge, run on the stack's clock: a test that moves the clock an hour sees each minute's call once.

`rate(…)` counts from the start of the stack. `cron(…)` takes the six fields of EventBridge (minutes, hours, day of
month, month, day of week, year) with ``*``, ``?``, numbers, ranges, lists and steps, in UTC. `at(…)` runs once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from functions import clock, ids
from local.declared import Schedule
from local.deployment import ACCOUNT, REGION
from local.runtime import Runtime

# How often the clock is looked at: it may be moved at any moment.
LOOK_S: Final = 0.25
# A host's clock that is put right goes back by less; a test's by more.
BACK_MS_MIN: Final = 1_000
_RATE: Final = re.compile(r"rate\((\d+) (second|minute|hour|day)s?\)")
_UNIT_S: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_NAMES: Final = {
    name: str(number)
    for names, first in ((("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"), 1), ("SUN MON TUE WED THU FRI SAT", 1))
    for number, name in enumerate(names.split(), first)
}


class Schedules:
    """Runs every enabled schedule of a stack."""

    def __init__(self, schedules: Sequence[Schedule], runtime: Runtime) -> None:
        self._runtime = runtime
        self._due = {
            schedule: next_ms(schedule.expression, clock.now_ms()) for schedule in schedules if schedule.enabled
        }
        self._looked_ms = clock.now_ms()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Call nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self.call_due(clock.now_ms())
            await asyncio.sleep(LOOK_S)

    def call_due(self, now_ms: int) -> None:
        """Call what is due; a clock that leapt over several turns makes one call, as a late scheduler does.

        One that was moved back starts anew.
        """
        if now_ms < self._looked_ms - BACK_MS_MIN:
            self._due = {schedule: next_ms(schedule.expression, now_ms) for schedule in self._due}
        self._looked_ms = now_ms
        for schedule, due_ms in self._due.items():
            if due_ms is not None and now_ms >= due_ms:
                self._due[schedule] = next_ms(schedule.expression, now_ms)
                self._runtime.call_later(schedule.function, _event(schedule, due_ms))


def next_ms(expression: str, after_ms: int) -> int | None:
    """When a schedule is due next after a moment, in ms since the Unix epoch; `None` when never again."""
    rate = _RATE.fullmatch(expression)
    if rate is not None:
        return after_ms + int(rate[1]) * _UNIT_S[rate[2]] * 1000
    if expression.startswith("at("):
        at_ms = int(datetime.fromisoformat(expression[3:-1]).replace(tzinfo=UTC).timestamp() * 1000)
        return at_ms if at_ms > after_ms else None
    if expression.startswith("cron("):
        return _next_by_cron(expression[5:-1].split(), after_ms)
    raise ValueError(f"not a schedule expression: {expression}")


def _next_by_cron(fields: list[str], after_ms: int) -> int | None:
    if len(fields) != 6:
        raise ValueError(f"a cron expression of EventBridge has six fields, not {len(fields)}")
    minutes, hours, days, months, weekdays, years = fields
    moment = datetime.fromtimestamp(after_ms / 1000, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    # Day by day first, then within the day: at most eight years of days for the 29th of February.
    for _ in range(8 * 366):
        # EventBridge counts weekdays from Sunday = 1, Python from Monday = 0.
        if (
            _holds(years, moment.year, 1970)
            and _holds(months, moment.month, 1)
            and _holds(days, moment.day, 1)
            and _holds(weekdays, (moment.weekday() + 1) % 7 + 1, 1)
        ):
            day = moment.date()
            while moment.date() == day:
                if _holds(hours, moment.hour, 0) and _holds(minutes, moment.minute, 0):
                    return int(moment.timestamp() * 1000)
                moment += timedelta(minutes=1)
        else:
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
    return None


def _holds(field: str, value: int, lowest: int) -> bool:
    for part in field.split(","):
        span, _, step = part.partition("/")
        every = int(step) if step else 1
        if span in ("*", "?"):
            first, last = lowest, 9999
        else:
            low, _, high = span.partition("-")
            first = int(_NAMES.get(low.upper(), low))
            last = int(_NAMES.get(high.upper(), high)) if high else (9999 if step else first)
        if first <= value <= last and (value - first) % every == 0:
            return True
    return False


def _event(schedule: Schedule, at_ms: int) -> Any:
    if schedule.payload is not None:
        return msgspec.json.decode(schedule.payload)
    return {
        "version": "0",
        "id": ids.new(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": clock.rfc3339(at_ms)[:19] + "Z",
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{schedule.logical}"],
        "detail": {},
    }
