"""Lambda handlers of streams: the relay's reports come in, and silence ends broadcasts, once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions import clock
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.rooms import table as rooms
from functions.streams import media, sweep, table
from functions.streams.model import MediaReport
from tests.unit.https import Client


def record(message_id: str, body: Any, group: str = "s1") -> dict[str, Any]:
    """One message of a FIFO queue, as Lambda gets it."""
    return {
        "messageId": message_id,
        "receiptHandle": "r",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1800000000000",
            "SenderId": "relay",
            "ApproximateFirstReceiveTimestamp": "1800000000000",
            "MessageGroupId": group,
            "MessageDeduplicationId": message_id,
            "SequenceNumber": message_id,
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:Media.fifo",
        "awsRegion": "us-east-1",
    }


def report(stream_id: str, state: str, at_ms: int, generation: int = 1, **more: Any) -> dict[str, Any]:
    return {"stream": stream_id, "generation": generation, "state": state, "at_ms": at_ms, **more}


def room_media(stream_id: str) -> str:
    room = rooms.read_room(stream_id)
    assert room is not None
    return room.media


def test_reports_reach_the_stream_and_its_room_in_order(client: Client) -> None:
    stream_id = client.live(client.host())
    now_ms = clock.now_ms()
    records = [
        record("1", report(stream_id, "flowing", now_ms, preview=True), stream_id),
        record("2", report(stream_id, "lost", now_ms + 10), stream_id),
    ]
    assert media.handle({"Records": records}, None) == {"batchItemFailures": []}
    stream = table.required(stream_id)
    assert (stream.media, stream.media_ms, stream.flowed, stream.preview) == ("lost", now_ms + 10, True, True)
    assert room_media(stream_id) == "lost"


def test_only_the_host_is_told_of_lower_renditions_and_why_there_are_none(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    now_ms = clock.now_ms()
    told = {"renditions": [480, 240], "refused": None}
    first = record("1", report(stream_id, "flowing", now_ms, ladder=told), stream_id)
    assert media.handle({"Records": [first]}, None) == {"batchItemFailures": []}
    assert client.call("GET", f"/streams/{stream_id}", who=host).body["ladder"] == {"renditions": [480, 240]}
    assert "ladder" not in client.call("GET", f"/streams/{stream_id}", who=client.host("other_host")).body
    slow = report(stream_id, "flowing", now_ms, seen_ms=now_ms + 5, ladder={"renditions": [], "refused": "too_slow"})
    media.handle({"Records": [record("2", slow, stream_id)]}, None)
    shown = client.call("GET", f"/streams/{stream_id}", who=host).body["ladder"]
    assert shown == {"renditions": [], "refused": "too_slow"}
    # A relay of before says nothing of it.
    media.handle({"Records": [record("3", report(stream_id, "flowing", now_ms + 9), stream_id)]}, None)
    assert "ladder" not in client.call("GET", f"/streams/{stream_id}", who=host).body


def test_only_the_host_is_told_why_nobody_is_shown_beside_them(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    now_ms = clock.now_ms()

    def shown(who: Any, seen_ms: int, **told: Any) -> Any:
        body = report(stream_id, "flowing", now_ms, seen_ms=seen_ms, **told)
        media.handle({"Records": [record(str(seen_ms), body, stream_id)]}, None)
        return client.call("GET", f"/streams/{stream_id}", who=who).body.get("stage_refused")

    viewer = client.host("other_host")
    assert shown(host, now_ms + 1, stage_refused="no_processor") == "no_processor"
    assert shown(viewer, now_ms + 2, stage_refused="no_processor") is None
    assert shown(host, now_ms + 3, stage_refused=None) is None
    assert shown(host, now_ms + 4, stage_refused="worker_died") == "worker_died"
    # Nobody is shown in a broadcast that is over.
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert "stage_refused" not in client.call("GET", f"/streams/{stream_id}", who=host).body


def test_an_older_report_and_one_of_a_revoked_key_change_nothing(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    now_ms = clock.now_ms()
    assert media.take(MediaReport(stream_id, 1, "flowing", now_ms))
    assert not media.take(MediaReport(stream_id, 1, "lost", now_ms - 1))
    assert not media.take(MediaReport(stream_id, 2, "lost", now_ms + 1))
    assert table.required(stream_id).media == "flowing"
    client.call("POST", f"/streams/{stream_id}/publish", who=host)
    assert not media.take(MediaReport(stream_id, 1, "flowing", now_ms + 5000))
    assert table.required(stream_id).media == "lost"
    assert media.take(MediaReport(stream_id, 2, "flowing", now_ms - 5000))
    assert table.required(stream_id).media == "flowing"


def test_a_report_that_comes_again_after_a_crash_reaches_the_room(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_id = client.live(client.host())
    body = report(stream_id, "flowing", clock.now_ms())
    with monkeypatch.context() as broken:

        def dies(*_: Any) -> None:
            raise ConnectionError("the function died here")

        broken.setattr(rooms, "set_media", dies)
        other = client.live(client.host("host_two"))
        with_other = [
            record("1", body, stream_id),
            record("2", report(stream_id, "lost", clock.now_ms() + 5), stream_id),
            record("3", "not json", other),
        ]
        answer = media.handle({"Records": with_other}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "2"}]}
    assert table.required(stream_id).media == "flowing"
    assert room_media(stream_id) == "waiting"
    assert media.handle({"Records": [record("1", body, stream_id)]}, None) == {"batchItemFailures": []}
    assert room_media(stream_id) == "flowing"


@pytest.mark.parametrize("body", ["", "[]", '{"stream": "s"}', '{"stream": 1, "generation": "x"}'])
def test_what_cannot_be_read_does_not_block_the_queue(client: Client, body: str) -> None:
    stream_id = client.live(client.host())
    records = [record("1", body, stream_id), record("2", report(stream_id, "flowing", clock.now_ms()), stream_id)]
    assert media.handle({"Records": records}, None) == {"batchItemFailures": []}
    assert table.required(stream_id).media == "flowing"


def test_a_report_of_a_stream_that_nobody_knows_is_dropped(client: Client) -> None:
    assert media.handle({"Records": [record("1", report("nothing", "flowing", 1))]}, None) == {"batchItemFailures": []}
    assert table.read("nothing") is None


def test_a_broadcast_that_never_flows_ends_after_five_minutes(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    client.clock.offset_ms += 5 * 60_000 - 2000
    assert sweep.handle({}, None) == {"ended": 0}
    client.clock.offset_ms += 2000
    assert sweep.handle({}, None) == {"ended": 1}
    stream = table.required(stream_id)
    assert (stream.state, stream.end_reason, stream.feed_key) == ("ended", "never_flowed", None)
    assert stream.summary is not None
    room = rooms.read_room(stream_id)
    assert room is not None and not room.live
    assert "live_stream" not in client.call("GET", "/me", who=host).body
    assert sweep.handle({}, None) == {"ended": 0}


def test_a_broadcast_whose_media_stays_lost_ends_after_two_minutes(client: Client) -> None:
    stream_id = client.live(client.host())
    media.take(MediaReport(stream_id, 1, "flowing", clock.now_ms()))
    client.clock.offset_ms += 3_600_000
    assert sweep.sweep() == []
    media.take(MediaReport(stream_id, 1, "lost", clock.now_ms()))
    client.clock.offset_ms += 2 * 60_000 - 2000
    assert sweep.sweep() == []
    client.clock.offset_ms += 2000
    assert sweep.sweep() == [stream_id]
    assert table.required(stream_id).end_reason == "lost"


def test_a_key_that_nobody_publishes_with_ends_the_broadcast_too(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    media.take(MediaReport(stream_id, 1, "flowing", clock.now_ms()))
    client.call("POST", f"/streams/{stream_id}/publish", who=host)
    client.clock.offset_ms += 2 * 60_000
    assert sweep.sweep() == [stream_id]


def test_an_end_that_a_crash_left_half_made_is_finished(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    host = client.host()
    stream_id = client.live(host)

    def dies(*_: Any) -> None:
        raise ConnectionError("the function died here")

    with monkeypatch.context() as broken:
        broken.setattr(rooms, "close_room", dies)
        assert client.call("POST", f"/streams/{stream_id}/end", who=host).code == "unavailable"
    half = table.required(stream_id)
    assert (half.state, half.summary, half.feed_key) == ("ended", None, "ending")
    assert sweep.sweep() == [stream_id]
    done = table.required(stream_id)
    assert (done.end_reason, done.feed_key) == ("host", None)
    room = rooms.read_room(stream_id)
    assert room is not None and not room.live
    assert done.summary is not None
    assert client.call("POST", f"/streams/{stream_id}/end", who=host).body["duration_s"] == done.summary.duration_s


def test_one_broadcast_that_cannot_end_keeps_none_of_the_others(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = client.live(client.host()), client.live(client.host("host_two"))
    real = rooms.close_room

    def dies_for_one(stream_id: str, reason: str | None = None) -> None:
        if stream_id == bad:
            raise ConnectionError("not this one")
        real(stream_id, reason)

    client.clock.offset_ms += 5 * 60_000
    with monkeypatch.context() as broken:
        broken.setattr(rooms, "close_room", dies_for_one)
        with pytest.raises(sweep.SweepError, match=bad):
            sweep.sweep()
    assert table.required(good).summary is not None
    assert sweep.sweep() == [bad]


def test_a_host_whose_account_is_gone_does_not_keep_a_broadcast_alive(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    ProfileItem(account_key(host.id), PROFILE).delete()
    client.clock.offset_ms += 5 * 60_000
    assert sweep.sweep() == [stream_id]
    assert table.required(stream_id).state == "ended"


def test_a_relay_that_dies_without_a_word_is_noticed_and_its_broadcast_ends(client: Client) -> None:
    stream_id = client.live(client.host())
    began_ms = clock.now_ms()
    media.take(MediaReport(stream_id, 1, "flowing", began_ms, seen_ms=began_ms))
    client.clock.offset_ms += 60_000
    media.take(MediaReport(stream_id, 1, "flowing", began_ms, seen_ms=clock.now_ms()))
    client.clock.offset_ms += 89_000
    assert sweep.sweep() == []
    assert table.required(stream_id).media == "flowing"
    client.clock.offset_ms += 1_000
    assert sweep.sweep() == []
    assert table.required(stream_id).media == "lost"
    assert room_media(stream_id) == "lost"
    client.clock.offset_ms += 31_000
    assert sweep.sweep() == [stream_id]
    assert table.required(stream_id).end_reason == "lost"


def test_a_relay_that_was_only_cut_off_is_believed_again(client: Client) -> None:
    stream_id = client.live(client.host())
    began_ms = clock.now_ms()
    media.take(MediaReport(stream_id, 1, "flowing", began_ms, seen_ms=began_ms))
    client.clock.offset_ms += 90_000
    sweep.sweep()
    assert media.take(MediaReport(stream_id, 1, "flowing", began_ms, seen_ms=clock.now_ms()))
    assert table.required(stream_id).media == "flowing"
    assert room_media(stream_id) == "flowing"
