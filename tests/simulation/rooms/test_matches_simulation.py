"""Matches under crashes: three hosts ask, accept, decline, end and block at once, and any call may be their last.

The real code runs on the tables. Calls to AWS interleave by one seeded random, and a function may die before or after
each of them. ``SEED=17 pytest`` with this file replays one seed; ``SEEDS=500`` runs many.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import greenlet
import msgspec
import pytest
from botocore.client import BaseClient

from functions import aws, clock, storage
from functions.accounts import blocks, graph_routes
from functions.errors import OnairError
from functions.rooms import match_routes, matches, seating
from functions.rooms.items import INBOX_PREFIX, InboxItem, room_key
from functions.rooms.messages import MatchEvent, RoomEvent
from functions.streams import life, sweep
from functions.streams import table as streams
from tests.unit import https
from tests.unit.https import Client, Person

BUDGET_S = 12.0
SEEDS_MIN = 12
HANDLES = ("ana_live", "ben_live", "cyd_live")
ACTS_MAX = 9
TRIES_MAX = 6
# All acts together stay below the five minutes after which a broadcast without media ends.
PAUSE_MS_MAX = 9_000


class CrashError(BaseException):
    """The function died here; what it did before stands."""


class Actor(greenlet.greenlet):
    """A host's page and the functions that it calls, one after the other."""

    request: Any = None


