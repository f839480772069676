"""Downloads: the host gets a recording as files, made part by part, each stretch of one format whole."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from typing import Any

import av
import pytest

from functions import aws, settings
from functions.streams import avc3, download, fragments, recording, table
from functions.streams.download import DownloadOrder
from media.relay.cmaf import AudioFormat, AudioSample, VideoSample, fragment, init_segment, length_prefixed
from media.relay.h264 import NAL_PPS, NAL_SPS, nal_units
from tests.relay.encoded import pictures, video_format
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


# ---- a picture that changes its format ----

WIDE, UPRIGHT = (pictures(6, *size, profile, gop=3) for size, profile in (((64, 48), "Baseline"), ((48, 64), "High")))


def shown(packets: list[av.Packet], at: int) -> tuple[bytes, bytes]:
    """A map, and a segment of two fragments with two key frames: three pictures with sound each, from ``at`` on."""
    samples = [
        VideoSample(at + 3000 * number, 0, 3000, packet.is_keyframe, bytes(packet))
        for number, packet in enumerate(packets)
    ]
    sound = [AudioSample(at, 1024, b"sound"), AudioSample(at + 1024, 1024, b"and more")]
    body = fragment(1, samples[:3], sound, at) + fragment(2, samples[3:], sound, at)
    return init_segment(video_format(packets[0]), STEREO), body


def samples(body: bytes) -> list[bytes]:
    """The bytes of every sample of every run, as a player finds them."""
    found: list[bytes] = []
    for kind, payload, end in fragments.boxes(body):
        if kind == b"moof":
            for run in avc3._runs(body, payload, end):
                at = payload - 8 + run.offset
                sized = run.flags & 0x100
                # Video tells a duration, a size and flags of each; sound, whose samples are alike, a size.
                for entry in run.entries:
                    (size,) = struct.unpack_from(">I", body, entry + (4 if sized else 0))
                    found.append(body[at : at + size])
                    at += size
    return found


def test_parameter_sets_stand_before_each_key_frame_and_every_sample_is_found() -> None:
    init, body = shown(UPRIGHT, 0)
    nals = nal_units(bytes(UPRIGHT[0]))
    sets = length_prefixed([nal for nal in nals if nal[0] & 31 in (NAL_SPS, NAL_PPS)])
    given, made = samples(body), samples(avc3.with_parameter_sets(body, init))
    keys = [at for at, sample in enumerate(given) if sample in {bytes(one) for one in UPRIGHT if one.is_keyframe}]
    assert len(keys) == 2
    assert made == [sets + one if at in keys else one for at, one in enumerate(given)]


def test_maps_are_alike_where_only_the_picture_differs() -> None:
    wide, upright = shown(WIDE, 0)[0], shown(UPRIGHT, 0)[0]
    assert wide != upright
    assert avc3.without_picture(wide) == avc3.without_picture(upright)
    mono = init_segment(video_format(WIDE[0]), MONO)
    assert len({avc3.without_picture(one) for one in (wide, mono, init_segment(None, STEREO))}) == 3


def test_a_picture_that_changes_is_one_file_and_a_sound_that_changes_is_another(client: Client, bucket: Any) -> None:
    stream_id = over(client, client.host())
    wide, upright = shown(WIDE, 0), shown(UPRIGHT, 90_000)
    maps = {f"init-{RUN}-{of}.mp4": init for of, init in enumerate((wide[0], upright[0]))}
    mono = {f"init-{RUN}-2.mp4": init_segment(video_format(WIDE[0]), MONO)}
    segments = ((1, 0, wide), (2, 1, upright), (3, 0, wide), (4, 2, wide))
    keep(bucket, stream_id, maps | mono | {name(at, of=of): body for at, of, (_, body) in segments})
    assert archived(stream_id)
    assert download.make(DownloadOrder(stream_id), lambda: True)
    made = table.required(stream_id).download
    assert made is not None
    assert [file.duration_s for file in made.files] == [6.0, 2.0]
    first, last = (
        bucket.get_object(Bucket=BUCKET, Key=f"replay/{stream_id}/{file.name}")["Body"].read() for file in made.files
    )
    assert (b"avc3" in first, b"avc1" in first, b"avc1" in last) == (True, False, True)
    assert [len(first), len(last)] == [file.bytes for file in made.files]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.replace(b"mdat", b"free"),
        lambda body: body[: body.index(b"mdat") - 4],
        # A run that does not say how large its samples are.
        lambda body: body.replace(struct.pack(">I", 0x01000F01), struct.pack(">I", 0x01000D01)),
        # One whose data would begin outside of it.
        lambda body: re.sub(rb"(trun.{8}).{4}", lambda run: run[1] + b"\x7f\0\0\0", body, flags=re.S),
    ],
)
def test_what_does_not_tell_its_samples_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    init, body = shown(WIDE, 0)
    spoilt = spoil(body)
    assert spoilt != body
    with pytest.raises(ValueError, match=r"\w"):
        avc3.with_parameter_sets(spoilt, init)
