"""Matches over HTTPS: who may ask whom, what both rooms and the relay are told, and what ends them, on both sides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.accounts import blocks
from functions.errors import OnairError
from functions.rooms import matches, matching, seating
from functions.rooms.matches import Side
from functions.rooms.messages import Rival, RivalHost
from functions.rooms.seats import Match, Stage
from functions.streams import life, sweep
from functions.streams import table as streams
from functions.streams.table import STREAM, StreamItem, stream_key
from tests.unit.https import Answer, Client
from tests.unit.moderated_room import ModeratedRoom, made, of_type
from tests.unit.socket_room import Socket


@pytest.fixture
def room(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModeratedRoom]:
    with made(client, monkeypatch) as room:
        yield room


@pytest.fixture
def other(room: ModeratedRoom) -> ModeratedRoom:
    return _another(room, "rival")


def _another(room: ModeratedRoom, handle: str, **changes: Any) -> ModeratedRoom:
    host = room.client.host(handle)
    return ModeratedRoom(room.client, room.sockets, host, room.client.live(host, **changes))


def _ask(room: ModeratedRoom, whom: ModeratedRoom, key: str | None = None) -> Answer:
    path, body = f"/streams/{room.stream}/match", {"handle": whom.host.handle}
    return room.client.call("POST", path, body, who=room.host, key=key)


def _on(room: ModeratedRoom, other: ModeratedRoom) -> str:
    """A match of both."""
    assert _ask(room, other).status == 201
    accepted = other.call("PATCH", "/match", {"state": "accepted"})
    assert accepted.status == 200, accepted.body
    return str(accepted.body["match"])


def _relay_reads(room: ModeratedRoom) -> Any:
    told = StreamItem.get(stream_key(room.stream), STREAM, consistent_read=True).match
    return None if told is None else json.loads(str(told))


def _told(room: ModeratedRoom, opened: Socket) -> list[tuple[str, str]]:
    room.sequence()
    return [(event["state"], event["rival"]["host"]["handle"]) for event in of_type(opened, "match")]


def test_who_is_asked_and_accepts_appears_in_both_rooms(room: ModeratedRoom, other: ModeratedRoom) -> None:
    here, there = room.enter(room.person("bob")), other.enter(other.person("cyd"))
    asked = _ask(room, other)
    assert (asked.status, asked.body["state"], asked.body["asked_by"]) == (201, "asked", room.host.id)
    assert asked.body["rival"] == {
        "stream_id": other.stream,
        "host": {"id": other.host.id, "handle": "rival", "name": "Rival"},
    }
    assert asked.body["until"]
    assert other.call("GET", "/match").body["match"]["rival"]["host"]["handle"] == room.host.handle
    assert _relay_reads(room) is _relay_reads(other) is None

    accepted = other.call("PATCH", "/match", {"state": "accepted", "match": asked.body["match"]})
    assert (accepted.body["state"], accepted.body["match"]) == ("accepted", asked.body["match"])
    assert "until" not in accepted.body
    assert (_relay_reads(room), _relay_reads(other)) == ({"stream": other.stream}, {"stream": room.stream})

    assert _told(room, here) == [("asked", "rival"), ("accepted", "rival")]
    assert _told(other, there) == [("asked", "host_one"), ("accepted", "host_one")]
    assert here.join()["room"]["match"]["rival"]["stream_id"] == other.stream
    assert there.join()["room"]["match"]["rival"]["stream_id"] == room.stream


def _watched(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["from"]["handle"], one["whep_url"].partition("/whep/")[2]) for one in answer["watch"]]


def test_hosts_and_guests_are_told_where_to_watch_the_other_host_while_the_match_is_on(
    room: ModeratedRoom, other: ModeratedRoom
) -> None:
    bob = room.person("bob")
    seat = room.call("POST", "/seats", {}, who=bob).body["seat"]
    assert room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}).status == 200
    guest = ("bob", f"{room.stream}/{seat}")
    rival = ("rival", f"{room.stream}/match")
    # Asked is not on.
    _ask(room, other)
    assert "whep_url" not in room.call("GET", "/match").body
    assert _watched(room.call("GET", "/seats").body) == [guest]
    # when
    assert other.call("PATCH", "/match", {"state": "accepted"}).status == 200
    # then each by their own stream
    for one in (room, other):
        assert one.call("GET", "/match").body["whep_url"].endswith(f"/whep/{one.stream}/match")
    assert _watched(room.call("GET", "/seats").body) == [rival, guest]
    assert _watched(other.call("GET", "/seats").body) == [("host_one", f"{other.stream}/match")]
    assert _watched(room.call("GET", "/seats", who=bob).body["mine"]) == [("host_one", f"{room.stream}/host"), rival]
    # when it is over
    assert room.call("DELETE", "/match").status == 204
    for one in (room, other):
        assert "whep_url" not in one.call("GET", "/match").body
    assert _watched(room.call("GET", "/seats").body) == [guest]
    assert _watched(other.call("GET", "/seats").body) == []


@pytest.mark.parametrize("ender", ["asked", "asker"])
def test_either_host_ends_a_match_for_both(room: ModeratedRoom, other: ModeratedRoom, ender: str) -> None:
    watching = room.enter(room.person("bob"))
    _on(room, other)
    by = room if ender == "asker" else other
    for _ in range(2):
        assert by.call("DELETE", "/match").status == 204
    assert _relay_reads(room) is _relay_reads(other) is None
    assert room.call("GET", "/match").body == other.call("GET", "/match").body == {}
    assert _told(room, watching) == [("asked", "rival"), ("accepted", "rival"), ("ended", "rival")]
    assert "match" not in watching.join()["room"]


def test_who_is_asked_may_decline_and_is_left_in_peace_for_a_minute(room: ModeratedRoom, other: ModeratedRoom) -> None:
    watching = room.enter(room.person("bob"))
    _ask(room, other)
    for _ in range(2):
        assert other.call("PATCH", "/match", {"state": "declined"}).body["state"] == "declined"
    assert _told(room, watching) == [("asked", "rival"), ("declined", "rival")]
    refused = _ask(room, other)
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    # The other way round nobody was declined.
    assert _ask(other, room).status == 201
    assert room.call("DELETE", "/match").status == 204
    room.client.clock.offset_ms += matches.REST_MS
    assert _ask(room, other).status == 201


def test_what_is_asked_can_be_taken_back(room: ModeratedRoom, other: ModeratedRoom) -> None:
    watching = other.enter(other.person("bob"))
    _ask(room, other)
    assert room.call("DELETE", "/match").status == 204
    assert other.call("PATCH", "/match", {"state": "accepted"}).code == "not_found"
    assert _told(other, watching) == [("asked", "host_one"), ("ended", "host_one")]


def test_what_nobody_answers_is_gone_after_a_minute(room: ModeratedRoom, other: ModeratedRoom) -> None:
    watching = room.enter(room.person("bob"))
    third = _another(room, "third")
    first = _ask(room, other, key="first")
    room.client.clock.offset_ms += matches.ASK_MS
    assert other.call("PATCH", "/match", {"state": "accepted"}).code == "not_found"
    assert room.call("GET", "/match").body == other.call("GET", "/match").body == {}
    assert "match" not in watching.join()["room"]
    # The same request again asks nobody anew.
    again = _ask(room, other, key="first")
    assert (again.body["match"], again.body["state"]) == (first.body["match"], "expired")
    assert room.call("DELETE", "/match").status == 204
    assert _told(room, watching) == [("asked", "rival"), ("expired", "rival")]
    assert _ask(third, other).status == 201
    assert other.call("PATCH", "/match", {"state": "accepted"}).body["rival"]["stream_id"] == third.stream


def test_an_expired_ask_is_in_nobodys_way(room: ModeratedRoom, other: ModeratedRoom) -> None:
    third = _another(room, "third")
    _ask(room, other)
    room.client.clock.offset_ms += matches.ASK_MS
    assert _ask(room, third).status == 201
    assert other.call("PATCH", "/match", {"state": "accepted"}).code == "not_found"
    assert third.call("PATCH", "/match", {"state": "accepted"}).status == 200
    assert _relay_reads(room) == {"stream": third.stream}
    assert _relay_reads(other) is None


def test_asking_whom_one_is_asked_by_accepts(room: ModeratedRoom, other: ModeratedRoom) -> None:
    _ask(room, other)
    assert _ask(other, room).body["state"] == "accepted"
    assert _relay_reads(room) == {"stream": other.stream}


def test_the_same_again_is_answered_the_same(room: ModeratedRoom, other: ModeratedRoom) -> None:
    watching = room.enter(room.person("bob"))
    first = _ask(room, other, key="one")
    assert _ask(room, other, key="one").body == _ask(room, other).body == first.body
    for _ in range(2):
        assert other.call("PATCH", "/match", {"state": "accepted"}).body["match"] == first.body["match"]
    assert _ask(room, other, key="one").body["state"] == "accepted"
    assert room.call("PATCH", "/match", {"state": "accepted"}).body["state"] == "accepted"
    room.call("DELETE", "/match")
    assert _ask(room, other, key="one").body["state"] == "ended"
    assert [state for state, _ in _told(room, watching)] == ["asked", "accepted", "ended"]


def test_only_who_was_asked_answers_and_only_what_is_meant(room: ModeratedRoom, other: ModeratedRoom) -> None:
    match = _ask(room, other).body["match"]
    for state in ("accepted", "declined"):
        assert room.call("PATCH", "/match", {"state": state}).code == "forbidden"
        assert other.call("PATCH", "/match", {"state": state, "match": "another"}).code == "not_found"
    assert other.call("PATCH", "/match", {"state": "accepted", "match": match}).status == 200
    assert other.call("PATCH", "/match", {"state": "declined", "match": match}).code == "conflict"
    # Taken back too late: it was accepted meanwhile, and stays.
    assert room.call("DELETE", "/match?state=asked").status == room.call("DELETE", "/match?match=another").status == 204
    assert _relay_reads(room) == {"stream": other.stream}
    assert room.call("DELETE", f"/match?match={match}&state=accepted").status == 204
    assert _relay_reads(room) is None


def test_neither_viewers_nor_moderators_act_on_a_match(room: ModeratedRoom, other: ModeratedRoom) -> None:
    bob = room.person("bob")
    room.call("PUT", "/members/bob", {"moderator": True})
    for who in (bob, other.host):
        for method, body in (
            ("GET", None),
            ("POST", {"handle": "rival"}),
            ("PATCH", {"state": "accepted"}),
            ("DELETE", None),
        ):
            assert room.call(method, "/match", body, who=who).code == "forbidden", (who.handle, method)


def test_nobody_has_two_matches(room: ModeratedRoom, other: ModeratedRoom) -> None:
    third = _another(room, "third")
    _ask(room, other)
    for one, whom in ((third, room), (third, other), (room, third), (other, third)):
        assert _ask(one, whom).code == "conflict"
    other.call("PATCH", "/match", {"state": "accepted"})
    for one, whom in ((third, room), (third, other), (room, third), (other, third)):
        assert _ask(one, whom).code == "conflict"


def test_who_asks_around_is_slowed_down(room: ModeratedRoom) -> None:
    rivals = [_another(room, f"rival_{n}") for n in range(matches.ASK_BURST + 1)]
    for one in rivals[:-1]:
        assert _ask(room, one).status == 201
        room.call("DELETE", "/match")
    refused = _ask(room, rivals[-1])
    assert refused.code == "rate_limited"
    room.client.clock.offset_ms += matches.ASK_INTERVAL_MS
    assert _ask(room, rivals[-1]).status == 201


def test_whom_one_cannot_ask_is_said(room: ModeratedRoom, other: ModeratedRoom) -> None:
    idle = room.client.host("idle")
    assert room.call("POST", "/match", {"handle": "nobody"}).code == "not_found"
    assert room.call("POST", "/match", {}).field == "handle"
    assert room.call("POST", "/match", {"handle": room.host.handle}).code == "conflict"
    assert room.call("POST", "/match", {"handle": idle.handle}).code == "not_live"
    ready = room.client.ready(idle)
    assert room.client.call("POST", f"/streams/{ready}/match", {"handle": "rival"}, who=idle).code == "not_live"
    assert other.call("PUT", f"/members/{room.host.handle}", {"banned": True}).status == 200
    assert _ask(room, other).code == "banned"
    assert _ask(other, room).code == "conflict"


def test_blocks_keep_hosts_apart_and_end_their_match(room: ModeratedRoom, other: ModeratedRoom) -> None:
    _on(room, other)
    assert room.client.call("PUT", f"/accounts/{room.host.handle}/block", who=other.host).status == 204
    assert _relay_reads(room) is _relay_reads(other) is None
    assert _ask(room, other).code == _ask(other, room).code == "blocked"


def test_a_block_between_asking_and_accepting_counts(room: ModeratedRoom, other: ModeratedRoom) -> None:
    _ask(room, other)
    # Of a block that died after its first step only that is left.
    blocks.block(room.host.id, other.host.id)
    assert other.call("PATCH", "/match", {"state": "accepted"}).code == "blocked"
    assert other.call("PATCH", "/match", {"state": "declined"}).status == 200


@pytest.mark.parametrize("changes", [{"audience": "followers"}, {"min_age": 18}])
def test_only_what_both_rooms_may_see_is_shown_in_both(room: ModeratedRoom, changes: dict[str, Any]) -> None:
    other = _another(room, "rival", **changes)
    for one in (room, other):
        whom = other if one is room else room
        room.client.call("PUT", f"/accounts/{whom.host.handle}/follow", who=one.host)
        refused = _ask(one, whom)
        assert (refused.status, refused.code) == (409, "conflict")
        assert "must be for" in refused.body["error"]["message"]


def test_broadcasts_for_the_same_age_have_a_match(room: ModeratedRoom) -> None:
    one, other = (_another(room, handle, min_age=18) for handle in ("grown", "adult"))
    _on(one, other)
    assert _relay_reads(one) == {"stream": other.stream}


def test_a_match_ends_with_either_broadcast(room: ModeratedRoom, other: ModeratedRoom) -> None:
    watching = other.enter(other.person("bob"))
    _on(room, other)
    assert room.call("POST", "/end").status == 200
    assert _told(other, watching)[-1] == ("ended", "host_one")
    assert _relay_reads(room) is _relay_reads(other) is None
    assert room.call("GET", "/match").code == "not_live"
    assert other.call("GET", "/match").body == {}


@pytest.mark.parametrize("how", ["sweep", "standing", "erased"])
def test_a_match_ends_however_a_broadcast_does(room: ModeratedRoom, other: ModeratedRoom, how: str) -> None:
    _on(room, other)
    if how == "sweep":
        late = _another(room, "late")
        room.client.clock.offset_ms += 5 * 60_000
        assert {room.stream, other.stream} <= set(sweep.sweep())
        assert late.stream
    elif how == "standing":
        standing = {"standing": "suspended", "reason": "Sold what is not theirs."}
        path, operator = f"/operator/accounts/{room.host.handle}/standing", room.client.operator()
        assert room.client.call("PUT", path, standing, who=operator).status == 200
    else:
        life.end(streams.required(room.stream), "erased")
    assert _relay_reads(room) is _relay_reads(other) is None
    assert seating.read(other.stream).match is None


def test_an_end_that_died_before_it_parted_both_is_put_right_by_the_sweep(
    room: ModeratedRoom, other: ModeratedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    _on(room, other)

    def dies(*_: Any) -> None:
        raise ConnectionError("the function died here")

    with monkeypatch.context() as broken:
        broken.setattr(matching, "part", dies)
        assert room.call("POST", "/end").code == "unavailable"
    assert _relay_reads(other) == {"stream": room.stream}
    assert sweep.sweep() == [room.stream]
    assert _relay_reads(room) is _relay_reads(other) is None


def test_what_is_left_of_a_match_whose_other_side_is_gone_is_mended(room: ModeratedRoom, other: ModeratedRoom) -> None:
    watching = room.enter(room.person("bob"))
    _on(room, other)
    StreamItem(stream_key(other.stream), STREAM).delete()
    sweep.sweep()
    assert _relay_reads(room) is None
    assert _told(room, watching)[-1] == ("ended", "rival")


def test_an_ask_that_nobody_answers_or_clears_is_told_to_both_rooms_by_the_sweep(
    room: ModeratedRoom, other: ModeratedRoom
) -> None:
    mine, theirs = room.enter(room.person("bob")), other.enter(other.person("eve"))
    _ask(room, other)
    clock, began_ms = room.client.clock, room.client.clock.offset_ms
    clock.offset_ms = began_ms + matches.ASK_MS - 1_000
    sweep.sweep()
    assert _told(room, mine) == [("asked", "rival")], "it can be answered still"
    clock.offset_ms = began_ms + matches.ASK_MS
    for _ in range(2):
        sweep.sweep()
    assert _told(room, mine) == [("asked", "rival"), ("expired", "rival")]
    assert _told(other, theirs) == [("asked", "host_one"), ("expired", "host_one")]
    # Who waited in vain may ask again a minute later, whenever the sweep came by.
    assert _ask(room, other).code == "rate_limited"
    clock.offset_ms = began_ms + matches.ASK_MS + matches.REST_MS
    assert _ask(room, other).status == 201


def test_an_ask_that_made_way_for_another_expires_for_who_was_asked_alone(
    room: ModeratedRoom, other: ModeratedRoom
) -> None:
    mine, theirs = room.enter(room.person("bob")), other.enter(other.person("eve"))
    third = _another(room, "third")
    _ask(room, other)
    room.client.clock.offset_ms += matches.ASK_MS
    assert _ask(room, third).status == 201
    sweep.sweep()
    assert _told(other, theirs) == [("asked", "host_one"), ("expired", "host_one")]
    assert _told(room, mine) == [("asked", "rival"), ("asked", "third")]
    assert third.call("PATCH", "/match", {"state": "accepted"}).status == 200
    # What is on lasts, however long ago it was asked for.
    room.client.clock.offset_ms += matches.ASK_MS
    sweep.sweep()
    assert _relay_reads(room) == {"stream": third.stream}


def test_what_the_relay_reads_is_made_true_where_it_is_not(room: ModeratedRoom, other: ModeratedRoom) -> None:
    _on(room, other)
    third = _another(room, "third")
    StreamItem(stream_key(room.stream), STREAM).update([StreamItem.match.set(json.dumps({"stream": third.stream}))])
    StreamItem(stream_key(third.stream), STREAM).update([StreamItem.match.set(json.dumps({"stream": room.stream}))])
    sweep.sweep()
    assert _relay_reads(room) == {"stream": other.stream}
    assert _relay_reads(other) == {"stream": room.stream}
    # Nothing was ever decided there, so nothing but the attribute is wrong.
    assert _relay_reads(third) is None


def test_a_match_behind_a_block_that_died_halfway_is_ended_by_the_sweep(
    room: ModeratedRoom, other: ModeratedRoom
) -> None:
    _on(room, other)
    blocks.block(room.host.id, other.host.id)
    sweep.sweep()
    assert _relay_reads(room) is _relay_reads(other) is None


def test_a_sound_match_is_left_alone(room: ModeratedRoom, other: ModeratedRoom) -> None:
    _on(room, other)
    before = seating.read(room.stream), seating.read(other.stream)
    sweep.sweep()
    assert (seating.read(room.stream), seating.read(other.stream)) == before


def test_seats_and_the_match_do_not_touch_each_other(room: ModeratedRoom, other: ModeratedRoom) -> None:
    bob = room.person("bob")
    seat = room.call("POST", "/seats", {}, who=bob).body["seat"]
    _on(room, other)
    assert room.call("PATCH", f"/seats/{seat}", {"state": "accepted"}).status == 200
    assert _relay_reads(room) == {"stream": other.stream}
    # A ban here is none there.
    assert room.call("PUT", "/members/bob", {"banned": True}).status == 200
    assert other.enter(bob)
    room.call("DELETE", "/match")
    assert seating.read(room.stream).seats == ()


def test_a_match_that_the_other_side_does_not_have_is_never_accepted() -> None:
    sides = [Rival(name, RivalHost(name, name, name)) for name in ("a", "b")]
    mine, theirs = (Side(who, Stage()) for who in sides)
    turn = matches.ask(mine, theirs, "m", 0)
    assert isinstance(turn.theirs.match, Match)
    with pytest.raises(OnairError, match="not_found"):
        matches.accept(turn.theirs, Stage(), "b", None, 0)
    other = matches.ask(mine, theirs, "n", 0)
    with pytest.raises(OnairError, match="not_found"):
        matches.accept(turn.theirs, other.mine, "b", None, 0)
    assert matches.close(turn.theirs, other.mine, "ended", 0).theirs == other.mine