class World:
    """Three live broadcasts, and who acts on them; its `call` stands for each call to AWS."""

    def __init__(self, client: Client, hosts: list[Person], seed: int) -> None:
        self.client = client
        self.hosts = hosts
        self.rng = random.Random(seed)
        self.crash = self.rng.choice([0.0, 0.02, 0.06])
        self.live = {one.handle: client.live(one) for one in hosts}
        self.kind = False
        self.main = greenlet.getcurrent()
        self.acts: Counter[str] = Counter()
        self.calls = 0

    # --- calls

    def call(self, real: Callable[..., Any], client: Any, operation: str, content: Any) -> Any:
        if self.kind or not isinstance(greenlet.getcurrent(), Actor):
            return real(client, operation, content)
        self.calls += 1
        self.main.switch()
        if self.rng.random() < self.crash:
            raise CrashError(f"before {operation}")
        answer = real(client, operation, content)
        if operation == "TransactWriteItems":
            self.kind = True
            self.check_live()
            self.kind = False
        if self.rng.random() < self.crash:
            raise CrashError(f"after {operation}")
        return answer

    # --- acting

    def play(self) -> None:
        actors = [Actor(lambda one=one: self._host(one)) for one in self.hosts]
        stay = self.rng.choice([0.0, 0.7, 0.9])
        running = actors[0]
        while left := [one for one in actors if not one.dead]:
            # Some functions are far slower than others: a whole match may pass between two calls of one of them.
            if running.dead or self.rng.random() >= stay:
                running = self.rng.choice(left)
            running.switch()

    def _host(self, me: Person) -> None:
        for _ in range(self.rng.randint(2, ACTS_MAX)):
            act = self._chosen(me)
            whom = self.rng.choice([one for one in self.hosts if one != me])
            key = f"{me.handle}-{self.rng.random()}"
            for _ in range(self.rng.randint(1, TRIES_MAX)):
                # A page that had no answer sends the same again, or its person gives up.
                try:
                    self._act(act, me, whom, key)
                    self.acts[act] += 1
                    break
                except CrashError:
                    self.acts["crash"] += 1
                except OnairError as error:
                    self.acts[f"{act}: {error.code}"] += 1
                    if error.code != "unavailable":
                        break
            self.client.clock.offset_ms += self.rng.random() * PAUSE_MS_MAX

    def _chosen(self, me: Person) -> str:
        """What a host does who looks at the page, or, at times, one whose page is behind."""
        if self.rng.random() < 0.15:
            return self.rng.choice(("ask", "accept", "decline", "leave", "end", "block"))
        self.kind = True
        match = seating.read(self.live[me.handle]).match
        self.kind = False
        if match is None or (match.state == "asked" and match.asked_by == me.id):
            return self.rng.choices(("ask", "leave"), (9, 1))[0]
        if match.state == "accepted":
            return self.rng.choices(("ask", "leave", "end"), (4, 3, 2))[0]
        return self.rng.choices(("accept", "decline", "block"), (6, 2, 1))[0]

    def _act(self, act: str, me: Person, whom: Person, key: str) -> None:
        stream_id = self.live[me.handle]
        if act == "ask":
            self._says(me, {"handle": whom.handle}, key)
            match_routes.ask_for_match(stream_id)
        elif act in ("accept", "decline"):
            self._says(me, {"state": "accepted" if act == "accept" else "declined"})
            match_routes.answer_match(stream_id)
        elif act == "leave":
            self._says(me)
            match_routes.end_match(stream_id)
        elif act == "end":
            life.end(streams.required(stream_id), "host")
        else:
            self._says(me)
            graph_routes.block(whom.handle)

    def _says(self, me: Person, body: Any = None, key: str | None = None) -> None:
        current = greenlet.getcurrent()
        assert isinstance(current, Actor)
        current.request = SimpleNamespace(
            context={"authorizer": {"claims": {"sub": me.id, "username": me.handle}}},
            headers={"idempotency-key": key} if key else {},
            raw_body=json.dumps(body).encode() if body is not None else b"",
            query_params=None,
        )

    # --- what must hold

    def check_live(self) -> None:
        """At every moment: what is live on both sides is on both sides, and the relay reads what the rooms say."""
        now = {one: streams.required(one) for one in self.live.values()}
        for stream in now.values():
            if stream.state != "live":
                continue
            match = matches.current(seating.read(stream.id), clock.now_ms())
            on = match if match is not None and match.state == "accepted" else None
            assert stream.match == (on.rival.stream_id if on else None), "the relay reads something else"
            pointing = [one.id for one in now.values() if one.match == stream.id and one.state == "live"]
            assert len(pointing) <= 1, "two matches in one room"
            if match is None or now[match.rival.stream_id].state != "live":
                continue
            other = seating.read(match.rival.stream_id).match
            assert other is not None, "a match on one side alone"
            assert (other.id, other.state, other.rival.stream_id) == (match.id, match.state, stream.id)

    def check_after(self) -> None:
        """Once the sweep has been here: nothing is left of broadcasts that are over, nobody behind a block is shown."""
        self.check_live()
        now = {one: streams.required(one) for one in self.live.values()}
        told: dict[tuple[str, str], set[str]] = {}
        for stream in now.values():
            assert stream.state in ("live", "ended") and (stream.state == "live") == (stream.summary is None)
            if stream.state == "ended":
                assert stream.match is None
            if stream.match is not None:
                assert now[stream.match].state == "live" and now[stream.match].match == stream.id
                assert not blocks.between(stream.host.id, now[stream.match].host.id)
            for match, states in self._told(stream.id).items():
                assert states.count("asked") == 1 and states.count("accepted") <= 1 and len(set(states)) == len(states)
                over = {*states} & {"declined", "expired", "ended"}
                assert len(over) <= 1 and not {"accepted", "declined"} <= {*states}
                told.setdefault((match, stream.state), set()).update(over)
        assert all(len(over) <= 1 for over in told.values()), "two rooms were told different ends of one match"

    def _told(self, stream_id: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in InboxItem.query(room_key(stream_id), InboxItem.sk.startswith(INBOX_PREFIX)):
            event = msgspec.json.decode(item.body, type=RoomEvent)
            if isinstance(event, MatchEvent):
                found.setdefault(event.match, []).append(event.state)
        return found


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    aws.forget_clients()
    storage.forget_connections()
    with https.made(monkeypatch) as made:
        yield made
    aws.forget_clients()
    storage.forget_connections()


def _play(client: Client, hosts: list[Person], monkeypatch: pytest.MonkeyPatch, seed: int) -> World:
    random.seed(seed)
    world = World(client, hosts, seed)
    real = BaseClient._make_api_call
    # One container serves one request at a time; here three share a process, and each must read its own.
    own = property(lambda _: getattr(greenlet.getcurrent(), "request", None))
    app = type("App", (), {"current_request": own})()
    with monkeypatch.context() as patched:
        for module in (match_routes, graph_routes):
            patched.setattr(module.routes, "_current_app", app)
        patched.setattr(life, "LAST_FRAME_WAIT_MS", 0)
        patched.setattr(BaseClient, "_make_api_call", lambda *call: world.call(real, *call))
        try:
            world.play()
        except BaseException:
            print(f"\nreplay with SEED={seed} pytest {__file__}")  # noqa: T201 - a failure's reader needs it
            raise
    sweep.sweep()
    world.check_after()
    return world


def _part(client: Client, world: World) -> None:
    """Everybody may meet again in the next run."""
    for one in world.hosts:
        life.end(streams.required(world.live[one.handle]), "host")
        for other in world.hosts:
            if other != one:
                client.call("DELETE", f"/accounts/{other.handle}/block", who=one)


def test_a_match_is_never_on_one_side_and_nobody_has_two(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [client.host(handle) for handle in HANDLES]
    given, bound = os.environ.get("SEED"), os.environ.get("SEEDS")
    seeds = iter([int(given)] if given is not None else range(10**9))
    started, acts, calls, played = time.monotonic(), Counter[str](), 0, 0
    for seed in seeds:
        world = _play(client, hosts, monkeypatch, seed)
        _part(client, world)
        acts += world.acts
        calls += world.calls
        played += 1
        if played >= int(bound or SEEDS_MIN) and (bound is not None or time.monotonic() - started >= BUDGET_S):
            break
    print(f"\n{played} seeds: {calls} calls, {dict(sorted(acts.items()))}")  # noqa: T201 - what was run
    if given is None:
        assert acts["crash"] and acts["accept"] and acts["decline"] and acts["leave"] and acts["end"] and acts["block"]
