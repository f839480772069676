"""Two hosts of a match on two relay tasks watch and hear each other by WHEP: as soon as guests do, and no longer."""

from __future__ import annotations

import asyncio
import logging
import statistics
import subprocess
from collections.abc import Iterator

import pytest
from aiortc import RTCPeerConnection

from tests.relay.cluster import Cluster, Task
from tests.relay.stack import Stack, fetch, playback_token, seat_key, stream_key, until
from tests.relay.test_match import Host
from tests.relay.watching import Watching

_SIGNER_OF_OTHERS = "x" * 64
_DELAY_P95_MAX_MS = 300


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two tasks that compose nothing: what is watched at once is not what viewers see, and needs no processor."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with Cluster(2, COMPOSE_MAX="0") as running:
        yield running


class Pair:
    """Two streams of a match, each on air at a task of its own; a context manager."""

    def __init__(self, cluster: Cluster, name: str, *options: str, rtmp: bool = False) -> None:
        self.cluster = cluster
        self.mine, self.theirs = f"{name}a", f"{name}b"
        self.here, self.there = list(cluster.tasks.values())[:2]
        self._options = options
        self._rtmp = rtmp
        self.sources: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Pair:
        self.join()
        self.publish(self.here, self.mine)
        if self._rtmp:
            encoder = Host(self.there, self.theirs, (30, 30, 200), 440.0)
            self.sources.append(encoder.process)
        else:
            self.publish(self.there, self.theirs)
        return self

    def __exit__(self, *_: object) -> None:
        for source in self.sources:
            stop(source)
        for stream_id in (self.mine, self.theirs):
            self.cluster.put_stream(stream_id, state="ended")

    def join(self, seats: tuple[str, ...] = ()) -> None:
        """Each item names the other."""
        self.cluster.put_stream(self.mine, match=self.theirs, seats=seats)
        self.cluster.put_stream(self.theirs, match=self.mine)

    def publish(self, task: Task, stream_id: str) -> subprocess.Popen[bytes]:
        """The test picture by WHIP to one task."""
        source = self.cluster.start_source_at(task, stream_id, *self._options)
        self.sources.append(source)
        until(lambda: task.live(stream_id).status == 200, 30, f"{stream_id} is on air")
        assert self.cluster.lease(stream_id)["task"] == task.name
        return source

    def url(self, stream_id: str) -> str:
        """Where a stream's host watches the other one; as a browser, by the balancer."""
        return whep(self.cluster, stream_id)


def whep(stack: Stack, stream_id: str, seat: str = "match") -> str:
    return f"{stack.relay_url}/whep/{stream_id}/{seat}"


def stop(source: subprocess.Popen[bytes]) -> None:
    """End an encoder; safe to call again."""
    source.terminate()
    source.wait(timeout=5)


async def _offer() -> bytes:
    peer = RTCPeerConnection()
    for kind in ("video", "audio"):
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    sdp: str = peer.localDescription.sdp
    await peer.close()
    return sdp.encode()


def _p95(ages_ms: list[int]) -> float:
    return statistics.quantiles(ages_ms, n=20)[-1]


async def test_hosts_on_two_tasks_see_and_hear_each_other_within_300_ms(cluster: Cluster) -> None:
    with Pair(cluster, "live", "--rate", "15", "--bit-rate", "800000") as pair:
        for stream_id in (pair.mine, pair.theirs):
            async with Watching(pair.url(stream_id), stream_key(stream_id)) as rival:
                # given a second to settle
                await rival.until(lambda rival=rival: rival.pictures > 15, 20, "pictures")
                rival.ages_ms.clear()
                await rival.until(
                    lambda rival=rival: len(rival.ages_ms) > 100 and rival.loudness > 1_000, 30, "picture and sound"
                )
            # then
            assert _p95(rival.ages_ms) < _DELAY_P95_MAX_MS, statistics.quantiles(rival.ages_ms, n=20)
            assert rival.first_picture_s < 3
        assert pair.here.metric("matches") == pair.there.metric("matches") == 0, "nothing is composed"


