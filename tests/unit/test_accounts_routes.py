"""Routes of accounts: sign-up with its crashes and repeats, sessions, profiles, follows, eligibility."""

from __future__ import annotations

from typing import Any

import pytest

from functions import observe
from functions.accounts import pool, table
from functions.accounts.table import PROFILE, ProfileItem, account_key
from tests.unit.https import PASSWORD, Client

ADA = {"handle": "ada", "password": PASSWORD, "display_name": "Ada", "birth_date": "1990-05-17", "market": "DE"}


def test_a_new_account_is_answered_in_its_owners_view(client: Client) -> None:
    answer = client.call("POST", "/accounts", {**ADA, "contact": "ada@example.org"})
    assert answer.status == 201
    assert answer.body["handle"] == "ada"
    assert answer.body["birth_date"] == "1990-05-17"
    assert answer.body["contact"] == "ada@example.org"
    assert (answer.body["followers"], answer.body["following"], answer.body["standing"]) == (0, 0, "good")
    assert "password" not in answer.body


def test_the_same_sign_up_again_answers_the_same_account(client: Client) -> None:
    first = client.call("POST", "/accounts", ADA, key="k1")
    again = client.call("POST", "/accounts", ADA, key="k1")
    without_key = client.call("POST", "/accounts", ADA)
    assert (again.status, again.body) == (201, first.body)
    assert (without_key.status, without_key.body) == (201, first.body)


def test_a_key_used_for_another_sign_up_is_refused(client: Client) -> None:
    client.call("POST", "/accounts", ADA, key="k1")
    other = client.call("POST", "/accounts", {**ADA, "handle": "ada2"}, key="k1")
    assert (other.status, other.code) == (409, "id_reused")


def test_a_key_is_forgotten_after_a_day(client: Client) -> None:
    client.call("POST", "/accounts", ADA, key="k1")
    client.clock.offset_ms += 24 * 3_600_000 + 1000
    assert client.call("POST", "/accounts", {**ADA, "handle": "ada2"}, key="k1").status == 201


@pytest.mark.parametrize("change", [{"password": "Another-pass-1"}, {"display_name": "Eve"}, {"market": "US"}])
def test_a_taken_handle_is_a_conflict_for_everyone_else(client: Client, change: dict[str, str]) -> None:
    client.call("POST", "/accounts", ADA)
    answer = client.call("POST", "/accounts", {**ADA, **change})
    assert (answer.status, answer.code, answer.field) == (409, "conflict", "handle")


def test_a_crash_between_pool_and_table_is_made_good_by_resending(client: Client) -> None:
    account_id = pool.sign_up("ada", PASSWORD)  # and here the function died
    assert client.call("POST", "/accounts", {**ADA, "password": "Another-pass-1"}).code == "conflict"
    answer = client.call("POST", "/accounts", ADA)
    assert (answer.status, answer.body["id"]) == (201, account_id)
    assert table.required(account_id).handle == "ada"


def _sub(answer: Any) -> str:
    return next(str(one["Value"]) for one in answer["User"]["Attributes"] if one["Name"] == "sub")


def test_a_crash_before_the_confirmation_is_made_good_by_resending(client: Client) -> None:
    from functions import aws

    signed = aws.client("cognito-idp").admin_create_user(
        UserPoolId=client.pool_id, Username="ada", TemporaryPassword=PASSWORD
    )
    answer = client.call("POST", "/accounts", ADA)
    assert (answer.status, answer.body["id"]) == (201, _sub(signed))
    assert client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).status == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"handle": "Ada"}, "handle"),
        ({"handle": "ad"}, "handle"),
        ({"handle": "admin"}, "handle"),
        ({"handle": 7}, "handle"),
        ({"password": ""}, "password"),
        ({"password": None}, "password"),
        ({"display_name": "   "}, "display_name"),
        ({"display_name": "a" * 51}, "display_name"),
        ({"display_name": "a\u0000b"}, "display_name"),
        ({"birth_date": "2030-01-01"}, "birth_date"),
        ({"birth_date": "1990-02-30"}, "birth_date"),
        ({"birth_date": "1850-01-01"}, "birth_date"),
        ({"birth_date": 1990}, "birth_date"),
        ({"market": "ZZ"}, "market"),
        ({"market": "de"}, "market"),
        ({"contact": "nobody"}, "contact"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_made(client: Client, change: dict[str, Any], field: str) -> None:
    answer = client.call("POST", "/accounts", {**ADA, **change})
    assert (answer.status, answer.code, answer.field) == (400, "invalid_request", field)
    assert client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).code == "unauthenticated"


@pytest.mark.parametrize("missing", ["handle", "password", "display_name", "birth_date", "market"])
def test_a_missing_field_is_named(client: Client, missing: str) -> None:
    answer = client.call("POST", "/accounts", {name: value for name, value in ADA.items() if name != missing})
    assert (answer.status, answer.code, answer.field) == (400, "invalid_request", missing)


def test_length_counts_composed_characters(client: Client) -> None:
    decomposed = "e\u0301" * 50  # 100 code points, 50 once composed
    answer = client.call("POST", "/accounts", {**ADA, "display_name": decomposed})
    assert answer.body["display_name"] == "é" * 50


def test_a_child_is_refused_with_the_markets_age(client: Client) -> None:
    year = 1970 + client.clock.now_ms() // 31_556_952_000
    answer = client.call("POST", "/accounts", {**ADA, "birth_date": f"{year - 14}-06-01"})
    assert (answer.status, answer.code, answer.field) == (403, "age_restricted", "birth_date")
    assert answer.body["error"]["details"]["needed"] == 16


