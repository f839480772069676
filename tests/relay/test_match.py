"""A match of two hosts on two relay tasks: both in both programs, and either goes on when the other is gone."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.relay.cluster import Cluster, Task
from tests.relay.match_player import Player
from tests.relay.stack import fetch, stream_key, until

_RED, _BLUE = (200, 30, 30), (30, 30, 200)
_LOW, _HIGH = 440.0, 1_000.0
# From the items being written to a whole segment of both: two reads, a key frame, a worker's start on a busy machine.
_BEGINS_S = 40.0
# Five seconds in which the other one may come back, and a whole segment.
_ALONE_S = 20.0
_LONGEST_GAP_S = 4.0


class Host:
    """An encoder that sends one colour and one tone by RTMP to one task."""

    def __init__(self, task: Task, stream_id: str, colour: tuple[int, int, int], hertz: float) -> None:
        self.stream_id = stream_id
        self.colour = colour
        self.hertz = hertz
        self.process = self.publish(task)

    def publish(self, task: Task) -> subprocess.Popen[bytes]:
        """Send to a task, as an encoder does that was told another address or connects again."""
        red, green, blue = self.colour
        picture = f"color=c=0x{red:02x}{green:02x}{blue:02x}:size=320x180:rate=15"
        key = stream_key(self.stream_id)
        self.process = subprocess.Popen(
            ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", picture,
             "-re", "-f", "lavfi", "-i", f"sine=frequency={self.hertz}:sample_rate=44100",
             "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1",
             "-pix_fmt", "yuv420p", "-g", "15", "-c:a", "aac", "-t", "300", "-f", "flv",
             f"rtmp://127.0.0.1:{task.rtmp_port}/live/{key}"],
        )  # fmt: skip
        return self.process

    def leave(self) -> None:
        """Send nothing any longer."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=5)


class Match:
    """Two hosts on air, each on a task of their own, and a viewer of each; a context manager."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.ids = (f"{name}a", f"{name}b")
        self.tasks = tuple(list(cluster.tasks.values())[:2])
        for stream_id in self.ids:
            cluster.put_stream(stream_id)
        looks = ((_RED, _LOW), (_BLUE, _HIGH))
        self.hosts = [Host(task, one, *look) for task, one, look in zip(self.tasks, self.ids, looks, strict=True)]
        self.players = [Player(task, one) for task, one in zip(self.tasks, self.ids, strict=True)]

    def __enter__(self) -> Match:
        for task, one in zip(self.tasks, self.ids, strict=True):
            until(lambda task=task, one=one: task.live(one, "media.m3u8").status == 200, 30, f"{one} is on air")
            assert self.cluster.lease(one)["task"] == task.name
        for player in self.players:
            player.start()
        for player in self.players:
            self.until(lambda player=player: player.playlist is not None and player.playlist.closed, 20, "segments")
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            host.leave()
        for stream_id in self.ids:
            self.cluster.put_stream(stream_id, state="ended")

    def begin(self) -> None:
        """Each item names the other, and both programs show both."""
        first, second = self.ids
        self.cluster.put_stream(first, match=second)
        self.cluster.put_stream(second, match=first)
        self.until(self.both_in_both, _BEGINS_S, "each program shows its own host at the left, the other one right")

    def both_in_both(self) -> bool:
        """Whether each program shows its own host and the other one."""
        red, blue = self.players
        return red.shows(_RED, _BLUE) and blue.shows(_BLUE, _RED)

    def until(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        """Wait; a playlist that is wrong meanwhile ends it at once."""

        def met() -> object:
            for player in self.players:
                assert player.problem is None, repr(player.problem)
            return condition()

        until(met, timeout_s, what)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with Cluster(2, COMPOSE_MAX="4", COMPOSE_PX="180", COMPOSE_KBPS="300", SEGMENT_S="1") as running:
        yield running


@pytest.fixture
def mortal() -> Iterator[Cluster]:
    """One whose tasks are killed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with Cluster(2, COMPOSE_MAX="4", COMPOSE_PX="180", COMPOSE_KBPS="300", SEGMENT_S="1") as running:
        yield running


def test_both_hosts_are_seen_and_heard_in_both_programs_until_the_match_ends(cluster: Cluster) -> None:
    with Match(cluster, "full") as match:
        match.begin()
        # then
        for player in match.players:
            match.until(lambda player=player: player.hears((_LOW, _HIGH)) == [True, True], 20, "both are heard")
            assert player.changes == 1
        assert [task.metric("matches") for task in match.tasks] == [1, 1]
        assert all(task.metric("feed_bytes_total") > 10_000 for task in match.tasks)
        # when the room ends the match
        for stream_id in match.ids:
            cluster.put_stream(stream_id)
        # then each has its own picture again, after one discontinuity more
        for player, host in zip(match.players, match.hosts, strict=True):
            match.until(lambda player=player, host=host: player.shows(host.colour, host.colour), _ALONE_S, "alone")
            other = _HIGH if host.hertz == _LOW else _LOW
            match.until(lambda p=player, h=host, o=other: p.hears((h.hertz, o)) == [True, False], 10, "sound alone")
            assert player.changes == 2
            player.stop()
            assert player.longest_gap_s() < _LONGEST_GAP_S
        for task in match.tasks:
            until(lambda task=task: task.metric("feeds") == 0, 5, "nobody's media goes anywhere")


