"""What the reader of frames tells: the host's pulse, and members whom a comment names or answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from functions import aws, observe
from functions.rooms import insights
from functions.rooms.messages import ChatEvent, Frame, Sender
from functions.rooms.model import RoomSummary
from functions.rooms.pulse import Minute, pulse, top_words
from functions.rooms.sentiment import VaderSentiment
from functions.rooms.table import close_room
from tests.unit.https import Client
from tests.unit.moderated_room import ModeratedRoom, made, of_type
from tests.unit.test_notices import announce_all

NOW = 1_800_000_000_000


@pytest.fixture
def room(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModeratedRoom]:
    with made(client, monkeypatch) as room:
        yield room


class Feeling:
    """Says of each text what it begins with: `+`, `-`, or neither."""

    def scores(self, texts: Sequence[str]) -> list[float]:
        return [{"+": 0.5, "-": -0.5}.get(text[0], 0.0) for text in texts]


def chat(number: int, text: str, account: str = "ana") -> ChatEvent:
    return ChatEvent(id=f"e{number}", at="", sender=Sender(account, account, account), text=text)


def minute(ago_ms: int, viewers: int, *texts: str) -> Minute:
    events = tuple(chat(at, text) for at, text in enumerate(texts))
    return Minute(NOW - ago_ms, Frame(epoch="e", seq=1, at="", viewers=viewers, tick_ms=200, events=events))


def records(room: ModeratedRoom) -> list[dict[str, Any]]:
    """Every frame of the table as its stream hands it on."""
    rows: list[dict[str, Any]] = aws.client("dynamodb").scan(TableName="rooms")["Items"]
    return [
        {"eventName": "INSERT", "dynamodb": {"NewImage": row}} for row in rows if row["sk"]["S"].startswith("frame#")
    ]


def pulses(room: ModeratedRoom, connection: str) -> list[dict[str, Any]]:
    return [body for body in room.sockets.gateway.posted.get(connection, []) if body["type"] == "pulse"]


# --- the pulse


def test_a_pulse_is_of_the_last_minute() -> None:
    frames = [minute(70_000, 10, "-old"), minute(50_000, 12, "+good", "-bad", "+fine"), minute(1_000, 15, "so")]
    found = pulse(frames, Feeling(), NOW)
    assert (found.comments_per_min, found.viewers_trend) == (4, 5)
    assert (found.positive, found.negative, found.neutral, found.sentiment) == (0.5, 0.25, 0.25, 0.125)


def test_a_silent_room_has_a_pulse_without_division() -> None:
    assert pulse([], Feeling(), NOW).sentiment == 0
    assert pulse([minute(0, 3)], Feeling(), NOW).comments_per_min == 0


def test_words_count_once_a_member_and_not_the_small_ones() -> None:
    comments = [chat(1, "Sunset sunset SUNSET boats"), chat(2, "the boats!", "bob"), chat(3, "boats and sea", "cyd")]
    assert top_words(comments) == ("boats", "sea", "sunset")


def test_vader_knows_good_from_bad() -> None:
    good, bad, plain = VaderSentiment().scores(["I love this, wonderful!", "horrible, I hate it", "a table"])
    assert good > 0.5 and bad < -0.5 and plain == 0


def test_the_host_is_told_every_two_seconds_at_most_and_nobody_else(room: ModeratedRoom) -> None:
    host, bob = room.enter(room.host), room.enter(room.person("bob"))
    bob.chat("1", "what a wonderful sunset")
    room.sequence()
    batch = {"Records": records(room)}
    with observe.counting() as calls:
        insights.handle(batch, None)
    assert Counter(call.operation for call in calls) == {"UpdateItem": 1, "GetItem": 1, "Query": 2, "PostConnection": 1}
    insights.handle({"Records": records(room)}, None)
    (told,) = pulses(room, host.id)
    assert told["comments_per_min"] == 1 and told["sentiment"] > 0 and told["positive"] == 1
    assert "sunset" in told["top_words"] and told["viewers_trend"] >= 0
    assert pulses(room, bob.id) == []
    room.client.clock.sleep_ms(2_000)
    insights.handle({"Records": records(room)}, None)
    assert len(pulses(room, host.id)) == 2


def test_what_is_no_new_frame_is_passed_over_and_a_broken_one_holds_up_no_other_room(
    room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = room.enter(room.host)
    room.sequence()
    good = records(room)
    (changed,) = [{**one, "eventName": "MODIFY"} for one in good[:1]]
    insights.handle({"Records": [changed, {"eventName": "REMOVE", "dynamodb": {}}]}, None)
    assert pulses(room, host.id) == []
    image = {**good[0]["dynamodb"]["NewImage"], "pk": {"S": "room#broken"}, "body": {"S": "no frame"}}
    insights.handle({"Records": [{"eventName": "INSERT", "dynamodb": {"NewImage": image}}, *good]}, None)
    assert len(pulses(room, host.id)) == 1


# --- gifts


@pytest.mark.parametrize("gifts", [0, 3])
def test_the_host_hears_what_gifts_came_once_the_broadcast_is_over(
    room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch, gifts: int
) -> None:
    summary = RoomSummary(gifts=gifts, gift_diamonds_milli=1_500 * gifts)

    def read(_stream_id: str) -> RoomSummary:
        return summary

    monkeypatch.setattr(insights, "read_summary", read)
    room.enter(room.host)
    room.sequence()
    insights.handle({"Records": records(room)}, None)
    assert notices(room, room.host.handle)["items"] == []

    close_room(room.stream, "host")
    room.sequence()
    for _ in range(2):
        insights.handle({"Records": records(room)}, None)

    told = [(one["kind"], one["title"], one["url"]) for one in notices(room, room.host.handle)["items"]]
    assert told == ([("gift", "Gifts in your broadcast: 3, diamonds: 4", "/earnings")] if gifts else [])


# --- mentions and replies


def notices(room: ModeratedRoom, handle: str, query: str = "") -> Any:
    announce_all(twice=True)
    answer = room.client.call("GET", f"/me/notifications{query}", who=room.person(handle))
    assert answer.status == 200
    return answer.body


def test_who_is_named_or_answered_finds_a_notice_once_and_reads_it(room: ModeratedRoom) -> None:
    bob, cyd = room.enter(room.person("bob")), room.enter(room.person("cyd"))
    room.person("dee")
    first = bob.chat("1", "hello")["event_id"]
    room.sequence()
    answer = cyd.chat("1", "hi @bob and @Dee, @nobody_here, me@dee", reply_to=first)["event_id"]
    room.sequence()
    for _ in range(2):
        insights.handle({"Records": records(room)}, None)
    (reply,), (mention,) = notices(room, "bob")["items"], notices(room, "dee")["items"]
    assert (reply["kind"], reply["event_id"], reply["stream_id"]) == ("reply", answer, room.stream)
    assert reply["from"]["handle"] == "cyd" and reply["read"] is False and "text" not in reply
    assert mention["kind"] == "mention"
    assert notices(room, "cyd")["items"] == []
    marked = room.client.call("PUT", "/me/notifications", {"until": reply["id"]}, who=room.person("bob"))
    assert marked.status == 204 and notices(room, "bob")["items"][0]["read"] is True
    room.client.call("PUT", "/me/notifications", {"until": "0" * 13 + "-x"}, who=room.person("bob"))
    assert notices(room, "bob")["items"][0]["read"] is True


def test_who_names_everyone_names_nobody(room: ModeratedRoom) -> None:
    bob = room.enter(room.person("bob"))
    room.person("dee")
    bob.chat("1", "@dee @one1 @two2 @three @four4 @five5")
    bob.chat("2", "@bob is me")
    room.sequence()
    insights.handle({"Records": records(room)}, None)
    assert notices(room, "dee")["items"] == notices(room, "bob")["items"] == []


def test_notices_come_page_by_page_newest_first(room: ModeratedRoom) -> None:
    bob = room.enter(room.person("bob"))
    room.person("dee")
    sent: list[str] = []
    for number in range(5):
        sent.append(bob.chat(str(number), f"@dee {number}")["event_id"])
        room.client.clock.sleep_ms(1_500)
        room.sequence()
    insights.handle({"Records": records(room)}, None)
    seen: list[str] = []
    query = "?limit=2"
    while query:
        page = notices(room, "dee", query)
        assert len(page["items"]) <= 2
        seen += [item["event_id"] for item in page["items"]]
        query = f"?limit=2&cursor={page['cursor']}" if "cursor" in page else ""
    assert seen == list(reversed(sent))


@pytest.mark.parametrize("body", [{}, {"until": ""}, {"until": "x"}, {"until": 5}, {"until": "1" * 90}])
def test_a_wrong_place_to_read_until_is_named(client: Client, body: Any) -> None:
    answer = client.call("PUT", "/me/notifications", body, who=client.sign_up("bob"))
    assert (answer.code, answer.field) == ("invalid_request", "until")


# --- follows


def test_a_follow_is_a_moment_of_the_room_once_a_broadcast(room: ModeratedRoom) -> None:
    host = room.enter(room.host)
    fan = room.person("fan")
    for method in ("PUT", "DELETE", "PUT"):
        assert room.client.call(method, f"/accounts/{room.host.handle}/follow", who=fan).status == 204
    room.sequence()
    (followed,) = of_type(host, "follow")
    assert followed["from"]["handle"] == "fan"
    room.client.call("POST", f"/streams/{room.stream}/end", who=room.host)
    assert room.client.call("PUT", f"/accounts/{room.host.handle}/follow", who=room.person("late")).status == 204
