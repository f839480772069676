"""Who is suspended or banned acts at no door, even by a token of before: the one guard before every route."""

from __future__ import annotations

from typing import Any

import pytest

from functions.accounts import shut_out
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.api import app
from tests.unit.https import Client, Person


def put_out(person: Person, standing: str) -> None:
    ProfileItem(account_key(person.id), PROFILE).update([ProfileItem.standing.set(standing)])


DOORS: list[tuple[str, str, Any]] = [
    ("PUT", "/accounts/anna/follow", None),
    ("POST", "/purchases", {"provider": "sandbox", "pack": "coins_70", "proof": "a-fresh-text"}),
    ("POST", "/checkouts", {"provider": "stripe", "pack": "coins_70"}),
    ("POST", "/me/avatar", {}),
    ("PUT", "/me/moderators/anna", None),
]


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
@pytest.mark.parametrize("standing", ["suspended", "banned"])
def test_a_token_of_before_opens_no_door(client: Client, standing: str, method: str, path: str, body: Any) -> None:
    client.sign_up("anna")
    ben = client.sign_up("ben")

    before = client.call(method, path, body, who=ben)
    put_out(ben, standing)
    after = client.call(method, path, body, who=ben)

    assert before.status < 300 or before.code not in ("suspended", "banned")
    assert (after.status, after.code) == (403, standing)


def test_reading_leaving_and_ones_own_data_stay_open(client: Client) -> None:
    client.sign_up("anna")
    ben = client.sign_up("ben")
    client.call("PUT", "/accounts/anna/follow", who=ben)
    put_out(ben, "banned")

    for method, path in (
        ("GET", "/me/standing"),
        ("GET", "/me/export"),
        ("DELETE", "/accounts/anna/follow"),
        ("PUT", "/accounts/anna/block"),
        ("DELETE", "/me"),
    ):
        answer = client.call(method, path, who=ben)
        assert answer.status < 300, (method, path, answer.body)


def test_going_live_answers_with_every_requirement_and_not_with_the_standing_alone(client: Client) -> None:
    host = client.host()
    put_out(host, "suspended")
    asked = {"title": "Morning", "devices": {"camera": True, "microphone": True}}

    answer = client.call("POST", "/streams", asked, who=host)

    assert answer.code == "not_eligible"
    assert {one["code"] for one in answer.body["error"]["details"]} >= {"standing", "followers"}


def test_a_suspended_operator_decides_about_nobody(client: Client) -> None:
    client.sign_up("anna")
    olga = client.operator()
    put_out(olga, "suspended")

    answer = client.call(
        "PUT", "/operator/accounts/anna/standing", {"standing": "limited", "reason": "for now"}, who=olga
    )

    assert (answer.status, answer.code) == (403, "suspended")


def test_what_stays_open_names_routes_that_are_served() -> None:
    served = {f"{method} {path}" for path, methods in app.routes.items() for method in methods}
    assert served >= shut_out.OPEN, shut_out.OPEN - served
