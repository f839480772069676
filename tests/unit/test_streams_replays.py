"""Lists of recordings: one's own and a profile's, to whom each is shown, how long, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions import aws, clock, observe
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.streams import media, table
from functions.streams.model import DAY_MS, MediaReport
from tests.unit.https import Client, Person
from tests.unit.test_streams_recording import BUCKET, RUN, archived, name, over, replay, store

PICTURE = f"thumb-{2:012d}-{RUN}.jpg"


@pytest.fixture
def bucket(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MEDIA_BUCKET", BUCKET)
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    yield s3


def recorded(client: Client, s3: Any, host: Person, **more: Any) -> str:
    """A broadcast of which four seconds are stored."""
    stream_id = over(client, host, **more)
    store(s3, stream_id, name(1), name(2), PICTURE)
    assert archived(stream_id)
    return stream_id


def own(client: Client, host: Person, query: str = "") -> Any:
    answer = client.call("GET", f"/me/replays{query}", who=host)
    assert answer.status == 200, answer.body
    return answer.body


def ids(body: Any) -> list[str]:
    return [each["stream"]["id"] for each in body["items"]]


def seen(client: Client, who: Person, handle: str = "host_one") -> list[str]:
    """What the profile of ``handle`` lists for ``who``; all of it plays."""
    answer = client.call("GET", f"/accounts/{handle}/replays", who=who)
    assert answer.status == 200, answer.body
    found = ids(answer.body)
    assert all(replay(client, each, who).status == 200 for each in found)
    return found


def test_ones_own_are_listed_newest_first_with_what_each_came_to(client: Client, bucket: Any) -> None:
    host = client.host()
    first = recorded(client, bucket, host, title="First")
    second = recorded(client, bucket, host, replay="followers", title="Second")
    waiting = over(client, host, title="Third")
    found = own(client, host)
    assert ids(found) == [waiting, second, first]
    third, _, oldest = found["items"]
    assert (third["state"], "duration_s" in third, "bytes" in third) == ("processing", False, False)
    assert (oldest["state"], oldest["duration_s"], oldest["bytes"]) == ("ready", 4.0, 2 * len(b"media"))
    assert (oldest["viewers"], oldest["stream"]["title"]) == (0, "First")
    started_ms = table.required(first).started_ms or 0
    assert oldest["expires_at"] == clock.rfc3339(started_ms + 90 * DAY_MS)
    # its picture stands beside the playlist that the right to play names
    base = replay(client, first).body["playback_url"].split("/")
    assert oldest["picture_url"].split("/")[:4] == base[:4]
    assert oldest["picture_url"].endswith(f"/{first}/{PICTURE}")


def test_what_was_never_recorded_is_in_no_list(client: Client, bucket: Any) -> None:
    host = client.host()
    over(client, host, replay="off")
    nothing = over(client, host)
    assert archived(nothing), "of which no segment was stored"
    never_flowed = client.live(host)
    client.call("POST", f"/streams/{never_flowed}/end", who=host)
    client.ready(host)
    assert own(client, host) == {"items": []}
    assert seen(client, client.sign_up("ada")) == []


def test_a_page_goes_on_where_the_one_before_ended(client: Client, bucket: Any) -> None:
    host = client.host()
    made = [recorded(client, bucket, host) for _ in range(5)]
    listed: list[str] = []
    cursor = ""
    for _ in range(6):
        page = own(client, host, f"?limit=2{cursor}")
        listed += ids(page)
        if "cursor" not in page:
            break
        cursor = f"&cursor={page['cursor']}"
    assert listed == made[::-1]
    assert client.call("GET", "/me/replays?cursor=nonsense", who=host).code == "invalid_request"
    assert client.call("GET", "/me/replays?limit=101", who=host).code == "invalid_request"


def test_a_page_ends_the_list_when_what_follows_it_is_not_kept_any_more(client: Client, bucket: Any) -> None:
    host = client.host()
    older = recorded(client, bucket, host)
    client.clock.offset_ms += 60_000
    newer = recorded(client, bucket, host)
    first = own(client, host, "?limit=1")
    assert ids(first) == [newer]
    client.clock.offset_ms += 90 * DAY_MS
    with observe.counting() as calls:
        assert own(client, host, f"?limit=1&cursor={first['cursor']}") == {"items": []}
    # DynamoDB answers ValidationException to a start outside of the range, which moto lets pass.
    assert not [call for call in calls if "ExclusiveStartKey" in call.parameters]
    assert older not in ids(own(client, host))


def test_a_profile_lists_what_whoever_asks_may_play(client: Client, bucket: Any) -> None:
    host, fan, other = client.host(), client.sign_up("fan"), client.sign_up("other")
    child = client.sign_up("child", birth_date="2012-05-17")
    client.call("PUT", "/accounts/host_one/follow", who=fan)
    for_all = recorded(client, bucket, host)
    for_fans = recorded(client, bucket, host, replay="followers")
    live_for_fans = recorded(client, bucket, host, audience="followers")
    for_adults = recorded(client, bucket, host, min_age=18)
    over(client, host)  # is still put together
    assert seen(client, fan) == [for_adults, live_for_fans, for_fans, for_all]
    assert seen(client, other) == [for_adults, for_all]
    assert seen(client, child) == [for_all]
    assert seen(client, host) == [for_adults, live_for_fans, for_fans, for_all]
    # and what is left out does not play
    refused = [replay(client, each, other).code for each in (for_fans, live_for_fans)]
    assert refused == ["followers_only", "followers_only"]
    assert replay(client, for_adults, child).code == "age_restricted"


def test_a_recording_from_whose_room_one_is_banned_is_left_out(client: Client, bucket: Any) -> None:
    host, rude = client.host(), client.sign_up("rude")
    shut, free = recorded(client, bucket, host), recorded(client, bucket, host)
    assert seen(client, rude) == [free, shut]
    client.call("PUT", f"/streams/{shut}/members/rude", {"banned": True}, who=host)
    assert seen(client, rude) == [free]
    assert replay(client, shut, rude).code == "banned"


def test_a_block_hides_the_list_both_ways(client: Client, bucket: Any) -> None:
    host, other = client.host(), client.sign_up("other")
    recorded(client, bucket, host)
    client.call("PUT", "/accounts/other/block", who=host)
    assert client.call("GET", "/accounts/host_one/replays", who=other).code == "blocked"
    client.call("DELETE", "/accounts/other/block", who=host)
    client.call("PUT", "/accounts/host_one/block", who=other)
    assert client.call("GET", "/accounts/host_one/replays", who=other).code == "blocked"


def test_a_private_account_lists_for_its_followers_alone(client: Client, bucket: Any) -> None:
    host, fan, other = client.host(), client.sign_up("fan"), client.sign_up("other")
    client.call("PUT", "/accounts/host_one/follow", who=fan)
    stream_id = recorded(client, bucket, host)
    client.call("PATCH", "/me", {"private": True}, who=host)
    assert seen(client, fan) == [stream_id]
    assert client.call("GET", "/accounts/host_one/replays", who=other).code == "forbidden"


def standing(who: Person, value: str) -> None:
    ProfileItem(account_key(who.id), PROFILE).update([ProfileItem.standing.set(value)])


def test_who_is_shut_out_sees_none_and_their_own_are_shown_to_nobody(client: Client, bucket: Any) -> None:
    host, other = client.host(), client.sign_up("other")
    stream_id = recorded(client, bucket, host)
    standing(other, "suspended")
    assert client.call("GET", "/accounts/host_one/replays", who=other).code == "suspended"
    standing(other, "good")
    standing(host, "suspended")
    assert seen(client, other) == []
    assert ids(own(client, host)) == [stream_id], "one's own data stays in sight"


def test_the_recording_of_a_host_who_is_shut_out_plays_for_nobody_else_by_its_link(client: Client, bucket: Any) -> None:
    host, other = client.host(), client.sign_up("other")
    stream_id = recorded(client, bucket, host)
    for value in ("suspended", "banned"):
        standing(host, value)
        for who in (other, None):
            assert replay(client, stream_id, who).code == "not_found"
        # What was said in it is as closed.
        assert client.call("GET", f"/streams/{stream_id}/frames").code == "not_found"
        assert replay(client, stream_id, host).code == value
    standing(host, "limited")
    assert replay(client, stream_id, other).status == replay(client, stream_id).status == 200
    # An account that is gone leaves nobody to answer for it.
    ProfileItem(account_key(host.id), PROFILE).delete()
    assert replay(client, stream_id, other).code == replay(client, stream_id).code == "not_found"


def test_the_recording_of_a_host_who_became_private_plays_by_its_link_for_followers(
    client: Client, bucket: Any
) -> None:
    host, fan, other = client.host(), client.sign_up("fan"), client.sign_up("other")
    client.call("PUT", "/accounts/host_one/follow", who=fan)
    stream_id = recorded(client, bucket, host)
    client.call("PATCH", "/me", {"private": True}, who=host)
    assert replay(client, stream_id, fan).status == replay(client, stream_id, host).status == 200
    assert replay(client, stream_id, other).code == "forbidden"
    assert replay(client, stream_id).code == "unauthenticated"
    assert client.call("GET", f"/streams/{stream_id}/frames", who=other).code == "forbidden"
    client.call("PATCH", "/me", {"private": False}, who=host)
    assert replay(client, stream_id, other).status == replay(client, stream_id).status == 200


def test_a_right_to_play_costs_two_calls_and_a_ticket_to_what_is_live_none_more(client: Client, bucket: Any) -> None:
    host, other = client.host(), client.sign_up("other")
    stream_id = recorded(client, bucket, host)
    live = client.live(client.host("host_two"))
    for who in (other, None):
        # Secrets are read once a container.
        replay(client, stream_id, who)
        client.call("POST", f"/streams/{live}/ticket", who=who)
        with observe.counting() as calls:
            assert replay(client, stream_id, who).status == 200
        assert [call.operation for call in calls] == ["GetItem", "BatchGetItem"]
        with observe.counting() as calls:
            assert client.call("POST", f"/streams/{live}/ticket", who=who).status == 200
        assert [call.operation for call in calls] == ["GetItem", *(["BatchGetItem"] if who else [])]


def test_a_recording_taken_back_is_left_to_its_host(client: Client, bucket: Any) -> None:
    host, other = client.host(), client.sign_up("other")
    stream_id = recorded(client, bucket, host)
    changed = client.call("PATCH", f"/streams/{stream_id}", {"replay": "off"}, who=host)
    assert (changed.status, changed.body["state"]) == (200, "ended")
    assert seen(client, other) == []
    for path in ("replay", "frames"):
        assert client.call("GET", f"/streams/{stream_id}/{path}").code == "not_found", path
    assert replay(client, stream_id, other).code == "not_found"
    # the host lists and plays it, and shows it again, longer by what came late
    assert ids(own(client, host)) == [stream_id]
    assert replay(client, stream_id, host).status == 200
    store(bucket, stream_id, name(3))
    assert archived(stream_id)
    client.call("PATCH", f"/streams/{stream_id}", {"replay": "followers"}, who=host)
    assert replay(client, stream_id, other).code == "followers_only"
    client.call("PATCH", f"/streams/{stream_id}", {"replay": "public"}, who=host)
    assert seen(client, other) == [stream_id]
    assert replay(client, stream_id).body["duration_s"] == 6.0


def test_of_a_recording_nothing_else_changes_and_only_its_host_changes_it(client: Client, bucket: Any) -> None:
    host, other = client.host(), client.sign_up("other")
    stream_id = recorded(client, bucket, host)
    target = f"/streams/{stream_id}"
    assert client.call("PATCH", target, {"replay": "off"}, who=other).code == "forbidden"
    assert client.call("PATCH", target, {"replay": "off", "title": "Other"}, who=host).code == "conflict"
    assert client.call("PATCH", target, {"replay": "off", "paid_partnership": None}, who=host).code == "conflict"
    # what was not recorded cannot be shown afterwards
    silent = over(client, host, replay="off")
    assert client.call("PATCH", f"/streams/{silent}", {"replay": "public"}, who=host).code == "conflict"
    unready = over(client, host)
    assert client.call("PATCH", f"/streams/{unready}", {"replay": "off"}, who=host).code == "conflict"
    assert table.required(stream_id).replay == "public"


def test_what_is_not_kept_whole_any_more_is_neither_listed_nor_played(client: Client, bucket: Any) -> None:
    host, other = client.host(), client.sign_up("other")
    stream_id = recorded(client, bucket, host)
    started_ms = table.required(stream_id).started_ms or 0
    client.clock.offset_ms += started_ms + 90 * DAY_MS - clock.now_ms() - 60_000
    listed = "/accounts/host_one/replays"
    assert ids(client.call("GET", listed, who=other).body) == [stream_id]
    assert replay(client, stream_id).status == 200
    assert client.call("GET", f"/streams/{stream_id}", who=other).body["state"] == "replay"
    client.clock.offset_ms += 60_000
    assert client.call("GET", listed, who=other).body == {"items": []}
    assert own(client, host) == {"items": []}
    assert replay(client, stream_id).code == "not_found"
    assert client.call("GET", f"/streams/{stream_id}", who=other).body["state"] == "ended"
    assert client.call("POST", f"/streams/{stream_id}/replay/download", who=host).code == "not_found"


def test_a_deleted_recording_leaves_the_lists(client: Client, bucket: Any) -> None:
    host = client.host()
    stream_id = recorded(client, bucket, host)
    assert client.call("DELETE", f"/streams/{stream_id}", who=host).status == 204
    assert own(client, host) == {"items": []}


def test_a_page_costs_two_calls_for_oneself_and_five_for_others_however_many_broadcasts_there_were(
    client: Client, bucket: Any
) -> None:
    host, other = client.host(), client.sign_up("other")
    for _ in range(3):
        client.ready(host)
        recorded(client, bucket, host)
    own(client, host)  # reads the key of tokens, which a container keeps
    with observe.counting() as calls:
        own(client, host)
    assert [call.operation for call in calls] == ["Query", "BatchGetItem"]
    assert calls[0].parameters["IndexName"] == "replays"
    with observe.counting() as calls:
        assert len(client.call("GET", "/accounts/host_one/replays", who=other).body["items"]) == 3
    assert [call.operation for call in calls] == ["GetItem", "BatchGetItem", "Query", "BatchGetItem", "BatchGetItem"]


def test_a_summary_that_comes_after_the_replay_lists_it_as_well(client: Client, bucket: Any) -> None:
    """The relay was quicker than the end of the broadcast."""
    host = client.host()
    stream_id = client.live(host)
    assert media.take(MediaReport(stream_id, 1, "flowing", clock.now_ms()))
    store(bucket, stream_id, name(1))
    stream = table.required(stream_id)
    table.end(stream, "host", clock.now_ms(), 0)
    assert archived(stream_id)
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert ids(own(client, host)) == [stream_id]
