"""A host's own media for another task: who gets it, how it begins, and what a reader who is too slow costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AudioFormat, AudioSample, VideoFormat
from media.relay.composition import HOST, Composition
from media.relay.control import MatchItem, Seat, StageItem, StreamItem, _item
from media.relay.errors import RelayError
from media.relay.feed import Feed, Feeds
from media.relay.h264 import Sps
from media.relay.lease import Beat, Lease, Leases
from media.relay.metrics import Metrics
from media.relay.peers import HEADER, Peers
from media.relay.settings import Settings
from media.relay.stages import Stage, Stages
from media.relay.wire import OPUS_BYTES_MAX, Configure, Gone, Message, Opus, Picture, Sound
from tests.relay.test_composition import Screen

_VIDEO = VideoFormat(b"sps", (b"pps",), Sps(66, 0, 30, 1, 8, 8, 320, 180))
_AUDIO = AudioFormat(b"\x11\x90", 48_000, 2, 128_000)
_HELD_MAX = 4 << 20


def _picture(key: bool = False, size: int = 100, dts: int = 0) -> Picture:
    return Picture(HOST, AccessUnit(dts, dts, key, bytes(size), 1.0))


def _sound() -> Sound:
    return Sound(HOST, AudioSample(0, 1024, bytes(300)), 1.0)


def _opus(size: int = 100) -> Opus:
    return Opus(HOST, 960, bytes(size))


class _Asked:
    """Counts requests for key frames."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


async def _taken(feed: Feed) -> list[str]:
    def name(message: Message) -> str:
        return "key frame" if isinstance(message, Picture) and message.unit.key else type(message).__name__

    return [name(message) for message in await feed.take(0.01)]


async def test_a_feed_begins_with_formats_and_a_key_frame_that_is_asked_for() -> None:
    asked = _Asked()
    feed = Feed("other", asked)
    for message in (Configure(HOST, _VIDEO, _AUDIO), _picture(), _sound(), _picture(key=True), _sound(), _picture()):
        feed.offer(message)
    assert await _taken(feed) == ["Configure", "key frame", "Sound", "Picture"]
    assert asked.times >= 2 and feed.dropped == 2
    assert await _taken(feed) == []


async def test_another_publisher_and_other_formats_begin_anew() -> None:
    feed = Feed("other", lambda: None)
    for message in (Configure(HOST, _VIDEO, _AUDIO), _picture(key=True), Gone(HOST)):
        feed.offer(message)
    feed.offer(Configure(HOST, _VIDEO, None))
    feed.offer(_picture())
    feed.offer(_picture(key=True))
    assert await _taken(feed) == ["Configure", "key frame", "Gone", "Configure", "key frame"]


async def test_a_slow_reader_loses_what_is_beyond_the_bound_until_the_next_key_frame() -> None:
    asked = _Asked()
    feed = Feed("other", asked)
    feed.offer(Configure(HOST, _VIDEO, _AUDIO))
    feed.offer(_picture(key=True))
    for _ in range(100):
        feed.offer(_picture(size=100_000))
    # given nothing is taken: also a key frame finds no room
    feed.offer(_picture(key=True))
    held = await feed.take(0.01)
    assert sum(len(one.unit.data) for one in held if isinstance(one, Picture)) <= _HELD_MAX + 100_000
    assert feed.dropped >= 58
    # when there is room again, what refers to something lost is left out
    before = asked.times
    for message in (_picture(), _sound(), _picture(key=True), _picture()):
        feed.offer(message)
    assert await _taken(feed) == ["key frame", "Picture"]
    assert asked.times > before


async def test_sound_alone_needs_no_key_frame() -> None:
    feed = Feed("other", lambda: None)
    feed.offer(Configure(HOST, None, _AUDIO))
    feed.offer(_sound())
    assert await _taken(feed) == ["Configure", "Sound"]


async def test_opus_packets_are_for_readers_that_know_them_and_begin_with_the_picture() -> None:
    plain, whole = Feed("other", lambda: None), Feed("other", lambda: None)
    whole.takes_opus = True
    for message in (Configure(HOST, _VIDEO, _AUDIO), _opus(), _picture(key=True), _opus(), _sound()):
        for feed in (plain, whole):
            feed.offer(message)
    assert await _taken(plain) == ["Configure", "key frame", "Sound"]
    assert await _taken(whole) == ["Configure", "key frame", "Opus", "Sound"]


