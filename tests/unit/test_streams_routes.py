"""Routes of streams: made, changed, started, taken over, ended; tickets; the feed."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from functions import clock, observe, tokens
from functions.accounts import table as accounts
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.rooms import table as rooms
from functions.streams import media, table
from functions.streams.model import MediaReport
from tests.unit.https import ADULT, BOTH, Client, Person

NEW = {"title": "Morning", "devices": BOTH}


def flowing(client: Client, stream_id: str) -> None:
    """The relay reports that media flows."""
    generation = table.required(stream_id).generation
    assert media.take(MediaReport(stream_id, generation, "flowing", clock.now_ms(), preview=True))


def in_hours(hours: float) -> str:
    return clock.rfc3339(clock.now_ms() + int(hours * 3_600_000))


def test_a_new_stream_is_ready(client: Client) -> None:
    host = client.host()
    answer = client.call(
        "POST", "/streams", {**NEW, "topics": ["music", "music"], "paid_partnership": "Acme"}, who=host
    )
    assert answer.status == 201
    body = answer.body
    assert (body["state"], body["media"], body["viewers"], body["preview_url"]) == ("ready", "waiting", 0, None)
    assert (body["topics"], body["audience"], body["paid_partnership"]) == (["music"], "everyone", "Acme")
    assert body["host"] == {
        "id": host.id,
        "handle": "host_one",
        "display_name": "Host_One",
        "avatar_url": None,
        "badges": [],
    }
    assert client.call("GET", f"/streams/{body['id']}", who=host).body == body


def test_an_encoder_stands_for_the_devices(client: Client) -> None:
    made = client.call("POST", "/streams", {"title": "Desk", "devices": {"encoder": True}}, who=client.host())
    assert made.status == 201


def test_the_same_key_answers_the_same_stream_and_refuses_another_content(client: Client) -> None:
    host = client.host()
    first = client.call("POST", "/streams", NEW, who=host, key="k1")
    assert client.call("POST", "/streams", NEW, who=host, key="k1").body == first.body
    other = client.call("POST", "/streams", {**NEW, "title": "Evening"}, who=host, key="k1")
    assert (other.status, other.code) == (409, "id_reused")
    assert client.call("POST", "/streams", NEW, who=host, key="k2").body["id"] != first.body["id"]
    assert client.call("POST", "/streams", NEW, who=client.host("host_two"), key="k1").body["id"] != first.body["id"]


def test_a_key_answers_the_stream_as_it_is_now(client: Client) -> None:
    host = client.host()
    made = client.call("POST", "/streams", NEW, who=host, key="k1")
    client.call("POST", f"/streams/{made.body['id']}/start", {"devices": BOTH}, who=host)
    assert client.call("POST", "/streams", NEW, who=host, key="k1").body["state"] == "live"


@pytest.mark.parametrize("key", ["", "k" * 129, "schlüssel", "a\tb"])
def test_an_unusable_key_is_named(client: Client, key: str) -> None:
    answer = client.call("POST", "/streams", NEW, who=client.host(), key=key)
    assert (answer.code, answer.field) == ("invalid_request", "Idempotency-Key")


def test_who_is_not_eligible_learns_every_requirement_and_makes_nothing(client: Client) -> None:
    young = client.sign_up("young", birth_date=f"{1970 + clock.now_ms() // 31_556_952_000 - 17}-06-01")
    body = {**NEW, "devices": {"camera": True}}
    answer = client.call("POST", "/streams", body, who=young, key="k1", headers={"Accept-Language": "ja"})
    assert (answer.status, answer.code) == (403, "not_eligible")
    unmet = [row["code"] for row in answer.body["error"]["details"] if not row["met"]]
    assert unmet == ["followers", "age", "microphone"]
    assert len(answer.body["error"]["details"]) == 7
    assert "フォロワー" in answer.body["error"]["details"][0]["fix"]
    with pytest.raises(StopIteration):
        next(iter(table.StreamItem.scan()))


def test_eligibility_is_asked_again_on_start(client: Client) -> None:
    host = client.host()
    stream_id = client.ready(host)
    ProfileItem(account_key(host.id), PROFILE).update([ProfileItem.standing.set("suspended")])
    answer = client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    assert answer.code == "not_eligible"
    assert table.required(stream_id).state == "ready"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " \t "}, "title"),
        ({"title": "a" * 101}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"title": None}, "title"),
        ({"topics": "music"}, "topics"),
        ({"topics": ["a", "b", "c", "d", "e", "f"]}, "topics"),
        ({"topics": ["ok", ""]}, "topics[1]"),
        ({"topics": [1]}, "topics[0]"),
        ({"devices": []}, "devices"),
        ({"devices": {"camera": "yes"}}, "devices.camera"),
        ({"audience": "nobody"}, "audience"),
        ({"audience": "members"}, "audience"),
        ({"min_age": -1}, "min_age"),
        ({"min_age": 100}, "min_age"),
        ({"min_age": "18"}, "min_age"),
        ({"scheduled_for": "2001-01-01T00:00:00Z"}, "scheduled_for"),
        ({"scheduled_for": "2099-01-01T00:00:00Z"}, "scheduled_for"),
        ({"scheduled_for": "2027-01-01T00:00:00"}, "scheduled_for"),
        ({"scheduled_for": "tomorrow"}, "scheduled_for"),
        ({"replay": "maybe"}, "replay"),
        ({"paid_partnership": ""}, "paid_partnership"),
    ],
)
def test_a_wrong_field_is_named(client: Client, change: dict[str, Any], field: str) -> None:
    host = client.host()
    answer = client.call("POST", "/streams", {**NEW, **change}, who=host)
    assert (answer.status, answer.code, answer.field) == (400, "invalid_request", field)
    stream_id = client.ready(host)
    if field not in ("devices", "devices.camera", "title") or change.get("title") is not None:
        changed = client.call("PATCH", f"/streams/{stream_id}", change, who=host)
        expected = 200 if field.startswith("devices") else 400
        assert changed.status == expected


@pytest.mark.parametrize("missing", ["title", "devices"])
def test_a_missing_field_is_named(client: Client, missing: str) -> None:
    body = {name: value for name, value in NEW.items() if name != missing}
    answer = client.call("POST", "/streams", body, who=client.host())
    assert (answer.code, answer.field) == ("invalid_request", missing)


def test_going_live_answers_where_to_publish_and_opens_the_room(client: Client) -> None:
    host = client.host()
    stream_id = client.ready(host)
    answer = client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    assert (answer.status, answer.body["state"]) == (200, "live")
    assert answer.body["publish"] == {
        "whip_url": f"https://relay.example/whip/{stream_id}",
        "rtmp_url": "rtmp://relay.example:1935/live",
        "stream_key": tokens.stream_key(stream_id, 1),
    }
    room = rooms.read_room(stream_id)
    assert room is not None and room.live and room.title == "Morning" and room.host.id == host.id
    assert client.call("GET", "/me", who=host).body["live_stream"] == stream_id


def test_starting_again_answers_the_same_key_and_the_same_room(client: Client) -> None:
    host = client.host()
    stream_id = client.ready(host)
    first = client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    epoch = rooms.read_room(stream_id)
    again = client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    assert again.body == first.body
    assert rooms.read_room(stream_id) == epoch


def test_a_crash_before_the_room_opened_is_made_good_by_starting_again(client: Client) -> None:
    host = client.host()
    stream_id = client.ready(host)
    stream = table.required(stream_id)
    assert table.start(stream_id, stream.host, stream.audience, accounts.required(host.id), "epoch-1", clock.now_ms())
    assert rooms.read_room(stream_id) is None  # here the function died
    assert client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host).status == 200
    room = rooms.read_room(stream_id)
    assert room is not None and room.epoch == "epoch-1"


def test_a_host_has_one_live_stream_at_a_time(client: Client) -> None:
    host = client.host()
    first, second = client.live(host), client.ready(host)
    answer = client.call("POST", f"/streams/{second}/start", {"devices": BOTH}, who=host)
    assert (answer.status, answer.code) == (409, "already_live")
    assert table.required(second).state == "ready"
    client.call("POST", f"/streams/{first}/end", who=host)
    assert client.call("POST", f"/streams/{second}/start", {"devices": BOTH}, who=host).status == 200


def test_only_the_host_acts_and_nobody_else_knows_of_a_stream_that_is_not_announced(client: Client) -> None:
    host, other = client.host(), client.host("host_two")
    ready, live = client.ready(host), client.live(host)
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/start", {"devices": BOTH}),
        ("POST", "/publish", None),
        ("POST", "/end", None),
        ("PATCH", "", {"title": "Mine"}),
        ("DELETE", "", None),
    ]
    for method, path, body in calls:
        assert client.call(method, f"/streams/{ready}{path}", body, who=other).code == "not_found"
        assert client.call(method, f"/streams/{live}{path}", body, who=other).code == "forbidden"
        assert client.call(method, f"/streams/nothing{path}", body, who=host).code == "not_found"
    assert client.call("GET", f"/streams/{ready}", who=other).code == "not_found"
    assert client.call("GET", f"/streams/{live}", who=other).status == 200
    assert table.required(live).state == "live" and table.required(ready).title == "Morning"


def test_taking_over_revokes_the_old_key_and_a_resent_request_does_not_revoke_the_new(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    flowing(client, stream_id)
    first = client.call("POST", f"/streams/{stream_id}/publish", who=host, key="phone-2")
    assert first.body["stream_key"] == tokens.stream_key(stream_id, 2)
    assert client.call("POST", f"/streams/{stream_id}/publish", who=host, key="phone-2").body == first.body
    third = client.call("POST", f"/streams/{stream_id}/publish", who=host)
    assert third.body["stream_key"] == tokens.stream_key(stream_id, 3)
    assert (table.required(stream_id).media, table.required(stream_id).feed_key) == ("lost", "lost")
    assert client.call("POST", f"/streams/{client.ready(host)}/publish", who=host).code == "not_live"


def test_ending_answers_the_summary_and_the_same_again(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    stream_id = client.live(host)
    client.call("PUT", "/accounts/host_one/follow", who=fan)
    url = ""
    for channel in ("link", "mail"):
        url = client.call("POST", f"/streams/{stream_id}/share", {"channel": channel}, who=fan).body["url"]
    client.call("POST", f"/streams/{stream_id}/ticket?via={url.rpartition('/')[2]}", who=client.sign_up("guest"))
    client.clock.offset_ms += 61_500
    first = client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert first.status == 200
    assert first.body["duration_s"] in (61, 62)
    assert first.body["new_followers"] == 1
    assert set(first.body) == {
        "duration_s",
        "viewers_peak",
        "viewers_unique",
        "comments",
        "reactions",
        "gifts",
        "diamonds",
        "new_followers",
        "shares",
        "arrivals",
    }
    assert (first.body["shares"], first.body["arrivals"]) == (2, 1)
    client.clock.offset_ms += 60_000
    assert client.call("POST", f"/streams/{stream_id}/end", who=host).body == first.body
    room = rooms.read_room(stream_id)
    assert room is not None and not room.live
    shown = client.call("GET", f"/streams/{stream_id}", who=fan).body
    assert (shown["state"], shown["end_reason"]) == ("ended", "host")
    assert "live_stream" not in client.call("GET", "/me", who=host).body


def test_what_never_was_live_cannot_end_and_what_ended_cannot_start(client: Client) -> None:
    host = client.host()
    stream_id = client.ready(host)
    assert client.call("POST", f"/streams/{stream_id}/end", who=host).code == "not_live"
    client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    answer = client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    assert (answer.status, answer.code) == (409, "conflict")
    room = rooms.read_room(stream_id)
    assert room is not None and not room.live


def test_a_stream_changes_only_before_it_starts(client: Client) -> None:
    host = client.host()
    stream_id = client.ready(host)
    changed = client.call(
        "PATCH", f"/streams/{stream_id}", {"title": "Noon", "scheduled_for": in_hours(3), "min_age": 18}, who=host
    )
    assert (changed.status, changed.body["title"], changed.body["state"]) == (200, "Noon", "scheduled")
    back = client.call("PATCH", f"/streams/{stream_id}", {"scheduled_for": None}, who=host)
    assert (back.body["state"], "scheduled_for" in back.body) == ("ready", False)
    client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    assert client.call("PATCH", f"/streams/{stream_id}", {"title": "Night"}, who=host).code == "conflict"
    assert table.required(stream_id).title == "Noon"


def test_a_live_stream_is_not_deleted(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    assert client.call("DELETE", f"/streams/{stream_id}", who=host).code == "conflict"
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert client.call("DELETE", f"/streams/{stream_id}", who=host).status == 204
    assert client.call("GET", f"/streams/{stream_id}", who=host).code == "not_found"


def ticket(client: Client, stream_id: str, who: Person | None = None) -> Any:
    headers = {"Authorization": f"Bearer {who.token}"} if who else {}
    return client.call("POST", f"/streams/{stream_id}/ticket", headers=headers)


def claims(answer: Any) -> dict[str, Any]:
    return tokens.read_ticket(parse_qs(urlsplit(answer.body["socket_url"]).query)["ticket"][0])


def test_a_visitor_gets_a_ticket_for_one_read(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    ticket(client, stream_id)  # the secrets are read once a container
    with observe.counting() as calls:
        answer = ticket(client, stream_id)
    assert [(call.service, call.operation) for call in calls] == [("dynamodb", "GetItem")]
    assert answer.status == 200 and answer.body["role"] == "visitor"
    got = claims(answer)
    assert got["sub"].startswith("visitor-") and got["role"] == "visitor" and got["stream"] == stream_id
    assert got["host"] == host.id
    assert answer.body["socket_url"].startswith("wss://socket.example/live?ticket=")
    address = urlsplit(answer.body["playback_url"])
    assert address.path.startswith("/live/") and address.path.endswith(f"/{stream_id}/index.m3u8")


def test_a_member_and_the_host_get_their_roles_for_two_reads(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    stream_id = client.live(host)
    assert ticket(client, stream_id, fan).body["role"] == "viewer"
    with observe.counting() as calls:
        answer = ticket(client, stream_id, fan)
    assert [(call.service, call.operation) for call in calls] == [("dynamodb", "GetItem"), ("dynamodb", "BatchGetItem")]
    got = claims(answer)
    assert (got["sub"], got["handle"], got["name"], got["badges"]) == (fan.id, "fan", "Fan", [])
    assert claims(ticket(client, stream_id, host))["role"] == "host"


def test_each_ticket_has_a_nonce_of_its_own(client: Client) -> None:
    stream_id = client.live(client.host())
    assert claims(ticket(client, stream_id))["jti"] != claims(ticket(client, stream_id))["jti"]


def test_there_is_no_ticket_to_what_is_not_live(client: Client) -> None:
    host = client.host()
    stream_id = client.ready(host)
    assert ticket(client, stream_id).code == "not_live"
    client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert ticket(client, stream_id, host).code == "not_live"
    assert ticket(client, "nothing").code == "not_found"


def test_followers_only_means_followers_only(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    stream_id = client.live(host, audience="followers")
    assert ticket(client, stream_id).code == "unauthenticated"
    assert ticket(client, stream_id, fan).code == "followers_only"
    assert ticket(client, stream_id, host).body["role"] == "host"
    client.call("PUT", "/accounts/host_one/follow", who=fan)
    assert ticket(client, stream_id, fan).body["role"] == "viewer"


def test_an_age_limit_asks_for_an_account_that_is_old_enough(client: Client) -> None:
    year = 1970 + clock.now_ms() // 31_556_952_000
    teen, adult = client.sign_up("teen", birth_date=f"{year - 16}-06-01"), client.sign_up("adult", birth_date=ADULT)
    stream_id = client.live(client.host(), min_age=18)
    assert ticket(client, stream_id).code == "unauthenticated"
    assert ticket(client, stream_id, teen).code == "age_restricted"
    assert ticket(client, stream_id, adult).body["role"] == "viewer"


@pytest.mark.parametrize("standing", ["suspended", "banned"])
def test_who_is_out_of_standing_gets_no_ticket(client: Client, standing: str) -> None:
    fan = client.sign_up("fan")
    stream_id = client.live(client.host())
    ProfileItem(account_key(fan.id), PROFILE).update([ProfileItem.standing.set(standing)])
    assert ticket(client, stream_id, fan).code == standing


def test_a_rooms_frames_are_for_those_whom_its_ticket_is_for(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    for_all = client.live(host)
    assert client.call("GET", f"/streams/{for_all}/frames").status == 200
    client.call("POST", f"/streams/{for_all}/end", who=host)
    assert client.call("GET", f"/streams/{for_all}/frames").status == 200
    for_followers = client.live(host, audience="followers")
    assert client.call("GET", f"/streams/{for_followers}/frames").code == "unauthenticated"
    assert client.call("GET", f"/streams/{for_followers}/frames", who=fan).code == "followers_only"
    client.call("PUT", "/accounts/host_one/follow", who=fan)
    assert client.call("GET", f"/streams/{for_followers}/frames", who=fan).status == 200


def feed(client: Client, name: str, who: Person, query: str = "") -> list[str]:
    answer = client.call("GET", f"/feed/{name}{query}", who=who)
    assert answer.status == 200, answer.body
    return [item["id"] for item in answer.body["items"]]


def test_the_feed_shows_what_is_live_and_flowing_and_for_everyone(client: Client) -> None:
    host, other, fan = client.host(), client.host("host_two"), client.sign_up("fan")
    stream_id, followers_only = client.live(host), client.live(other, audience="followers")
    assert feed(client, "for-you", fan) == []
    flowing(client, stream_id)
    flowing(client, followers_only)
    shown = client.call("GET", "/feed/for-you", who=fan).body["items"]
    assert [item["id"] for item in shown] == [stream_id]
    assert shown[0]["preview_url"] == f"https://relay.example/preview/{stream_id}.jpg"
    assert (shown[0]["host"]["handle"], shown[0]["viewers"], shown[0]["why"]) == ("host_one", 0, "just_started")
    media.take(MediaReport(stream_id, 1, "lost", clock.now_ms() + 1))
    assert feed(client, "for-you", fan) == []
    media.take(MediaReport(stream_id, 1, "flowing", clock.now_ms() + 2))
    assert feed(client, "for-you", fan) == [stream_id]
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert feed(client, "for-you", fan) == []


def test_the_feed_pages_newest_first_through_everything_once(client: Client) -> None:
    fan = client.sign_up("fan")
    made: list[str] = []
    for n in range(5):
        made.append(client.live(client.host(f"host_{n}")))
        flowing(client, made[-1])
        client.clock.offset_ms += 1000
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = client.call("GET", f"/feed/for-you?limit=2{cursor}", who=fan).body
        seen += [item["id"] for item in page["items"]]
        if "cursor" not in page:
            break
        cursor = f"&cursor={page['cursor']}"
    assert seen == made[::-1]


def test_following_shows_those_one_follows_and_only_them(client: Client) -> None:
    host, other, fan = client.host(), client.host("host_two"), client.sign_up("fan")
    mine, _ = client.live(host, audience="followers"), client.live(other)
    flowing(client, mine)
    assert feed(client, "following", fan) == []
    client.call("PUT", "/accounts/host_one/follow", who=fan)
    client.call("PUT", "/accounts/host_two/follow", who=fan)
    shown = client.call("GET", "/feed/following?limit=1", who=fan).body
    ids = [item["id"] for item in shown["items"]]
    while "cursor" in shown:
        shown = client.call("GET", f"/feed/following?limit=1&cursor={shown['cursor']}", who=fan).body
        ids += [item["id"] for item in shown["items"]]
    assert ids == [mine]


def test_upcoming_shows_what_is_announced_soonest_first_until_it_starts(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    later, sooner = client.ready(host, scheduled_for=in_hours(5)), client.ready(host, scheduled_for=in_hours(2))
    client.ready(host, scheduled_for=in_hours(1), audience="followers")
    client.ready(host)
    assert feed(client, "upcoming", fan) == [sooner, later]
    client.call("POST", f"/streams/{sooner}/start", {"devices": BOTH}, who=host)
    assert feed(client, "upcoming", fan) == [later]
    client.call("DELETE", f"/streams/{later}", who=host)
    assert feed(client, "upcoming", fan) == []


@pytest.mark.parametrize("name", ["for-you", "following", "upcoming"])
@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "limit=many", "cursor=%7B%7D", "cursor=WyJhIiwiYiIsImMiXQ"])
def test_a_wrong_page_of_a_feed_is_named(client: Client, name: str, query: str) -> None:
    answer = client.call("GET", f"/feed/{name}?{query}", who=client.sign_up("fan"))
    assert (answer.status, answer.code, answer.field) == (400, "invalid_request", query.partition("=")[0])
