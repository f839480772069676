"""The one clock: every rule takes time from here or as an argument, so that tests can move it."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in milliseconds since the Unix epoch, and waiting."""

    def now_ms(self) -> int: ...

    def sleep_ms(self, duration_ms: float) -> None: ...


class SystemClock:
    """The host's clock; ``offset_ms`` shifts it (local stack and tests only)."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms

    def sleep_ms(self, duration_ms: float) -> None:
        if duration_ms > 0:
            time.sleep(duration_ms / 1000)


clock: Clock = SystemClock()


def use(replacement: Clock) -> None:
    """Replace the process's clock (local stack, simulation and tests)."""
    global clock
    clock = replacement


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return clock.now_ms()


def sleep_ms(duration_ms: float) -> None:
    """Wait ``duration_ms``; returns at once when it is not positive."""
    clock.sleep_ms(duration_ms)


def rfc3339(at_ms: int) -> str:
    """``2026-01-31T09:05:01.250Z`` (RFC 3339, UTC, milliseconds)."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def today_utc(at_ms: int) -> date:
    """The calendar day in UTC of a moment."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def today_in(zone: str, at_ms: int) -> date:
    """The calendar day of a moment in an IANA time zone; ``KeyError`` (zoneinfo's) for one that does not exist."""
    # Imported with the first question: most handlers never ask.
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date()
