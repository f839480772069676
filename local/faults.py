"""Faults that a test orders through ``/_local/faults``: functions that fail or dawdle, posts that are refused."""

from __future__ import annotations

import threading
from typing import Annotated

import msgspec

Times = Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class FunctionFault(msgspec.Struct, frozen=True):
    """The next ``errors`` calls of a function fail before it runs; every call starts ``delay_ms`` late."""

    errors: Times = 0
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0


class PostFault(msgspec.Struct, frozen=True):
    """The next ``times`` posts to connections are answered with ``status`` (429 or 410)."""

    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 429
    times: Times = 0


class Faults(msgspec.Struct, frozen=True):
    """What is ordered; functions by their construct's name in the template (``Settle``), without its hash."""

    functions: dict[str, FunctionFault] = {}
    posts: PostFault = PostFault()


class FaultOrders:
    """The orders in force, counted down as they are used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.order(Faults())

    def order(self, faults: Faults) -> None:
        """Replace every order."""
        with self._lock:
            self._functions = dict(faults.functions)
            self._posts = faults.posts

    def for_function(self, logical: str) -> FunctionFault | None:
        """The fault that meets this call of a function, if any."""
        if not self._functions:
            return None
        with self._lock:
            name = next((name for name in self._functions if logical.startswith(name)), None)
            if name is None:
                return None
            fault = self._functions[name]
            self._functions[name] = FunctionFault(max(0, fault.errors - 1), fault.delay_ms)
            return fault

    def for_post(self) -> int | None:
        """The status that meets this post, if any."""
        if self._posts.times == 0:
            return None
        with self._lock:
            status = self._posts.status if self._posts.times > 0 else None
            self._posts = PostFault(self._posts.status, max(0, self._posts.times - 1))
            return status