async def test_watching_a_rival_is_refused_without_the_right(cluster: Cluster) -> None:
    with Pair(cluster, "shut", "--bit-rate", "300000") as pair:
        pair.join(seats=("one",))
        offer, mine = await _offer(), pair.mine
        cluster.put_stream("stranger")
        for stream_id, key, status, code in [
            (mine, "", 401, "unauthenticated"),
            (mine, "forged", 401, "unauthenticated"),
            (mine, seat_key(mine, "one", _SIGNER_OF_OTHERS), 401, "unauthenticated"),
            (mine, playback_token(mine), 401, "unauthenticated"),
            # A replaced key, another host's, the rival's, and a seat that nobody was given.
            (mine, stream_key(mine, 0), 403, "forbidden"),
            (mine, stream_key("stranger"), 403, "forbidden"),
            (mine, stream_key(pair.theirs), 403, "forbidden"),
            (mine, seat_key(mine, "two"), 403, "forbidden"),
            ("stranger", stream_key("stranger"), 404, "not_found"),
        ]:
            headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {key}"} if key else {})
            answer = await asyncio.to_thread(fetch, whep(cluster, stream_id), "POST", headers, offer)
            assert (answer.status, answer.code) == (status, code), (stream_id, key)
        # Nor does anyone but a relay ask the rival for key frames.
        wanted = f"{pair.there.url}/feed/{pair.theirs}/key-frame?for={mine}"
        for headers in ({}, {"X-Onair-Relay": "forged"}, {"X-Onair-Relay": stream_key(pair.theirs)}):
            answer = await asyncio.to_thread(fetch, wanted, "POST", headers, b"")
            assert (answer.status, answer.code) == (403, "forbidden"), headers
        # A guest of the stage may.
        async with Watching(whep(cluster, mine), seat_key(mine, "one")) as guest:
            await guest.until(lambda: guest.pictures > 5, 20, "the guest sees the other host")
            # when the seat is taken away
            pair.join()
            await guest.until(lambda: guest.peer.connectionState == "closed", 5, "the guest watches no longer")


async def test_who_watches_a_rival_does_so_until_the_match_ends(cluster: Cluster) -> None:
    with Pair(cluster, "ends", "--bit-rate", "300000") as pair:
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {stream_key(pair.mine)}"}
        offer = await _offer()
        # given that it is on for one of them alone
        cluster.put_stream(pair.theirs)
        answer = await asyncio.to_thread(fetch, pair.url(pair.mine), "POST", headers, offer)
        assert (answer.status, answer.code) == (404, "not_found")
        # when the other one's item names this one too, there is no waiting until both are read again
        cluster.put_stream(pair.theirs, match=pair.mine)
        async with Watching(pair.url(pair.mine), stream_key(pair.mine)) as rival:
            await rival.until(lambda: rival.pictures > 5 and rival.sounds > 5, 20, "picture and sound")
            assert pair.here.metric("watchers") == 1
            # when the other host ends it
            cluster.put_stream(pair.theirs)
            await rival.until(lambda: rival.peer.connectionState == "closed", 5, "nobody watches any longer")
        until(lambda: pair.here.metric("watchers") == 0, 3, "the watcher is counted no longer")
        until(lambda: pair.there.metric("feeds") == 0, 5, "nobody's media goes anywhere")
        answer = await asyncio.to_thread(fetch, pair.url(pair.mine), "POST", headers, offer)
        assert (answer.status, answer.code) == (404, "not_found")


async def test_a_rival_who_publishes_anew_is_watched_on_by_the_same_connection(cluster: Cluster) -> None:
    with Pair(cluster, "anew", "--bit-rate", "300000") as pair:
        async with Watching(pair.url(pair.mine), stream_key(pair.mine)) as rival:
            await rival.until(lambda: rival.pictures > 5 and rival.sounds > 5, 20, "picture and sound")
            # when it is gone and comes back, as another publisher
            await asyncio.to_thread(stop, pair.sources[1])
            await asyncio.to_thread(pair.publish, pair.there, pair.theirs)
            pictures, sounds = rival.pictures, rival.sounds
            await rival.until(lambda: rival.pictures > pictures + 30, 20, "pictures of the new one")
            await rival.until(lambda: rival.sounds > sounds + 30, 20, "sound of the new one")
            assert rival.peer.connectionState == "connected"


async def test_a_rival_who_sends_aac_is_seen_at_once_and_not_heard(cluster: Cluster) -> None:
    with Pair(cluster, "aac", "--bit-rate", "300000", rtmp=True) as pair:
        async with Watching(pair.url(pair.mine), stream_key(pair.mine)) as rival:
            await rival.until(lambda: rival.pictures > 60, 30, "pictures of the encoder")
            assert rival.sounds == 0
