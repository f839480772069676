"""Reports: one case for each target with a clock, what operators see and decide, and what reporters are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import observe
from functions.accounts import report_routes, reports
from functions.accounts.reports import DUE_GRAVE_MS, DUE_MS, Case, Target, reported
from tests.unit.https import Answer, Client, Person
from tests.unit.moderated_room import ModeratedRoom, made

TARGET = Target("account", "a1", "ada")


@pytest.fixture
def room(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModeratedRoom]:
    with made(client, monkeypatch) as room:
        yield room


def report(client: Client, target: str, who: Person, **body: Any) -> Answer:
    return client.call("POST", f"{target}/report", {"reason": "spam", **body}, who=who)


def queue(client: Client, query: str = "") -> list[dict[str, Any]]:
    olga = client.people.get("olga") or client.operator()
    return list(client.call("GET", f"/operator/reports{query}", who=olga).body["items"])


def decide(client: Client, case: str, state: str) -> Answer:
    body = {"state": state, "reason": "looked at it"}
    return client.call("PUT", f"/operator/reports/{case}", body, who=client.people["olga"])


def test_reports_of_one_account_are_one_case_with_a_day_to_decide(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    client.sign_up("eve")
    assert report(client, "/accounts/eve", ada, text="  sells   followers ").status == 202
    assert report(client, "/accounts/eve", bob, reason="fraud").status == 202
    (case,) = queue(client)
    assert (case["kind"], case["handle"], case["reports"], case["state"]) == ("account", "eve", 2, "open")
    assert case["reasons"] == {"spam": 1, "fraud": 1}
    assert case["texts"] == ["sells   followers"]
    assert not case["overdue"]
    client.clock.offset_ms += DUE_MS + 1
    assert queue(client)[0]["overdue"]


def test_comments_that_are_not_there_are_looked_for_so_often_and_no_more(room: ModeratedRoom, client: Client) -> None:
    cyd = room.person("cyd")
    for n in range(report_routes.COMMENTS_A_DAY_MAX):
        assert report(client, f"/streams/{room.stream}", cyd, event_id=f"made_up_{n}").code == "not_found"
    with observe.counting() as calls:
        refused = report(client, f"/streams/{room.stream}", cyd, event_id="made_up")
    assert refused.code == "rate_limited" and int(refused.headers["Retry-After"]) <= 24 * 3600
    assert not [call for call in calls if call.operation == "Query"]


def test_the_same_report_again_counts_once(client: Client) -> None:
    ada = client.sign_up("ada")
    client.sign_up("eve")
    for _ in range(3):
        assert report(client, "/accounts/eve", ada).status == 202
    assert queue(client)[0]["reports"] == 1


def test_a_comment_is_kept_as_it_stood_when_it_was_reported(room: ModeratedRoom) -> None:
    client, bob, cyd = room.client, room.person("bob"), room.person("cyd")
    event_id = room.enter(bob).chat("1", "you are all fools")["event_id"]
    room.sequence()
    assert report(client, f"/streams/{room.stream}", cyd, reason="harassment", event_id=event_id).status == 202
    assert room.call("DELETE", f"/events/{event_id}").status == 204
    room.sequence()
    (case,) = queue(client)
    assert (case["kind"], case["handle"], case["text"]) == ("comment", "bob", "you are all fools")
    assert (case["stream_id"], case["event_id"]) == (room.stream, event_id)
    assert case["said_at"].endswith("Z")
    # Gone it can be reported no longer.
    assert report(client, f"/streams/{room.stream}", room.person("dee"), event_id=event_id).code == "not_found"


def test_a_broadcast_is_reported_as_its_host_s(room: ModeratedRoom) -> None:
    assert report(room.client, f"/streams/{room.stream}", room.person("bob")).status == 202
    (case,) = queue(room.client)
    assert (case["kind"], case["handle"], case["stream_id"]) == ("stream", room.host.handle, room.stream)


def test_what_is_grave_comes_first_and_hastens_its_case(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    for name in ("eve", "max"):
        client.sign_up(name)
        report(client, f"/accounts/{name}", ada)
        client.clock.offset_ms += 1000
    assert [case["handle"] for case in queue(client)] == ["eve", "max"]
    report(client, "/accounts/max", bob, reason="minor_safety")
    assert [case["handle"] for case in queue(client)] == ["max", "eve"]
    assert len(queue(client)) == 2


def test_an_operator_takes_and_decides_a_case_and_the_reporter_is_told(client: Client) -> None:
    ada = client.sign_up("ada")
    client.sign_up("eve")
    report(client, "/accounts/eve", ada)
    (case,) = queue(client)
    assert decide(client, case["id"], "taken").body["taken_by"] == "olga"
    assert [one["state"] for one in queue(client)] == ["taken"]
    assert client.call("GET", "/me/reports", who=ada).body["items"][0]["state"] == "open"
    assert decide(client, case["id"], "acted").status == 200
    assert queue(client) == []
    (told,) = client.call("GET", "/me/reports", who=ada).body["items"]
    assert (told["kind"], told["handle"], told["reason"], told["state"]) == ("account", "eve", "spam", "acted")
    assert decide(client, case["id"], "dismissed").code == "conflict"
    trail = client.call("GET", "/operator/audit", who=client.people["olga"]).body["items"]
    assert [one["action"] for one in trail] == ["report.acted", "report.taken"]
    assert {one["target"] for one in trail} == {"eve"}


def test_a_case_that_someone_else_is_at_is_not_taken_twice(client: Client) -> None:
    ada = client.sign_up("ada")
    client.sign_up("eve")
    report(client, "/accounts/eve", ada)
    (case,) = queue(client)
    decide(client, case["id"], "taken")
    otto = client.operator("otto")
    body = {"state": "taken", "reason": "mine"}
    assert client.call("PUT", f"/operator/reports/{case['id']}", body, who=otto).code == "conflict"


def test_a_decided_case_begins_anew_with_the_next_report(client: Client) -> None:
    ada = client.sign_up("ada")
    client.sign_up("eve")
    report(client, "/accounts/eve", ada)
    decide(client, queue(client)[0]["id"], "dismissed")
    report(client, "/accounts/eve", ada, reason="fraud")
    (case,) = queue(client)
    assert case["reasons"] == {"fraud": 1}
    states = [one["state"] for one in client.call("GET", "/me/reports", who=ada).body["items"]]
    assert sorted(states) == ["acted", "open"] or sorted(states) == ["dismissed", "open"]


def test_the_queue_is_paged(client: Client) -> None:
    ada = client.sign_up("ada")
    for name in ("eve", "max", "kim"):
        client.sign_up(name)
        report(client, f"/accounts/{name}", ada)
    olga = client.operator()
    first = client.call("GET", "/operator/reports?limit=2", who=olga).body
    rest = client.call("GET", f"/operator/reports?limit=2&cursor={first['cursor']}", who=olga).body
    assert [case["handle"] for case in [*first["items"], *rest["items"]]] == ["eve", "max", "kim"]


def test_a_flood_of_reports_is_stopped_for_the_day(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "REPORTS_A_DAY_MAX", 2)
    ada = client.sign_up("ada")
    for name in ("eve", "max", "kim"):
        client.sign_up(name)
    assert report(client, "/accounts/eve", ada).status == report(client, "/accounts/max", ada).status == 202
    assert report(client, "/accounts/kim", ada).code == "rate_limited"
    assert [case["handle"] for case in queue(client)] == ["eve", "max"]
    client.clock.offset_ms += 24 * 3_600_000
    assert report(client, "/accounts/kim", ada).status == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "dull"}, "reason"),
        ({"reason": None}, "reason"),
        ({"text": "x" * 501}, "text"),
        ({"text": 5}, "text"),
        ({"event_id": ""}, "event_id"),
    ],
)
def test_what_is_wrong_is_named(client: Client, body: dict[str, Any], field: str) -> None:
    ada = client.sign_up("ada")
    client.sign_up("eve")
    refused = report(client, "/accounts/eve", ada, **body)
    assert (refused.status, refused.code, refused.body["error"]["details"]["field"]) == (400, "invalid_request", field)
    assert queue(client) == []


def test_nobody_reports_oneself_or_nobody_and_only_operators_see_the_queue(client: Client) -> None:
    ada = client.sign_up("ada")
    assert report(client, "/accounts/ada", ada).code == "forbidden"
    assert report(client, "/accounts/nobody", ada).code == "not_found"
    assert report(client, "/streams/none", ada).code == "not_found"
    assert client.call("GET", "/operator/reports", who=ada).code == "forbidden"
    assert client.call("PUT", "/operator/reports/x", {"state": "acted", "reason": "no"}, who=ada).code == "forbidden"
    client.operator()
    assert decide(client, "nothing", "acted").code == "not_found"


@given(st.lists(st.sampled_from(["spam", "violence", "other", "minor_safety"]), min_size=1, max_size=20))
def test_a_case_counts_every_report_and_is_due_by_its_gravest(reasons: list[Any]) -> None:
    case: Case | None = None
    for at, reason in enumerate(reasons):
        case = reported(case, TARGET, reason, None, at)
    assert case is not None
    assert sum(case.reasons.values()) == case.version == len(reasons)
    grave = [at for at, reason in enumerate(reasons) if reason in reports.GRAVE]
    assert case.due_ms == min([DUE_MS, *(at + DUE_GRAVE_MS for at in grave)])
