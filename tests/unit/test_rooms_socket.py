"""The socket's routes on moto: what each answers, what it refuses, and what it costs in calls to AWS."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from functions import aws, clock, observe
from functions.rooms import authorize, deliver, sequence
from functions.rooms.fold import FRAME_BYTES_MAX
from functions.rooms.items import InboxItem, MemberItem, RoomsItem, room_key
from functions.rooms.messages import MESSAGE_BYTES_MAX, RoomSettings
from functions.rooms.model import Connection, Limits
from functions.rooms.posts import sockets
from functions.rooms.ring import ring
from functions.rooms.stored import StoredRooms
from functions.rooms.table import close_room, open_room, read_summary, read_viewers, set_media
from tests.unit import socket_room
from tests.unit.socket_room import EPOCH, HOST, STREAM, SocketRoom

SLOT_OVER_MS = 231


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketRoom]:
    with socket_room.made(monkeypatch) as made:
        yield made


def operations(calls: list[observe.Call]) -> list[str]:
    return [call.operation for call in calls if call.service in ("dynamodb", "sqs")]


def test_a_comment_reaches_everyone_once_and_in_order(room: SocketRoom) -> None:
    ana, bo, visitor = room.joined("ana"), room.joined("bo"), room.joined("visitor-1", "visitor")
    room.sequence()
    ack = ana.chat("1", " hi  there ")
    again = ana.chat("1", " hi  there ")
    room.sequence()
    assert ack == again == {"type": "ack", "id": "1", "event_id": ack["event_id"]}
    for socket in (ana, bo, visitor):
        comments = [event for event in socket.events if event["type"] == "chat"]
        assert [(one["text"], one["client_id"], one["id"]) for one in comments] == [("hi there", "1", ack["event_id"])]
        assert comments[0]["from"] == {"id": "ana", "handle": "ana", "name": "Ana", "badges": []}
        assert [frame["seq"] for frame in socket.frames] == [1, 2]
    assert room.items("inbox#") == []


def test_a_comment_costs_three_calls_and_a_frame_seven(room: SocketRoom) -> None:
    ana = room.joined("ana")
    room.sequence()
    room.clock.sleep_ms(SLOT_OVER_MS)
    with observe.counting() as calls:
        ana.chat("1")
    assert operations(calls) == ["BatchGetItem", "TransactWriteItems", "SendMessage"]
    (message,) = room.rings()
    # With the slot over, one reading is both: that for who rang and that for who might still have.
    room.clock.sleep_ms(SLOT_OVER_MS)
    with observe.counting() as calls:
        sequence.handle({"Records": [socket_room.record(message)]}, None)
    assert Counter(call.operation for call in calls) == {
        "Query": 5,
        "PutItem": 1,
        "BatchWriteItem": 1,
        "PostConnection": 1,
    }
    assert len(ana.frames) == 2


def test_a_slot_is_rung_for_once_by_a_container_that_knows_of_it(room: SocketRoom) -> None:
    room.sequence()
    slot_ms = Limits().slot_ms
    # The beginning of a slot, so that three rings fit into it.
    room.clock.sleep_ms(slot_ms - room.clock.now_ms() % slot_ms)
    with observe.counting() as calls:
        for _ in range(3):
            ring(STREAM)
        room.clock.sleep_ms(slot_ms)
        ring(STREAM)
    assert [call.operation for call in calls] == ["SendMessage", "SendMessage"]


def test_a_ring_that_a_frame_has_dealt_with_costs_one_read(room: SocketRoom) -> None:
    ana = room.joined("ana")
    (message,) = room.rings()
    ana.chat("1")
    room.clock.sleep_ms(SLOT_OVER_MS)
    sequence.handle({"Records": [socket_room.record(message)]}, None)
    with observe.counting() as calls:
        sequence.handle({"Records": [socket_room.record(message)]}, None)
    assert operations(calls) == ["Query"]
    assert len(ana.frames) == 1


def test_resending_an_id_with_other_content_is_refused_and_changes_nothing(room: SocketRoom) -> None:
    ana = room.joined("ana")
    ana.chat("1", "first")
    assert ana.chat("1", "second")["code"] == "id_reused"
    room.sequence()
    assert [event["text"] for event in ana.events if event["type"] == "chat"] == ["first"]


def test_the_sixth_comment_in_a_second_is_told_when(room: SocketRoom) -> None:
    ana = room.joined("ana")
    answers = [ana.chat(str(number)) for number in range(6)]
    assert [answer["type"] for answer in answers] == ["ack"] * 5 + ["error"]
    assert answers[5]["code"] == "rate_limited"
    room.clock.sleep_ms(answers[5]["retry_after_ms"])
    assert ana.chat("5")["type"] == "ack"


def test_a_muted_member_is_refused_and_is_told_so_on_joining(room: SocketRoom) -> None:
    ana = room.joined("ana")
    until = room.clock.now_ms() + 60_000
    MemberItem(room_key(STREAM), "member#ana").update([MemberItem.muted_until_ms.set(until)])
    assert ana.chat("1")["code"] == "muted"
    assert ana.join()["me"] == {"role": "viewer", "muted_until": clock.rfc3339(until)}
    room.sequence()
    assert [event["type"] for event in ana.events] == ["join"]


def test_slow_mode_and_closed_comments_bind_viewers_and_not_the_host(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    open_room(STREAM, HOST, "A walk", EPOCH, RoomSettings(slow_mode_s=30))
    assert ana.chat("1")["type"] == "ack"
    room.clock.sleep_ms(5_000)
    answer = ana.chat("2")
    assert answer["code"] == "slow_mode" and 0 < answer["retry_after_ms"] <= 25_000
    assert [host.chat(str(number))["type"] for number in (1, 2)] == ["ack", "ack"]
    open_room(STREAM, HOST, "A walk", EPOCH, RoomSettings(comments_on=False))
    assert ana.chat("3")["code"] == "forbidden"
    assert host.chat("3")["type"] == "ack"


# --- bad input

LONG = "x" * 201
BAD: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("chat", {"text": "hi"}, "invalid_request", "id"),
    ("chat", {"id": "1"}, "invalid_request", "text"),
    ("chat", {"id": 1, "text": "hi"}, "invalid_request", "id"),
    ("chat", {"id": "", "text": "hi"}, "invalid_request", "id"),
    ("chat", {"id": "x" * 65, "text": "hi"}, "invalid_request", "id"),
    ("chat", {"id": "a b", "text": "hi"}, "invalid_request", "id"),
    ("chat", {"id": "1", "text": ["hi"]}, "invalid_request", "text"),
    ("chat", {"id": "1", "text": ""}, "invalid_request", "text"),
    ("chat", {"id": "1", "text": "\u202e\u200b"}, "invalid_request", "text"),
    ("chat", {"id": "1", "text": LONG}, "invalid_request", "text"),
    ("chat", {"id": "1", "text": "x" * 20_000}, "invalid_request", "text"),
    ("chat", {"id": "1", "text": "hi", "reply_to": 7}, "invalid_request", "reply_to"),
    ("chat", {"id": "1", "text": "x" * 33_000}, "too_large", None),
    ("react", {}, "invalid_request", "counts"),
    ("react", {"counts": []}, "invalid_request", "counts"),
    ("react", {"counts": {}}, "invalid_request", "counts"),
    ("react", {"counts": {"🔥": "3"}}, "invalid_request", "counts[...]"),
    ("react", {"counts": {"🔥": 1.5}}, "invalid_request", "counts[...]"),
    ("react", {"counts": {"🔥": -1}}, "invalid_request", "counts"),
    ("react", {"counts": {"🔥": 10**40}}, "invalid_request", "counts"),
    ("react", {"counts": {"💩": 1}}, "invalid_request", "counts"),
    ("gift", {"id": "1", "gift_id": "rose"}, "invalid_request", "count"),
    ("gift", {"id": "1", "gift_id": "rose", "count": 0}, "invalid_request", "count"),
    ("gift", {"id": "1", "gift_id": "rose", "count": 1000}, "invalid_request", "count"),
    ("gift", {"id": "1", "gift_id": "rose", "count": "1"}, "invalid_request", "count"),
    ("gift", {"id": "1", "gift_id": None, "count": 1}, "invalid_request", "gift_id"),
    ("join", {"after": -1}, "invalid_request", "after"),
    ("join", {"after": "1"}, "invalid_request", "after"),
    ("join", {"epoch": 5}, "invalid_request", "epoch"),
    ("join", {"frames": "media"}, "invalid_request", "frames"),
]


def test_bad_input_is_refused_with_its_code_and_field_and_changes_nothing(room: SocketRoom) -> None:
    ana = room.joined("ana")
    before = sorted((item.pk, item.sk) for item in RoomsItem.scan())
    for action, fields, code, field in BAD:
        with observe.counting() as calls:
            answer = ana.send(action, **fields)
        assert (answer["type"], answer["code"]) == ("error", code), (action, fields, answer)
        assert (answer.get("details") or {}).get("field") == field, (action, fields, answer)
        assert answer["message"]
        wanted = fields.get("id")
        sound = isinstance(wanted, str) and 1 <= len(wanted) <= 64 and code != "too_large"
        assert answer.get("id") == (wanted if sound else None), (action, fields, answer)
        assert not [call for call in calls if call.operation != "BatchGetItem"], (action, fields)
    assert sorted((item.pk, item.sk) for item in RoomsItem.scan()) == before


NOT_OBJECTS = ["", "hello", "[]", "null", "7", "{", '{"id": "\ud800"}', "[" * 5_000]


def test_what_is_not_a_json_object_is_invalid(room: SocketRoom) -> None:
    for route in ("join", "chat", "react", "gift", "ping"):
        for body in NOT_OBJECTS:
            answer = room.socket("ana").send_raw(route, body)
            assert (answer["type"], answer["code"]) == ("error", "invalid_request"), (route, body)


UNKNOWN = [
    ('{"action": "dance", "id": "7"}', "invalid_request", "7"),
    ('{"id": "7"}', "invalid_request", "7"),
    ('{"action": 5}', "invalid_request", None),
    ("not json", "invalid_request", None),
    ("", "invalid_request", None),
    ("x" * (MESSAGE_BYTES_MAX + 1), "too_large", None),
]


def test_unknown_actions_are_told_so(room: SocketRoom) -> None:
    for body, code, answered_id in UNKNOWN:
        for role in ("viewer", "visitor"):
            answer = room.socket("ana", role).send_raw("$default", body)
            assert (answer["code"], answer.get("id")) == (code, answered_id)


def test_unknown_fields_are_ignored(room: SocketRoom) -> None:
    assert room.joined("ana").chat("1", mood="good")["type"] == "ack"


def test_a_visitor_reads_and_is_asked_to_sign_in_for_acting(room: SocketRoom) -> None:
    visitor = room.joined("visitor-7", "visitor")
    for action, fields in (
        ("chat", {"id": "1", "text": "hi"}),
        ("react", {"counts": {"🔥": 1}}),
        ("gift", {"id": "1", "gift_id": "rose", "count": 1}),
    ):
        assert visitor.send(action, **fields)["code"] == "unauthenticated"
    assert visitor.send("ping")["type"] == "pong"
    room.sequence()
    assert not [event for event in visitor.events if event["type"] == "join"]
    assert visitor.frames[-1]["viewers"] == 1


def test_without_joining_nothing_can_be_done(room: SocketRoom) -> None:
    ana = room.socket("ana")
    assert ana.chat("1")["code"] == "conflict"
    assert ana.send("react", counts={"🔥": 1})["code"] == "conflict"
    assert ana.send("gift", id="1", gift_id="rose", count=1)["code"] == "conflict"
    assert ana.send("ping")["code"] == "conflict"


def test_a_room_that_is_not_there_or_not_live_says_so(room: SocketRoom) -> None:
    lost = room.socket("ana", stream="nowhere")
    assert lost.join()["code"] == "not_found"
    assert lost.chat("1")["code"] == "not_found"
    ana = room.joined("ana")
    close_room(STREAM, "host")
    assert room.socket("bo").join()["code"] == "not_live"
    assert ana.chat("1")["code"] == "not_live"


def test_storage_that_fails_is_unavailable_and_not_a_crash(room: SocketRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = room.joined("ana")
    monkeypatch.setenv("ROOMS_TABLE", "Nowhere")
    answer = ana.chat("1")
    assert (answer["code"], answer["id"]) == ("unavailable", "1")


# --- joining


def test_joining_again_on_the_same_socket_answers_what_was_missed(room: SocketRoom) -> None:
    ana, bo = room.joined("ana"), room.joined("bo")
    room.sequence()
    for number in range(3):
        room.clock.sleep_ms(1_000)
        bo.chat(str(number), f"line {number}")
        room.sequence()
    answer = ana.join(epoch=EPOCH, after=2)
    assert [frame["seq"] for frame in answer["frames"]] == [3, 4]
    assert (answer["seq"], answer["resumed"], "more" in answer) == (4, True, False)
    assert ana.join(epoch=EPOCH, after=4)["frames"] == []
    assert room.sequence() == 0, "a re-join is no join"


@pytest.mark.parametrize("resume", [{"epoch": "other", "after": 1}, {"epoch": EPOCH, "after": 99}, {}])
def test_no_place_in_this_epoch_gets_the_newest_frames(room: SocketRoom, resume: dict[str, Any]) -> None:
    ana = room.joined("ana")
    room.sequence()
    ana.chat("1")
    room.sequence()
    answer = ana.join(**resume)
    assert [frame["seq"] for frame in answer["frames"]] == [1, 2]
    assert answer["seq"] == 2 and "resumed" not in answer


def test_joined_stays_within_32_kb_and_says_that_there_is_more(room: SocketRoom) -> None:
    ana = room.joined("ana")
    room.sequence()
    talkers = [room.joined(f"talker{number}", badges=("fan",) * 3) for number in range(4)]
    for round_ in range(14):
        for talker in talkers:
            assert talker.chat(str(round_), "ä" * 200)["type"] == "ack"
        room.clock.sleep_ms(2_000)
        room.sequence()
    body = json.dumps(answer := ana.join(epoch=EPOCH, after=1), ensure_ascii=False, separators=(",", ":"))
    assert len(body.encode()) <= MESSAGE_BYTES_MAX
    assert answer["more"] is True and answer["frames"][0]["seq"] == 2
    assert answer["frames"][-1]["seq"] < answer["seq"] == 15


def test_a_ticket_opens_one_socket(room: SocketRoom) -> None:
    first = room.joined("ana", nonce="once")
    assert room.socket("ana", nonce="once").join()["code"] == "unauthenticated"
    assert first.join()["type"] == "joined"


def test_a_fourth_connection_sends_the_oldest_away(room: SocketRoom) -> None:
    sockets_of_ana = []
    for _ in range(4):
        room.clock.sleep_ms(10)
        sockets_of_ana.append(room.joined("ana"))
    room.sequence()
    oldest = sockets_of_ana[0]
    assert room.gateway.posted[oldest.id][-1]["type"] == "bye"
    assert room.gateway.posted[oldest.id][-1]["code"] == "conflict"
    assert room.gateway.closed == [oldest.id]
    assert oldest.chat("1")["code"] == "conflict"
    assert sockets_of_ana[1].frames[-1]["viewers"] == 3
    assert len(StoredRooms().account_connections("ana")) == 3


def test_coming_in_twice_is_told_once_and_counts_once(room: SocketRoom) -> None:
    first = room.joined("ana")
    room.sequence()
    first.send_raw("$disconnect", "")
    room.joined("ana")
    bo = room.joined("bo")
    room.sequence()
    joins = [event["from"]["id"] for frame in bo.join(epoch=EPOCH, after=0)["frames"] for event in frame["events"]]
    assert sorted(joins) == ["ana", "bo"]
    assert read_summary(STREAM).viewers_unique == 2


def test_a_banned_member_stays_out(room: SocketRoom) -> None:
    MemberItem(room_key(STREAM), "member#ana", banned=True).save()
    assert room.socket("ana").join()["code"] == "banned"


def test_leaving_and_running_out_of_time_lower_the_count(room: SocketRoom) -> None:
    ana, bo = room.joined("ana"), room.joined("bo")
    room.joined("cy")
    room.sequence()
    assert ana.frames[-1]["viewers"] == 3
    bo.send_raw("$disconnect", "")
    room.sequence()
    assert ana.frames[-1]["viewers"] == 2
    assert room.gateway.frames(bo.id)[-1]["viewers"] == 3
    room.clock.sleep_ms(500_000)
    assert ana.send("ping")["type"] == "pong"
    room.clock.sleep_ms(200_000)
    StoredRooms().ring(STREAM)
    room.sequence()
    assert ana.frames[-1]["viewers"] == 1
    assert read_viewers([STREAM, "other"]) == {STREAM: 1, "other": 0}
    assert read_summary(STREAM).viewers_peak == 3


# --- reactions


def test_reactions_are_totals_that_everyone_gets(room: SocketRoom) -> None:
    ana, bo = room.joined("ana"), room.joined("bo")
    assert ana.send("react", counts={"❤️": 12, "🔥": 1}) is None
    assert bo.send("react", counts={"❤️": 3}) is None
    room.sequence()
    assert ana.frames[-1]["reactions"] == bo.frames[-1]["reactions"] == {"❤️": 15, "🔥": 1}
    assert read_summary(STREAM).reactions == 16


def test_reactions_in_quick_succession_are_refused_and_not_counted(room: SocketRoom) -> None:
    ana = room.joined("ana")
    room.clock.sleep_ms(SLOT_OVER_MS)
    with observe.counting() as calls:
        ana.send("react", counts={"🔥": 1})
    assert operations(calls) == ["UpdateItem", "UpdateItem", "SendMessage"]
    answer = ana.send("react", counts={"🔥": 50})
    assert (answer["code"], answer["retry_after_ms"]) == ("rate_limited", 1_000)
    room.clock.sleep_ms(1_000)
    ana.send("react", counts={"🔥": 1})
    room.sequence()
    assert ana.frames[-1]["reactions"] == {"🔥": 2}


# --- the sequencer


def test_a_flood_becomes_frames_of_24_kb_each_with_its_own_number(
    room: SocketRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY_LINES_S", "1000")
    ana = room.joined("ana")
    room.sequence()
    at = clock.rfc3339(room.clock.now_ms())
    for number in range(60):
        body = json.dumps({"type": "chat", "id": f"e{number}", "at": at, "text": "ä" * 200}, ensure_ascii=False)
        InboxItem(room_key(STREAM), f"inbox#e{number}", body=body).save()
    StoredRooms().ring(STREAM)
    room.sequence()
    frames = ana.frames[1:]
    assert len(frames) >= 2 and [frame["seq"] for frame in frames] == list(range(2, 2 + len(frames)))
    assert all(len(json.dumps(frame, ensure_ascii=False).encode()) <= FRAME_BYTES_MAX * 1.1 for frame in frames)
    assert len({event["id"] for frame in frames for event in frame["events"]}) == 60
    assert room.items("inbox#") == []


def test_broken_inbox_items_do_not_block_the_room(room: SocketRoom) -> None:
    ana = room.joined("ana")
    aws.client("dynamodb").put_item(
        TableName="Rooms", Item={"pk": {"S": room_key(STREAM)}, "sk": {"S": "inbox#bad"}, "body": {"N": "5"}}
    )
    ana.chat("1")
    room.sequence()
    assert {event["type"] for event in ana.events} == {"join", "removed", "chat"}
    assert room.failures == [] and room.items("inbox#") == []


def test_a_run_that_died_after_the_put_is_made_good_by_the_next(
    room: SocketRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = room.joined("ana")
    room.sequence()
    ana.chat("1")

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    (message,) = room.rings()
    with monkeypatch.context() as patched:
        patched.setattr(StoredRooms, "delete_inbox", die)
        answer = sequence.handle({"Records": [socket_room.record(message)]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": message["MessageId"]}]}
    assert len(room.items("inbox#")) == 1
    assert room.sequence() == 1, "the ring was given back at once"
    assert room.items("inbox#") == []
    assert [frame["seq"] for frame in ana.frames] == [1, 2, 2], "posted again, for clients to drop by seq"


def test_a_ring_that_cannot_be_read_is_reported_and_nothing_else(room: SocketRoom) -> None:
    queue = room.queue_url
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody="?", MessageGroupId="x", MessageDeduplicationId="x")
    (message,) = room.rings()
    answer = sequence.handle({"Records": [socket_room.record(message)]}, None)
    assert answer["batchItemFailures"] == [{"itemIdentifier": message["MessageId"]}]


def test_media_and_the_end_reach_everyone_and_the_end_closes_sockets(room: SocketRoom) -> None:
    ana = room.joined("ana")
    room.sequence()
    set_media(STREAM, "flowing")
    set_media(STREAM, "flowing")
    room.sequence()
    assert [frame["media"] for frame in ana.frames] == ["waiting", "flowing"]
    close_room(STREAM, "host")
    close_room(STREAM, "host")
    room.clock.sleep_ms(300)
    room.sequence()
    assert [event["reason"] for event in ana.events if event["type"] == "ended"] == ["host"]
    assert room.gateway.posted[ana.id][-1]["type"] == "bye"
    assert room.gateway.posted[ana.id][-1]["reconnect"] is False
    assert room.gateway.closed == [ana.id]
    assert room.items("connection#") == []


# --- posts


def test_a_connection_that_is_gone_is_forgotten_and_no_other(room: SocketRoom) -> None:
    ana, bo = room.joined("ana"), room.joined("bo")
    room.gateway.statuses[bo.id] = [410, 410]
    room.sequence()
    assert {item.sk for item in room.items("connection#")} == {f"connection#{ana.id}"}
    assert len(room.items("connection#")) == 2
    assert ana.frames[-1]["viewers"] == 1


def test_a_throttled_post_is_tried_again_and_a_broken_one_is_not(room: SocketRoom) -> None:
    ana, bo = room.joined("ana"), room.joined("bo")
    room.gateway.statuses = {ana.id: [429, 429], bo.id: [500]}
    room.sequence()
    assert len(ana.frames) == 1 and bo.frames == []
    assert len(room.items("connection#")) == 4


def test_a_stuck_connection_holds_nobody_up_beyond_the_bound(room: SocketRoom) -> None:
    ana, bo = room.joined("ana"), room.joined("bo")
    room.gateway.stuck[bo.id] = threading.Event()
    live = [Connection(one.id, "x", 0, 2**40) for one in (bo, ana)]
    gone = sockets().post(['{"type": "frame"}'], live, within_ms=200)
    assert gone == [] and ana.frames == [{"type": "frame"}] and bo.frames == []


def test_posts_are_signed_for_execute_api(room: SocketRoom) -> None:
    room.joined("ana")
    room.sequence()
    assert all("/execute-api/aws4_request" in one and "x-amz-date" in one for one in room.gateway.signatures)


def test_a_second_shard_is_served_by_deliver(room: SocketRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARD_SIZE", "2")
    people = [room.joined(name) for name in ("ana", "bo", "cy")]
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "functions.rooms.posts.ApiSockets.deliver",
        lambda _self, stream, shard, bodies, told, closing, _whole: made.append(
            {"room": stream, "shard": shard, "bodies": list(bodies), "told": told, "closing": closing}
        ),
    )
    room.sequence()
    assert people[0].frames == []
    for delivery in made:
        deliver.handle(delivery, None)
    assert {delivery["shard"] for delivery in made} >= {0, 1}
    assert all(len(one.frames) == 1 and one.frames[0]["viewers"] == 3 for one in people)


# --- the authorizer


def test_a_ticket_allows_with_its_claims_and_anything_else_is_unauthorized(
    room: SocketRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions import tokens

    secret = aws.client("secretsmanager").create_secret(Name="Signing", SecretString="s" * 64)
    monkeypatch.setenv("SIGNING_SECRET_ARN", secret["ARN"])
    claims = {
        "sub": "acc",
        "jti": "n1",
        "stream": STREAM,
        "host": HOST.id,
        "role": "viewer",
        "handle": "ana",
        "name": "Ana",
        "badges": ["fan", "new"],
        "market": "US",
        "age": 30,
        "created": 1_000,
    }
    ticket, _ = tokens.sign_ticket(claims)
    arn = "arn:aws:execute-api:us-east-1:1:api/live/$connect"
    answer = authorize.handle({"queryStringParameters": {"ticket": ticket}, "methodArn": arn}, None)
    assert answer["policyDocument"]["Statement"][0] == {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": arn,
    }
    assert answer["context"] == {
        "account": "acc",
        "stream": STREAM,
        "host": HOST.id,
        "role": "viewer",
        "nonce": "n1",
        "handle": "ana",
        "name": "Ana",
        "badges": "fan,new",
        "market": "US",
        "age": "30",
        "created": "1000",
    }
    room.clock.sleep_ms(61_000)
    bad: list[Any] = [{"ticket": ticket}, {"ticket": "x"}, {"ticket": ""}, {}, None]
    bad.append({"ticket": tokens.stream_key(STREAM, 1)})
    bad.append({"ticket": tokens.sign_ticket({**claims, "role": "king"})[0]})
    for given in bad:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            authorize.handle({"queryStringParameters": given, "methodArn": arn}, None)
