"""Every route × everything that can be wrong with a request: one shape, a code of the table, nothing changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions import aws, clock
from functions.errors import CODES
from tests.unit.https import ADULT, BOTH, PASSWORD, Answer, Client, Person

ROOT = Path(__file__).resolve().parents[2]
NO_TOKEN = Person("", "", "")
# Routes that take a body, with a good one, and a good path.
BODIES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "POST",
        "/accounts",
        {"handle": "eve", "password": PASSWORD, "display_name": "Eve", "birth_date": ADULT, "market": "US"},
    ),
    ("POST", "/sessions", {"handle": "host_one", "password": PASSWORD}),
    ("PATCH", "/me", {"display_name": "Eve"}),
    ("POST", "/streams", {"title": "Morning", "devices": BOTH}),
    ("PATCH", "/streams/{stream}", {"title": "Noon"}),
    ("POST", "/streams/{stream}/start", {"devices": BOTH}),
]


def shaped(answer: Answer) -> str:
    """The code of an error that has our shape, status, language and CORS."""
    assert set(answer.body) == {"error"}
    error = answer.body["error"]
    assert set(error) <= {"code", "message", "details"}
    assert answer.status == CODES[error["code"]][0]
    assert error["message"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Content-Type"].startswith("application/json")
    return str(error["code"])


def everything(client: Client) -> list[dict[str, Any]]:
    """All items of all tables, to see that nothing changed."""
    client_ = aws.client("dynamodb")
    return [
        item
        for name in ("accounts", "streams", "rooms")
        for item in sorted(client_.scan(TableName=name)["Items"], key=json.dumps)
    ]


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
def test_a_body_that_is_wrong_is_refused_and_changes_nothing(
    client: Client, method: str, path: str, body: dict[str, Any]
) -> None:
    host = client.host()
    path = path.replace("{stream}", client.ready(host))
    before = everything(client)
    for raw in ("{", "nonsense", "", "[]", '"text"', "5", "null", '{"title":"\\ud800"}', '{"a":' + "[" * 50_000):
        answer = client.call(method, path, raw=raw, who=host)
        # PATCH takes an empty body as no change; what every field may miss cannot lack one.
        if not (raw == "" and method == "PATCH"):
            assert shaped(answer) == "invalid_request", raw
    big = json.dumps({**body, "padding": "x" * 64 * 1024})
    assert shaped(client.call(method, path, raw=big, who=host)) == "too_large"
    for name in body:
        for wrong in (5.5, [], True):
            answer = client.call(method, path, {**body, name: wrong}, who=host)
            assert shaped(answer) == "invalid_request"
            assert answer.field == name
    assert everything(client) == before


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
def test_another_media_type_and_bad_base64_are_refused_in_our_shape(
    client: Client, method: str, path: str, body: dict[str, Any]
) -> None:
    from functions.api import app
    from tests.unit.https import rest_event

    host = client.host()
    path = path.replace("{stream}", client.ready(host))
    before = everything(client)
    answer = client.call(method, path, raw="a=b", who=host, headers={"Content-Type": "text/plain"})
    assert (shaped(answer), answer.field) == ("invalid_request", "Content-Type")
    event = {**rest_event(method, path, body, who=host), "body": "abc", "isBase64Encoded": True}
    sent = app(event, None)
    assert shaped(Answer(sent["statusCode"], json.loads(sent["body"]), sent["headers"])) == "invalid_request"
    assert everything(client) == before


@pytest.mark.parametrize("media_type", ["application/octet-stream", "application/x-www-form-urlencoded", ""])
def test_what_needs_no_body_takes_none_whatever_media_type_the_client_names(client: Client, media_type: str) -> None:
    stream_id = client.live(client.host())
    answer = client.call("POST", f"/streams/{stream_id}/ticket", raw="", headers={"Content-Type": media_type})
    assert (answer.status, answer.body["role"]) == (200, "visitor")


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
def test_unknown_fields_are_ignored(client: Client, method: str, path: str, body: dict[str, Any]) -> None:
    host = client.host()
    path = path.replace("{stream}", client.ready(host))
    assert client.call(method, path, {**body, "of_the_future": {"x": [1]}}, who=host).status in (200, 201)


def test_every_protected_route_asks_to_sign_in(client: Client) -> None:
    from functions.api import app

    protected = [
        (method, path)
        for path, methods in app.routes.items()
        for method, entry in methods.items()
        if entry.authorizer is not None
    ]
    assert len(protected) >= 20
    for method, path in protected:
        target = path.replace("{handle}", "ada").replace("{stream_id}", "s1")
        answer = client.call(method, target, {} if method in ("POST", "PATCH", "PUT") else None)
        assert shaped(answer) == "unauthenticated", (method, path)


def test_only_these_routes_are_open(client: Client) -> None:
    from functions.api import app

    opened = {
        f"{method} {path}"
        for path, methods in app.routes.items()
        for method, entry in methods.items()
        if entry.authorizer is None
    }
    assert opened == {
        "POST /accounts",
        "POST /sessions",
        "POST /password-resets",
        "POST /password-resets/confirm",
        "GET /streams/{stream_id}/replay",
        "POST /streams/{stream_id}/ticket",
        "GET /streams/{stream_id}/frames",
        "GET /gifts",
        "GET /coin-packs",
        "POST /webhooks/{provider}",
        "GET /streams/{stream_id}/questions",
        "GET /s/{code}",
        "GET /streams/{stream_id}/leaderboard",
        "GET /streams/{stream_id}/goals",
        "GET /accounts/{handle}/leaderboard",
        "GET /accounts/{handle}/gifts",
    }


def test_a_path_and_a_method_that_nobody_declared_are_not_found(client: Client) -> None:
    from functions.api import app

    before = set(app.routes)
    assert shaped(client.call("GET", "/nothing/here")) == "not_found"
    assert shaped(client.call("DELETE", "/accounts", resource="/accounts")) == "not_found"
    assert set(app.routes) == before


def test_a_mistake_of_ours_is_unavailable_and_tells_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from functions.accounts import table

    def broken(_: str) -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr(table, "required", broken)
    answer = client.call("GET", "/me", who=Person("a", "ada", "t"))
    assert shaped(answer) == "unavailable"
    assert "secret" not in json.dumps(answer.body)
    shown = capsys.readouterr().out
    assert "UnexpectedErrors" in shown


def test_cors_stands_on_every_route_and_answer(client: Client) -> None:
    from functions.api import app

    for methods in app.routes.values():
        for entry in methods.values():
            allowed = entry.cors.get_access_control_headers()["Access-Control-Allow-Headers"]
            assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(allowed.split(","))
    fine = client.call("GET", "/me", who=client.sign_up("ada"))
    assert fine.headers["Access-Control-Allow-Origin"] == "*"


def test_a_retry_time_is_also_a_header(client: Client) -> None:
    from functions.api import error_answer
    from functions.errors import OnairError

    answer = error_answer(OnairError("rate_limited", retry_after_ms=1200), None)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")


@pytest.mark.parametrize(
    ("accept", "starts"),
    [
        (None, "This does not exist"),
        ("fr", "This does not exist"),
        ("es-MX, en;q=0.5", "Esto no existe"),
        ("fr, de;q=0.8, en;q=0.7", "Das gibt es nicht"),
        ("pt-BR", "Isto não existe"),
        ("ja", "存在しない"),
        ("ko-KR;q=0.9", "존재하지"),
        ("en;q=0.1, de;q=0", "This does not exist"),
        (";;;q=x,,", "This does not exist"),
    ],
)
def test_the_message_speaks_the_language_asked_for(client: Client, accept: str | None, starts: str) -> None:
    headers = {"Accept-Language": accept} if accept is not None else {}
    answer = client.call("GET", "/accounts/nobody", who=Person("a", "ada", "t"), headers=headers)
    assert answer.body["error"]["message"].startswith(starts)


def test_requests_at_once_do_not_see_each_others(client: Client) -> None:
    from concurrent.futures import ThreadPoolExecutor

    people = [client.sign_up(f"person_{n}") for n in range(4)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda person: client.call("GET", "/me", who=person), people * 10))
    assert [answer.body["handle"] for answer in answers] == [person.handle for person in people * 10]


def ticket(client: Client, stream_id: str, authorization: str) -> Answer:
    return client.call("POST", f"/streams/{stream_id}/ticket", headers={"Authorization": authorization})


def test_a_bad_token_on_an_open_route_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    host = client.host()
    stream_id, fan = client.live(host), client.sign_up("fan")
    head, payload, signature = fan.token.split(".")
    tampered = f"{head}.{payload[:-4]}AAAA.{signature}"
    for authorization in ("Bearer", "Bearer ", f"Basic {fan.token}", "Bearer x.y.z", f"Bearer {tampered}", "Bearer x"):
        assert shaped(ticket(client, stream_id, authorization)) == "unauthenticated", authorization
    assert ticket(client, stream_id, f"bearer {fan.token}").status == 200

    id_token = aws.client("cognito-idp").initiate_auth(
        ClientId=client.client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "fan", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]["IdToken"]
    assert shaped(ticket(client, stream_id, f"Bearer {id_token}")) == "unauthenticated"

    with monkeypatch.context() as other:
        other.setenv("TOKEN_ISSUER", "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_other")
        assert shaped(ticket(client, stream_id, f"Bearer {fan.token}")) == "unauthenticated"
    with monkeypatch.context() as other:
        other.setenv("USER_POOL_CLIENT_ID", "another-client")
        assert shaped(ticket(client, stream_id, f"Bearer {fan.token}")) == "unauthenticated"


def test_an_expired_token_on_an_open_route_is_refused(client: Client) -> None:
    stream_id, fan = client.live(client.host()), client.sign_up("fan")
    client.clock.offset_ms += 25 * 3_600_000
    assert shaped(ticket(client, stream_id, f"Bearer {fan.token}")) == "unauthenticated"


def test_keys_that_cannot_be_fetched_are_our_problem(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    stream_id, fan = client.live(client.host()), client.sign_up("fan")
    monkeypatch.setenv("JWKS_URL", "http://127.0.0.1:1/jwks.json")
    assert shaped(ticket(client, stream_id, f"Bearer {fan.token}")) == "unavailable"


def test_a_forged_ticket_and_an_old_one_are_no_tickets(client: Client) -> None:
    from functions import tokens
    from functions.errors import OnairError

    signed, expires_ms = tokens.sign_ticket({"sub": "a", "stream": "s"})
    assert tokens.read_ticket(signed)["sub"] == "a"
    assert 0 < expires_ms - clock.now_ms() <= 60_000
    for bad in (signed[:-2], tokens.stream_key("s", 1), tokens.playback_token("s")[0], "", "a.b.c"):
        with pytest.raises(OnairError, match="unauthenticated"):
            tokens.read_ticket(bad)
    client.clock.offset_ms += 60_000
    with pytest.raises(OnairError, match="unauthenticated"):
        tokens.read_ticket(signed)


def test_the_api_imports_little_more_than_boto3(tmp_path: Path) -> None:
    """Best of seven each, interleaved, in CPU time: noise only ever adds. 1.4 is the bound that every handler keeps.

    Both from compiled code, wherever this environment lets Python keep it.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    best = {"boto3": 1e9, "functions.api": 1e9}
    for _ in range(8):
        for module in best:
            code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
            )
            best[module] = min(best[module], float(done.stdout))
    assert best["functions.api"] <= 1.4 * best["boto3"], best
