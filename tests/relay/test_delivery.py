"""Viewers over HTTP, against a relay process and the test source: playlists, blocking, media, refusals."""

from __future__ import annotations

import gzip
import io
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import av
import pytest

from tests.relay import checker
from tests.relay.stack import ORIGIN_SECRET, Stack, fetch, playback_token


def _playlist(stack: Stack, stream_id: str, query: str = "") -> checker.ReadPlaylist:
    answer = fetch(stack.live_url(stream_id, "media.m3u8") + query)
    assert answer.status == 200, answer.text
    return checker.read(answer.text)


def _end_s(playlist: checker.ReadPlaylist) -> float:
    """Program date of the playlist's end."""
    newest = playlist.segments[-1]
    assert newest.date is not None
    return newest.date.timestamp() + sum(duration for _, duration, _ in newest.parts)


def test_a_player_that_follows_part_by_part_always_sees_a_valid_playlist(stack: Stack, show: str) -> None:
    before = first = _playlist(stack, show)
    waits: list[float] = []
    for _ in range(20):
        newest = before.segments[-1]
        msn, part = (newest.msn + 1, 0) if newest.uri else (newest.msn, len(newest.parts))
        asked = time.monotonic()
        now = _playlist(stack, show, f"?_HLS_msn={msn}&_HLS_part={part}")
        waits.append(time.monotonic() - asked)
        checker.check_succession(before, now)
        parts = {segment.msn: len(segment.parts) for segment in now.segments}
        assert max(parts) > msn or parts[msn] > part, "6.2.5.2: the answer holds what was asked for"
        before = now
    # Each answer comes when its part exists, neither at once nor late: viewers waited as long as the media grew.
    assert len(waits) == 20 and abs(sum(waits) - (_end_s(before) - _end_s(first))) < 1.5


def test_segments_play_without_a_gap_in_either_track(stack: Stack, show: str) -> None:
    last = _playlist(stack, show).segments[-1].msn
    playlist = _playlist(stack, show, f"?_HLS_msn={last + 2}")
    segments = playlist.closed[-3:]
    body = fetch(stack.live_url(show, segments[0].init)).body
    for segment in segments:
        whole = fetch(stack.live_url(show, segment.uri))
        assert whole.headers["cache-control"] == "public, max-age=31536000, immutable"
        parts = [fetch(stack.live_url(show, uri)).body for uri, _, _ in segment.parts]
        assert b"".join(parts) == whole.body, "a segment is its parts"
        body += whole.body
    with av.open(io.BytesIO(body)) as container:
        stamps: dict[str, list[int]] = {"video": [], "audio": []}
        for packet in container.demux():
            if packet.dts is not None:
                stamps[packet.stream.type].append(packet.dts)
    assert {later - earlier for earlier, later in pairwise(stamps["audio"])} == {1_024}
    # 90,000 ÷ 30; a loaded machine may leave frames out, never reorder or overlap them.
    steps = [later - earlier for earlier, later in pairwise(stamps["video"])]
    assert all(step % 3_000 == 0 and step > 0 for step in steps) and steps.count(3_000) > 0.9 * len(steps)
    seconds = sum(segment.duration_s for segment in segments)
    assert abs(len(stamps["audio"]) * 1_024 / 48_000 - seconds) < 0.25


def test_program_dates_follow_durations_and_the_clock(stack: Stack, show: str) -> None:
    segments = _playlist(stack, show).closed
    for earlier, later in pairwise(segments):
        assert earlier.date is not None and later.date is not None
        assert abs((later.date - earlier.date).total_seconds() - earlier.duration_s) < 0.005
    newest = segments[-1]
    assert newest.date is not None
    age_s = time.time() - newest.date.timestamp() - newest.duration_s
    assert -0.2 < age_s < 3.0


def test_a_hinted_part_is_held_until_it_is_complete(stack: Stack, show: str) -> None:
    hint = _playlist(stack, show).hint
    answer = fetch(stack.live_url(show, hint))
    assert answer.status == 200 and answer.body[4:8] == b"moof"


def test_the_multivariant_playlist_tells_codecs_size_and_rate(stack: Stack, show: str) -> None:
    answer = fetch(stack.live_url(show))
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert answer.headers["cache-control"] == "public, max-age=1"
    variant = checker.attributes(next(line for line in answer.text.splitlines() if "STREAM-INF" in line))
    assert variant["CODECS"].startswith("avc1.42") and variant["CODECS"].endswith(",mp4a.40.2")
    assert variant["RESOLUTION"] == "1280x720" and 5 <= float(variant["FRAME-RATE"]) <= 31
    assert int(variant["BANDWIDTH"]) >= int(variant["AVERAGE-BANDWIDTH"]) > 100_000


