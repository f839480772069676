"""What a relay tells of its streams: each half minute again that one flows, and to whom their pictures are shown."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from media.relay.control import Control, MediaState, StreamItem
from media.relay.errors import RelayError
from media.relay.metrics import Metrics
from media.relay.rights import StreamKey
from media.relay.segmenter import CutPart
from media.relay.settings import Settings
from media.relay.streams import Streams
from tests.relay.stack import Stack, fetch, playback_token, until

_KEY = StreamKey("show", 1)


class _Plane:
    """A control plane with one item, which keeps what it is told."""

    def __init__(self, item: StreamItem) -> None:
        self.item = item
        self.told: list[MediaState] = []

    async def read(self, _stream_id: str) -> StreamItem:
        return self.item

    def announce(self, message: MediaState) -> None:
        self.told.append(message)


def _flowing(streams: Streams) -> Any:
    program = streams.program("show")
    program.begin_segment(0, 0.0)
    program.add_part(CutPart(start=0, duration=30_000, independent=True, pictures=10, body=b"part"))
    return program


def test_flowing_is_told_anew_each_half_minute_with_the_moment_it_was_seen() -> None:
    plane = _Plane(StreamItem("live", 1, True))
    streams = Streams(Settings(), cast(Control, plane), Metrics())
    program = _flowing(streams)
    program.media_at_s = streams._announced_s["show"]
    begun_s = streams._announced_s["show"]
    for later_s in (1.0, 29.0):
        program.media_at_s = begun_s + later_s
        streams._watch(program, begun_s + later_s)
    assert len(plane.told) == 1
    seen: list[int] = []
    for later_s in (31.0, 62.0):
        streams._announced_s["show"] = begun_s + later_s - 31.0
        program.media_at_s = begun_s + later_s
        before = plane.told[-1].seen_ms
        until(lambda before=before: _now_ms() > before, 1, "the clock goes on")
        streams._watch(program, begun_s + later_s)
        seen.append(plane.told[-1].seen_ms)
    assert [message.state for message in plane.told] == ["flowing"] * 3
    assert len({message.at_ms for message in plane.told}) == 1, "the state began once"
    assert plane.told[0].at_ms <= plane.told[0].seen_ms < seen[0] < seen[1]
    assert len({message.deduplication_id for message in plane.told}) == 3, "the queue takes each for a new one"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.parametrize("item", [StreamItem("live", 1, True), StreamItem("live", 1, False)])
async def test_the_preview_is_as_open_as_the_stream_and_closes_with_it(item: StreamItem) -> None:
    plane = _Plane(item)
    streams = Streams(Settings(), cast(Control, plane), Metrics())
    await streams.admit(_KEY)
    program = streams.program("show")
    assert program.preview_open is item.for_everyone
    streams._obey("show", StreamItem("live", 1, not item.for_everyone))
    assert program.preview_open is not item.for_everyone
    streams._obey("show", None)
    assert not program.preview_open


async def test_a_key_of_another_generation_is_not_admitted() -> None:
    streams = Streams(Settings(), cast(Control, _Plane(StreamItem("live", 2, True))), Metrics())
    with pytest.raises(RelayError, match="forbidden"):
        await streams.admit(_KEY)


def test_pictures_of_a_stream_for_few_are_shown_only_with_a_playback_token(stack: Stack) -> None:
    stack.put_stream("few", audience="followers")
    stack.put_stream("old", min_age=18)
    for stream_id in ("few", "old"):
        stack.start_source(stream_id)
        own = f"{stack.relay_url}/preview/{playback_token(stream_id)}/{stream_id}.jpg"
        until(lambda own=own: fetch(own).status == 200, 25, "who may play it sees the picture")
        assert fetch(own).headers["cache-control"].startswith("private")
        for path, headers in [
            (f"{stream_id}.jpg", {}),
            (f"{stream_id}.jpg", {"X-Onair-Origin": "o" * 64}),
            (f"x/{stream_id}.jpg", {}),
            (f"{playback_token(stream_id, -1)}/{stream_id}.jpg", {}),
        ]:
            assert fetch(f"{stack.relay_url}/preview/{path}", headers=headers).code == "unauthenticated", path
        other = f"{stack.relay_url}/preview/{playback_token('other')}/{stream_id}.jpg"
        assert fetch(other).code == "forbidden"
