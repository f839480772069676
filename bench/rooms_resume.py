"""Away for a minute at 20 events a second: how many bytes, AWS calls and milliseconds until a client has caught up?

The frames of that minute are folded by the real rules and lie in the local stack's table; the client is one like any
other: it joins with its place, and pages on over HTTPS while the answer says that there is more.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any, Final

import msgspec

from bench.meter import Meter
from functions import clock, ids, settings
from functions.rooms.fold import fold
from functions.rooms.limits import limits
from functions.rooms.messages import ChatEvent, Sender
from functions.rooms.model import InboxEntry
from functions.rooms.stored import StoredRooms
from local import ports, template
from local.stack import Options, Stack
from local.testing import Onair

AWAY_S: Final = 60
EVENTS_S: Final = 20
# Five frames a second in a small room, one in a big one.
TICKS_MS: Final = (200, 1_000)
LIMIT_MS: Final = 2_000


def put_minute(stream: str, tick_ms: int) -> int:
    """A minute's frames after the head, as the sequencer would have made them; answers how many."""
    rooms = StoredRooms()
    state, head = rooms.state(stream), rooms.head(stream)
    assert state is not None and head is not None
    at_ms = clock.now_ms() - AWAY_S * 1000
    for _ in range(AWAY_S * 1000 // tick_ms):
        at_ms += tick_ms
        inbox: list[InboxEntry] = []
        for number in range(EVENTS_S * tick_ms // 1000):
            event = ChatEvent(
                id=ids.new(),
                at=clock.rfc3339(at_ms),
                sender=Sender(ids.new(), f"viewer_{number}", f"Viewer {number}"),
                client_id=ids.nonce(),
                text="What a goal that was, did you see how far out he was?",
            )
            inbox.append(InboxEntry(event.id, msgspec.json.encode(event).decode()))
        made = fold(head, state, inbox, viewers=head.viewers, read_ms=at_ms, now_ms=at_ms, limits=limits())
        assert made is not None and made.waiting == 0
        assert rooms.put_frame(stream, made.frame)
        head = made.frame
    return AWAY_S * 1000 // tick_ms


def catch_up(onair: Onair, tick_ms: int) -> dict[str, float]:
    """One client's return, metered."""
    handle = f"host_{tick_ms}"
    host = onair.account(handle, followers=1_200)
    stream = str(onair.broadcast(host)["id"])
    viewer = onair.account(f"away_{tick_ms}")
    before = onair.socket(viewer, stream)
    joined = before.join()
    frame = before.wait_for(lambda got: got.get("type") == "frame", "a first frame")
    before.close()
    function = next(one for one in onair.stack.declared.functions.values() if one.handler.endswith("sequence.handle"))
    settings.environment.set(function.environment)
    made = put_minute(stream, tick_ms)

    onair.stack.runtime.on_call[:] = [meter := Meter()]
    started_s = time.perf_counter()
    socket = onair.socket(viewer, stream)
    answer: Any = socket.join(epoch=joined["epoch"], after=frame["seq"])
    size = len(msgspec.json.encode(answer))
    seen = [one["seq"] for one in answer["frames"]]
    pages = 0
    while answer.get("more"):
        answer = viewer.call("GET", f"/streams/{stream}/frames?epoch={joined['epoch']}&after={seen[-1]}")
        size += len(msgspec.json.encode(answer))
        seen += [one["seq"] for one in answer["frames"]]
        pages += 1
    took_ms = (time.perf_counter() - started_s) * 1000
    onair.stack.runtime.on_call.clear()
    assert seen[: len(seen)] == list(range(seen[0], seen[0] + len(seen))), "no frame is missing"
    assert len(seen) >= made
    total = sum(meter.operations.values(), Counter[str]())
    units = sum(meter.units.values(), Counter[str]())
    return {
        "frames": len(seen), "bytes": size, "pages": pages, "calls": sum(total.values()), "ms": took_ms,
        "read": units["read unit"], "write": units["write unit"],
    }  # fmt: skip


def main() -> int:
    made = template.load(template.LOCAL_CONTEXT)
    options = Options(
        ports=ports.free(), template=made.template, with_relay=False, with_seed=False, with_schedules=False
    )
    stack = Stack(options)
    stack.start()
    onair = Onair(stack)
    try:
        found = {tick_ms: catch_up(onair, tick_ms) for tick_ms in TICKS_MS}
    finally:
        onair.close()
        stack.stop()
    print(f"{AWAY_S} s away, {EVENTS_S} comments a second; ticket, socket, `join` with its place, and pages:\n")
    print("| frame each | frames | bytes | pages after `joined` | AWS calls | read and write units | caught up in |")
    print("|---|---|---|---|---|---|---|")
    for tick_ms, one in found.items():
        print(
            f"| {tick_ms} ms | {one['frames']:.0f} | {one['bytes'] / 1024:.0f} KB | {one['pages']:.0f} | "
            f"{one['calls']:.0f} | {one['read']:.0f} · {one['write']:.0f} | {one['ms']:.0f} ms |"
        )
    print(f"\nLimit: {LIMIT_MS} ms, handlers and tables in this process.")
    return 0 if all(one["ms"] <= LIMIT_MS for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