def test_playlists_are_compressed_for_who_takes_it(stack: Stack, show: str) -> None:
    answer = fetch(stack.live_url(show, "media.m3u8"), headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    checker.read(gzip.decompress(answer.body).decode())


def test_numbered_playlists_may_be_cached_and_any_page_may_read_them(stack: Stack, show: str) -> None:
    newest = _playlist(stack, show).segments[-1].msn
    answer = fetch(
        stack.live_url(show, "media.m3u8") + f"?_HLS_msn={newest - 1}", headers={"Origin": "https://a.example"}
    )
    assert answer.headers["cache-control"] == "public, max-age=6"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "query",
    [
        "?_HLS_msn=x",
        "?_HLS_msn=-1",
        "?_HLS_msn=1.5",
        "?_HLS_msn=99999999999999999999",
        "?_HLS_part=1",
        "?_HLS_msn={newest}&_HLS_part=x",
        "?_HLS_msn={newest}&_HLS_part=99",
        "?_HLS_msn={ahead}",
        "?_HLS_msn={ahead}&_HLS_part=0",
        "?_HLS_skip=maybe",
    ],
)
def test_bad_directives_are_refused_at_once(stack: Stack, show: str, query: str) -> None:
    newest = _playlist(stack, show).segments[-1].msn
    asked = time.monotonic()
    answer = fetch(stack.live_url(show, "media.m3u8") + query.format(newest=newest, ahead=newest + 10))
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert time.monotonic() - asked < 1.0
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/live/show/index.m3u8", {}, 401, "unauthenticated"),
        ("/live/show/index.m3u8", {"X-Onair-Origin": "wrong"}, 403, "forbidden"),
        ("/live/forged/show/index.m3u8", {}, 401, "unauthenticated"),
        (f"/live/{playback_token('show', lifetime_s=-5)}/show/index.m3u8", {}, 401, "unauthenticated"),
        (f"/live/{playback_token('other')}/show/index.m3u8", {}, 403, "forbidden"),
        (f"/live/{playback_token('nowhere')}/nowhere/index.m3u8", {}, 404, "not_found"),
        (f"/live/{playback_token('show')}/show/secret.txt", {}, 404, "not_found"),
        (f"/live/{playback_token('show')}/show/00000000_1.m4s", {}, 404, "not_found"),
        (f"/live/{playback_token('show')}/show/..%2f..%2fetc%2fpasswd", {}, 404, "not_found"),
        ("/preview/nowhere.jpg", {}, 404, "not_found"),
        ("/nowhere", {}, 404, "not_found"),
    ],
)
def test_who_has_no_right_or_asks_for_nothing_is_told_so(
    stack: Stack, show: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = fetch(stack.relay_url + path, headers=headers)
    assert (answer.status, answer.code) == (status, code)


def test_cloudfront_reads_with_its_header(stack: Stack, show: str) -> None:
    answer = fetch(f"{stack.relay_url}/live/{show}/index.m3u8", headers={"X-Onair-Origin": ORIGIN_SECRET})
    assert answer.status == 200


def test_many_viewers_wait_for_one_part_and_all_get_it(stack: Stack, show: str) -> None:
    newest = _playlist(stack, show).segments[-1]
    url = stack.live_url(show, "media.m3u8") + f"?_HLS_msn={newest.msn + 1}&_HLS_part=0"
    with ThreadPoolExecutor(40) as viewers:
        answers = list(viewers.map(lambda _: fetch(url), range(40)))
    assert {answer.status for answer in answers} == {200}
    assert all(any(s.msn > newest.msn for s in checker.read(answer.text).segments) for answer in answers)


def test_the_preview_is_a_small_jpeg_and_health_and_metrics_answer(stack: Stack, show: str) -> None:
    preview = fetch(f"{stack.relay_url}/preview/{show}.jpg")
    assert preview.headers["content-type"] == "image/jpeg"
    with av.open(io.BytesIO(preview.body), format="mjpeg") as picture:
        frame = next(picture.decode(video=0))
    assert (frame.width, frame.height) == (640, 360)
    assert b'"ok":true' in fetch(f"{stack.relay_url}/healthz").body
    metrics = fetch(f"{stack.relay_url}/metrics").text
    assert "onair_relay_streams_flowing 1.0" in metrics and "onair_relay_parts_total" in metrics