async def test_opus_packets_count_against_the_bound() -> None:
    feed = Feed("other", lambda: None)
    feed.takes_opus = True
    feed.offer(Configure(HOST, None, _AUDIO))
    for _ in range(10_000):
        feed.offer(_opus(OPUS_BYTES_MAX))
    held = await feed.take(0.01)
    assert sum(len(one.data) for one in held if isinstance(one, Opus)) <= _HELD_MAX + OPUS_BYTES_MAX


async def test_formats_are_never_dropped_and_take_no_more_room_than_the_bound() -> None:
    feed = Feed("other", lambda: None)
    for _ in range(100_000):
        feed.offer(Configure(HOST, _VIDEO, _AUDIO))
    held = await feed.take(0.01)
    assert isinstance(held[-1], Configure) and len(held) * 100 <= _HELD_MAX + 1_000


# --- who gets it


def _stages() -> tuple[Stages, Stage]:
    stages = Stages(Settings(compose_max=1), Metrics())
    stage = stages.of("mine")
    stage.composition = Composition(Screen(), Settings(), lambda: True)
    return stages, stage


def test_only_the_stream_that_the_item_names_is_given_the_host() -> None:
    stages, _ = _stages()
    for taker in ("", "other"):
        with pytest.raises(RelayError) as refusal:
            stages.feed("mine", taker)
        assert refusal.value.code == "forbidden"
    with pytest.raises(RelayError) as refusal:
        stages.feed("elsewhere", "other")
    assert refusal.value.code == "not_found"
    stages.obey("mine", StageItem(), "other")
    assert not stages.feed("mine", "other").ended
    with pytest.raises(RelayError) as refusal:
        stages.feed("mine", "third")
    assert refusal.value.code == "forbidden"


async def test_a_feed_ends_with_the_match_with_the_stream_and_when_another_reader_comes() -> None:
    stages, stage = _stages()
    stages.obey("mine", StageItem(), "other")
    first = stages.feed("mine", "other")
    second = stages.feed("mine", "other")
    assert first.ended and not second.ended
    stages.obey("mine", StageItem(), "")
    assert second.ended
    stages.obey("mine", StageItem(), "other")
    third = stages.feed("mine", "other")
    assert stage.composition is not None
    stages.forget("mine")
    assert third.ended
    await stages.close(1)


def _named(by: str, state: str = "live") -> StreamItem:
    return StreamItem(state, 1, match=MatchItem(by))


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ({"other": _named("mine")}, "other"),
        ({"other": _named("third")}, ""),
        ({"other": _named("")}, ""),
        ({"other": _named("mine", "ended")}, ""),
        ({"other": None}, ""),
        ({}, ""),
        ({"third": _named("mine")}, ""),
    ],
)
def test_a_rival_is_shown_only_while_each_item_names_the_other(
    items: Mapping[str, StreamItem | None], shown: str
) -> None:
    stages, stage = _stages()
    stages.obey("mine", StageItem(), "other")
    stages.meet(items)
    assert (stage.rival, stages.named()) == (shown, {"other"})


def test_a_match_goes_on_while_nothing_can_be_read_and_ends_by_either_item() -> None:
    stages, stage = _stages()
    stages.obey("mine", StageItem(), "other")
    stages.meet({"other": _named("mine")})
    stages.meet({})
    assert stage.rival == "other"
    stages.meet({"other": _named("third")})
    assert stage.rival == ""
    stages.meet({"other": _named("mine")})
    stages.obey("mine", StageItem(seats=(Seat("one"),)), "third")
    assert stage.rival == "" and stages.named() == {"third"}
    # Nobody is in a match with themselves.
    stages.obey("mine", StageItem(), "mine")
    stages.meet({"mine": _named("mine")})
    assert stage.rival == "" and stages.named() == set()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (json.dumps({"stream": "other"}), "other"),
        (json.dumps({"stream": "other", "since": 5}), "other"),
        ("", ""),
        ("{}", ""),
        ("{", ""),
        ("[]", ""),
        (json.dumps({"stream": 5}), ""),
        ("null", ""),
    ],
)
def test_what_cannot_be_read_is_no_match(text: str, named: str) -> None:
    assert _item({"state": {"S": "live"}, "match": {"S": text}}).match.stream == named