def test_the_pools_password_policy_is_passed_on(client: Client) -> None:
    answer = client.call("POST", "/accounts", {**ADA, "password": "short"})
    assert (answer.status, answer.code, answer.field) == (400, "invalid_request", "password")
    assert answer.body["error"]["details"]["reason"]


def test_a_session_by_password_and_by_refresh_token(client: Client) -> None:
    client.sign_up("ada")
    session = client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD})
    assert session.status == 200
    assert session.body["expires_in"] > 0
    again = client.call("POST", "/sessions", {"refresh_token": session.body["refresh_token"]})
    assert again.status == 200
    assert again.body["access_token"] and again.body["refresh_token"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"handle": "ada", "password": "wrong-Pass-1"}, "unauthenticated"),
        ({"handle": "nobody", "password": PASSWORD}, "unauthenticated"),
        ({"handle": "", "password": PASSWORD}, "unauthenticated"),
        ({"handle": "x" * 500, "password": PASSWORD}, "unauthenticated"),
        ({"refresh_token": "forged"}, "unauthenticated"),
        ({"handle": "ada"}, "invalid_request"),
        ({"password": PASSWORD}, "invalid_request"),
        ({}, "invalid_request"),
        ({"refresh_token": 5}, "invalid_request"),
    ],
)
def test_a_wrong_sign_in_tells_nothing_of_who_exists(client: Client, body: dict[str, Any], code: str) -> None:
    client.sign_up("ada")
    assert client.call("POST", "/sessions", body).code == code


def test_signing_out_ends_every_session(client: Client) -> None:
    ada = client.sign_up("ada")
    session = client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD})
    assert client.call("DELETE", "/sessions", who=ada).status == 204
    refreshed = client.call("POST", "/sessions", {"refresh_token": session.body["refresh_token"]})
    assert refreshed.code == "unauthenticated"
    assert client.call("DELETE", "/sessions", who=ada).status == 204


def test_changing_the_display_name_and_nothing_else(client: Client) -> None:
    ada = client.sign_up("ada")
    before = client.call("GET", "/me", who=ada).body
    assert client.call("PATCH", "/me", {}, who=ada).body == before
    changed = client.call("PATCH", "/me", {"display_name": " Ada L. ", "birth_date": "2000-01-01"}, who=ada).body
    assert changed == {**before, "display_name": "Ada L."}
    assert client.call("GET", "/me", who=ada).body == changed


def test_a_token_of_an_account_that_is_gone_signs_nobody_in(client: Client) -> None:
    ada = client.sign_up("ada")
    ProfileItem(account_key(ada.id), PROFILE).delete()
    assert client.call("GET", "/me", who=ada).code == "unauthenticated"
    assert client.call("PATCH", "/me", {"display_name": "Ghost"}, who=ada).code == "unauthenticated"


def test_the_public_profile_keeps_what_is_private(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    profile = client.call("GET", "/accounts/ada", who=bob)
    assert profile.status == 200
    assert set(profile.body) == {"id", "handle", "display_name", "followers", "following", "avatar_url", "badges"} | {
        "private",
        "relation",
    }
    assert profile.body["id"] == ada.id
    assert client.call("GET", "/accounts/nobody", who=bob).code == "not_found"


def test_a_profile_shows_the_live_stream(client: Client) -> None:
    host, bob = client.host(), client.sign_up("bob")
    stream_id = client.live(host)
    assert client.call("GET", "/accounts/host_one", who=bob).body["live_stream"] == stream_id
    client.call("POST", f"/streams/{stream_id}/end", who=host)
    assert "live_stream" not in client.call("GET", "/accounts/host_one", who=bob).body


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=%21", "cursor=" + "A" * 2000])
def test_a_wrong_page_is_named(client: Client, query: str) -> None:
    ada = client.sign_up("ada")
    answer = client.call("GET", f"/accounts/ada/followers?{query}", who=ada)
    assert (answer.code, answer.field) == ("invalid_request", query.partition("=")[0])


def test_eligibility_lists_every_requirement_with_its_fix_in_one_read(client: Client) -> None:
    ada = client.sign_up("ada")
    with observe.counting() as calls:
        answer = client.call("GET", "/me/eligibility?devices=camera", who=ada, headers={"Accept-Language": "es"})
    assert [(call.service, call.operation) for call in calls] == [("dynamodb", "Query")]
    assert answer.body["eligible"] is False
    rows = {row["code"]: row for row in answer.body["requirements"]}
    assert set(rows) == {
        *("followers", "age", "standing", "camera", "microphone"),
        *("account_age", "verified_contact"),
    }
    assert (rows["followers"]["needed"], rows["followers"]["actual"]) == (1000, 0)
    assert rows["followers"]["fix"].startswith("Reúne 1000 seguidores")
    camera = {"code": "camera", "met": True, "needed": True, "actual": True, "fix": "", "waived": False}
    assert rows["camera"] == camera
    assert rows["microphone"]["met"] is False


def test_who_meets_everything_still_sees_the_list(client: Client) -> None:
    host = client.host()
    answer = client.call("GET", "/me/eligibility?devices=encoder", who=host)
    assert answer.body["eligible"] is True
    assert len(answer.body["requirements"]) == 7
    assert all(row["met"] and row["fix"] == "" for row in answer.body["requirements"])


def test_an_unknown_device_is_named(client: Client) -> None:
    answer = client.call("GET", "/me/eligibility?devices=camera,radio", who=client.sign_up("ada"))
    assert (answer.code, answer.field) == ("invalid_request", "devices")


def test_a_deployment_may_ask_for_fewer_followers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = client.sign_up("ada")
    monkeypatch.setenv("MARKETS", '{"US": {"followers_min": 0, "host_age_min": 18, "sign_up_age_min": 13}}')
    assert client.call("GET", "/me/eligibility?devices=encoder", who=ada).body["eligible"] is True
