"""Comments that wait for a moderator: held, told, released into the room or rejected; and the same words too often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from functions import aws, observe
from functions.rooms import holding, insights
from functions.rooms.stored import StoredRooms
from tests.unit.https import Client
from tests.unit.moderated_room import ModeratedRoom, made, of_type

PHONE = "call me +49 170 1234567"


@pytest.fixture
def room(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModeratedRoom]:
    with made(client, monkeypatch) as room:
        yield room


def told(room: ModeratedRoom, connection: str) -> list[dict[str, Any]]:
    return [body for body in room.sockets.gateway.posted.get(connection, []) if body["type"] == "held"]


def test_a_phone_number_waits_and_nobody_sees_it(room: ModeratedRoom) -> None:
    bo, cy = room.enter(room.person("bob")), room.enter(room.person("cyd"))
    ack = bo.chat("1", PHONE)
    assert (ack["type"], ack["held"]) == ("ack", True)
    room.sequence()
    assert of_type(cy, "chat") == []
    assert PHONE not in room.stored()
    (waiting,) = room.call("GET", "/held").body["items"]
    assert waiting["event"]["id"] == ack["event_id"]
    assert (waiting["event"]["text"], waiting["reasons"]) == (PHONE, ["phone"])
    # Sent again it is the same one.
    assert bo.chat("1", PHONE) == ack
    assert len(room.call("GET", "/held").body["items"]) == 1


def test_a_released_comment_is_shown_once_with_the_id_that_its_author_knows(room: ModeratedRoom) -> None:
    bo, cy = room.enter(room.person("bob")), room.enter(room.person("cyd"))
    event_id = bo.chat("1", PHONE)["event_id"]
    bo.chat("2", "and hello")
    room.client.clock.offset_ms += 5_000
    assert room.call("PUT", f"/held/{event_id}", {"state": "released"}).status == 204
    room.sequence()
    assert [event["text"] for event in of_type(cy, "chat")] == ["and hello", PHONE]
    (event,) = [event for event in of_type(cy, "chat") if event["id"] == event_id]
    assert event["client_id"] == "1"
    assert told(room, bo.id) == [{"type": "held", "event_id": event_id, "client_id": "1", "state": "released"}]
    assert room.call("GET", "/held").body["items"] == []
    assert room.call("PUT", f"/held/{event_id}", {"state": "rejected"}).code == "not_found"
    # Released it is held no longer, also for whoever sends it again.
    assert "held" not in bo.chat("1", PHONE)


def test_a_rejected_comment_is_gone_and_its_author_told(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    event_id = bo.chat("1", PHONE)["event_id"]
    assert room.call("PUT", f"/held/{event_id}", {"state": "rejected"}).status == 204
    room.sequence()
    assert told(room, bo.id)[-1]["state"] == "rejected"
    assert PHONE not in room.stored() + str(room.call("GET", "/held").body)


def test_only_who_moderates_sees_and_decides(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    event_id = bo.chat("1", PHONE)["event_id"]
    for who in (room.person("bob"), room.person("cyd")):
        assert room.call("GET", "/held", who=who).code == "forbidden"
        assert room.call("PUT", f"/held/{event_id}", {"state": "released"}, who=who).code == "forbidden"
    room.call("PUT", "/members/cyd", {"moderator": True})
    assert room.call("PUT", f"/held/{event_id}", {"state": "released"}, who=room.person("cyd")).status == 204
    assert room.call("PUT", f"/held/{event_id}", {"state": "shown"}).code == "invalid_request"


def test_what_a_muted_member_said_before_is_not_released(room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    bo = room.enter(room.person("bob"))
    event_id = bo.chat("1", PHONE)["event_id"]
    release = holding.release

    def late(*arguments: Any) -> bool:
        # The mute comes between looking and writing.
        room.call("PUT", "/members/bob", {"mute_s": 60})
        return release(*arguments)

    monkeypatch.setattr(holding, "release", late)
    assert room.call("PUT", f"/held/{event_id}", {"state": "released"}).code == "conflict"
    monkeypatch.setattr(holding, "release", release)
    assert room.call("PUT", f"/held/{event_id}", {"state": "released"}).code == "conflict"
    room.sequence()
    assert PHONE not in room.stored()


def test_a_held_comment_is_forgotten_after_a_day(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    bo.chat("1", PHONE)
    room.client.clock.offset_ms += 25 * 3600 * 1000
    assert room.call("GET", "/held").body["items"] == []


def test_the_host_is_told_how_many_wait(room: ModeratedRoom) -> None:
    bo, host = room.enter(room.person("bob")), room.enter(room.host)
    bo.chat("1", PHONE)
    bo.chat("2", "me@example.com")
    rows: list[dict[str, Any]] = aws.client("dynamodb").scan(TableName="rooms")["Items"]
    held = [row for row in rows if row["sk"]["S"].startswith("held#")]
    insights.handle({"Records": [{"eventName": "INSERT", "dynamodb": {"NewImage": row}} for row in held]}, None)
    assert told(room, host.id) == [{"type": "held", "waiting": 2}]
    assert told(room, bo.id) == []


@pytest.mark.parametrize(
    ("settings", "text", "answer"),
    [
        ({"links": "refused"}, "see example.com", "filtered"),
        ({"links": "held"}, "see example.com", "held"),
        ({}, "see example.com", "shown"),
        ({"personal_data": "allowed"}, PHONE, "shown"),
        ({"personal_data": "refused"}, "me@example.com", "filtered"),
        ({"profanity": "held"}, "you a$$hole", "held"),
        ({"profanity": "refused"}, "you asshole", "filtered"),
        ({"links": "held", "profanity": "refused"}, "asshole at example.com", "filtered"),
    ],
)
def test_rules_decide_what_becomes_of_a_comment(
    room: ModeratedRoom, settings: dict[str, str], text: str, answer: str
) -> None:
    bo = room.enter(room.person("bob"))
    assert room.call("PATCH", "/room", settings).status == 200
    got = bo.chat("1", text)
    assert got.get("code", "held" if got.get("held") else "shown") == answer


def test_rules_are_not_for_who_moderates(room: ModeratedRoom) -> None:
    host = room.enter(room.host)
    assert host.chat("1", PHONE) == {"type": "ack", "id": "1", "event_id": host.chat("1", PHONE)["event_id"]}


def test_a_question_that_gives_something_away_is_refused(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    assert bo.send("ask", id="1", text=PHONE)["code"] == "filtered"


@pytest.mark.parametrize("body", [{"links": "maybe"}, {"personal_data": True}, {"profanity": None}])
def test_a_rule_is_one_of_three(room: ModeratedRoom, body: dict[str, Any]) -> None:
    assert room.call("PATCH", "/room", body).code == "invalid_request"


def test_where_repeats_are_off_the_same_words_must_rest(room: ModeratedRoom) -> None:
    bo, host = room.enter(room.person("bob")), room.enter(room.host)
    assert bo.chat("1", "first!")["type"] == bo.chat("2", "first!")["type"] == "ack"
    room.call("PATCH", "/room", {"repeats_on": False})
    refused = bo.chat("3", "first!")
    assert refused["code"] == "rate_limited"
    assert 29_000 < refused["retry_after_ms"] <= 30_000
    # The same message again is no repeat.
    assert bo.chat("2", "first!")["type"] == "ack"
    assert bo.chat("4", "something new")["type"] == bo.chat("5", "first!")["type"] == "ack"
    assert host.chat("1", "welcome!")["type"] == host.chat("2", "welcome!")["type"] == "ack"
    room.client.clock.offset_ms += 30_000
    assert bo.chat("6", "first!")["type"] == "ack"


def test_holding_costs_no_more_calls_than_showing(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    # A slot in which this container has not rung: coming in rang in the one before.
    room.client.clock.offset_ms += 1_000
    with observe.counting() as shown:
        bo.chat("1", "hello")
    with observe.counting() as held:
        bo.chat("2", PHONE)
    assert Counter(call.operation for call in held) == Counter({"BatchGetItem": 1, "TransactWriteItems": 1})
    assert len(held) < len(shown)
    assert StoredRooms().is_held(room.stream, bo.chat("2", PHONE)["event_id"])
