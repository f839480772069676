"""What a watcher is sent of a seat: from a key frame on, across publishers, never late, never broken."""

from __future__ import annotations

import time

import pytest
from aiortc.mediastreams import MediaStreamError

from media.relay.jitter import Frame
from media.relay.outlet import Outlet, OutletTrack

_KEY = b"\0\0\0\1\x67a\0\0\0\1\x68b\0\0\0\1\x65\x88c"
_OTHER = b"\0\0\0\1\x41\x9ad"


def _frame(timestamp: int, data: bytes = _OTHER, after_loss: bool = False) -> Frame:
    return Frame(timestamp=timestamp % (1 << 32), data=data, arrival_s=time.monotonic(), after_loss=after_loss)


class Asked:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def _watched() -> tuple[Outlet, OutletTrack, Asked]:
    outlet, asked = Outlet(), Asked()
    outlet.begin(asked)
    return outlet, OutletTrack("video", outlet), asked


async def _sent(track: OutletTrack, count: int) -> list[tuple[int, bytes]]:
    packets = [await track.recv() for _ in range(count)]
    return [(packet.pts, bytes(packet)) for packet in packets]


async def test_it_begins_with_a_key_frame_and_asks_for_one() -> None:
    outlet, track, asked = _watched()
    outlet.frame("video", _frame(0))
    outlet.frame("audio", _frame(0, b"opus"))
    assert asked.times == 1
    outlet.frame("video", _frame(3_000, _KEY))
    outlet.frame("video", _frame(6_000))
    (first, key), (second, other) = await _sent(track, 2)
    assert (key, other, second - first) == (_KEY, _OTHER, 3_000)


async def test_what_refers_to_something_lost_is_not_sent() -> None:
    outlet, track, asked = _watched()
    outlet.frame("video", _frame(0, _KEY))
    outlet.frame("video", _frame(3_000, after_loss=True))
    outlet.frame("video", _frame(6_000))
    outlet.frame("video", _frame(9_000, _KEY))
    sent = await _sent(track, 2)
    assert [data for _, data in sent] == [_KEY, _KEY] and sent[1][0] - sent[0][0] == 9_000
    assert asked.times == 2


async def test_time_goes_forward_across_a_wrap_and_across_publishers() -> None:
    outlet, track, _ = _watched()
    outlet.frame("video", _frame((1 << 32) - 3_000, _KEY))
    outlet.frame("video", _frame(1 << 32))
    again = Asked()
    outlet.begin(again)
    outlet.frame("video", _frame(123_456_789))
    assert again.times == 1, "the new publisher's pictures refer to its own key frame"
    outlet.frame("video", _frame(123_459_789, _KEY))
    times = [pts for pts, _ in await _sent(track, 3)]
    assert times == sorted(set(times)) and times[1] - times[0] == 3_000


async def test_a_watcher_that_takes_nothing_is_given_the_newest_and_not_half_a_second_of_the_past() -> None:
    outlet, track, asked = _watched()
    outlet.frame("video", _frame(0, _KEY))
    for number in range(1, 40):
        outlet.frame("video", _frame(number * 3_000))
    assert asked.times > 0
    outlet.frame("video", _frame(120_000, _KEY))
    ((_, data),) = await _sent(track, 1)
    assert data == _KEY and len(track._frames) == 0


async def test_sound_is_bounded_too_and_one_packet_lost_is_no_reason_to_wait() -> None:
    outlet = Outlet()
    outlet.begin(Asked())
    track = OutletTrack("audio", outlet)
    for number in range(100):
        outlet.frame("audio", _frame(number * 960, bytes([number]), after_loss=number == 95))
    sent = [data[0] for _, data in await _sent(track, 15)]
    assert sent == list(range(85, 100))


async def test_the_end_wakes_who_waits() -> None:
    outlet, track, _ = _watched()
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()
    outlet.frame("video", _frame(0, _KEY))
    assert outlet.tracks == set()


def test_a_publisher_that_left_is_not_asked_but_the_one_after_it_is() -> None:
    outlet, first, second = Outlet(), Asked(), Asked()
    outlet.begin(first)
    outlet.begin(second)
    outlet.end(first)
    outlet.request_key_frame()
    assert (first.times, second.times) == (0, 1)
    outlet.end(second)
    outlet.request_key_frame()
    assert second.times == 1
