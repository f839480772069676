"""Relay tasks as processes: one pull for all viewers, requests passed on, an owner that dies, one that is replaced."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from aiortc import RTCPeerConnection

from tests.relay import checker
from tests.relay.cluster import Cluster, Task
from tests.relay.stack import fetch, stream_key, until

_RESUMES_S = 5.0


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(2) as running:
        yield running


def _on_air(cluster: Cluster, stream_id: str) -> tuple[Task, Task]:
    """The owner of a stream that plays on every task, and another one."""
    cluster.put_stream(stream_id)
    cluster.start_source(stream_id)
    for task in cluster.tasks.values():
        until(lambda task=task: task.live(stream_id).status == 200, 20, f"it plays on {task.name}")
    owner = cluster.owner(stream_id)
    assert owner is not None
    return owner, cluster.other(owner)


def _read(task: Task, stream_id: str, query: str = "") -> checker.ReadPlaylist:
    answer = task.live(stream_id, "media.m3u8", query)
    assert answer.status == 200, answer.text
    return checker.read(answer.text)


class Viewer(threading.Thread):
    """Plays through one task by blocking reload and fetches each part, as hls.js does; notes when a new part came."""

    def __init__(self, task: Task, stream_id: str) -> None:
        super().__init__(daemon=True)
        self.task = task
        self.stream_id = stream_id
        self.parts: list[tuple[float, str]] = []
        self.playlist = _read(task, stream_id)
        self.breaks = 0
        self.stop = threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._step()
        except (AssertionError, OSError, IndexError, ValueError) as error:
            self.problem = error

    def _step(self) -> None:
        before, last = self.playlist, self.playlist.segments[-1]
        msn, part = (last.msn + 1, 0) if last.uri else (last.msn, len(last.parts))
        answer = self.task.live(self.stream_id, "media.m3u8", f"?_HLS_msn={msn}&_HLS_part={part}")
        if answer.status == 503:
            return
        assert answer.status == 200, answer.text
        self.playlist = checker.read(answer.text)
        same_run = self.playlist.segments[-1].init == last.init
        if same_run:
            checker.check_succession(before, self.playlist)
        else:
            assert self.playlist.segments[0].msn > last.msn, "numbers go on"
            assert self.playlist.discontinuity_sequence > before.discontinuity_sequence
            assert self.playlist.segments[0].discontinuity, "a player is told that time begins anew"
            self.breaks += 1
        uri = self.playlist.segments[-1].parts[-1][0]
        if self.task.live(self.stream_id, uri).status == 200:
            self.parts.append((time.monotonic(), uri))

    def longest_gap_s(self) -> float:
        times = [at for at, _ in self.parts]
        return max(after - before for before, after in pairwise(times))


def test_fifty_viewers_of_another_task_cost_its_owner_one(cluster: Cluster) -> None:
    owner, edge = _on_air(cluster, "show")
    # given what one viewer costs the owner in four segments
    until(lambda: edge.metric("followed") == 1, 5, "the edge follows")
    playlist = _read(edge, "show")

    def watch(_: int) -> int:
        now, bytes_seen = playlist, 0
        until_msn = playlist.segments[-1].msn + 3
        while now.segments[-1].msn < until_msn:
            last = now.segments[-1]
            msn, part = (last.msn + 1, 0) if last.uri else (last.msn, len(last.parts))
            after = _read(edge, "show", f"?_HLS_msn={msn}&_HLS_part={part}")
            checker.check_succession(now, after)
            bytes_seen += len(edge.live("show", after.segments[-1].parts[-1][0]).body)
            now = after
        return bytes_seen

    before = {name: owner.metric(name) for name in ("playlist_answers_total", "media_answers_total", "parts_total")}
    # when
    with ThreadPoolExecutor(50) as viewers:
        seen = list(viewers.map(watch, range(50)))
    # then each saw media, and the owner answered for one
    after = {name: owner.metric(name) for name in before}
    parts = after["parts_total"] - before["parts_total"]
    assert min(seen) > 100_000
    assert after["playlist_answers_total"] - before["playlist_answers_total"] <= parts * 1.5 + 10
    assert after["media_answers_total"] - before["media_answers_total"] <= parts + 10
    assert edge.metric("media_answers_total") >= 50 * (parts - 8)


def test_only_a_signed_token_opens_a_stream_between_tasks(cluster: Cluster) -> None:
    owner, edge = _on_air(cluster, "show")
    url = f"{owner.url}/live/show/media.m3u8"
    for token in ("", "forged", stream_key("show")):
        answer = fetch(url, headers={"X-Onair-Relay": token})
        assert (answer.status, answer.code) == (403, "forbidden"), token
    assert fetch(url).status == 401
    whip = fetch(f"{owner.url}/whip/show/task9.x", "DELETE", {"Authorization": "Bearer x", "X-Onair-Relay": "forged"})
    assert whip.status == 403
    assert edge.live("nowhere").status == 404, "a stream that nobody owns is not looked for in circles"


async def test_a_session_is_trickled_to_and_ended_through_any_task(cluster: Cluster) -> None:
    cluster.put_stream("ways")
    peer = RTCPeerConnection()
    peer.addTransceiver("video", direction="sendonly")
    peer.addTransceiver("audio", direction="sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp.encode()
    await peer.close()
    bearer = {"Authorization": f"Bearer {stream_key('ways')}"}
    headers = {**bearer, "Content-Type": "application/sdp"}
    first, second = cluster.tasks.values()
    # given a session on the first task
    created = fetch(f"{first.url}/whip/ways", "POST", headers, offer)
    assert created.status == 201
    path = created.headers["location"].removeprefix(cluster.relay_url)
    assert path.startswith("/whip/ways/task1.")
    # when the second is asked, then the first answers
    trickle = {**bearer, "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": created.headers["etag"]}
    fragment = b"a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host\r\n"
    assert fetch(second.url + path, "PATCH", trickle, fragment).status == 204
    assert fetch(second.url + path, "PATCH", {**trickle, "If-Match": '"old"'}, fragment).status == 412
    again = fetch(f"{second.url}/whip/ways", "POST", headers, offer)
    assert (again.status, again.code) == (409, "conflict"), "its owner knows that somebody publishes"
    assert fetch(second.url + path, "DELETE").status == 401
    assert fetch(second.url + path, "DELETE", bearer).status == 200
    assert fetch(second.url + path, "DELETE", bearer).status == 404
    # A publisher that comes back to the other task stays where its stream is: viewers see no other run of it.
    back = fetch(f"{second.url}/whip/ways", "POST", headers, offer)
    assert back.status == 201 and "/task1." in back.headers["location"]
    assert second.metric("passed_on_total") >= 5


def test_when_the_owner_is_killed_viewers_play_again_within_five_seconds(cluster: Cluster) -> None:
    owner, edge = _on_air(cluster, "show")
    before = cluster.lease("show")
    viewer = Viewer(edge, "show")
    viewer.start()
    until(lambda: len(viewer.parts) > 6, 10, "the viewer plays")
    killed = time.monotonic()
    owner.kill()
    until(lambda: viewer.problem or viewer.breaks, 15, "the viewer plays the next run")
    assert viewer.problem is None, viewer.problem
    resumed = next(at for at, uri in reversed(viewer.parts) if at > killed)
    assert resumed - killed < _RESUMES_S
    until(lambda: len(viewer.parts) > 12, 10, "and goes on")
    viewer.stop.set()
    viewer.join(15)
    assert viewer.problem is None and viewer.breaks == 1
    assert viewer.longest_gap_s() < _RESUMES_S
    after = cluster.lease("show")
    assert int(after["fence"]) == int(before["fence"]) + 1 and after["task"] == edge.name
    assert edge.metric("takeovers_total") == 1


def test_an_owner_that_wakes_up_after_it_lost_the_stream_stops(cluster: Cluster) -> None:
    owner, edge = _on_air(cluster, "show")
    # given a task that stands still, as on a machine that is paused
    owner.process.send_signal(signal.SIGSTOP)
    cluster.balancer.backends.remove(owner.port)
    until(lambda: cluster.lease("show")["task"] == edge.name, 20, "the publisher reached the other task")
    # when it goes on
    owner.process.send_signal(signal.SIGCONT)
    # then it learns of the higher fence, holds nothing, and answers from the new owner
    until(lambda: owner.metric("leases") == 0, 10, "the task that lost it gives way")
    until(lambda: owner.metric("publishers") == 0, 10, "its publisher is let go")
    assert owner.metric("leases_lost_total") == 1
    until(lambda: owner.live("show").status == 200, 5, "it pulls from the new owner")
    newest = _read(edge, "show").segments[-1]
    assert _read(owner, "show").segments[-1].init == newest.init


def test_while_dynamodb_is_away_what_plays_goes_on_playing(cluster: Cluster) -> None:
    owner, edge = _on_air(cluster, "show")
    viewer = Viewer(edge, "show")
    viewer.start()
    # when
    cluster._moto.stop()
    away_s = time.monotonic()
    until(lambda: owner.metric("control_errors_total") > 4, 20, "renewals fail")
    until(lambda: time.monotonic() - away_s > 4 and viewer.parts[-1][0] > away_s + 4, 20, "parts still come")
    # then
    assert owner.metric("leases") == 1 and viewer.problem is None and viewer.longest_gap_s() < 2
    answer = fetch(f"{edge.url}/whip/show", "POST", {"Authorization": f"Bearer {stream_key('new')}"}, b"v=0")
    assert answer.status in (403, 415), "a request is still judged"
    viewer.stop.set()
    viewer.join(10)
    cluster._moto.start()


def test_a_task_that_is_replaced_hands_its_streams_over_and_ends(cluster: Cluster) -> None:
    owner, edge = _on_air(cluster, "show")
    viewer = Viewer(edge, "show")
    viewer.start()
    until(lambda: len(viewer.parts) > 3, 10, "the viewer plays")
    # when ECS tells the owner to end
    told = time.monotonic()
    owner.process.send_signal(signal.SIGTERM)
    until(lambda: owner.process.poll() is not None or fetch(f"{owner.url}/healthz").status == 503, 3, "it drains")
    assert owner.process.wait(timeout=10) == 0
    ended = time.monotonic() - told
    # then it was over before its deadline, the other task owns the stream, and the viewer saw only a break
    assert ended < 8, ended
    assert cluster.lease("show")["task"] == edge.name
    until(lambda: viewer.problem or viewer.breaks, 10, "the viewer plays the next run")
    viewer.stop.set()
    viewer.join(15)
    assert viewer.problem is None and viewer.longest_gap_s() < _RESUMES_S


def test_a_task_that_nobody_relieves_ends_by_its_deadline_without_ending_playlists() -> None:
    with Cluster(1) as cluster:
        cluster.put_stream("last")
        cluster.start_source("last")
        (task,) = cluster.tasks.values()
        until(lambda: task.live("last").status == 200, 20, "on air")
        newest = _read(task, "last").segments[-1].msn
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(task.live, "last", "media.m3u8", f"?_HLS_msn={newest + 2}")
            told = time.monotonic()
            task.process.send_signal(signal.SIGTERM)
            until(lambda: fetch(f"{task.url}/healthz").status == 503, 3, "it drains")
            refused = fetch(
                f"{task.url}/whip/last", "POST",
                {"Authorization": f"Bearer {stream_key('last')}", "Content-Type": "application/sdp"}, b"v=0\r\n",
            )  # fmt: skip
            assert refused.status in (400, 503)
            answer = waiting.result(timeout=15)
        assert task.process.wait(timeout=12) == 0 and time.monotonic() - told < 12
        # The broadcast is not over: a player that read ENDLIST would never ask again.
        assert answer.status == 503 or "#EXT-X-ENDLIST" not in answer.text
        assert cluster.lease("last")["media_ms"] == "0"
