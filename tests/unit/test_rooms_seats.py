"""Seats over HTTPS: who may ask, invite, accept, mute and leave; what the room is told, and what the relay reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.errors import OnairError
from functions.rooms import absence, ring_live, seating, seats
from functions.rooms.messages import SeatEventState, Sender
from functions.rooms.seats import Seat, Stage
from functions.streams.table import STREAM, StreamItem, stream_key
from tests.unit.https import Answer, Client, Person
from tests.unit.moderated_room import ModeratedRoom, made, of_type


@pytest.fixture
def room(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModeratedRoom]:
    with made(client, monkeypatch) as room:
        yield room


def _ask(room: ModeratedRoom, who: Person) -> Answer:
    return room.call("POST", "/seats", {}, who=who)


def _on_screen(room: ModeratedRoom, handle: str) -> tuple[Person, str]:
    """Someone who asked and was let in, and the seat."""
    guest = room.person(handle)
    seat = _ask(room, guest).body["seat"]
    assert room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}).status == 200
    return guest, seat


def _relay_reads(room: ModeratedRoom) -> Any:
    return json.loads(str(StreamItem.get(stream_key(room.stream), STREAM, consistent_read=True).stage))


def _told(room: ModeratedRoom, opened: Any) -> list[tuple[str, str | None]]:
    room.sequence()
    return [(event["state"], event.get("from", {}).get("handle")) for event in of_type(opened, "seat")]


def test_who_asks_and_is_let_in_gets_a_key_that_nobody_else_is_given(room: ModeratedRoom) -> None:
    bob = room.person("bob")
    watching = room.enter(bob)
    asked = _ask(room, bob)
    assert (asked.status, asked.body["state"]) == (201, "asked")
    assert "publish" not in asked.body

    seat = asked.body["seat"]
    answer = room.call("PATCH", f"/seats/{seat}", {"state": "accepted"})
    assert (answer.body["state"], "publish" in answer.body) == ("accepted", False)
    mine = room.call("GET", "/seats", who=bob).body["mine"]
    assert mine["publish"]["whip_url"].endswith(f"/whip/{room.stream}")
    claims = jwt.decode(mine["publish"]["stream_key"], options={"verify_signature": False})
    assert claims == {"sub": room.stream, "seat": seat, "aud": "seat"}
    assert [one["whep_url"].rpartition("/")[2] for one in mine["watch"]] == ["host"]

    assert _told(room, watching) == [("asked", "bob"), ("accepted", "bob")]
    assert _relay_reads(room) == {"layout": "grid", "seats": [{"seat": seat, "muted": False}]}
    shown = watching.join()["room"]["seats"]
    assert [(one["seat"], one["state"], one["from"]["handle"]) for one in shown] == [(seat, "accepted", "bob")]
    host = room.call("GET", "/seats").body
    assert [one["whep_url"].rpartition("/")[2] for one in host["watch"]] == [seat]


def test_whom_the_host_invites_decides(room: ModeratedRoom) -> None:
    bob, cyd = room.person("bob"), room.person("cyd")
    watching = room.enter(cyd)
    invited = room.call("POST", "/seats", {"handle": "bob"})
    assert (invited.status, invited.body["state"]) == (201, "invited")
    seat = invited.body["seat"]
    assert room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}).code == "forbidden"
    assert room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}, who=cyd).code == "forbidden"
    accepted = room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}, who=bob)
    assert accepted.body["publish"]["stream_key"]

    declined = room.call("POST", "/seats", {"handle": "cyd"}).body["seat"]
    assert room.call("PATCH", f"/seats/{declined}", {"state": "declined"}, who=cyd).body["state"] == "declined"
    assert _told(room, watching) == [
        ("invited", "bob"),
        ("accepted", "bob"),
        ("invited", "cyd"),
        ("declined", "cyd"),
    ]
    assert len(_relay_reads(room)["seats"]) == 1


def test_inviting_who_asked_lets_them_in(room: ModeratedRoom) -> None:
    bob = room.person("bob")
    _ask(room, bob)
    assert room.call("POST", "/seats", {"handle": "bob"}).body["state"] == "accepted"
    assert "publish" in room.call("GET", "/seats", who=bob).body["mine"]


def test_the_same_again_changes_nothing(room: ModeratedRoom) -> None:
    bob = room.person("bob")
    watching = room.enter(bob)
    seat = _ask(room, bob).body["seat"]
    assert _ask(room, bob).body["seat"] == seat
    for _ in range(2):
        assert room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}).body["state"] == "accepted"
    key = room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}, who=bob).body["publish"]["stream_key"]
    assert room.call("GET", "/seats", who=bob).body["mine"]["publish"]["stream_key"] == key
    for _ in range(2):
        assert room.call("DELETE", f"/seats/{seat}", who=bob).status == 204
    assert _told(room, watching) == [("asked", "bob"), ("accepted", "bob"), ("left", "bob")]


def test_who_leaves_may_come_again_with_a_new_key(room: ModeratedRoom) -> None:
    bob, seat = _on_screen(room, "bob")
    room.call("DELETE", f"/seats/{seat}", who=bob)
    assert _relay_reads(room)["seats"] == []
    again = _ask(room, bob)
    assert (again.status, again.body["seat"] != seat) == (201, True)


def test_who_is_declined_or_removed_waits_a_minute(room: ModeratedRoom) -> None:
    bob, seat = _on_screen(room, "bob")
    cyd = room.person("cyd")
    asked = _ask(room, cyd).body["seat"]
    assert room.call("DELETE", f"/seats/{seat}").status == 204
    assert room.call("PATCH", f"/seats/{asked}", {"state": "declined"}).status == 200
    for one in (bob, cyd):
        refused = _ask(room, one)
        assert (refused.status, refused.code) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) <= 60
    room.client.clock.offset_ms += seats.REFUSED_MS
    assert _ask(room, bob).status == 201


def test_only_those_who_may_act_on_a_seat_do(room: ModeratedRoom) -> None:
    bob, seat = _on_screen(room, "bob")
    eve = room.person("eve")
    mod = room.person("mod")
    room.call("PUT", "/members/mod", {"moderator": True})
    for method, path, body, who in [
        ("DELETE", f"/seats/{seat}", None, eve),
        ("PATCH", f"/seats/{seat}", {"muted": True}, eve),
        ("PATCH", f"/seats/{seat}", {"muted": True}, bob),
        ("PATCH", "/seats", {"layout": "spotlight"}, bob),
        ("PATCH", "/seats", {"layout": "spotlight"}, mod),
        ("POST", "/seats", {"handle": "eve"}, mod),
    ]:
        assert room.call(method, path, body, who=who).code == "forbidden", (method, path, body)
    assert room.call("PATCH", f"/seats/{seat}", {"muted": True}, who=mod).body["muted"] is True
    assert _relay_reads(room)["seats"] == [{"seat": seat, "muted": True}]
    assert room.call("DELETE", f"/seats/{seat}", who=mod).status == 204


def test_the_host_chooses_the_layout(room: ModeratedRoom) -> None:
    watching = room.enter(room.person("bob"))
    assert room.call("PATCH", "/seats", {"layout": "side_by_side"}).body["layout"] == "side_by_side"
    room.sequence()
    assert [event["layout"] for event in of_type(watching, "seat")] == ["side_by_side"]
    assert watching.join()["room"]["layout"] == "side_by_side"
    assert _relay_reads(room) == {"layout": "side_by_side", "seats": []}
    refused = room.call("PATCH", "/seats", {"layout": "pile"})
    assert (refused.code, refused.field) == ("invalid_request", "layout")


def test_who_may_not_be_on_screen_is_told_what_is_missing(room: ModeratedRoom) -> None:
    young = room.client.sign_up("young", birth_date="2010-01-01")
    limited = room.person("limited")
    ProfileItem(account_key(limited.id), PROFILE).update([ProfileItem.standing.set("limited")])
    for one, code in ((young, "age"), (limited, "standing")):
        refused = _ask(room, one)
        assert refused.code == "not_eligible"
        assert [each["code"] for each in refused.body["error"]["details"]] == [code]
        assert room.call("POST", "/seats", {"handle": one.handle}).code == "not_eligible"


def test_who_is_banned_from_the_room_gets_no_seat_and_loses_the_one_they_have(room: ModeratedRoom) -> None:
    bob, seat = _on_screen(room, "bob")
    watching = room.enter(room.person("cyd"))
    assert room.call("PUT", "/members/bob", {"banned": True}).status == 200
    assert _relay_reads(room)["seats"] == []
    assert ("removed", "bob") in _told(room, watching)
    assert _ask(room, bob).code == "banned"
    assert room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}, who=bob).code == "banned"
    assert room.call("POST", "/seats", {"handle": "bob"}).code == "conflict"


def test_whom_an_operator_suspends_is_taken_off_the_screen(room: ModeratedRoom) -> None:
    bob, _seat = _on_screen(room, "bob")
    room.enter(bob)
    watching = room.enter(room.person("cyd"))
    standing = {"standing": "suspended", "reason": "Sold what is not theirs."}
    operator = room.client.operator()
    assert room.client.call("PUT", "/operator/accounts/bob/standing", standing, who=operator).status == 200
    assert _relay_reads(room)["seats"] == []
    assert ("removed", "bob") in _told(room, watching)


def test_blocks_keep_people_from_being_on_screen_together(room: ModeratedRoom) -> None:
    _on_screen(room, "bob")
    cyd, dan = room.person("cyd"), room.person("dan")
    assert room.client.call("PUT", "/accounts/bob/block", who=cyd).status == 204
    assert room.client.call("PUT", f"/accounts/{dan.handle}/block", who=room.host).status == 204
    assert _ask(room, cyd).code == _ask(room, dan).code == "blocked"
    assert room.call("POST", "/seats", {"handle": "cyd"}).code == "blocked"
    # The host blocks who is on screen already.
    assert room.client.call("PUT", "/accounts/bob/block", who=room.host).status == 204
    assert _relay_reads(room)["seats"] == []


def test_a_broadcast_that_is_over_has_no_seats(room: ModeratedRoom) -> None:
    bob, seat = _on_screen(room, "bob")
    assert room.client.call("POST", f"/streams/{room.stream}/end", who=room.host).status == 200
    assert _ask(room, bob).code == "not_live"
    assert room.call("DELETE", f"/seats/{seat}", who=bob).code == "not_live"
    # The end may also come between looking and writing.
    with pytest.raises(OnairError, match="not_live"):
        seating.change(room.stream, lambda stage: (seats.arrange(stage, "spotlight", "host"), "layout", None))


def test_unknown_people_and_seats_are_named(room: ModeratedRoom) -> None:
    assert room.call("POST", "/seats", {"handle": "nobody"}).code == "not_found"
    assert room.call("POST", "/seats", {}).field == "handle"
    assert room.call("POST", "/seats", {"handle": room.host.handle}).code == "conflict"
    assert room.call("PATCH", "/seats/none", {"state": "accepted"}).code == "not_found"


def test_eight_come_on_screen_and_twenty_wait() -> None:
    people = [Sender(f"id{number}", f"p{number}", f"P{number}") for number in range(40)]
    stage = Stage()
    for one in people[: seats.GUESTS_MAX]:
        stage = seats.invite(stage, one, f"s{one.id}")
    with pytest.raises(OnairError, match="conflict"):
        seats.invite(stage, people[30], "more")
    for one in people[8 : 8 + seats.ASKS_MAX]:
        stage = seats.ask(stage, one, f"s{one.id}", 0)
    with pytest.raises(OnairError, match="conflict"):
        seats.ask(stage, people[30], "more", 0)
    with pytest.raises(OnairError, match="conflict"):
        seats.accept(stage, stage.seat("sid10"), "host", "host")


def test_a_change_that_someone_else_was_faster_than_is_decided_anew(room: ModeratedRoom) -> None:
    bob, cyd = (Sender(name, name, name) for name in ("bob", "cyd"))
    seen: list[int] = []

    def ask(guest: Sender, meanwhile: Sender | None) -> None:
        def decide(stage: Stage) -> tuple[Stage, SeatEventState, Seat | None]:
            seen.append(stage.version)
            if meanwhile is not None and stage.of(meanwhile.id) is None:
                ask(meanwhile, None)
            after = seats.ask(stage, guest, guest.id, 0)
            return after, "asked", after.of(guest.id)

        seating.change(room.stream, decide)

    watching = room.enter(room.person("eve"))
    ask(bob, cyd)
    assert [one.guest.id for one in seating.read(room.stream).seats] == ["cyd", "bob"]
    assert seen == [0, 0, 1]
    assert _told(room, watching) == [("asked", "cyd"), ("asked", "bob")]


def test_whom_an_operator_suspends_loses_a_seat_though_no_socket_of_theirs_is_open(room: ModeratedRoom) -> None:
    _on_screen(room, "bob")
    watching = room.enter(room.person("cyd"))
    standing = {"standing": "suspended", "reason": "Sold what is not theirs."}
    operator = room.client.operator()
    assert room.client.call("PUT", "/operator/accounts/bob/standing", standing, who=operator).status == 200
    assert _relay_reads(room)["seats"] == []
    assert ("removed", "bob") in _told(room, watching)


def test_where_someone_is_on_a_stage_is_known_for_as_long_as_they_are(room: ModeratedRoom) -> None:
    bob = room.person("bob")
    seat = _ask(room, bob).body["seat"]
    assert seating.rooms_of(bob.id) == [room.stream]
    room.call("PATCH", f"/seats/{seat}", {"state": "accepted"})
    assert seating.rooms_of(bob.id) == [room.stream]
    room.call("DELETE", f"/seats/{seat}", who=bob)
    assert seating.rooms_of(bob.id) == []
    # A broadcast that ends leaves its stage as it was; it is forgotten by whoever is shut out afterwards.
    _ask(room, bob)
    assert room.call("POST", "/end").status == 200
    seating.vacate(room.stream, bob.id)
    assert seating.rooms_of(bob.id) == []


def _each_minute(room: ModeratedRoom) -> None:
    room.client.clock.offset_ms += 60_000
    ring_live.handle({}, None)


def test_a_guest_who_vanished_without_a_word_loses_the_seat_after_a_minute(room: ModeratedRoom) -> None:
    bob, seat = _on_screen(room, "bob")
    socket, watching = room.enter(bob), room.enter(room.person("cyd"))
    for _ in range(3):
        _each_minute(room)
        socket.send("ping")
        watching.send("ping")
    assert [one["seat"] for one in _relay_reads(room)["seats"]] == [seat]

    socket.send_raw("$disconnect", "")
    _each_minute(room)
    assert [one["seat"] for one in _relay_reads(room)["seats"]] == [seat]
    _each_minute(room)
    assert _relay_reads(room)["seats"] == []
    assert _told(room, watching)[-1] == ("left", "bob")
    # Nobody removed them: they may ask again at once.
    assert _ask(room, bob).status == 201


def test_a_guest_who_comes_back_in_time_keeps_the_seat(room: ModeratedRoom) -> None:
    bob, seat = _on_screen(room, "bob")
    for _ in range(3):
        _each_minute(room)
        socket = room.enter(bob)
        _each_minute(room)
        assert [one["seat"] for one in _relay_reads(room)["seats"]] == [seat]
        socket.send_raw("$disconnect", "")
    # Each absence is counted by itself.
    _each_minute(room)
    assert seating.read(room.stream).seat(seat).away_ms > 0


def test_a_guest_whose_socket_ran_out_without_being_closed_counts_as_gone(room: ModeratedRoom) -> None:
    bob, _seat = _on_screen(room, "bob")
    room.enter(bob)
    room.client.clock.offset_ms += 3_600_000
    _each_minute(room)
    _each_minute(room)
    assert _relay_reads(room)["seats"] == []


def test_the_minute_looks_at_as_many_guests_as_it_has_time_for(room: ModeratedRoom) -> None:
    _on_screen(room, "bob")
    assert absence.vacate([room.stream], lambda: False) == 0
    assert seating.read(room.stream).on_screen[0].away_ms == 0
