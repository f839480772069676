"""Reminders: asked for, told before the start and at go-live, once each, to those who may watch."""

from __future__ import annotations

from typing import Any

import pytest

from functions import clock, observe
from functions.accounts import erasing, follows, notice_choice, reminders
from functions.accounts.notice_choice import Preferences
from functions.streams import sweep, table
from functions.streams.model import REMIND_AHEAD_MS
from tests.unit.https import BOTH, Client, Person
from tests.unit.test_notices import announce_all, flow, inbox

HOUR_MS = 3_600_000


def planned(client: Client, host: Person, ahead_ms: int = HOUR_MS, **changes: Any) -> str:
    return client.ready(host, scheduled_for=clock.rfc3339(clock.now_ms() + ahead_ms), **changes)


def remind(client: Client, who: Person, stream_id: str, method: str = "PUT") -> Any:
    return client.call(method, f"/streams/{stream_id}/reminder", who=who)


def wait_until_shortly_before(client: Client, stream_id: str) -> None:
    at_ms = table.required(stream_id).scheduled_ms or 0
    client.clock.sleep_ms(at_ms - REMIND_AHEAD_MS + 60_000 - clock.now_ms())


def kinds(client: Client, who: Person) -> list[str]:
    return [one["kind"] for one in inbox(client, who)]


def test_who_asked_is_told_before_the_start_and_when_it_is_live_and_others_are_not(client: Client) -> None:
    host, fan, other = client.host(), client.sign_up("fan"), client.sign_up("other")
    notice_choice.write(fan.id, Preferences(language="ja"))
    stream_id = planned(client, host)
    assert [remind(client, fan, stream_id).status for _ in range(2)] == [204, 204]

    sweep.sweep()
    assert announce_all() == 0, "an hour ahead is too early"
    wait_until_shortly_before(client, stream_id)
    for _ in range(3):
        sweep.sweep()
        announce_all(twice=True)

    (told,) = inbox(client, fan, "de")
    assert (told["kind"], told["title"]) == ("reminder", "Host_One geht bald live")
    assert (told["body"], told["url"]) == ("Morning", f"/watch/{stream_id}")
    client.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
    flow(stream_id)
    announce_all(twice=True)
    assert kinds(client, fan) == ["go_live", "reminder"]
    assert inbox(client, other) == []


def test_a_start_that_is_put_off_is_told_anew(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    stream_id = planned(client, host)
    remind(client, fan, stream_id)
    wait_until_shortly_before(client, stream_id)
    sweep.sweep()
    announce_all()
    later = clock.rfc3339(clock.now_ms() + 2 * HOUR_MS)
    assert client.call("PATCH", f"/streams/{stream_id}", {"scheduled_for": later}, who=host).status == 200
    sweep.sweep()
    announce_all()
    assert kinds(client, fan) == ["reminder"]

    wait_until_shortly_before(client, stream_id)
    sweep.sweep()
    announce_all()

    assert kinds(client, fan) == ["reminder", "reminder"]


def test_a_reminder_that_was_taken_back_is_not_told(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    stream_id = planned(client, host)
    remind(client, fan, stream_id)
    assert [remind(client, fan, stream_id, "DELETE").status for _ in range(2)] == [204, 204]
    wait_until_shortly_before(client, stream_id)

    sweep.sweep()
    announce_all()

    assert inbox(client, fan) == []


def test_what_is_for_followers_reminds_followers_alone(client: Client) -> None:
    host, fan, leaver = client.host(), client.sign_up("fan"), client.sign_up("leaver")
    for one in (fan, leaver):
        follows.follow(one.id, host.id)
    stream_id = planned(client, host, audience="followers")
    stranger = remind(client, client.sign_up("stranger"), stream_id)
    assert (stranger.status, stranger.code) == (403, "followers_only")
    for one in (fan, leaver):
        assert remind(client, one, stream_id).status == 204
    follows.unfollow(leaver.id, host.id)
    wait_until_shortly_before(client, stream_id)

    sweep.sweep()
    announce_all()

    assert kinds(client, fan) == ["reminder"]
    assert inbox(client, leaver) == []


def test_only_what_is_announced_can_be_reminded_of(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    assert remind(client, fan, client.ready(host)).code == "not_found"
    assert remind(client, fan, "nothing").code == "not_found"
    assert remind(client, host, planned(client, host)).code == "invalid_request"
    assert remind(client, fan, client.live(host)).code == "conflict"


def test_the_list_of_what_comes_says_what_one_is_reminded_of_and_leaves_out_who_did_not_come(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    first, second = planned(client, host), planned(client, host, 2 * HOUR_MS)
    remind(client, fan, second)

    shown = client.call("GET", "/feed/upcoming", who=fan).body["items"]
    assert [(one["id"], one["reminder"]) for one in shown] == [(first, False), (second, True)]
    assert client.call("GET", f"/streams/{second}", who=fan).body["reminder"] is True

    client.clock.sleep_ms(2 * HOUR_MS + 60_000)
    shown = client.call("GET", "/feed/upcoming", who=fan).body["items"]
    assert [one["id"] for one in shown] == [second]


def test_a_page_of_what_comes_goes_on_when_who_did_not_come_ended_the_one_before(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    first, second = planned(client, host), planned(client, host, 2 * HOUR_MS)
    page = client.call("GET", "/feed/upcoming?limit=1", who=fan).body
    assert [one["id"] for one in page["items"]] == [first]
    client.clock.sleep_ms(2 * HOUR_MS + 60_000)
    with observe.counting() as calls:
        page = client.call("GET", f"/feed/upcoming?limit=1&cursor={page['cursor']}", who=fan).body
    assert [one["id"] for one in page["items"]] == [second]
    # DynamoDB answers ValidationException to a start outside of the range, which moto lets pass.
    assert not [call for call in calls if "ExclusiveStartKey" in call.parameters]


def test_reminders_have_a_limit_that_only_what_is_to_come_counts_against(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "REMINDERS_MAX", 2)
    host, fan = client.host(), client.sign_up("fan")
    first, second, third = (planned(client, host) for _ in range(3))
    for one in (first, second):
        assert remind(client, fan, one).status == 204
    assert remind(client, fan, third).code == "conflict"
    client.call("DELETE", f"/streams/{first}", who=host)

    assert remind(client, fan, third).status == 204
    assert set(reminders.listed_of(fan.id)) == {second, third}


def test_an_erased_account_leaves_no_reminder(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    stream_id = planned(client, host)
    remind(client, fan, stream_id)
    assert reminders.listed(stream_id, None, 10) == ([fan.id], None)

    erasing.begin(fan.id, fan.handle)
    assert erasing.erase(fan.id, lambda: 60_000)

    assert reminders.listed(stream_id, None, 10) == ([], None)


def test_a_profile_names_the_broadcast_that_is_announced_next_to_who_may_watch_it(client: Client) -> None:
    host, fan, stranger = client.host(), client.sign_up("fan"), client.sign_up("stranger")
    follows.follow(fan.id, host.id)
    assert "next_stream" not in client.call("GET", f"/accounts/{host.handle}", who=fan).body
    open_one = planned(client, host, 3 * HOUR_MS)
    inner = planned(client, host, HOUR_MS, audience="followers")
    client.ready(host)

    def next_for(who: Person) -> str | None:
        found: str | None = client.call("GET", f"/accounts/{host.handle}", who=who).body.get("next_stream")
        return found

    assert [next_for(one) for one in (host, fan, stranger)] == [inner, inner, open_one]
    client.clock.sleep_ms(2 * HOUR_MS)
    assert next_for(fan) == open_one, "what should have begun is not next any more"
