"""Operators: who is one, how the first is named, and the trail of what they do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from functions import settings
from functions.accounts import appoint, pool, trail
from functions.errors import OnairError
from functions.parse import Identity
from tests.unit.https import Client

CREDENTIALS = Identity("arn:aws:iam::1:user/deployer", "user/deployer")


def test_the_trail_is_for_operators_only(client: Client) -> None:
    olga, ada = client.operator(), client.sign_up("ada")
    assert client.call("GET", "/operator/audit", who=olga).status == 200
    refused = client.call("GET", "/operator/audit", who=ada)
    assert (refused.status, refused.code) == (403, "forbidden")
    assert client.call("GET", "/operator/audit").code == "unauthenticated"


@pytest.mark.parametrize("groups", [("operator",), ("co-operators", "testers"), ("[operators]",)])
def test_a_group_that_only_looks_alike_gives_no_right(client: Client, groups: tuple[str, ...]) -> None:
    ada = replace(client.sign_up("ada"), groups=groups)
    assert client.call("GET", "/operator/audit", who=ada).code == "forbidden"


def test_the_first_operator_is_named_once_and_the_trail_tells(client: Client) -> None:
    client.sign_up("ada")
    assert appoint.appoint("ada", CREDENTIALS)
    assert pool.is_operator("ada")
    assert not appoint.appoint("ada", CREDENTIALS)
    items, after = trail.listed(None, 10)
    assert [(one.operator, one.action, one.target) for one in items] == [("user/deployer", "operator.appoint", "ada")]
    assert after is None


def test_nobody_is_appointed_under_a_handle_that_nobody_has(client: Client) -> None:
    with pytest.raises(OnairError) as refused:
        appoint.appoint("nobody", CREDENTIALS)
    assert refused.value.code == "not_found"
    assert trail.listed(None, 10) == ([], None)


def test_the_trail_is_paged_newest_first_and_an_entry_is_never_replaced(client: Client) -> None:
    olga = client.operator()
    made = []
    for name in "abc":
        client.clock.offset_ms += 1
        made.append(trail.entry(Identity(olga.id, "olga"), "test", name, "why not", {"n": name}))
        trail.write(made[-1])
    with pytest.raises(Exception, match="ConditionalCheckFailed"):
        trail.write(replace_reason(made[0]))
    first = client.call("GET", "/operator/audit?limit=2", who=olga).body
    rest = client.call("GET", f"/operator/audit?limit=2&cursor={first['cursor']}", who=olga).body
    assert [one["target"] for one in [*first["items"], *rest["items"]]] == ["c", "b", "a"]
    assert rest["items"][0]["reason"] == "why not"
    assert "cursor" not in rest


def replace_reason(entry: trail.Entry) -> trail.Entry:
    from msgspec.structs import replace as other

    return other(entry, reason="rewritten")


def test_the_command_finds_the_stack_by_its_outputs(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client.sign_up("ada")
    names = {"AccountsTable": "accounts", "UserPoolId": client.pool_id}
    monkeypatch.setattr(appoint, "_outputs", lambda: names)
    monkeypatch.setenv("HANDLE", "ada")
    token = settings.environment.set(settings.environment.get())
    try:
        assert (appoint.main(), appoint.main()) == (0, 0)
        monkeypatch.setenv("HANDLE", "eve")
        assert appoint.main() == 1
        monkeypatch.setenv("HANDLE", "")
        assert appoint.main() == 2
    finally:
        settings.environment.reset(token)
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "ada is an operator now; signing in anew brings the right.",
        "ada is an operator already.",
    ]
    assert "Nobody has the handle eve" in told.err