def test_nobody_is_shown_whose_own_item_names_nobody(cluster: Cluster) -> None:
    with Match(cluster, "lone") as match:
        first, second = match.ids
        red, blue = match.players
        cluster.put_stream(first, match=second)
        # given four segments' time in which it could be shown
        seen = red.playlist.closed[-1].msn if red.playlist else 0
        match.until(lambda: red.playlist and red.playlist.closed[-1].msn > seen + 4, 20, "four segments")
        # then
        assert red.shows(_RED, _RED) and blue.shows(_BLUE, _BLUE)
        assert (red.changes, blue.changes) == (0, 0)
        assert [task.metric("feeds") for task in match.tasks] == [0, 0]
        for player in match.players:
            player.stop()


def test_a_host_whose_encoder_is_away_for_long_leaves_the_picture_and_comes_back(cluster: Cluster) -> None:
    with Match(cluster, "away") as match:
        match.begin()
        red, blue = match.players
        match.hosts[0].leave()
        left_s = time.monotonic()
        # then the other one goes on alone, picture and sound, while the first is away for 20 s
        match.until(lambda: blue.shows(_BLUE, _BLUE), _ALONE_S, "the other host alone")
        match.until(lambda: blue.hears((_LOW, _HIGH)) == [False, True], 10, "and heard alone")
        match.until(lambda: time.monotonic() - left_s > 20, 25, "20 s have passed")
        assert blue.longest_gap_s() < _LONGEST_GAP_S and blue.changes == 2
        # when
        match.hosts[0].publish(match.tasks[0])
        match.until(match.both_in_both, _BEGINS_S, "both again")
        assert blue.changes == 3
        for player in (red, blue):
            player.stop()


def test_a_host_who_ends_the_broadcast_leaves_the_other_one_on_air(cluster: Cluster) -> None:
    with Match(cluster, "over") as match:
        match.begin()
        red, blue = match.players
        # when one item is ended, and still names the other
        first, second = match.ids
        cluster.put_stream(first, state="ended", match=second)
        match.until(lambda: red.playlist and red.playlist.ended, 10, "the playlist of the one has its end")
        match.until(lambda: blue.shows(_BLUE, _BLUE), _ALONE_S, "the other host alone")
        match.until(lambda: blue.hears((_LOW, _HIGH)) == [False, True], 10, "and heard alone")
        for player in (red, blue):
            player.stop()
        assert blue.longest_gap_s() < _LONGEST_GAP_S and blue.changes == 2


def test_a_feed_is_for_the_other_task_of_the_match_alone(cluster: Cluster) -> None:
    with Match(cluster, "shut") as match:
        match.begin()
        (first, second), task = match.ids, match.tasks[0]
        for headers in (
            {},
            {"X-Onair-Relay": "forged"},
            {"X-Onair-Relay": stream_key(first)},
            {"X-Onair-Origin": "o" * 64},
        ):
            answer = fetch(f"{task.url}/feed/{first}?for={second}", headers=headers)
            assert (answer.status, answer.code) == (403, "forbidden"), headers
        assert cluster.balancer.port and match.both_in_both()
        for player in match.players:
            player.stop()


def test_a_task_that_is_replaced_ends_in_time_and_leaves_the_other_host_on_air(mortal: Cluster) -> None:
    with Match(mortal, "drain") as match:
        match.begin()
        red, blue = match.players
        replaced = match.tasks[0]
        red.stop()
        told_s = time.monotonic()
        replaced.process.send_signal(signal.SIGTERM)
        # then a feed that is open keeps it no longer than its deadline
        assert replaced.process.wait(timeout=14) == 0 and time.monotonic() - told_s < 12
        match.until(lambda: blue.shows(_BLUE, _BLUE), _ALONE_S, "the other host alone")
        match.until(lambda: blue.hears((_LOW, _HIGH)) == [False, True], 10, "and heard alone")
        blue.stop()
        assert blue.longest_gap_s() < _LONGEST_GAP_S and blue.changes == 2


def test_when_the_task_of_one_is_killed_the_other_goes_on_and_both_are_seen_again_once_it_is_back(
    mortal: Cluster,
) -> None:
    with Match(mortal, "dead") as match:
        match.begin()
        red, blue = match.players
        killed, survivor = match.tasks
        # given the killed one's viewers, who are no matter of this test
        red.stop()
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait(timeout=5)
        match.hosts[0].leave()
        # then
        match.until(lambda: blue.shows(_BLUE, _BLUE), _ALONE_S, "the other host alone")
        match.until(lambda: blue.hears((_LOW, _HIGH)) == [False, True], 10, "and heard alone")
        # when its encoder reaches the task that lives
        mortal.remove(killed)
        again = Player(survivor, match.ids[0])
        match.players[0] = again
        match.hosts[0].publish(survivor)
        until(lambda: survivor.live(match.ids[0], "media.m3u8").status == 200, 30, "it is on air again")
        again.start()
        # then both programs, of one task now, show both
        match.until(lambda: again.playlist is not None and again.playlist.closed, 20, "segments of it")
        match.until(match.both_in_both, _BEGINS_S, "both again")
        for player in match.players:
            match.until(lambda player=player: player.hears((_LOW, _HIGH)) == [True, True], 20, "both are heard")
            player.stop()
        assert blue.longest_gap_s() < _LONGEST_GAP_S
        assert survivor.metric("matches") == 2
