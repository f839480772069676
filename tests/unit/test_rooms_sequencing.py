"""The sequencer's order of reads and writes at the points where someone comes between, on a fake that lets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from functions import clock
from functions.rooms.messages import ChatEvent, EndedEvent, RoomEvent
from functions.rooms.model import Connection, Limits, StoredFrame, slot_of
from functions.rooms.sequencing import Outcome, sequence
from tests.simulation.rooms.world import STREAM, FakeRooms, World
from tests.unit.https import MovableClock

LIMITS = Limits()


class QuietWorld(World):
    """A world in which nothing interleaves or dies: each call takes effect and returns."""

    def call(self, name: str, effect: Callable[[], Any]) -> Any:
        self.trace.append(name)
        return effect()

    def start(self, run: Callable[[], None]) -> Any:
        run()


class Rooms(FakeRooms):
    """Lets a test act right before a frame is put."""

    before_put: Callable[[], None] | None = None

    def put_frame(self, stream_id: str, frame: StoredFrame) -> bool:
        if self.before_put is not None:
            act, self.before_put = self.before_put, None
            act()
        return super().put_frame(stream_id, frame)


@pytest.fixture
def world() -> Iterator[QuietWorld]:
    before = clock.clock
    made = QuietWorld(seed=1)
    made.kind = True
    made.rooms = Rooms(made)
    clock.use(MovableClock())
    yield made
    clock.use(before)


def rooms_of(world: QuietWorld) -> Rooms:
    assert isinstance(world.rooms, Rooms)
    return world.rooms


def enter(world: QuietWorld, name: str) -> None:
    world.rooms.by_shard[0, name] = Connection(name, name, 0, 2**40, clock.now_ms())
    world.sockets.mailboxes[name] = []


def put(world: QuietWorld, event: RoomEvent) -> None:
    world.rooms._put(event)


def chat(number: int) -> ChatEvent:
    return ChatEvent(id=f"e{number}", at=f"2027-01-01T00:00:0{number}.000Z", text="hi")


def run(world: QuietWorld, *, first_try: bool = True, slot: int | None = None) -> Outcome:
    now_ms = clock.now_ms()
    return sequence(
        world.rooms,
        world.sockets,
        STREAM,
        slot_of(now_ms, LIMITS) if slot is None else slot,
        first_try=first_try,
        limits=LIMITS,
        deadline_ms=now_ms + 3_000,
    )


def received(world: QuietWorld, name: str) -> int:
    return len(world.sockets.mailboxes[name])


def test_who_registers_between_read_and_put_is_sent_the_frame(world: QuietWorld) -> None:
    enter(world, "early")
    put(world, chat(1))
    rooms_of(world).before_put = lambda: enter(world, "late")
    slot = slot_of(clock.now_ms(), LIMITS) - 2
    assert run(world, slot=slot) == Outcome(frames=1, events=1)
    assert (received(world, "early"), received(world, "late")) == (1, 1)


def test_the_slower_of_two_sequencers_reads_again_and_repeats_nothing(world: QuietWorld) -> None:
    enter(world, "a")
    put(world, chat(1))

    def other_first() -> None:
        run(world)
        put(world, chat(2))

    rooms_of(world).before_put = other_first
    run(world)
    assert [frame.event_ids for frame in world.rooms.frames] == [("e1",), ("e2",)]
    assert world.rooms.inbox_items == {}


def test_who_rings_a_quiet_room_does_not_wait_for_the_slot_and_the_slot_is_read_all_the_same(world: QuietWorld) -> None:
    put(world, chat(1))
    rung_ms = clock.now_ms()
    slot = slot_of(rung_ms, LIMITS)
    movable = clock.clock
    assert isinstance(movable, MovableClock)
    sleep, read = movable.sleep_ms, list[int]()

    def sleep_ms(duration_ms: float) -> None:
        if world.rooms.frames and not read:
            read.append(world.rooms.frames[-1].read_ms - rung_ms)
            put(world, chat(2))  # its ring is dropped: the slot was rung for
        sleep(duration_ms)

    movable.sleep_ms = sleep_ms  # type: ignore[method-assign]
    assert run(world, slot=slot) == Outcome(frames=2, events=2)
    first, second = world.rooms.frames
    assert read[0] < LIMITS.skew_guard_ms
    assert second.read_ms >= (slot + 1) * LIMITS.slot_ms + LIMITS.skew_guard_ms
    assert second.read_ms - first.read_ms >= LIMITS.slot_ms


def test_what_is_committed_in_the_slot_is_read_though_its_ring_was_dropped(world: QuietWorld) -> None:
    slot = slot_of(clock.now_ms(), LIMITS)
    waited: list[float] = []
    movable = clock.clock
    assert isinstance(movable, MovableClock)
    sleep = movable.sleep_ms

    def sleep_ms(duration_ms: float) -> None:
        sleep(duration_ms)
        if not waited:
            put(world, chat(1))
        waited.append(duration_ms)

    movable.sleep_ms = sleep_ms  # type: ignore[method-assign]
    assert run(world, slot=slot).events == 1
    assert clock.now_ms() >= (slot + 1) * LIMITS.slot_ms + LIMITS.skew_guard_ms


def test_a_covered_ring_is_skipped_once_and_looked_at_when_it_comes_again(world: QuietWorld) -> None:
    put(world, chat(1))
    slot = slot_of(clock.now_ms(), LIMITS) - 2
    run(world, slot=slot)
    put(world, chat(1))
    world.trace.clear()
    assert run(world, slot=slot).covered
    assert world.trace == ["head"]
    assert not run(world, slot=slot, first_try=False).covered
    assert len(world.rooms.frames) == 1 and world.rooms.inbox_items == {}


def test_frames_of_a_big_room_keep_its_tick_apart(world: QuietWorld) -> None:
    for number in range(600):
        enter(world, f"viewer{number}")
    for number in (1, 2, 3):
        put(world, chat(number))
        run(world)
    reads = [frame.read_ms for frame in world.rooms.frames]
    assert [frame.tick_ms for frame in world.rooms.frames] == [600] * 3
    assert all(later - earlier >= 600 for earlier, later in pairwise(reads))


def test_a_run_out_of_time_rings_for_what_is_left(world: QuietWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    put(world, chat(1))
    rung: list[str] = []
    monkeypatch.setattr(world, "send_ring", lambda: rung.append("ring"))

    now_ms = clock.now_ms()
    outcome = sequence(world.rooms, world.sockets, STREAM, 0, first_try=True, limits=LIMITS, deadline_ms=now_ms - 1)
    assert (outcome, rung) == (Outcome(), ["ring"])
    assert len(world.rooms.inbox_items) == 1


def test_people_left_in_a_room_that_ended_are_sent_away(world: QuietWorld) -> None:
    enter(world, "a")
    put(world, EndedEvent(id="z", at="2027-01-01T00:00:09.000Z"))
    world.rooms.room = replace(world.rooms.room, live=False)
    run(world)
    assert world.sockets.mailboxes == {} and world.rooms.by_shard == {}
    world.rooms.by_shard[0, "b"] = Connection("b", "b", 0, 2**40)
    world.sockets.mailboxes["b"] = []
    run(world)
    run(world)
    assert world.sockets.mailboxes == {} and world.rooms.by_shard == {}
