"""Rooms above and below the stadium's threshold: who is posted to, what the relay is told, what a frame costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from functions import clock, observe
from functions.rooms import deliver
from functions.rooms.items import ConnectionItem, RoomItem, room_key
from functions.rooms.model import (
    KEPT_SHARD,
    RELAY_TTL_S,
    Connection,
    Limits,
    ShardCount,
    is_stadium,
    media_serves,
)
from functions.rooms.port import Registration
from functions.rooms.posts import sockets as api_sockets
from functions.rooms.stored import StoredRooms
from functions.rooms.table import close_room, read_viewers, set_media
from functions.streams.table import StreamItem
from tests.unit.https import Client
from tests.unit.moderated_room import ModeratedRoom, made
from tests.unit.socket_room import Socket

LIMITS = Limits(stadium_viewers=5_000)


@pytest.fixture
def room(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModeratedRoom]:
    monkeypatch.setenv("STADIUM_VIEWERS", "3")
    with made(client, monkeypatch) as room:
        set_media(room.stream, "flowing")
        yield room


def relay_of(room: ModeratedRoom) -> Socket:
    return room.sockets.socket(f"relay-{room.stream}", "relay", stream=room.stream)


def enter_relay(room: ModeratedRoom) -> Socket:
    relay = relay_of(room)
    assert relay.join()["type"] == "joined"
    return relay


def told(room: ModeratedRoom) -> bool | None:
    """What the relay reads of the stream."""
    return StreamItem.get(f"stream#{room.stream}", "stream", consistent_read=True).stadium


def turn(room: ModeratedRoom) -> None:
    """A tick passes, and what rang is dealt with."""
    room.sockets.clock.sleep_ms(1_000)
    room.sequence()


def say(room: ModeratedRoom, by: Socket, text: str) -> None:
    room.sockets.clock.sleep_ms(1_000)
    assert by.chat(f"id-{text.replace(' ', '-')}", text)["type"] == "ack"
    room.sequence()


def heard(socket: Socket, text: str) -> bool:
    return any(event.get("text") == text for event in socket.events)


def crowd(room: ModeratedRoom) -> tuple[Socket, Socket, Socket, Socket]:
    """A stadium: host, two viewers and the relay, all of whom have heard that frames travel in the media."""
    host, bob, cat = (room.enter(one) for one in (room.host, room.person("bob"), room.person("cat")))
    turn(room)
    relay = enter_relay(room)
    turn(room)
    assert {one.frames[-1]["transport"] for one in (host, bob, cat, relay)} == {"media"}
    return host, bob, cat, relay


# --- the threshold


@pytest.mark.parametrize(
    ("viewers", "before", "stadium"),
    [(4_999, False, False), (5_000, False, True), (4_001, True, True), (4_000, True, False), (4_001, False, False)],
)
def test_a_stadium_begins_at_one_number_and_ends_at_a_lower(viewers: int, before: bool, stadium: bool) -> None:
    assert is_stadium(viewers, before, LIMITS) is stadium
    assert LIMITS.stadium_back_viewers == 4_000


def test_a_crowd_that_comes_and_goes_around_the_threshold_changes_the_way_once() -> None:
    ways = [False]
    for viewers in [4_990, 5_010] * 50:
        ways.append(is_stadium(viewers, ways[-1], LIMITS))
    assert sum(before != after for before, after in pairwise(ways)) == 1


def test_the_media_serves_while_a_relay_lives_and_no_more_than_half_ask_for_the_socket() -> None:
    relay = Connection("r", "relay", KEPT_SHARD, expires_s=100)
    asked = [Connection(f"c{n}", f"c{n}", 0, expires_s=100, by_socket=True) for n in range(3)]
    host = Connection("h", "h", 0, expires_s=100, sent_all=True)
    assert media_serves([relay, host, *asked], 6, now_s=50)
    assert not media_serves([relay, host, *asked], 5, now_s=50)
    assert not media_serves([host, *asked], 6, now_s=50)
    assert not media_serves([relay], 6, now_s=100), "its time is over"
    assert not media_serves([replace(relay, closing="conflict")], 6, now_s=50)


# --- there and back


def test_frames_go_by_the_socket_until_the_relay_is_there(room: ModeratedRoom) -> None:
    people = [room.enter(one) for one in (room.host, room.person("bob"))]
    turn(room)
    assert told(room) is None
    people.append(room.enter(room.person("cat")))
    turn(room)
    assert told(room) is True
    say(room, people[0], "nobody carries this yet")
    assert all(heard(one, "nobody carries this yet") for one in people)
    assert {frame["transport"] for one in people for frame in one.frames} == {"socket"}


def test_in_a_stadium_only_relay_host_moderators_and_who_asked_are_posted_to(room: ModeratedRoom) -> None:
    host, bob, cat, relay = crowd(room)
    room.call("PUT", "/members/cat", {"moderator": True})
    asked = room.socket(room.person("dan"))
    assert asked.join(frames="socket")["type"] == "joined"
    say(room, bob, "with the picture")
    assert [heard(one, "with the picture") for one in (relay, host, cat, asked, bob)] == [True] * 4 + [False]
    seqs = [frame["seq"] for frame in relay.frames]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    stored = [frame.seq for frame in StoredRooms().frames_after(room.stream, 0, 100)]
    assert seqs[-1] == stored[-1]


def test_who_asks_for_the_socket_on_an_open_one_is_posted_to_until_taking_it_back(room: ModeratedRoom) -> None:
    host, bob, _, _ = crowd(room)
    before = bob.frames[-1]
    answer = bob.join(epoch=before["epoch"], after=before["seq"], frames="socket")
    assert answer["resumed"] is True
    say(room, host, "to who asked")
    assert heard(bob, "to who asked")
    bob.join(epoch=before["epoch"], after=bob.frames[-1]["seq"])
    say(room, host, "in the media again")
    assert not heard(bob, "in the media again")
    assert [frame["seq"] for frame in bob.frames] == sorted({frame["seq"] for frame in bob.frames})


def test_when_the_crowd_leaves_everyone_is_posted_to_again_and_the_relay_is_told(room: ModeratedRoom) -> None:
    host, bob, cat, relay = crowd(room)
    cat.send("$disconnect")
    turn(room)
    assert {one.frames[-1]["transport"] for one in (host, bob, relay)} == {"socket"}
    assert told(room) is False
    say(room, host, "among ourselves")
    assert heard(bob, "among ourselves") and not heard(relay, "among ourselves")


def test_a_relay_that_is_gone_hands_the_room_back_to_the_sockets(room: ModeratedRoom) -> None:
    host, bob, _, relay = crowd(room)
    room.sockets.gateway.closed.append(relay.id)
    say(room, host, "to nobody")
    turn(room)
    assert bob.frames[-1]["transport"] == "socket"
    say(room, host, "by the socket")
    assert heard(bob, "by the socket")
    again = enter_relay(room)
    turn(room)
    assert again.frames[-1]["transport"] == bob.frames[-1]["transport"] == "media"


def test_a_relay_that_falls_silent_is_missed_after_its_time(room: ModeratedRoom) -> None:
    host, bob, _, relay = crowd(room)
    room.sockets.clock.sleep_ms(60_000)
    assert relay.send("ping")["type"] == "pong"
    room.sockets.clock.sleep_ms((RELAY_TTL_S - 5) * 1_000)
    say(room, host, "it pinged")
    assert not heard(bob, "it pinged")
    room.sockets.clock.sleep_ms(6_000)
    say(room, host, "it did not")
    assert heard(bob, "it did not")


def test_a_lost_picture_carries_nothing(room: ModeratedRoom) -> None:
    host, bob, _, _ = crowd(room)
    set_media(room.stream, "lost")
    turn(room)
    assert (bob.frames[-1]["transport"], bob.frames[-1]["media"]) == ("socket", "lost")
    say(room, host, "are you there?")
    assert heard(bob, "are you there?")
    set_media(room.stream, "flowing")
    turn(room)
    assert bob.frames[-1]["transport"] == "media"


def test_the_end_reaches_everyone_by_the_socket_and_closes_all(room: ModeratedRoom) -> None:
    everyone = crowd(room)
    close_room(room.stream, "host")
    turn(room)
    for one in everyone:
        assert one.events[-1]["type"] == "ended"
        assert room.sockets.gateway.posted[one.id][-1]["type"] == "bye"
        assert one.id in room.sockets.gateway.closed


def test_a_banned_member_is_seen_off_though_nobody_posts_to_its_shard(room: ModeratedRoom) -> None:
    _, bob, _, _ = crowd(room)
    room.enter(room.person("dan"))
    turn(room)
    room.call("PUT", "/members/bob", {"banned": True})
    turn(room)
    assert room.sockets.gateway.posted[bob.id][-1]["type"] == "bye"
    assert not [item for item in room.sockets.items("connection#") if item.sk.endswith(bob.id)]


def test_a_suspended_account_is_seen_off_though_nobody_posts_to_its_shard(room: ModeratedRoom) -> None:
    _, bob, _, _ = crowd(room)
    room.enter(room.person("dan"))
    turn(room)
    standing = {"standing": "suspended", "reason": "Sold what is not theirs."}
    operator = room.client.operator()
    assert room.client.call("PUT", "/operator/accounts/bob/standing", standing, who=operator).status == 200
    turn(room)
    assert room.sockets.gateway.posted[bob.id][-1]["type"] == "bye"
    assert not [item for item in room.sockets.items("connection#") if item.sk.endswith(bob.id)]


# --- the relay's right


def test_the_relay_listens_and_may_do_nothing_else(room: ModeratedRoom) -> None:
    host = room.enter(room.host)
    turn(room)
    relay = enter_relay(room)
    turn(room)
    for action, fields in (
        ("chat", {"id": "c", "text": "hello"}),
        ("react", {"counts": {"❤️": 1}}),
        ("gift", {"id": "g", "gift_id": "rose", "count": 1}),
        ("ask", {"id": "a", "text": "why?"}),
        ("poll", {"id": "p", "question": "?", "options": ["a", "b"], "seconds": 5}),
        ("vote", {"poll_id": "p", "option": 0}),
        ("upvote", {"question_id": "q"}),
        ("answer", {"question_id": "q", "state": "showing"}),
    ):
        assert relay.send(action, **fields)["code"] == "forbidden", action
    assert relay.send("ping")["type"] == "pong"
    assert host.frames[-1]["viewers"] == read_viewers([room.stream])[room.stream] == 1
    item = RoomItem.get(room_key(room.stream), "room", consistent_read=True)
    assert (int(item.joins), int(item.uniques)) == (1, 1)
    assert not [item for item in room.sockets.items("member#") if "relay" in item.sk]


def test_a_ticket_of_the_relay_opens_one_socket(room: ModeratedRoom) -> None:
    relay = enter_relay(room)
    other = relay_of(room)
    other.nonce = relay.nonce
    assert other.join()["code"] == "unauthenticated"


def test_nothing_is_left_of_who_left(room: ModeratedRoom) -> None:
    everyone = crowd(room)
    for one in everyone:
        one.send("$disconnect")
    turn(room)
    assert room.sockets.items("connection#") == []


# --- what a frame costs


@pytest.mark.parametrize("relayed", [True, False])
def test_a_frame_costs_the_same_calls_however_many_are_in_the_stadium(
    room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch, relayed: bool
) -> None:
    """Without a relay frames go by the socket, and then the calls do grow: so the test can fail."""
    monkeypatch.setenv("SHARD_SIZE", "200")
    monkeypatch.setattr("functions.rooms.posts.ApiSockets.deliver", delivered)
    host = room.enter(room.host)
    if relayed:
        enter_relay(room)
    costs = [_calls_of_a_frame(room, host, shards) for shards in (2, 12)]
    assert (costs[0] == costs[1]) is relayed, f"{costs}"
    if relayed:
        assert costs[0] == {
            "Query": 7,  # head, inbox, room, kept twice, newest shard and the one whose turn it is
            "PutItem": 1,
            "PostConnection": 2,  # relay and host
            "BatchWriteItem": 1,
        }


def delivered(_: Any, stream: str, shard: int, *more: Any) -> None:
    observe.count("lambda", "Invoke")


def _calls_of_a_frame(room: ModeratedRoom, host: Socket, shards: int) -> Counter[str]:
    """Fill so many shards; calls of a frame with one comment, once every shard was counted."""
    rooms = StoredRooms()
    RoomItem(room_key(room.stream), "room").update([RoomItem.joins.set((shards - 1) * 200 + 10)])
    for shard in range(shards):
        for n in range(4):
            one = Connection(f"{shard}-{n}", f"a{shard}-{n}", shard, expires_s=2**40, joined_ms=1)
            ConnectionItem.of_shard(room.stream, one).save()
        rooms.tell_shard(room.stream, shard, ShardCount(4 + (shard == 0), clock.now_ms()))
    for n in range(3):
        say(room, host, f"warm {shards} {n}")
    room.sockets.clock.sleep_ms(1_000)
    host.chat(f"id-{shards}", "counted")
    # With the slot over, one reading is both that for who rang and that for who might still have.
    room.sockets.clock.sleep_ms(231)
    with observe.counting() as calls:
        room.sequence()
    return Counter(call.operation for call in calls if call.service != "sqs")


def test_many_who_ask_for_the_socket_are_shared_out_among_deliveries(
    room: ModeratedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _, _, relay = crowd(room)
    rooms = StoredRooms()
    for n in range(14):
        monkeypatch.setenv("SHARD_SIZE", "400")
        one = Connection(f"s{n}", f"s{n}", 0, expires_s=2**40, joined_ms=1, by_socket=n < 7)
        registration = Registration(room.stream, f"nonce-{n}", 2**40, one, (), None, None)
        assert rooms.register(registration) is None
    monkeypatch.setenv("SHARD_SIZE", "4")
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "functions.rooms.posts.ApiSockets.deliver",
        lambda _self, stream, shard, bodies, _told, _closing, whole, part=0, parts=1: made.append(
            {"room": stream, "shard": shard, "bodies": bodies, "whole": whole, "part": part, "parts": parts}
        ),
    )
    say(room, host, "to each of them")
    kept = [each for each in made if each["shard"] == KEPT_SHARD]
    assert len(kept) >= 3
    for each in kept:
        deliver.handle(each, None)
    assert heard(relay, "to each of them")
    assert sorted(one for one in room.sockets.gateway.posted if one.startswith("s")) == [f"s{n}" for n in range(7)]
    assert all(len(room.sockets.gateway.frames(f"s{n}")) == 1 for n in range(7))
    assert api_sockets() is not None
