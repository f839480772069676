"""Downloads: the host gets a recording as files, made part by part, each stretch of one format whole."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from functions import aws, settings
from functions.streams import download, fragments, recording, table
from functions.streams.download import DownloadOrder
from media.relay.cmaf import AudioFormat, AudioSample, fragment, init_segment
from tests.unit.https import Client
from tests.unit.test_streams_recording import BUCKET, OTHER_RUN, RUN, archived, bucket, name, over

__all__ = ["bucket"]
STEREO, MONO = AudioFormat(b"\x11\x90", 48_000, 2, 128_000), AudioFormat(b"\x11\x88", 48_000, 1, 64_000)
# As much as four seconds of a good picture, so that two segments are a part.
SIZE = 5 * 1024 * 1024


def segment(start: int, size: int = 100) -> bytes:
    """Two seconds of sound from ``start``, in samples, in two fragments."""
    samples = [AudioSample(start + 1000 * at, 1000, bytes([at]) * (size // 96)) for at in range(96)]
    return fragment(1, [], samples[:48], 0) + fragment(2, [], samples[48:], 0)


def keep(s3: Any, stream_id: str, objects: dict[str, bytes]) -> None:
    for each, body in objects.items():
        s3.put_object(Bucket=BUCKET, Key=f"replay/{stream_id}/{each}", Body=body)


def ordered() -> list[DownloadOrder]:
    sqs, url = aws.client("sqs"), settings.required("DOWNLOAD_QUEUE_URL")
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [DownloadOrder(**json.loads(message["Body"])) for message in found]


def starts(body: bytes) -> list[int]:
    """Decode times of all fragments, in samples; raises where boxes do not follow one another."""
    return [fragments._read(body, at) for _, at in fragments._decode_times(body)]


def test_the_host_gets_one_file_whose_time_goes_on_over_breaks_and_runs(client: Client, bucket: Any) -> None:
    host, other = client.host(), client.sign_up("other")
    stream_id = over(client, host)
    path = f"/streams/{stream_id}/replay/download"
    assert client.call("POST", path, who=host).code == "unavailable"
    # given three segments of one run, one lost, and two of another task
    keep(
        bucket,
        stream_id,
        {f"init-{run}-0.mp4": init_segment(None, STEREO) for run in (RUN, OTHER_RUN)}
        | {name(at): segment(7_000_000 + 96_000 * at) for at in (1, 2, 4)}
        | {name(at, run=OTHER_RUN): segment(500) for at in (9,)},
    )
    assert archived(stream_id)
    # when the host asks, again and again
    assert client.call("POST", path, who=other).code == "forbidden"
    assert [client.call("POST", path, who=host).body["state"] for _ in range(3)] == ["preparing"] * 3
    (order,) = ordered()
    assert download.make(order, lambda: True)
    # then it is one file as long as the replay
    found = client.call("POST", path, who=host).body
    assert found["state"] == "ready"
    (file,) = found["files"]
    assert file["duration_s"] == 8.0
    key = re.sub(r"^https://onair.example/replay/[^/]+/", "replay/", file["url"])
    stored = bucket.get_object(Bucket=BUCKET, Key=key)
    body = stored["Body"].read()
    assert (stored["ContentType"], len(body)) == ("video/mp4", file["bytes"])
    assert stored["ContentDisposition"].startswith("attachment")
    assert starts(body) == [48_000 * at for at in range(8)]
    assert [kind for kind, _, _ in fragments.boxes(body)] == [b"ftyp", b"moov", *[b"moof", b"mdat"] * 8]
    assert b"mehd" in body
    # and asking again makes nothing anew, until there is more
    assert ordered() == []
    assert download.make(order, lambda: True)
    keep(bucket, stream_id, {name(10, run=OTHER_RUN): segment(96_500)})
    assert archived(stream_id)
    assert client.call("POST", path, who=host).body["state"] == "preparing"


def test_each_stretch_of_another_format_is_a_file_of_its_own(client: Client, bucket: Any) -> None:
    stream_id = over(client, client.host())
    maps = {f"init-{RUN}-0.mp4": init_segment(None, STEREO), f"init-{RUN}-1.mp4": init_segment(None, MONO)}
    keep(bucket, stream_id, maps | {name(at, of=of): segment(at) for at, of in ((1, 0), (2, 1), (3, 1), (4, 0))})
    assert archived(stream_id)
    assert download.make(DownloadOrder(stream_id), lambda: True)
    made = table.required(stream_id).download
    assert made is not None
    assert [file.duration_s for file in made.files] == [2.0, 4.0, 2.0]


def test_what_one_run_has_no_time_for_the_next_goes_on_with(client: Client, bucket: Any) -> None:
    stream_id = over(client, client.host())
    bodies = {name(at): segment(96_000 * at, SIZE) for at in range(1, 6)}
    keep(bucket, stream_id, {f"init-{RUN}-0.mp4": init_segment(None, STEREO)} | bodies)
    assert archived(stream_id)
    order, runs = DownloadOrder(stream_id), 0
    while table.required(stream_id).download is None:
        runs += 1
        assert runs < 10
        left = iter([True])
        assert download.make(order, lambda left=left: next(left, False))
        order = (ordered() or [order])[0]
    assert runs == 3, "ten MiB a part, a part a run"
    made = table.required(stream_id).download
    assert made is not None
    (file,) = made.files
    body = bucket.get_object(Bucket=BUCKET, Key=f"replay/{stream_id}/{file.name}")["Body"].read()
    assert len(body) == file.bytes
    assert starts(body) == [48_000 * at for at in range(10)]


def test_parts_are_as_large_as_s3_wants_them_and_no_more_than_it_takes() -> None:
    assert download.parts_of((3, 4)) == [(0, 2)]
    mib = 1024 * 1024
    assert download.parts_of((5 * mib, 5 * mib, 9 * mib, mib)) == [(0, 2), (2, 3), (3, 4)]
    parts = download.parts_of((mib,) * 200_000)
    assert len(parts) <= 10_000
    assert [first for first, _ in parts[1:]] == [last for _, last in parts[:-1]]


@pytest.mark.parametrize("broken", [b"\0\0\0\x10moof", b"\0\0\0\x04free", b"abc"])
def test_what_is_no_media_is_refused_and_not_stored(broken: bytes) -> None:
    with pytest.raises(ValueError, match="box"):
        fragments.starts_s(broken, {1: 48_000})


def test_a_deleted_stream_has_no_download(client: Client, bucket: Any) -> None:
    assert not download.make(DownloadOrder("gone"), lambda: True)
    assert recording.prefix("gone") not in str(bucket.list_objects_v2(Bucket=BUCKET))
