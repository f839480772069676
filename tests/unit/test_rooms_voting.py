"""Questions and polls: what each act answers and refuses, what frames tell of them, and what they cost in calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from functions import aws, observe, settings
from functions.rooms import answer_question, balloting, poll, ring_later
from functions.rooms.items import MemberItem, RoomItem, room_key
from functions.rooms.model import Limits
from functions.rooms.ring import Later, ring
from functions.rooms.table import close_room
from functions.rooms.voting import QUESTIONS_OPEN_MAX, RESULT_GRACE_MS
from tests.unit import moderated_room, socket_room
from tests.unit.https import Client
from tests.unit.socket_room import HOST, STREAM, Socket, SocketRoom

POLL = {"question": "Which way?", "options": ["left", "right"], "seconds": 30}


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketRoom]:
    with socket_room.made(monkeypatch) as made:
        yield made


def of_type(socket: Socket, kind: str) -> list[dict[str, Any]]:
    return [event for event in socket.events if event["type"] == kind]


def operations(calls: list[observe.Call]) -> list[str]:
    return [call.operation for call in calls if call.service in ("dynamodb", "sqs")]


def ask(socket: Socket, client_id: str, text: str = "Why?") -> Any:
    return socket.send("ask", id=client_id, text=text)


# --- questions


def test_a_question_reaches_everyone_once_however_often_it_is_sent(room: SocketRoom) -> None:
    ana, bob = room.joined("ana"), room.joined("bob")
    first, again = ask(ana, "1", " Why  so? "), ask(ana, "1", "Why so?")
    assert first == again and first["type"] == "ack" and first["id"] == "1"
    room.sequence()
    (question,) = of_type(bob, "question")
    assert question["question_id"] == question["id"] == first["event_id"]
    assert (question["text"], question["upvotes"], question["state"]) == ("Why so?", 0, "open")
    assert (question["from"]["id"], question["client_id"]) == ("ana", "1")
    assert ask(ana, "1", "Another?")["code"] == "id_reused"


def test_upvotes_count_once_a_member_and_come_merged_in_a_frame(room: SocketRoom) -> None:
    ana, bob, cyd = room.joined("ana"), room.joined("bob"), room.joined("cyd")
    question_id = ask(ana, "1")["event_id"]
    room.sequence()
    for socket in (bob, cyd, bob, bob):
        ack = socket.send("upvote", question_id=question_id)
        assert ack == {"type": "ack", "id": question_id, "event_id": question_id}
    room.sequence()
    first, second = of_type(ana, "question")
    assert (first["upvotes"], second["upvotes"], second["state"], second["text"]) == (0, 2, "open", "Why?")
    assert second["question_id"] == question_id != second["id"]
    ring(STREAM)
    room.clock.sleep_ms(1_000)
    room.sequence()
    assert len(of_type(ana, "question")) == 2


def test_asking_costs_three_calls_and_upvoting_four(room: SocketRoom) -> None:
    ana = room.joined("ana")
    # Each in a slot of its own: else the second ring is known to be one too many.
    room.clock.sleep_ms(Limits().slot_ms)
    with observe.counting() as calls:
        question_id = ask(ana, "1")["event_id"]
    assert operations(calls) == ["BatchGetItem", "TransactWriteItems", "SendMessage"]
    room.clock.sleep_ms(Limits().slot_ms)
    with observe.counting() as calls:
        ana.send("upvote", question_id=question_id)
    assert operations(calls) == ["BatchGetItem", "BatchGetItem", "TransactWriteItems", "SendMessage"]


def test_the_host_shows_one_question_at_a_time_and_answers_it(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    one, two = ask(ana, "1", "One?")["event_id"], ask(ana, "2", "Two?")["event_id"]
    ana.send("upvote", question_id=one)
    assert host.send("answer", question_id=one, state="showing", id="x")["id"] == "x"
    room.sequence()
    shown = ana.join()["room"]["showing"]
    assert (shown["question_id"], shown["upvotes"], shown["state"]) == (one, 1, "showing")
    host.send("answer", question_id=two, state="showing")
    room.sequence()
    told = [(event["question_id"], event["state"]) for event in of_type(ana, "question")]
    assert told.count((one, "answered")) == 1 and told[-1] in ((two, "showing"), (one, "answered"))
    host.send("answer", question_id=two, state="dismissed")
    assert ana.join()["room"].get("showing") is None
    assert ana.send("upvote", question_id=two)["code"] == "conflict"


def test_the_same_state_again_changes_nothing(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    question_id = ask(ana, "1")["event_id"]
    for _ in range(2):
        assert host.send("answer", question_id=question_id, state="answered")["type"] == "ack"
    room.sequence()
    assert [event["state"] for event in of_type(ana, "question")] == ["open", "answered"]


def test_any_comment_can_be_shown_like_a_question(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    event_id = ana.chat("1", "what a view")["event_id"]
    room.sequence()
    assert host.send("answer", question_id=event_id, state="showing")["type"] == "ack"
    room.sequence()
    (shown,) = of_type(ana, "question")
    assert (shown["question_id"], shown["text"], shown["from"]["id"]) == (event_id, "what a view", "ana")
    assert host.send("answer", question_id=event_id, state="answered")["type"] == "ack"
    assert host.send("answer", question_id="nothing", state="showing")["code"] == "not_found"
    assert host.send("answer", question_id="nothing", state="answered")["code"] == "not_found"


def test_two_who_answer_at_once_end_with_one_state(room: SocketRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    question_id = ask(ana, "1")["event_id"]
    write = balloting.write_answer

    def late(*arguments: Any) -> bool:
        monkeypatch.setattr(answer_question, "write_answer", write)
        host.send("answer", question_id=question_id, state="dismissed")
        return write(*arguments)

    monkeypatch.setattr(answer_question, "write_answer", late)
    assert host.send("answer", question_id=question_id, state="answered")["type"] == "ack"
    room.sequence()
    assert {event["state"] for event in of_type(ana, "question")} == {"open", "dismissed", "answered"}
    assert balloting.OpenQuestionsItem.get(room_key(STREAM), balloting.OPEN_QUESTIONS).open == 0


def test_so_many_questions_wait_and_no_more(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    question_id = ask(ana, "1")["event_id"]
    balloting.OpenQuestionsItem(room_key(STREAM), balloting.OPEN_QUESTIONS, open=QUESTIONS_OPEN_MAX).save()
    assert ask(ana, "2")["code"] == "conflict"
    host.send("answer", question_id=question_id, state="answered")
    assert ask(ana, "2")["type"] == "ack"


def test_answered_questions_leave_the_counters(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    question_id = ask(ana, "1")["event_id"]
    ana.send("upvote", question_id=question_id)
    host.send("answer", question_id=question_id, state="answered")
    room.sequence()
    assert of_type(ana, "question")[-1]["upvotes"] == 1
    (tally,) = room.items("tally#")
    assert set(tally.attribute_values) == {"pk", "sk"}


def test_questions_are_listed_by_upvotes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with moderated_room.made(client, monkeypatch) as room:
        ana = room.enter(room.person("ana"))
        host = room.enter(room.host)
        ids = [ask(ana, str(number), f"Number {number}?")["event_id"] for number in range(3)]
        ana.send("upvote", question_id=ids[2])
        host.send("answer", question_id=ids[0], state="answered")
        answer = room.call("GET", "/questions")
        assert [(one["question_id"], one["upvotes"]) for one in answer.body["items"]] == [(ids[2], 1), (ids[1], 0)]
        # Gone with its text wherever it stands.
        room.sequence()
        assert room.call("DELETE", f"/events/{ids[2]}").status == 204
        room.sequence()
        assert "Number 2?" not in room.stored() + str(room.call("GET", "/questions").body) + str(ana.join())
        assert client.call("GET", "/streams/nowhere/questions").code == "not_found"


# --- polls


def test_a_poll_runs_with_live_tallies_and_ends_with_its_result(room: SocketRoom) -> None:
    host, ana, bob = room.joined(HOST.id, "host"), room.joined("ana"), room.joined("bob")
    ack = host.send("poll", id="p", **POLL)
    assert ack["type"] == "ack" and host.send("poll", id="p", **POLL) == ack
    poll_id = ack["event_id"]
    room.sequence()
    (begun,) = of_type(ana, "poll")
    assert (begun["poll_id"], begun["question"], begun["options"]) == (poll_id, "Which way?", ["left", "right"])
    assert (begun["tallies"], begun["state"], begun["client_id"]) == ([0, 0], "open", "p")
    for socket in (ana, bob, bob):
        assert socket.send("vote", poll_id=poll_id, option=1)["type"] == "ack"
    room.sequence()
    assert [event["tallies"] for event in of_type(ana, "poll")] == [[0, 0], [0, 2]]
    late = room.joined("cyd").join()["room"]["poll"]
    assert (late["poll_id"], late["tallies"], late["state"]) == (poll_id, [0, 2], "open")
    room.clock.sleep_ms(30_000 + RESULT_GRACE_MS)
    ring(STREAM)  # as the schedule does each minute
    room.sequence()
    result = of_type(ana, "poll")[-1]
    assert (result["poll_id"], result["tallies"], result["state"]) == (poll_id, [0, 2], "closed")
    ring(STREAM)
    room.clock.sleep_ms(1_000)
    room.sequence()
    assert [event["state"] for event in of_type(ana, "poll")].count("closed") == 1
    assert ana.join()["room"]["poll"]["state"] == "closed"


def test_one_vote_a_member(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    poll_id = host.send("poll", id="p", **POLL)["event_id"]
    room.clock.sleep_ms(Limits().slot_ms)
    with observe.counting() as calls:
        ack = ana.send("vote", poll_id=poll_id, option=0)
    assert ack == {"type": "ack", "id": poll_id, "event_id": poll_id}
    assert operations(calls) == ["BatchGetItem", "TransactWriteItems", "SendMessage"]
    assert ana.send("vote", poll_id=poll_id, option=0) == ack
    refused = ana.send("vote", poll_id=poll_id, option=1)
    assert (refused["code"], refused["id"], refused["details"]) == ("conflict", poll_id, {"option": "0"})
    room.sequence()
    assert of_type(ana, "poll")[-1]["tallies"] == [1, 0]


def test_votes_from_all_shards_add_up(room: SocketRoom) -> None:
    host = room.joined(HOST.id, "host")
    poll_id = host.send("poll", id="p", **POLL)["event_id"]
    for number in range(20):
        room.joined(f"viewer-{number}").send("vote", poll_id=poll_id, option=number % 2)
    room.sequence()
    assert of_type(host, "poll")[-1]["tallies"] == [10, 10]
    assert len(room.items("tally#")) > 1


def test_a_poll_has_the_room_rung_when_it_is_over(room: SocketRoom) -> None:
    host = room.joined("host-1", "host")
    host.send("poll", id="p", **POLL)
    later = settings.required("LATER_QUEUE_URL")
    counted = aws.client("sqs").get_queue_attributes(QueueUrl=later, AttributeNames=["All"])["Attributes"]
    assert counted["ApproximateNumberOfMessagesDelayed"] == "1"
    host.send("poll", id="p", **{**POLL, "seconds": 1})  # other content: refused, and nothing more waits
    room.sequence()
    room.clock.sleep_ms(int(str(POLL["seconds"])) * 1000 + RESULT_GRACE_MS + 1)
    body = msgspec.json.encode(Later(STREAM)).decode()
    records = [{"messageId": "m1", "body": body}, {"messageId": "m2", "body": body}, {"messageId": "m3", "body": "{"}]
    with observe.counting() as calls:
        failed = ring_later.handle({"Records": records}, None)
    assert failed == {"batchItemFailures": [{"itemIdentifier": "m3"}]}
    assert [call.operation for call in calls] == ["SendMessageBatch"]
    room.sequence()
    assert of_type(host, "poll")[-1]["state"] == "closed"


def test_a_poll_that_is_over_takes_no_vote_and_the_attempt_brings_its_result(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    poll_id = host.send("poll", id="p", **POLL)["event_id"]
    room.sequence()
    room.clock.sleep_ms(30_000 + RESULT_GRACE_MS)
    assert ana.send("vote", poll_id=poll_id, option=0)["code"] == "conflict"
    room.sequence()
    assert of_type(ana, "poll")[-1]["state"] == "closed"


def test_the_next_poll_waits_for_the_end_and_the_result_of_this_one(
    room: SocketRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    first = host.send("poll", id="p", **POLL)["event_id"]
    ana.send("vote", poll_id=first, option=0)
    refused = host.send("poll", id="q", **POLL)
    assert refused["code"] == "conflict" and 0 < refused["retry_after_ms"] <= 30_000
    room.clock.sleep_ms(30_000)
    assert host.send("poll", id="q", **POLL)["code"] == "conflict"  # no sequencer runs meanwhile
    room.sequence()
    second = host.send("poll", id="q", **POLL)["event_id"]
    room.sequence()
    states = [(event["poll_id"], event["state"]) for event in of_type(ana, "poll")]
    assert states.index((first, "closed")) < states.index((second, "open"))
    assert ana.send("vote", poll_id=first, option=0)["code"] == "not_found"
    ana.send("vote", poll_id=second, option=1)
    room.sequence()
    assert of_type(ana, "poll")[-1]["tallies"] == [0, 1]
    assert all(first not in str(tally.attribute_values) for tally in room.items("tally#"))


def test_another_poll_that_began_first_stays(room: SocketRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    host = room.joined(HOST.id, "host")
    commit = balloting.commit_poll

    def late(*arguments: Any) -> bool:
        monkeypatch.setattr(poll, "commit_poll", commit)
        host.send("poll", id="other", **POLL)
        return commit(*arguments)

    monkeypatch.setattr(poll, "commit_poll", late)
    assert host.send("poll", id="p", **POLL)["code"] == "conflict"
    room.sequence()
    assert [event["client_id"] for event in of_type(host, "poll")] == ["other"]


def test_a_moderator_may_what_the_host_may(room: SocketRoom) -> None:
    ana = room.joined("ana")
    MemberItem(room_key(STREAM), "member#ana").update([MemberItem.moderator.set(True)])
    assert ana.send("poll", id="p", **POLL)["type"] == "ack"


# --- bad input


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("answer", {"question_id": "any", "state": "showing"}),
        ("poll", {"id": "p", **POLL}),
    ],
)
def test_viewers_neither_answer_nor_poll(room: SocketRoom, action: str, fields: dict[str, Any]) -> None:
    assert room.joined("ana").send(action, **fields)["code"] == "forbidden"
    assert room.items("inbox#poll") == []


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("ask", {"id": "1", "text": "Why?"}),
        ("upvote", {"question_id": "q"}),
        ("vote", {"poll_id": "p", "option": 0}),
        ("answer", {"question_id": "q", "state": "showing"}),
        ("poll", {"id": "p", **POLL}),
    ],
)
def test_each_act_needs_an_account_a_join_and_a_live_room(
    room: SocketRoom, action: str, fields: dict[str, Any]
) -> None:
    assert room.joined("visitor-1", "visitor").send(action, **fields)["code"] == "unauthenticated"
    assert room.socket(HOST.id, "host").send(action, **fields)["code"] == "conflict"
    host = room.joined(HOST.id, "host")
    MemberItem(room_key(STREAM), f"member#{HOST.id}").update([MemberItem.banned.set(True)])
    assert host.send(action, **fields)["code"] in ("banned", "forbidden")
    close_room(STREAM)
    assert host.send(action, **fields)["code"] == "not_live"
    RoomItem(room_key(STREAM), "room").delete()
    assert host.send(action, **fields)["code"] == "not_found"


@pytest.mark.parametrize(
    ("action", "fields", "field"),
    [
        ("ask", {"text": "Why?"}, "id"),
        ("ask", {"id": "", "text": "Why?"}, "id"),
        ("ask", {"id": "1"}, "text"),
        ("ask", {"id": "1", "text": ""}, "text"),
        ("ask", {"id": "1", "text": "\u200b\u202e"}, "text"),
        ("ask", {"id": "1", "text": "x" * 201}, "text"),
        ("ask", {"id": "1", "text": 5}, "text"),
        ("upvote", {}, "question_id"),
        ("upvote", {"question_id": ""}, "question_id"),
        ("upvote", {"question_id": "é"}, "question_id"),
        ("upvote", {"question_id": ["q"]}, "question_id"),
        ("answer", {"question_id": "q"}, "state"),
        ("answer", {"question_id": "q", "state": "open"}, "state"),
        ("answer", {"question_id": "q", "state": 1}, "state"),
        ("poll", {**POLL}, "id"),
        ("poll", {"id": "p", **POLL, "question": ""}, "question"),
        ("poll", {"id": "p", **POLL, "question": "x" * 201}, "question"),
        ("poll", {"id": "p", **POLL, "options": ["one"]}, "options"),
        ("poll", {"id": "p", **POLL, "options": ["1", "2", "3", "4", "5", "6"]}, "options"),
        ("poll", {"id": "p", **POLL, "options": ["one", "\u200b"]}, "options[1]"),
        ("poll", {"id": "p", **POLL, "options": ["one", "ONE"]}, "options[1]"),
        ("poll", {"id": "p", **POLL, "options": ["x" * 81, "y"]}, "options[0]"),
        ("poll", {"id": "p", **POLL, "options": "one, two"}, "options"),
        ("poll", {"id": "p", **POLL, "seconds": 0}, "seconds"),
        ("poll", {"id": "p", **POLL, "seconds": 601}, "seconds"),
        ("poll", {"id": "p", **POLL, "seconds": 1.5}, "seconds"),
        ("vote", {"option": 0}, "poll_id"),
        ("vote", {"poll_id": "p"}, "option"),
        ("vote", {"poll_id": "p", "option": -1}, "option"),
        ("vote", {"poll_id": "p", "option": 5}, "option"),
        ("vote", {"poll_id": "p", "option": "left"}, "option"),
        ("vote", {"poll_id": "p", "option": True}, "option"),
    ],
)
def test_a_wrong_field_is_named(room: SocketRoom, action: str, fields: dict[str, Any], field: str) -> None:
    host = room.joined(HOST.id, "host")
    refused = host.send(action, **fields)
    assert (refused["code"], refused["details"]["field"]) == ("invalid_request", field)


def test_what_is_not_there_is_not_found(room: SocketRoom) -> None:
    ana, host = room.joined("ana"), room.joined(HOST.id, "host")
    assert ana.send("upvote", question_id="none")["code"] == "not_found"
    assert ana.send("vote", poll_id="none", option=0)["code"] == "not_found"
    poll_id = host.send("poll", id="p", **POLL)["event_id"]
    refused = ana.send("vote", poll_id=poll_id, option=2)
    assert (refused["code"], refused["details"]["field"]) == ("invalid_request", "option")


def test_questions_keep_the_rate_of_comments_and_a_mute(room: SocketRoom) -> None:
    ana = room.joined("ana")
    assert [ask(ana, str(number))["type"] for number in range(6)] == ["ack"] * 5 + ["error"]
    until = room.clock.now_ms() + 60_000
    MemberItem(room_key(STREAM), "member#ana").update([MemberItem.muted_until_ms.set(until)])
    assert ask(ana, "9")["code"] == "muted"