# --- over HTTP


async def _serve(feed: Feed) -> tuple[TestServer, Peers]:
    settings = Settings(task="owner", signing_secret="s" * 64)
    peers = Peers(settings, cast(Leases, None), lambda _: True, Metrics())
    app = web.Application()
    app.add_routes(Feeds(lambda _stream, _taker: feed, peers, Metrics()).routes())
    server = TestServer(app)
    await server.start_server()
    return server, Peers(
        Settings(task="taker", signing_secret="s" * 64), cast(Leases, None), lambda _: False, Metrics()
    )


async def test_a_reader_that_takes_nothing_is_held_to_the_bound_and_let_go_with_its_feed() -> None:
    feed = Feed("other", lambda: None)
    server, taker = await _serve(feed)
    headers = taker.headers(Lease("mine", 1, "owner", "", 1, Beat()))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1_024)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET /feed/mine?for=other HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    # when a hundred megabytes come
    feed.offer(Configure(HOST, _VIDEO, None))
    for number in range(1_000):
        feed.offer(_picture(key=number % 30 == 0, size=100_000))
        await asyncio.sleep(0)
    # then most of it is gone, and the reader is not waited for
    assert feed.dropped > 500
    feed.end()
    writer.close()
    await asyncio.wait_for(server.close(), 5)
    await taker.close()


async def test_another_task_alone_asks_for_a_key_frame_and_only_of_the_feed_that_it_reads() -> None:
    asked = _Asked()
    settings = Settings(task="owner", signing_secret="s" * 64)
    owner = Peers(settings, cast(Leases, None), lambda _: True, Metrics())
    feed = Feed("other", asked)
    feeds = Feeds(lambda _stream, _taker: feed, owner, Metrics())
    app = web.Application()
    app.add_routes(feeds.routes())
    server = TestServer(app)
    await server.start_server()
    taker = Peers(Settings(task="taker", signing_secret="s" * 64), cast(Leases, None), lambda _: False, Metrics())
    headers = taker.headers(Lease("mine", 1, "owner", "", 1, Beat()))
    others = taker.headers(Lease("theirs", 1, "owner", "", 1, Beat()))

    async def ask(headers: Mapping[str, str], taker: str = "other") -> int:
        path = f"/feed/mine/key-frame?for={taker}"
        return (await feeds.key_frame(make_mocked_request("POST", path, headers, match_info={"stream": "mine"}))).status

    # given nobody who reads
    with pytest.raises(RelayError) as refusal:
        await ask(headers)
    assert refusal.value.code == "not_found"
    # when somebody does
    reading = await taker.http.get(server.make_url("/feed/mine?for=other"), headers=headers)
    assert (await ask(headers), asked.times) == (204, 1)
    for wrong, code in (({}, "forbidden"), (others, "forbidden"), ({HEADER: headers[HEADER] + "x"}, "forbidden")):
        with pytest.raises(RelayError) as refusal:
            await ask(wrong)
        assert refusal.value.code == code
    with pytest.raises(RelayError) as refusal:
        await ask(headers, "third")
    assert refusal.value.code == "not_found" and asked.times == 1
    # then no longer, once nobody reads
    reading.close()
    feed.end()
    await server.close()
    await taker.close()
    with pytest.raises(RelayError) as refusal:
        await ask(headers)
    assert refusal.value.code == "not_found"


async def test_a_reader_that_goes_away_in_silence_leaves_no_feed_behind() -> None:
    feed = Feed("other", lambda: None)
    server, taker = await _serve(feed)
    headers = taker.headers(Lease("mine", 1, "owner", "", 1, Beat()))
    answer: Any = await taker.http.get(server.make_url("/feed/mine?for=other"), headers=headers)
    assert answer.status == 200
    answer.close()
    end = asyncio.get_running_loop().time() + 5
    while not feed.ended:
        assert asyncio.get_running_loop().time() < end, "the feed is held for nobody"
        await asyncio.sleep(0.02)
    await server.close()
    await taker.close()
