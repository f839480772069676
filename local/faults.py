"""Faults that a test orders through ``/_local/faults`` or `local.testing.Onair.order`: single ones, or a seeded plan.

Single orders are counted down: the next calls of a function fail, the next posts to sockets are refused. A plan is a
share of everything that happens from then on, drawn from its seed, so that the same seed asks for the same faults in
the same order. Nothing of a plan is beyond what the service may do to an application that is right.
"""

from __future__ import annotations

import random
import threading
from typing import Annotated, Final

import msgspec

Times = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
DelayMs = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
# A function that is stopped midway is stopped before one of its first calls to AWS.
STOP_CALLS_MAX: Final = 12


class FunctionFault(msgspec.Struct, frozen=True):
    """The next ``errors`` calls of a function fail before it runs; every call starts ``delay_ms`` late."""

    errors: Times = 0
    delay_ms: DelayMs = 0


class PostFault(msgspec.Struct, frozen=True):
    """The next ``times`` posts to connections are answered with ``status`` (429 or 410)."""

    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 429
    times: Times = 0


class PostPlan(msgspec.Struct, frozen=True):
    """What shares of posts to connections meet: the first that is drawn, in this order.

    ``gone``: the socket breaks at that moment, 410. ``too_large``: 413. ``throttled``: 429. ``dropped``: answered 200
    and lost. Of all others ``delayed`` take up to ``delay_ms`` longer to arrive.
    """

    gone: Share = 0
    too_large: Share = 0
    throttled: Share = 0
    dropped: Share = 0
    delayed: Share = 0
    delay_ms: DelayMs = 200


class TriggerPlan(msgspec.Struct, frozen=True):
    """What shares of batches of queues and streams meet.

    ``redelivered``: succeeds, and comes once more all the same. ``stopped``: the function ends before one of its first
    calls to AWS, as if its machine had died; the batch comes again after its time. ``regrouped``: fewer records than
    there are. ``reordered``: records of different groups (or items) change places, those of one never do. ``delayed``:
    up to ``delay_ms`` later.
    """

    redelivered: Share = 0
    stopped: Share = 0
    regrouped: Share = 0
    reordered: Share = 0
    delayed: Share = 0
    delay_ms: DelayMs = 200


class SocketFault(msgspec.Struct, frozen=True):
    """Shorter lives of connections than the service's 10 minutes idle and 2 hours in all."""

    idle_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    lifetime_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class Plan(msgspec.Struct, frozen=True):
    """A seeded plan for posts and triggers."""

    seed: int = 0
    posts: PostPlan = PostPlan()
    triggers: TriggerPlan = TriggerPlan()


class Faults(msgspec.Struct, frozen=True):
    """What is ordered; functions by their construct's name in the template (``Settle``), without its hash."""

    functions: dict[str, FunctionFault] = {}
    posts: PostFault = PostFault()
    sockets: SocketFault = SocketFault()
    plan: Plan | None = None


class PostFate(msgspec.Struct, frozen=True):
    """What meets one post: a ``status`` instead of success, a broken socket, a loss, or some milliseconds more."""

    status: int | None = None
    breaks: bool = False
    lost: bool = False
    delay_ms: int = 0


class BatchFate(msgspec.Struct, frozen=True):
    """What meets one batch: ``size`` is the share of what there is that it takes."""

    size: float = 1.0
    order: int | None = None
    delay_ms: int = 0
    stop_after: int | None = None
    again: bool = False


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
            self._plan = faults.plan
            self.sockets = faults.sockets
            seed = faults.plan.seed if faults.plan else 0
            # Two streams of chance: how many posts a run makes must not change what its batches meet.
            self._of_posts, self._of_batches = random.Random(f"posts {seed}"), random.Random(f"batches {seed}")

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

    def for_post(self) -> PostFate | None:
        """What meets this post, if anything."""
        if self._posts.times == 0 and self._plan is None:
            return None
        with self._lock:
            if self._posts.times > 0:
                self._posts = PostFault(self._posts.status, self._posts.times - 1)
                return PostFate(status=self._posts.status)
            return None if self._plan is None else _post_fate(self._plan.posts, self._of_posts)

    def for_batch(self) -> BatchFate | None:
        """What meets the next batch of a queue or stream, if anything."""
        with self._lock:
            return None if self._plan is None else _batch_fate(self._plan.triggers, self._of_batches)


def _post_fate(plan: PostPlan, chance: random.Random) -> PostFate:
    # Always the same number of draws, so that one share changed leaves the fate of all others as it was.
    drawn, late, how_late = chance.random(), chance.random(), chance.random()
    for share, fate in (
        (plan.gone, PostFate(status=410, breaks=True)),
        (plan.too_large, PostFate(status=413)),
        (plan.throttled, PostFate(status=429)),
        (plan.dropped, PostFate(lost=True)),
    ):
        if drawn < share:
            return fate
        drawn -= share
    return PostFate(delay_ms=int(how_late * plan.delay_ms) if late < plan.delayed else 0)


def _batch_fate(plan: TriggerPlan, chance: random.Random) -> BatchFate:
    draws = [chance.random() for _ in range(8)]
    return BatchFate(
        size=draws[1] if draws[0] < plan.regrouped else 1.0,
        order=chance.getrandbits(32) if draws[2] < plan.reordered else None,
        delay_ms=int(draws[4] * plan.delay_ms) if draws[3] < plan.delayed else 0,
        stop_after=int(draws[6] * STOP_CALLS_MAX) if draws[5] < plan.stopped else None,
        again=draws[7] < plan.redelivered,
    )
