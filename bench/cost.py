"""What does a viewer-hour cost? 10 comments a second with hearts, 1,000 viewers by sockets and 10,000 in a stadium.

The real handlers run on the local stack in a room of the same build as the big one (as many shards, the same tick, the
same comments a second), only with fewer connections in each shard; every AWS call of theirs is metered (bench/meter.py)
and posts, and what is read of connections, are counted up to the room's size. Everything is in: tickets, joins, pings,
messages both ways, connection minutes, functions, tables, queues. Media is named beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from bench import rooms_deliver
from bench.meter import PRICES, Meter, connection_size
from functions import ids, settings, tokens
from functions.rooms.limits import limits
from functions.rooms.model import Limits, react_sample, tick_ms
from functions.rooms.posts import THREADS
from functions.rooms.table import set_media
from local import ports, template
from local.stack import Options, Stack
from local.testing import Onair, Socket, wait_until

COMMENTS_S: Final = 10
WRITERS: Final = 12
METERED_S: Final = 15
# How late the service answers a post in its own region.
DELIVER_ANSWER_MS: Final = 10
SOCKET_LIMIT: Final = 5.0
STADIUM_LIMIT: Final = 2.0
# Media beside it: 2.5 Mb/s by CloudFront at its first price step, in parts of a third of a second (a playlist and a
# part each) in small rooms and of a second in stadiums.
VIDEO_MBIT_S: Final = 2.5
CDN_GB: Final = 0.085
CDN_REQUEST: Final = 0.01 / 10_000
IVS_DELIVERED: Final = 0.008 / 1_000


@dataclass(frozen=True)
class Room:
    """The room that is priced, and how it is built small."""

    name: str
    viewers: int
    connections: int  # in the metered room, beside the host's
    limit: float
    stadium: bool


ROOMS: Final = (
    Room("1,000 viewers, sockets", 1_000, 36, SOCKET_LIMIT, False),
    Room("10,000 viewers, stadium", 10_000, 36, STADIUM_LIMIT, True),
)


@dataclass
class Metered:
    """What the small room did: meters of each phase, frames and events in them, whether the media carried them."""

    joining: Meter
    talking: Meter
    hearts: Meter
    pings: Meter
    seconds: float
    comments: int
    frames: int
    posts: int
    transport: str
    joins: int
    hearts_sent: int
    pings_sent: int
    shards: int


def small(stack: Stack, room: Room) -> Limits:
    """Give every function limits with which a small room is built like the big one; answers the big one's."""
    real = limits()
    shards = room.viewers // real.shard_size + 1
    changed = {
        "SHARD_SIZE": str(room.connections // shards + 1),
        # As many viewers a millisecond as make the big room's tick.
        "POSTS_BUDGET": str(max(1, room.connections * 1000 // tick_ms(room.viewers, real))),
        "STADIUM_VIEWERS": "10" if room.stadium else "1000000",
    }
    for function in stack.declared.functions.values():
        assert isinstance(function.environment, dict)
        function.environment.update({name: text for name, text in changed.items() if name in function.environment})
    return real


def meter_room(onair: Onair, room: Room) -> Metered:
    """Run the small room and meter it, phase by phase."""
    runtime = onair.stack.runtime

    def watch() -> Meter:
        runtime.on_call[:] = [made := Meter()]
        return made

    host = onair.account("cost_host", followers=1_200)
    stream = str(onair.broadcast(host)["id"])
    studio = onair.socket(host, stream)
    studio.join()
    people = [onair.account(f"cost_{number}") for number in range(room.connections)]
    joining = watch()
    sockets = [onair.socket(person, stream) for person in people]
    for socket in sockets:
        socket.join()
    if room.stadium:
        enter_relay(onair, stream, studio)
    wait_until(lambda: _settled(onair), "the room to be quiet", 30)

    talking, started_s, seen = watch(), time.monotonic(), _frames(studio)
    stop = started_s + METERED_S
    said = Counter[int]()

    def talk(number: int) -> None:
        while time.monotonic() < stop:
            due_s = started_s + (said[number] * WRITERS + number) / COMMENTS_S
            time.sleep(max(0.0, due_s - time.monotonic()))
            if time.monotonic() < stop:
                answer = sockets[number].chat(f"What a goal that was, number {said[number]} of {number}!")
                assert answer["type"] == "ack", answer
                said[number] += 1

    writers = [threading.Thread(target=talk, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wait_until(lambda: _settled(onair), "the room to be quiet", 30)
    seconds = time.monotonic() - started_s
    frames = [one for one in _frames(studio) if one not in seen]

    hearts = watch()
    for socket in sockets:
        socket.react({"❤️": 7})
    wait_until(lambda: hearts.calls["rooms.react"] == len(sockets), "the hearts", 30)
    wait_until(lambda: _settled(onair), "the room to be quiet", 30)
    pings = watch()
    for socket in sockets:
        socket.request({"action": "ping"}, lambda got: got.get("type") == "pong")
    runtime.on_call.clear()
    return Metered(
        joining=joining,
        talking=talking,
        hearts=hearts,
        pings=pings,
        seconds=seconds,
        comments=sum(said.values()),
        frames=len(frames),
        posts=sum(counted["execute-api.PostConnection"] for counted in talking.operations.values()),
        transport=str(frames[-1].get("transport", "socket")),
        joins=len(sockets),
        hearts_sent=len(sockets),
        pings_sent=len(sockets),
        shards=room.viewers // limits().shard_size + 1,
    )


def enter_relay(onair: Onair, stream: str, studio: Socket) -> None:
    """The picture flows, and the relay comes into the room with its ticket, as media/relay/room.py makes it."""
    functions = onair.stack.declared.functions.values()
    settings.environment.set(next(one for one in functions if one.handler.endswith("api.app")).environment)
    ticket, _ = tokens.sign_ticket(
        {"sub": f"relay-{stream}", "stream": stream, "host": "", "role": "relay", "jti": ids.nonce()}
    )
    set_media(stream, "flowing")
    onair.open_socket(f"{onair.addresses.socket_url}?ticket={ticket}").join()
    studio.wait_for(
        lambda got: got.get("transport") == "media", "a frame that sends the next one by the media", within_s=20
    )


def _frames(socket: Any) -> list[dict[str, Any]]:
    return [one for one in socket.messages if one.get("type") == "frame"]


def _settled(onair: Onair) -> bool:
    return not onair.stack.triggers.busy


def lines(room: Room, found: Metered, real: Limits, deliver_s: float) -> dict[str, float]:
    """Dollars an hour of the room, by what they are paid for.

    Parameters
    ----------
    deliver_s : float
        Seconds that one `deliver` takes for a full shard.
    """
    hour, viewers, talking = 3_600, room.viewers, found.talking
    comments = COMMENTS_S * hour
    frames = hour * 1000 / tick_ms(viewers, real)
    hearts = viewers * react_sample(viewers, real) * 1000 / real.react_interval_ms * hour
    pings = viewers * hour / real.ping_s
    # Everyone comes once an hour; and half of them once more, after the service's two hours or a tunnel.
    joins = viewers * 1.5
    message, queue = PRICES["socket message"], PRICES["queue request"]
    by_media = found.transport == "media"
    grown = 1.0 if by_media else viewers / (room.connections + 1)

    def each(meter: Meter, name: str, acts: int) -> float:
        return meter.dollars(name) / acts

    def without_posts(name: str, seconds: float) -> float:
        return (
            talking.dollars(name, seconds=seconds) - talking.units.get(name, Counter[str]())["socket message"] * message
        )

    # A busy room holds one sequencer all the time and no more: what this machine's load adds is not counted.
    sequencing_s = min(talking.seconds.get("rooms.sequence", 0.0), found.seconds)
    polled = talking.calls["rooms.sequence"] * 2 * queue  # Lambda's poller receives and deletes each ring
    # A `deliver` a shard and frame; the small room has more of them, since people may come into shards beyond the
    # newest while a frame is made, and its shards are small.
    delivers = 0 if by_media else (viewers + real.joins_a_slot) // real.shard_size + 1
    metered = max(1, talking.calls["rooms.deliver"])
    read = connection_size() * viewers / max(1, delivers) / 4096 * PRICES["read unit"]
    written = talking.units.get("rooms.deliver", Counter[str]())["write unit"] / metered * PRICES["write unit"]
    gb_s = deliver_s * talking.memory_mib.get("rooms.deliver", 0) / 1024 * PRICES["GB second"]
    return {
        "frames to screens (posts)": found.posts / found.frames * grown * frames * message,
        "comments: message, function, transaction, ring, ack": comments
        * (each(talking, "rooms.chat", found.comments) + 2 * message),
        "sequencer: frames, inbox, rings": (without_posts("rooms.sequence", sequencing_s) + polled)
        / found.frames
        * frames,
        "deliver": delivers * (PRICES["function call"] + read + written + gb_s) * frames,
        "reader of frames (pulse, notices)": talking.dollars("rooms.insights") / found.seconds * hour,
        "hearts": hearts * (each(found.hearts, "rooms.react", found.hearts_sent) + message),
        "pings and pongs": pings * (each(found.pings, "rooms.ping", found.pings_sent) + 2 * message),
        "tickets, joins": joins
        * (
            sum(each(found.joining, name, found.joins) for name in ("api.app", "rooms.authorize", "rooms.join"))
            + PRICES["REST request"]
            + 2 * message
        ),
        "connection minutes": viewers * 60 * PRICES["connection minute"],
    }


def media(viewers: int, part_s: float) -> float:
    """Dollars an hour of CDN: bytes, and requests of playlists and parts."""
    gigabytes = viewers * VIDEO_MBIT_S / 8 / 1000 * 3600
    return gigabytes * CDN_GB + viewers * 2 / part_s * 3600 * CDN_REQUEST


def priced(room: Room, deliver_s: float) -> dict[str, Any]:
    """Run, meter and price one room; in a process of its own, since a stack leaves threads behind."""
    made = template.load(template.LOCAL_CONTEXT)
    options = Options(
        ports=ports.free(), template=made.template, with_relay=False, with_seed=False, with_schedules=False
    )
    stack = Stack(options)
    stack.start()
    onair = Onair(stack)
    try:
        real = small(stack, room)
        found = meter_room(onair, room)
        spent = lines(room, found, real, deliver_s)
    finally:
        onair.close()
        stack.stop()
    sequencer = found.talking.operations.get("rooms.sequence", Counter[str]())
    calls = sum(sequencer.values()) - sequencer["execute-api.PostConnection"]
    return {
        "lines": spent,
        "tick_ms": tick_ms(room.viewers, real),
        "transport": found.transport,
        "hearts_s": room.viewers * react_sample(room.viewers, real) * 1000 / real.react_interval_ms,
        "calls_comment": sum(found.talking.operations["rooms.chat"].values()) / found.comments,
        "calls_frame": calls / found.frames,
        "runs_frame": found.talking.calls["rooms.sequence"] / found.frames,
        "posts_frame": found.posts / found.frames,
        "frames": found.frames,
        "comments": found.comments,
    }


def asked(name: str, deliver_s: float) -> dict[str, Any]:
    """`priced` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cost", name, str(deliver_s)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    # Functions log to the same place.
    return dict(json.loads(next(text for text in done.stdout.splitlines() if text.startswith('{"lines"'))))


def main() -> int:
    if len(sys.argv) > 1:
        room = next(each for each in ROOMS if each.name == sys.argv[1])
        print(json.dumps(priced(room, float(sys.argv[2]))))
        return 0
    # Its processor's time, as of all functions, but no less than its threads wait for answers.
    waiting_s = -(-Limits().shard_size // THREADS) * DELIVER_ANSWER_MS / 1000
    deliver_s = max(rooms_deliver.measure(DELIVER_ANSWER_MS).cpu_s, waiting_s)
    failed, summary = False, list[str]()
    for room in ROOMS:
        found = asked(room.name, deliver_s)
        spent: dict[str, float] = found["lines"]
        total = sum(spent.values())
        as_planned = found["transport"] == ("media" if room.stadium else "socket")
        note = "" if as_planned else " (no frame of this run went by the media, so this is no stadium yet)"
        print(f"**{room.name}**{note}, a frame each {found['tick_ms']} ms:\n\n| for one hour | dollars |\n|---|---|")
        for name, dollars in spent.items():
            print(f"| {name} | {dollars:.3f} |")
        print(f"| **all** (limit {room.limit:.2f}) | **{total:.2f}** |\n")
        print(
            f"AWS calls: {found['calls_comment']:.1f} a comment; {found['calls_frame']:.1f} a frame of "
            f"{found['comments'] / found['frames']:.0f} comments, in {found['runs_frame']:.1f} runs of the sequencer; "
            f"{found['posts_frame']:.1f} posts a frame in the metered room of {room.connections + 1}. Hearts: "
            f"{found['hearts_s']:.0f} messages a second.\n"
        )
        cdn = media(room.viewers, 1.0 if room.stadium else 1 / 3)
        naive = COMMENTS_S * 3600 * (room.viewers + 2) * PRICES["socket message"]
        ivs = COMMENTS_S * 3600 * room.viewers * IVS_DELIVERED
        summary.append(f"| {room.name} | {total:.2f} | {naive:,.0f} | {ivs:,.0f} | {cdn:,.0f} | {total + cdn:,.0f} |")
        failed |= total > room.limit
    print("| dollars an hour | Onair's room | one post a message | IVS Chat | media (CDN) | all in |")
    print("|---|---|---|---|---|---|")
    print("\n".join(summary))
    print(
        "\nHearts: everybody taps all the time; a sample sends, each for all that do not. One post a message is the "
        "bare posts of comments, without hearts, functions or storage. IVS Chat's list price is "
        f"${IVS_DELIVERED * 1000:.3f} per 1,000 delivered, comments alone. A `deliver` takes {deliver_s * 1000:.0f} ms "
        f"for a full shard (measured in this run, answers {DELIVER_ANSWER_MS} ms late). Functions' seconds are the "
        "processor time of this machine with moto's work in it, the sequencer's are those of the clock. Media is "
        f"{VIDEO_MBIT_S} Mb/s a viewer at ${CDN_GB} a GB and $0.01 per 10,000 requests; relay and storage are the "
        "broadcast's, not the viewer's."
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
