"""Moderation over HTTPS: settings, members, removals; what sockets are told of it, and what is left in storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from functions import observe
from functions.rooms import moderating
from functions.rooms.stored import StoredRooms
from tests.unit.https import Client
from tests.unit.moderated_room import ModeratedRoom, made, of_type


@pytest.fixture
def room(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModeratedRoom]:
    with made(client, monkeypatch) as room:
        yield room


# --- settings


def test_settings_change_for_everyone_and_only_what_is_named(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    answer = room.call("PATCH", "/room", {"slow_mode_s": 30})
    assert (answer.status, answer.body["settings"]["slow_mode_s"]) == (200, 30)
    answer = room.call("PATCH", "/room", {"followers_only": True})
    assert answer.body["settings"] == {
        "slow_mode_s": 30,
        "followers_only": True,
        "comments_on": True,
        "gifts_on": True,
        "repeats_on": True,
        "personal_data": "held",
        "links": "allowed",
        "profanity": "allowed",
    }
    room.sequence()
    assert [event["settings"]["followers_only"] for event in of_type(bo, "settings")] == [False, True]
    assert bo.join()["room"]["settings"]["slow_mode_s"] == 30


def test_a_change_that_changes_nothing_tells_nobody(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    assert room.call("PATCH", "/room", {}).body == {
        "settings": {
            "slow_mode_s": 0,
            "followers_only": False,
            "comments_on": True,
            "gifts_on": True,
            "repeats_on": True,
            "personal_data": "held",
            "links": "allowed",
            "profanity": "allowed",
        },
        "keywords": [],
        "pinned": None,
    }
    room.call("PATCH", "/room", {"slow_mode_s": 0, "keywords": [], "pinned": None})
    room.sequence()
    assert of_type(bo, "settings") == of_type(bo, "pinned") == []


def test_followers_only_lets_followers_and_the_host_comment(room: ModeratedRoom) -> None:
    bo, cy, host = (room.enter(one) for one in (room.person("bob"), room.person("cyd"), room.host))
    room.call("PATCH", "/room", {"followers_only": True})
    assert room.client.call("PUT", f"/accounts/{room.host.handle}/follow", who=room.person("bob")).status == 204
    assert bo.chat("1")["type"] == host.chat("1")["type"] == "ack"
    assert cy.chat("1")["code"] == "followers_only"


def test_keywords_refuse_words_and_are_shown_to_no_viewer(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    assert room.call("PATCH", "/room", {"keywords": ["Spam", "buy now", "spam"]}).body["keywords"] == [
        "spam",
        "buy now",
    ]
    assert bo.chat("1", "ＳＰＡＭ!")["code"] == bo.chat("2", "please BUY  NOW")["code"] == "filtered"
    assert bo.send("ask", id="3", text="spam?")["code"] == "filtered"
    assert bo.chat("4", "spammer's delight")["type"] == "ack"
    room.sequence()
    assert "buy now" not in str(bo.frames) + str(bo.join())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slow_mode_s": -1}, "slow_mode_s"),
        ({"slow_mode_s": 3601}, "slow_mode_s"),
        ({"slow_mode_s": "3"}, "slow_mode_s"),
        ({"slow_mode_s": 1.5}, "slow_mode_s"),
        ({"slow_mode_s": None}, "slow_mode_s"),
        ({"followers_only": "yes"}, "followers_only"),
        ({"comments_on": 1}, "comments_on"),
        ({"gifts_on": []}, "gifts_on"),
        ({"keywords": "spam"}, "keywords"),
        ({"keywords": ["x"] * 201}, "keywords"),
        ({"keywords": ["x" * 41]}, "keywords[0]"),
        ({"keywords": ["ok", "\u200b"]}, "keywords[1]"),
        ({"keywords": [3]}, "keywords[0]"),
        ({"pinned": ""}, "pinned"),
        ({"pinned": 3}, "pinned"),
    ],
)
def test_a_wrong_setting_is_named(room: ModeratedRoom, body: Any, field: str) -> None:
    answer = room.call("PATCH", "/room", body)
    assert (answer.status, answer.code, answer.field) == (400, "invalid_request", field)


def test_two_who_change_settings_at_once_both_succeed(room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    write = moderating.write_room

    def late(*arguments: Any) -> bool:
        monkeypatch.setattr(moderating, "write_room", write)
        room.call("PATCH", "/room", {"slow_mode_s": 7})
        return write(*arguments)

    monkeypatch.setattr(moderating, "write_room", late)
    answer = room.call("PATCH", "/room", {"comments_on": False})
    assert (answer.body["settings"]["slow_mode_s"], answer.body["settings"]["comments_on"]) == (7, False)


def test_a_comment_is_pinned_for_those_here_and_those_to_come(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    event_id = bo.chat("1", "read this")["event_id"]
    assert room.call("PATCH", "/room", {"pinned": event_id}).status == 200  # still in the inbox
    room.sequence()
    assert room.call("PATCH", "/room", {"pinned": event_id}).status == 200
    room.sequence()
    (pinned,) = of_type(bo, "pinned")
    assert (pinned["pinned"]["id"], pinned["pinned"]["text"]) == (event_id, "read this")
    assert room.enter(room.person("cyd")).join()["room"]["pinned"]["text"] == "read this"
    assert room.call("PATCH", "/room", {"pinned": None}).body["pinned"] is None
    room.sequence()
    assert "pinned" not in of_type(bo, "pinned")[-1]
    assert bo.join()["room"]["pinned"] is None


@pytest.mark.parametrize("kind", ["unknown", "join"])
def test_only_a_comment_can_be_pinned(room: ModeratedRoom, kind: str) -> None:
    bo = room.enter(room.person("bob"))
    room.sequence()
    event_id = of_type(bo, "join")[0]["id"] if kind == "join" else "nothing"
    answer = room.call("PATCH", "/room", {"pinned": event_id})
    assert (answer.status, answer.code, answer.field) == (404, "not_found", "pinned")


# --- members


def test_a_mute_is_told_to_all_and_to_open_sockets_and_holds_until_it_ends(room: ModeratedRoom) -> None:
    bo, cy = room.enter(room.person("bob")), room.enter(room.person("cyd"))
    answer = room.call("PUT", "/members/bob", {"mute_s": 60})
    assert (answer.status, answer.body["banned"], answer.body["moderator"]) == (200, False, False)
    until = answer.body["muted_until"]
    room.sequence()
    assert bo.chat("1")["code"] == "muted"
    assert [body for body in room.sockets.gateway.posted[bo.id] if body["type"] == "me"] == [
        {"type": "me", "role": "viewer", "muted_until": until}
    ]
    assert not [body for body in room.sockets.gateway.posted[cy.id] if body["type"] == "me"]
    (muted,) = of_type(cy, "muted")
    assert (muted["account"], muted["handle"], muted["muted_until"]) == (room.person("bob").id, "bob", until)
    room.client.clock.sleep_ms(60_001)
    assert bo.chat("2")["type"] == "ack"


def test_a_mute_is_lifted(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    room.call("PUT", "/members/bob", {"mute_s": 600})
    assert "muted_until" not in room.call("PUT", "/members/bob", {"mute_s": 0}).body
    assert bo.chat("1")["type"] == "ack"
    room.sequence()
    assert ["muted_until" in event for event in of_type(bo, "muted")] == [True, False]


def test_a_comment_that_was_admitted_before_a_mute_is_not_recorded_after_it(
    room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    bo = room.enter(room.person("bob"))
    commit = StoredRooms.commit_comment

    def late(*arguments: Any) -> bool:
        monkeypatch.setattr(StoredRooms, "commit_comment", commit)
        room.call("PUT", "/members/bob", {"mute_s": 60})
        return commit(*arguments)

    monkeypatch.setattr(StoredRooms, "commit_comment", late)
    assert bo.chat("1", "too late")["code"] == "muted"
    room.sequence()
    assert "too late" not in room.stored()


def test_a_ban_closes_every_socket_with_bye_and_keeps_the_door_shut(room: ModeratedRoom) -> None:
    bo, second, cy = room.enter(room.person("bob")), room.enter(room.person("bob")), room.enter(room.person("cyd"))
    assert room.call("PUT", "/members/bob", {"banned": True}).body == {
        "handle": "bob",
        "banned": True,
        "moderator": False,
    }
    room.sequence()
    for socket in (bo, second):
        assert room.sockets.gateway.posted[socket.id][-1]["type"] == "bye"
        assert room.sockets.gateway.posted[socket.id][-1]["code"] == "banned"
        assert room.sockets.gateway.posted[socket.id][-1]["reconnect"] is False
    assert set(room.sockets.gateway.closed) == {bo.id, second.id}
    assert bo.chat("1")["code"] in ("banned", "conflict")
    assert room.socket(room.person("bob")).join()["code"] == "banned"
    assert of_type(cy, "muted")[0]["banned"] is True
    assert room.call("POST", "/ticket", who=room.person("bob")).code == "banned"
    room.call("PUT", "/members/bob", {"banned": False})
    assert room.enter(room.person("bob")).chat("2")["type"] == "ack"


def test_who_joins_while_being_banned_does_not_slip_in(room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    room.enter(room.person("bob"))
    register = StoredRooms.register

    def late(*arguments: Any) -> Any:
        monkeypatch.setattr(StoredRooms, "register", register)
        room.call("PUT", "/members/bob", {"banned": True})
        return register(*arguments)

    monkeypatch.setattr(StoredRooms, "register", late)
    assert room.socket(room.person("bob")).join()["code"] == "banned"


def test_someone_who_never_came_can_be_banned(room: ModeratedRoom) -> None:
    room.person("bob")
    assert room.call("PUT", "/members/bob", {"banned": True}).body["banned"] is True
    assert room.socket(room.person("bob")).join()["code"] == "banned"


def test_a_moderator_moderates_at_once_and_no_longer_when_dismissed(room: ModeratedRoom) -> None:
    bo, cy = room.enter(room.person("bob")), room.enter(room.person("cyd"))
    assert room.call("PUT", "/members/bob", {"moderator": True}).body["moderator"] is True
    assert room.sockets.gateway.posted[bo.id][-1] == {"type": "me", "role": "moderator"}
    assert bo.join()["me"]["role"] == "moderator"
    assert room.call("PUT", "/members/cyd", {"mute_s": 5}, who=room.person("bob")).status == 200
    assert room.call("PATCH", "/room", {"comments_on": False}, who=room.person("bob")).status == 200
    assert bo.chat("1", "order")["type"] == "ack"
    room.sequence()
    assert of_type(cy, "chat")[0]["from"]["badges"] == ["moderator"]
    room.call("PUT", "/members/bob", {"moderator": False})
    assert room.call("PATCH", "/room", {"comments_on": True}, who=room.person("bob")).code == "forbidden"
    assert bo.chat("2")["code"] == "forbidden"


@pytest.mark.parametrize(
    ("handle", "change"),
    [
        ("cyd", {"moderator": True}),  # only the host appoints
        ("dee", {"mute_s": 5}),  # another moderator
        ("dee", {"banned": True}),
        ("host_one", {"mute_s": 5}),
        ("bob", {"mute_s": 0}),  # oneself
    ],
)
def test_what_a_moderator_may_not_do(room: ModeratedRoom, handle: str, change: Any) -> None:
    for name in ("bob", "cyd", "dee"):
        room.person(name)
    for name in ("bob", "dee"):
        room.call("PUT", f"/members/{name}", {"moderator": True})
    answer = room.call("PUT", f"/members/{handle}", change, who=room.person("bob"))
    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/room", {"slow_mode_s": 1}),
        ("PUT", "/members/host_one", {"banned": True}),
        ("DELETE", "/events/any", None),
    ],
)
def test_viewers_and_strangers_moderate_nothing(room: ModeratedRoom, method: str, path: str, body: Any) -> None:
    room.enter(room.person("bob"))
    assert room.call(method, path, body, who=room.person("bob")).code == "forbidden"
    assert room.call(method, path, body, who=room.person("never_here")).code == "forbidden"
    other = room.client.call(method, f"/streams/nowhere{path}", body, who=room.host)
    assert (other.status, other.code) == (404, "not_found")


def test_a_banned_moderator_moderates_nothing(room: ModeratedRoom) -> None:
    room.person("bob")
    room.call("PUT", "/members/bob", {"moderator": True})
    assert room.call("PUT", "/members/bob", {"banned": True}).body["moderator"] is False
    assert room.call("PATCH", "/room", {}, who=room.person("bob")).code == "forbidden"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mute_s": -1}, "mute_s"),
        ({"mute_s": 604_801}, "mute_s"),
        ({"mute_s": "60"}, "mute_s"),
        ({"mute_s": None}, "mute_s"),
        ({"banned": 1}, "banned"),
        ({"banned": "true"}, "banned"),
        ({"moderator": None}, "moderator"),
    ],
)
def test_a_wrong_change_of_a_member_is_named(room: ModeratedRoom, body: Any, field: str) -> None:
    room.person("bob")
    answer = room.call("PUT", "/members/bob", body)
    assert (answer.status, answer.code, answer.field) == (400, "invalid_request", field)


def test_nobody_of_that_handle_is_not_found_and_a_room_that_ended_takes_no_settings(room: ModeratedRoom) -> None:
    answer = room.call("PUT", "/members/nobody_here", {"mute_s": 1})
    assert (answer.status, answer.code) == (404, "not_found")
    room.call("POST", "/end")
    assert room.call("PATCH", "/room", {"slow_mode_s": 5}).code == "not_live"


# --- removals


def test_a_removed_comment_is_gone_from_frames_resume_joined_and_pin(room: ModeratedRoom) -> None:
    bo, cy = room.enter(room.person("bob")), room.enter(room.person("cyd"))
    event_id = bo.chat("1", "a secret")["event_id"]
    bo.chat("2", "harmless")
    room.sequence()
    room.call("PATCH", "/room", {"pinned": event_id})
    room.sequence()
    assert "a secret" in room.stored()
    assert room.call("DELETE", f"/events/{event_id}").status == 204
    room.sequence()
    assert [event["event_id"] for event in of_type(cy, "removed")] == [event_id]
    assert "a secret" not in room.stored() + str(cy.join()) + str(cy.join(epoch=cy.frames[0]["epoch"], after=0))
    assert "harmless" in room.stored()
    assert cy.join()["room"]["pinned"] is None
    assert room.call("DELETE", f"/events/{event_id}").status == 204


def test_a_comment_is_removed_before_it_came_into_a_frame(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    event_id = bo.chat("1", "a secret")["event_id"]
    assert room.call("DELETE", f"/events/{event_id}").status == 204
    room.sequence()
    assert "a secret" not in room.stored() + str(room.sockets.gateway.posted)
    assert {event["id"] for event in of_type(bo, "removed")} >= {event_id}


def test_a_frame_that_is_made_of_an_older_reading_loses_the_text_too(
    room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    bo = room.enter(room.person("bob"))
    room.sequence()
    event_id = bo.chat("1", "a secret")["event_id"]
    put = StoredRooms.put_frame

    def late(*arguments: Any) -> bool:
        monkeypatch.setattr(StoredRooms, "put_frame", put)
        assert room.call("DELETE", f"/events/{event_id}").status == 204
        return put(*arguments)

    monkeypatch.setattr(StoredRooms, "put_frame", late)
    room.sequence()
    assert "a secret" not in room.stored()


def test_an_author_removes_an_own_comment_and_no_other(room: ModeratedRoom) -> None:
    bo, cy = room.enter(room.person("bob")), room.enter(room.person("cyd"))
    mine, other = bo.chat("1", "mine")["event_id"], cy.chat("1", "other")["event_id"]
    room.sequence()
    assert room.call("DELETE", f"/events/{other}", who=room.person("bob")).code == "forbidden"
    assert room.call("DELETE", f"/events/{mine}", who=room.person("bob")).status == 204
    assert room.call("DELETE", f"/events/{mine}", who=room.person("bob")).status == 204
    room.sequence()
    assert "'mine'" not in room.stored() and "'other'" in room.stored()


def test_with_the_frame_known_finding_a_comment_reads_from_there(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    room.sequence()
    event_id = bo.chat("1", "a secret")["event_id"]
    room.sequence()
    for wrong in (1, 99):
        assert moderating.find_event(room.stream, event_id, wrong) is not None
    with observe.counting() as calls:
        assert room.call("DELETE", f"/events/{event_id}?seq=2").status == 204
    counted = Counter(call.operation for call in calls if call.service == "dynamodb")
    assert (counted["Query"], counted["UpdateItem"]) == (2, 3)
    assert "a secret" not in room.stored()


def test_only_what_was_written_can_be_removed(room: ModeratedRoom) -> None:
    bo = room.enter(room.person("bob"))
    room.sequence()
    assert room.call("DELETE", f"/events/{of_type(bo, 'join')[0]['id']}").code == "forbidden"
    assert room.call("DELETE", "/events/nothing").code == "not_found"
    answer = room.call("DELETE", "/events/nothing?seq=x")
    assert (answer.code, answer.field) == ("invalid_request", "seq")
