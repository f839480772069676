"""Replays: the playlist of what the relay stored, who makes it when, and who may play it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jwt
import msgspec
import pytest

from functions import aws, clock, settings
from functions.rooms import table as rooms
from functions.streams import forgetting, media, recording, sweep, table
from functions.streams.model import MediaReport
from tests.unit.https import Answer, Client, Person
from tests.unit.test_streams_handlers import record

RUN, OTHER_RUN = "0123abcd", "89abcdef"
MAPS = (f"init-{RUN}-0.mp4", f"init-{RUN}-1.mp4", f"init-{OTHER_RUN}-0.mp4")
BUCKET = "media"


def name(number: int, run: str = RUN, of: int = 0, ticks: int = 180_000, after_break: int = 0) -> str:
    return f"{number:012d}-{run}-{of}-{1_800_000_000_000 + 2000 * number}-{ticks}-{after_break}.m4s"


def lines(*names: str) -> list[str]:
    return recording.playlist(recording.segments_of([*names, *MAPS])).splitlines()


def test_a_recording_is_told_whole_with_dates_and_an_end() -> None:
    found = lines(name(2), name(1), name(3, ticks=90_090))
    assert found == [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="init-{RUN}-0.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:02.000Z",
        "#EXTINF:2.00000,",
        name(1),
        "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:04.000Z",
        "#EXTINF:2.00000,",
        name(2),
        "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:06.000Z",
        "#EXTINF:1.00100,",
        name(3, ticks=90_090),
        "#EXT-X-ENDLIST",
    ]


@pytest.mark.parametrize(
    ("after", "maps"),
    [
        (name(2, after_break=1), 1),  # the relay told of it
        (name(3), 1),  # one in between was lost
        (name(2, of=1), 2),  # other formats
        (name(12, run=OTHER_RUN), 2),  # another task went on
    ],
)
def test_a_break_is_told_wherever_time_does_not_go_on(after: str, maps: int) -> None:
    found = lines(name(1), after)
    assert found.count("#EXT-X-DISCONTINUITY") == 1
    assert sum(line.startswith("#EXT-X-MAP") for line in found) == maps
    assert "#EXT-X-DISCONTINUITY" not in lines(name(1), name(2))


def test_what_cannot_be_played_is_left_out() -> None:
    given = [name(1), name(2, run="ffffffff"), name(3, ticks=0), "index.m3u8", "thumbnail.jpg", *MAPS]
    assert [one.number for one in recording.segments_of(given)] == [1]


def test_a_storyboard_shows_each_picture_until_the_next_and_begins_with_the_first() -> None:
    names = [name(1), name(2), name(3), name(9, run=OTHER_RUN, ticks=90_090), *MAPS]
    pictures = [f"thumb-{2:012d}-{RUN}.jpg", f"thumb-{9:012d}-{OTHER_RUN}.jpg", f"thumb-{3:012d}-{OTHER_RUN}.jpg"]
    found = recording.storyboard(recording.segments_of(names), [*names, *pictures])
    assert found.splitlines() == [
        "WEBVTT",
        "",
        "00:00:00.000 --> 00:00:06.000",
        pictures[0],
        "",
        "00:00:06.000 --> 00:00:07.001",
        pictures[1],
    ]
    assert recording.storyboard(recording.segments_of(names), names) == "WEBVTT\n"


# ---- who makes it, and who plays it ----


@pytest.fixture
def bucket(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MEDIA_BUCKET", BUCKET)
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    yield s3


def store(s3: Any, stream_id: str, *names: str) -> None:
    for each in (*names, *MAPS):
        s3.put_object(Bucket=BUCKET, Key=f"replay/{stream_id}/{each}", Body=b"media")


def over(client: Client, host: Person, **more: Any) -> str:
    """A broadcast that flowed and ended."""
    stream_id = client.live(host, **more)
    assert media.take(MediaReport(stream_id, 1, "flowing", clock.now_ms()))
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    return stream_id


def archived(stream_id: str) -> bool:
    return media.take(MediaReport(stream_id, 1, "archived", clock.now_ms()))


def replay(client: Client, stream_id: str, who: Person | None = None) -> Answer:
    headers = {} if who is None else {"Authorization": f"Bearer {who.token}"}
    return client.call("GET", f"/streams/{stream_id}/replay", headers=headers)


def ordered() -> list[str]:
    """What waits in the Media queue, taken out of it."""
    sqs, url = aws.client("sqs"), settings.required("MEDIA_QUEUE_URL")
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in found]


def test_a_broadcast_becomes_a_replay_when_the_relay_has_stored_it(client: Client, bucket: Any) -> None:
    host = client.host()
    stream_id = client.live(host)
    assert media.take(MediaReport(stream_id, 1, "flowing", clock.now_ms()))
    store(bucket, stream_id, name(1), name(2))
    assert not archived(stream_id), "it is live"
    assert replay(client, stream_id).code == "conflict"
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert table.required(stream_id).feed_key == "recorded"
    assert client.call("GET", f"/streams/{stream_id}", who=host).body["state"] == "ended"
    assert replay(client, stream_id).code == "unavailable"
    assert archived(stream_id)
    assert table.required(stream_id).feed_key is None
    assert client.call("GET", f"/streams/{stream_id}", who=host).body["state"] == "replay"
    found = replay(client, stream_id)
    assert (found.status, found.body["duration_s"], found.body["stream"]["state"]) == (200, 4.0, "replay")
    start, token, end = found.body["playback_url"].partition(found.body["playback_url"].split("/")[4])
    assert (start, end) == ("https://onair.example/replay/", f"/{stream_id}/index.m3u8")
    assert jwt.decode(token, "p" * 64, ["HS256"], audience="replay", options={"verify_exp": False})["sub"] == stream_id
    # What came late makes it longer.
    store(bucket, stream_id, name(3), picture := f"thumb-{3:012d}-{RUN}.jpg")
    assert archived(stream_id)
    found = replay(client, stream_id)
    assert found.body["duration_s"] == 6.0
    assert found.body["storyboard_url"] == found.body["playback_url"].replace("index.m3u8", "storyboard.vtt")
    board = bucket.get_object(Bucket=BUCKET, Key=f"replay/{stream_id}/storyboard.vtt")
    assert board["ContentType"].startswith("text/vtt")
    assert picture in board["Body"].read().decode()


def test_a_report_that_comes_before_the_summary_is_kept(
    client: Client, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = client.host()
    stream_id = client.live(host)
    assert media.take(MediaReport(stream_id, 1, "flowing", clock.now_ms()))
    store(bucket, stream_id, name(1))

    def dies(*_: Any) -> None:
        raise ConnectionError("the function died here")

    with monkeypatch.context() as broken:
        broken.setattr(rooms, "close_room", dies)
        client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert archived(stream_id)
    assert table.required(stream_id).feed_key == "ending"
    assert sweep.sweep() == [stream_id]
    assert (table.required(stream_id).feed_key, table.required(stream_id).replay_s) == (None, 2.0)


def test_a_relay_that_died_does_not_keep_the_replay_back(client: Client, bucket: Any) -> None:
    stream_id = over(client, client.host())
    store(bucket, stream_id, name(1))
    sweep.sweep()
    assert ordered() == []
    client.clock.offset_ms += 90_000
    sweep.sweep()
    (body,) = ordered()
    assert media.handle({"Records": [record("1", body, stream_id)]}, None) == {"batchItemFailures": []}
    assert table.required(stream_id).replay_s == 2.0
    sweep.sweep()
    assert ordered() == []


def test_a_broadcast_of_which_nothing_was_stored_has_no_replay(client: Client, bucket: Any) -> None:
    host = client.host()
    stream_id = over(client, host)
    assert archived(stream_id)
    assert replay(client, stream_id).code == "not_found"
    assert client.call("GET", f"/streams/{stream_id}", who=host).body["state"] == "ended"


def test_without_a_wish_for_a_replay_there_is_none(client: Client, bucket: Any) -> None:
    stream_id = over(client, client.host(), replay="off")
    store(bucket, stream_id, name(1))
    assert table.required(stream_id).feed_key is None
    assert not archived(stream_id)
    assert replay(client, stream_id).code == "not_found"


def test_a_replay_for_followers_is_for_followers(client: Client, bucket: Any) -> None:
    host, fan, other = client.host(), client.sign_up("fan"), client.sign_up("other")
    client.call("PUT", "/accounts/host_one/follow", who=fan)
    stream_id = over(client, host, replay="followers")
    store(bucket, stream_id, name(1))
    assert archived(stream_id)
    assert replay(client, stream_id).code == "unauthenticated"
    assert replay(client, stream_id, other).code == "followers_only"
    assert replay(client, stream_id, fan).status == 200
    assert replay(client, stream_id, host).status == 200
    # and so is what was said in it
    frames = f"/streams/{stream_id}/frames"
    assert client.call("GET", frames).code == "unauthenticated"
    assert client.call("GET", frames, who=other).code == "followers_only"
    assert client.call("GET", frames, who=fan).status == 200


# ---- taken away ----


def carried_out(stream_id: str) -> Any:
    """Have the orders that wait carried out, as the queue hands them over."""
    records = [record(str(at), body, stream_id) for at, body in enumerate(ordered())]
    assert records
    return media.handle({"Records": records}, None)


def stored(s3: Any) -> set[str]:
    return {each["Key"].split("/")[1] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def test_a_deleted_broadcast_leaves_neither_recording_nor_room_and_others_keep_theirs(
    client: Client, bucket: Any
) -> None:
    host = client.host()
    stream_id = over(client, host)
    other = over(client, client.host("host_two"))
    for each in (stream_id, other):
        store(bucket, each, *(name(number) for number in range(1, 40)))
        assert archived(each)
    assert client.call("DELETE", f"/streams/{stream_id}", who=host).status == 204
    assert replay(client, stream_id).code == "not_found"
    assert carried_out(stream_id) == {"batchItemFailures": []}
    assert stored(bucket) == {other}
    assert rooms.read_room(stream_id) is None
    assert rooms.read_room(other) is not None
    assert client.call("GET", f"/streams/{stream_id}/frames").code == "not_found"
    # What the relay stores late goes as well.
    store(bucket, stream_id, name(50))
    assert archived(stream_id)
    assert stored(bucket) == {other}


def test_an_order_that_comes_before_the_deletion_waits_and_one_without_it_is_dropped(
    client: Client, bucket: Any
) -> None:
    stream_id = over(client, client.host())
    store(bucket, stream_id, name(1))
    forgetting.order(stream_id)
    early = MediaReport(stream_id, 0, "deleted", clock.now_ms())
    with pytest.raises(forgetting.StandingError):
        media.take(early)
    client.clock.offset_ms += forgetting.STANDING_MS_MAX
    assert not media.take(early)
    assert stored(bucket) == {stream_id}


def test_what_one_run_has_no_time_for_is_ordered_again(client: Client, bucket: Any) -> None:
    host = client.host()
    stream_id = over(client, host)
    store(bucket, stream_id, name(1))
    client.call("DELETE", f"/streams/{stream_id}", who=host)
    (order,) = ordered()
    report = msgspec.json.decode(order, type=MediaReport)
    left = iter([20_000, 20_000])
    assert media.take(report, lambda: next(left, 1_000))
    assert rooms.read_room(stream_id) is not None, "it had no time for the room"
    assert carried_out(stream_id) == {"batchItemFailures": []}
    assert rooms.read_room(stream_id) is None
    assert forgetting.RESERVE_MS > 1_000


def test_a_live_broadcast_is_not_deleted(client: Client, bucket: Any) -> None:
    host = client.host()
    stream_id = client.live(host)
    assert client.call("DELETE", f"/streams/{stream_id}", who=host).code == "conflict"
    assert ordered() == []
