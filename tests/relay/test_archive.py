"""What the relay records: closed segments in S3 while it is slow, broken or away, and a replay that decodes whole."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from functions.streams import download, recording
from media.relay import archive, playlist, storyboard
from media.relay.archive import Archive
from media.relay.held_segment import HeldSegment
from media.relay.metrics import Metrics
from media.relay.settings import Settings
from tests.relay import changing
from tests.relay.cluster import Cluster
from tests.relay.stack import Stack, fetch, until

_KB = 1024
_BUCKET = "media"


class _S3:
    """Takes objects, or fails as long as it is told to."""

    def __init__(self) -> None:
        self.away = False
        self.delay_s = 0.0
        self.stored: dict[str, bytes] = {}

    def upload_fileobj(self, source: Any, _bucket: str, key: str, **_: Any) -> None:
        time.sleep(self.delay_s)
        if self.away:
            raise EndpointConnectionError(endpoint_url="http://s3")
        self.stored[key] = source.read()


def _segment(msn: int, size: int = 100 * _KB, seconds: float = 2.0) -> HeldSegment:
    made = HeldSegment(msn, 0, 1_700_000_000 + msn * seconds, False)
    made.parts.append(playlist.Part("part", seconds, True))
    made.views.append(memoryview(bytes([msn % 256]) * size))
    made.events.append(b"a frame of the room")
    made.close()
    return made


def _archive(told: Callable[[str], None], **settings: int) -> tuple[Archive, _S3, Metrics]:
    metrics = Metrics()
    made = Archive(Settings(media_bucket=_BUCKET, **settings), metrics, told)
    made._s3 = s3 = _S3()
    return made, s3, metrics


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(archive, "_RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(archive, "_RETRY_MAX_S", 0.05)


async def _until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.01)


async def test_nothing_is_lost_while_s3_is_away_and_the_disk_takes_what_memory_does_not() -> None:
    told: list[str] = []
    made, s3, metrics = _archive(told.append, archive_memory_bytes=1024 * _KB, archive_disk_bytes=8192 * _KB)
    s3.away = True
    running = asyncio.ensure_future(made.run())
    # when a minute of segments comes that nobody takes
    for msn in range(30):
        made.segment("show", "0123abcd", _segment(msn), b"map")
        await asyncio.sleep(0)
    made.finish("show")
    assert made._memory_bytes <= 1024 * _KB
    assert made._disk_bytes > 1024 * _KB
    assert list(made._folder.iterdir())
    await _until(lambda: (metrics.registry.get_sample_value("onair_relay_archive_errors_total") or 0) > 0, "failures")
    assert told == []
    # then all of it comes once S3 is back, whole, and the end is told after the last
    s3.away = False
    await _until(lambda: told == ["show"], "everything is stored")
    assert made.waiting_bytes == 0
    assert not list(made._folder.iterdir())
    names = [key.removeprefix("replay/show/") for key in s3.stored]
    segments = recording.segments_of(names)
    assert [one.number for one in segments] == list(range(30))
    for one in segments:
        assert s3.stored[f"replay/show/{one.name}"] == bytes([one.number]) * 100 * _KB, "no frame of the room is in it"
    running.cancel()
    await made.drain(0.1)
    assert not made._folder.exists()


async def test_what_fits_neither_memory_nor_disk_is_dropped_and_counted_and_the_playlist_tells_a_break() -> None:
    told: list[str] = []
    made, s3, metrics = _archive(told.append, archive_memory_bytes=512 * _KB, archive_disk_bytes=0)
    s3.away = True
    for msn in range(10):
        made.segment("show", "0123abcd", _segment(msn), b"map")
    assert made._memory_bytes <= 512 * _KB
    assert metrics.registry.get_sample_value("onair_relay_archive_dropped_total") == 5
    s3.away = False
    running = asyncio.ensure_future(made.run())
    await _until(lambda: made.waiting_bytes == 0, "what was kept is stored")
    made.segment("show", "0123abcd", _segment(10), b"map")
    made.finish("show")
    await _until(lambda: told == ["show"], "everything is stored")
    text = recording.playlist(recording.segments_of(key.removeprefix("replay/show/") for key in s3.stored))
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    running.cancel()
    await made.drain(0.1)


async def test_a_full_disk_keeps_segments_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made, s3, metrics = _archive(lambda _: None, archive_memory_bytes=512 * _KB, archive_disk_bytes=8192 * _KB)
    s3.away = True

    def full(_path: Path, _body: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for msn in range(6):
        made.segment("show", "0123abcd", _segment(msn), b"map")
    assert (made._disk_bytes, list(made._folder.iterdir())) == (0, [])
    assert metrics.registry.get_sample_value("onair_relay_archive_dropped_total") == 1
    s3.away = False
    await made.drain(5)
    assert len(s3.stored) == 6, "five segments and their map"


async def test_what_is_lost_from_disk_is_counted_and_keeps_neither_the_rest_nor_the_end_waiting() -> None:
    told: list[str] = []
    made, s3, metrics = _archive(told.append, archive_memory_bytes=512 * _KB, archive_disk_bytes=8192 * _KB)
    s3.away = True
    for msn in range(10):
        made.segment("show", "0123abcd", _segment(msn), b"map")
    # given one file that somebody took away, and one that is cut off
    spilled = sorted((one for one in made._queue if one.path is not None), key=lambda one: one.name)
    gone, short = (one.path for one in spilled[1:3])
    assert gone is not None and short is not None
    gone.unlink()
    short.write_bytes(b"a part of it")
    made.finish("show")
    # when S3 is back
    s3.away = False
    running = asyncio.ensure_future(made.run())
    await _until(lambda: told == ["show"], "the end is told")
    # then the others are stored whole, and nothing half
    assert metrics.registry.get_sample_value("onair_relay_archive_dropped_total") == 2
    assert len(s3.stored) == 9, "eight segments and their map"
    assert {len(body) for key, body in s3.stored.items() if key.endswith(".m4s")} == {100 * _KB}
    assert made.waiting_bytes == 0
    running.cancel()
    await made.drain(0.1)


@pytest.mark.parametrize("step_s", [3_600.0, -3_600.0])
async def test_a_clock_that_is_set_while_it_records_costs_neither_segment_nor_order_nor_pictures(
    step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storyboard, "first_picture", lambda media, _width: media[:4])
    told: list[str] = []
    made, s3, _ = _archive(told.append)
    running = asyncio.ensure_future(made.run())
    # when half a minute is dated by the one clock and half a minute by the other
    for msn in range(30):
        segment = _segment(msn)
        segment.program_date_s += step_s * (msn >= 15)
        made.segment("show", "0123abcd", segment, b"map-")
        await _until(lambda: not made._storyboard._making, "its picture, if it gets one")
    made.finish("show")
    await _until(lambda: told == ["show"], "everything is stored")
    # then the replay plays them in order, without a break, and a picture comes each ten seconds all the time
    names = [key.removeprefix("replay/show/") for key in s3.stored]
    segments = recording.segments_of(names)
    assert [one.number for one in segments] == list(range(30))
    assert recording.duration_s(segments) == 60
    assert "#EXT-X-DISCONTINUITY" not in recording.playlist(segments)
    pictures = sorted(int(name.split("-")[1]) for name in names if name.endswith(".jpg"))
    assert pictures[0] == 0
    assert all(later - before <= 5 for before, later in pairwise([*pictures, 30])), pictures
    running.cancel()
    await made.drain(0.1)


async def test_a_slow_s3_holds_nobody_up() -> None:
    made, s3, _ = _archive(lambda _: None)
    s3.delay_s = 0.3
    running = asyncio.ensure_future(made.run())
    begun_s = time.monotonic()
    for msn in range(8):
        made.segment("show", "0123abcd", _segment(msn), b"map")
        await asyncio.sleep(0)
    assert time.monotonic() - begun_s < 0.2, "the loop went on"
    running.cancel()
    await made.drain(5)
    assert len(s3.stored) == 9


async def test_a_stream_that_moves_to_another_task_is_stored_to_its_last_segment_and_remembered_no_longer() -> None:
    made, s3, _ = _archive(lambda _stream_id: None)
    made.segment("gone", "run", _segment(1), b"init")
    assert made._maps == {"gone": {"init-run-0.mp4"}}
    made.moved("gone")
    assert not made._maps
    await made.drain(5)
    assert {name.rsplit("/", 1)[1][:4] for name in s3.stored} >= {"init", "0000"}


async def test_a_deleted_stream_leaves_nothing_waiting() -> None:
    told: list[str] = []
    made, s3, _ = _archive(told.append)
    s3.away = True
    for msn in range(3):
        made.segment("show", "0123abcd", _segment(msn), b"map")
        made.segment("other", "0123abcd", _segment(msn), b"map")
    made.forget("show")
    s3.away = False
    await made.drain(5)
    assert {key.split("/")[1] for key in s3.stored} == {"other"}
    assert told == []


async def test_a_picture_is_made_each_ten_seconds_at_most_and_the_end_is_told_after_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    made, s3, _ = _archive(told.append)
    release = threading.Event()
    monkeypatch.setattr(storyboard, "first_picture", lambda media, _width: release.wait(10) and media[:4])
    running = asyncio.ensure_future(made.run())
    # given a picture that takes its time: what comes meanwhile waits for none
    for msn in range(3):
        made.segment("show", "0123abcd", _segment(msn * 10), b"map-")
    release.set()
    await _until(lambda: "replay/show/thumb-000000000000-0123abcd.jpg" in s3.stored, "the first picture")
    # when thirty seconds more come, and the end while the last picture is being made
    for msn in range(30, 45):
        made.segment("show", "0123abcd", _segment(msn), b"map-")
        await _until(lambda: not made._storyboard._making, "its picture, if it gets one")
    release.clear()
    made.segment("show", "0123abcd", _segment(60), b"map-")
    made.finish("show")
    await _until(lambda: len(s3.stored) >= 25, "all but the picture")
    assert told == []
    release.set()
    await _until(lambda: told == ["show"], "the end is told")
    # then none is more than ten seconds after the one before, nor much sooner
    numbers = sorted(int(key.split("-")[1]) for key in s3.stored if key.endswith(".jpg"))
    assert numbers == [0, 30, 34, 38, 42, 60], numbers
    assert s3.stored["replay/show/thumb-000000000060-0123abcd.jpg"] == b"map-"
    running.cancel()
    await made.drain(0.1)


async def test_a_deleted_stream_leaves_no_picture_and_what_is_no_media_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, s3, _ = _archive(lambda _: None)
    made.segment("noise", "0123abcd", _segment(1), b"map")
    await _until(lambda: not made._storyboard._making, "noise is found to be none")
    release = threading.Event()
    monkeypatch.setattr(storyboard, "first_picture", lambda _media, _width: release.wait(10) and b"jpeg")
    made.segment("show", "0123abcd", _segment(1), b"map")
    making = made._storyboard._making["show"]
    made.forget("show")
    release.set()
    await making
    await made.drain(5)
    assert not [key for key in s3.stored if key.endswith(".jpg")]
    assert {key.split("/")[1] for key in s3.stored} == {"noise"}


# ---- whole relays ----


@pytest.fixture(scope="module")
def recorded() -> Iterator[Stack]:
    with Stack(MEDIA_BUCKET=_BUCKET) as running:
        _client(running).create_bucket(Bucket=_BUCKET)
        yield running


def _client(stack: Stack) -> Any:
    access = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("s3", endpoint_url=stack.aws_url, **access)


def _names(stack: Stack, stream_id: str) -> list[str]:
    found = _client(stack).list_objects_v2(Bucket=_BUCKET, Prefix=recording.prefix(stream_id)).get("Contents", [])
    return [each["Key"].removeprefix(recording.prefix(stream_id)) for each in found]


def _segments(stack: Stack, stream_id: str) -> tuple[recording.StoredSegment, ...]:
    return recording.segments_of(_names(stack, stream_id))


def _archived(stack: Stack, stream_id: str) -> bool:
    return any(one["state"] == "archived" and one["stream"] == stream_id for one in stack.media_states())


def _fetched(stack: Stack, stream_id: str, folder: Path) -> Path:
    """The replay as files."""
    for name in _names(stack, stream_id):
        body = _client(stack).get_object(Bucket=_BUCKET, Key=recording.prefix(stream_id) + name)["Body"].read()
        (folder / name).write_bytes(body)
    index = folder / recording.PLAYLIST
    index.write_text(recording.playlist(_segments(stack, stream_id)))
    return index


def _downloaded(stack: Stack, stream_id: str, folder: Path) -> list[Path]:
    """The files that the host gets, made as functions/streams/download.py makes them in its bucket."""
    sizes = dict.fromkeys(_names(stack, stream_id), 1)
    files = download.plan(
        _segments(stack, stream_id), sizes, lambda one: (folder / f"init-{one.run}-{one.map}.mp4").read_bytes()
    )
    for file in files:
        made = download.joined(file, 0, len(file.segments), lambda name: (folder / name).read_bytes())
        (folder / file.name).write_bytes(made)
    return [folder / file.name for file in files]


def _length_s(file: Path) -> float:
    ffprobe = shutil.which("ffprobe")
    assert ffprobe is not None
    command = [ffprobe, "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(file)]
    return float(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)


def _probed(index: Path, kind: str, what: str) -> float:
    ffprobe = shutil.which("ffprobe")
    assert ffprobe is not None
    command = [ffprobe, "-v", "error", "-select_streams", kind, "-count_packets"]
    command += ["-show_entries", f"stream={what}", "-of", "csv=p=0", str(index)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return float(done.stdout.splitlines()[0].strip(","))


def _shown(file: Path) -> list[tuple[int, int]]:
    """Width and height of each picture, decoded."""
    ffprobe = shutil.which("ffprobe")
    assert ffprobe is not None
    command = [ffprobe, "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=width,height"]
    done = subprocess.run([*command, "-of", "json", str(file)], capture_output=True, timeout=60, check=True)
    return [(each["width"], each["height"]) for each in json.loads(done.stdout)["frames"]]


def _decoded_errors(index: Path) -> str:
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg is not None
    command = [ffmpeg, "-v", "error", "-xerror", "-i", str(index), "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stderr


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here")


@needs_ffmpeg
def test_a_recording_is_as_long_as_what_was_published_and_decodes_whole(recorded: Stack, tmp_path: Path) -> None:
    recorded.put_stream("whole", replay="public")
    recorded.start_source("whole")
    until(lambda: len(_segments(recorded, "whole")) >= 6, 40, "segments are stored while it is live")
    assert fetch(recorded.live_url("whole", "media.m3u8")).status == 200
    recorded.put_stream("whole", state="ended", replay="public")
    until(lambda: _archived(recorded, "whole"), 20, "the relay tells that all is stored")
    segments = _segments(recorded, "whole")
    assert [one.number for one in segments] == list(range(segments[0].number, segments[0].number + len(segments)))
    # The dates follow one another as the media does.
    for before, after in pairwise(segments):
        assert abs(after.date_ms - before.date_ms - 1000 * before.seconds) < 30
    index = _fetched(recorded, "whole", tmp_path)
    # A picture of its start, and one each ten seconds, which a browser takes for one.
    thumbs = [name for name in _names(recorded, "whole") if name.endswith(".jpg")]
    board = recording.storyboard(segments, thumbs)
    assert re.findall(r"\n(thumb-\S+)", board) == sorted(thumbs)
    starts = [60 * int(minutes) + float(rest) for minutes, rest in re.findall(r"00:(\d+):(\S+) -->", board)]
    ends = [*starts[1:], recording.duration_s(segments)]
    assert all(0 < end - start <= 10 for start, end in zip(starts, ends, strict=True)), board
    assert _probed(tmp_path / thumbs[0], "v:0", "width") == 320
    assert (tmp_path / thumbs[0]).stat().st_size < 60_000
    assert _decoded_errors(index) == ""
    told_s = recording.duration_s(segments)
    (file,) = _downloaded(recorded, "whole", tmp_path)
    assert abs(_length_s(file) - told_s) < 0.1, "the host's file is as long"
    assert _decoded_errors(file) == ""
    # 30 pictures a second and AAC frames of 1,024 at 48 kHz, both as long as the playlist says.
    pictures = _probed(index, "v:0", "nb_read_packets")
    sounds = _probed(index, "a:0", "nb_read_packets")
    assert abs(pictures / 30 - told_s) < 0.5, (pictures, told_s)
    assert abs(sounds * 1024 / 48_000 - told_s) < 0.25, (sounds, told_s)


@needs_ffmpeg
def test_a_picture_that_changes_its_format_is_one_file_that_decodes_whole(tmp_path: Path) -> None:
    # given three stretches, the middle one upright and of another profile, the last as the first
    (body,) = changing.downloaded(changing.objects())
    file = tmp_path / "changing.mp4"
    file.write_bytes(body)
    # then nothing is lost and time goes on over the changes
    assert _decoded_errors(file) == ""
    assert abs(_length_s(file) - 9) < 0.05
    assert _shown(file) == [(640, 360)] * 90 + [(240, 320)] * 90 + [(640, 360)] * 90
    # and the samples of sound are where they were
    assert abs(_probed(file, "a:0", "nb_read_packets") * 1024 / 48_000 - 9) < 0.05


def test_a_stream_without_replay_is_not_recorded(recorded: Stack) -> None:
    recorded.put_stream("quiet", replay="off")
    recorded.start_source("quiet")
    until(lambda: fetch(recorded.live_url("quiet")).status == 200, 25, "it is on air")
    text = fetch(recorded.live_url("quiet", "media.m3u8")).text
    first = re.findall(r"^\S+_\d+\.m4s$", text, re.MULTILINE)
    until(lambda: len(re.findall(r"^\S+_\d+\.m4s$", fetch(recorded.live_url("quiet", "media.m3u8")).text, re.MULTILINE))
          > len(first) + 1, 25, "segments close")  # fmt: skip
    assert _names(recorded, "quiet") == []


@needs_ffmpeg
def test_a_relay_killed_in_a_segment_leaves_a_replay_that_its_successor_continues(tmp_path: Path) -> None:
    with Cluster(2, MEDIA_BUCKET=_BUCKET) as stack:
        _client(stack).create_bucket(Bucket=_BUCKET)
        stack.put_stream("cut", replay="public")
        stack.start_source("cut")
        until(lambda: len(_segments(stack, "cut")) >= 2, 40, "segments are stored")
        owner = stack.owner("cut")
        assert owner is not None
        owner.kill()
        before = _segments(stack, "cut")
        until(lambda: len(_segments(stack, "cut")) >= len(before) + 2, 40, "the other task adds to it")
        stack.put_stream("cut", state="ended", replay="public")
        until(lambda: _archived(stack, "cut"), 20, "all is stored")
        segments = _segments(stack, "cut")
        assert segments[: len(before)] == before
        assert len({one.run for one in segments}) == 2
        index = _fetched(stack, "cut", tmp_path)
        assert index.read_text().count("#EXT-X-DISCONTINUITY\n") == 1
        assert index.read_text().count("#EXT-X-MAP") == 2
        assert _decoded_errors(index) == ""
        # Both runs are of one format, so the host gets one file, in which time goes on.
        (file,) = _downloaded(stack, "cut", tmp_path)
        assert _decoded_errors(file) == ""
        told_s = recording.duration_s(segments)
        assert abs(_length_s(file) - told_s) < 0.1
        assert abs(_probed(file, "v:0", "nb_read_packets") / 30 - told_s) < 0.5
