"""Bad input over the real gateway: each class gets its code of the protocol, and nothing changes."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from local.testing import Onair

DEVICES = {"camera": True, "microphone": True}


def test_wrong_type_names_the_field(onair: Onair) -> None:
    host = onair.account(followers=1_200)
    refused = host.request("POST", "/streams", {"title": 7, "topics": [], "devices": DEVICES})
    assert (refused.status, refused.error_code) == (400, "invalid_request")
    assert refused.body["error"]["details"]["field"] == "title"


def test_missing_field_names_the_field(onair: Onair) -> None:
    refused = onair.client().request("POST", "/accounts", {"handle": "someone"})
    assert (refused.status, refused.error_code) == (400, "invalid_request")
    assert refused.body["error"]["details"]["field"] == "password"


@pytest.mark.parametrize("raw", [b"{", b"[1,", b"\xff\xfe", b"", b"null", b'"text"'])
def test_a_body_that_is_not_a_json_object_is_refused(onair: Onair, raw: bytes) -> None:
    refused = onair.client().request("POST", "/accounts", raw=raw)
    assert (refused.status, refused.error_code) == (400, "invalid_request")


def test_a_body_over_the_gateways_limit_is_too_large(onair: Onair) -> None:
    refused = onair.client().request("POST", "/accounts", raw=b" " * (10 * 1024 * 1024 + 1))
    assert (refused.status, refused.error_code) == (413, "too_large")


def test_an_unknown_route_is_not_found_in_our_shape_and_readable_across_origins(onair: Onair) -> None:
    refused = onair.client().request("GET", "/no/such/route")
    assert (refused.status, refused.error_code) == (404, "not_found")
    assert refused.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nonsense", "Basic dXNlcjpwYXNz", "Bearer a.b.c"])
def test_without_a_good_token_a_protected_route_asks_to_sign_in(onair: Onair, header: str | None) -> None:
    refused = onair.client().request("GET", "/me", headers={"Authorization": header} if header else None)
    assert (refused.status, refused.error_code) == (401, "unauthenticated")
    assert refused.headers["access-control-allow-origin"] == "*"


def test_a_token_of_another_pool_is_refused(onair: Onair) -> None:
    client = onair.account()
    claims: dict[str, Any] = jwt.decode(str(client.access_token), options={"verify_signature": False})
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Another00"
    client.access_token = jwt.encode({**claims, "iss": issuer}, foreign, "RS256", headers={"kid": "dummy"})
    assert client.request("GET", "/me").error_code == "unauthenticated"
    # The same key id and issuer with a key of one's own is no better.
    client.access_token = jwt.encode(claims, foreign, "RS256", headers={"kid": "dummy"})
    assert client.request("GET", "/me").error_code == "unauthenticated"


def test_an_identity_token_is_no_access_token(onair: Onair) -> None:
    onair.account("somebody")
    pool: Any = onair.stack.declared
    from functions import aws

    answer = aws.client("cognito-idp").initiate_auth(
        ClientId=pool.user_pool_client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "somebody", "PASSWORD": "Onair-demo-1"},
    )
    client = onair.client()
    client.access_token = answer["AuthenticationResult"]["IdToken"]
    assert client.request("GET", "/me").error_code == "unauthenticated"


def test_an_expired_token_asks_to_sign_in_again(onair: Onair) -> None:
    client = onair.account()
    assert client.request("GET", "/me").status == 200
    onair.advance(3_601)
    assert (client.request("GET", "/me").status, client.request("GET", "/me").error_code) == (401, "unauthenticated")


def test_not_eligible_cannot_create_and_nothing_is_made(onair: Onair) -> None:
    host = onair.account()
    refused = host.request("POST", "/streams", {"title": "Hello", "topics": [], "devices": DEVICES})
    assert (refused.status, refused.error_code) == (403, "not_eligible")
    assert onair.account().call("GET", "/feed/for-you")["items"] == []


def test_a_stream_that_is_not_live_gives_no_ticket(onair: Onair) -> None:
    host = onair.account(followers=1_200)
    made = host.call("POST", "/streams", {"title": "Later", "topics": [], "devices": DEVICES})
    refused = onair.account().request("POST", f"/streams/{made['id']}/ticket")
    assert (refused.status, refused.error_code) == (409, "not_live")
    assert onair.account().request("POST", "/streams/no-such-stream/ticket").error_code == "not_found"


def test_a_second_broadcast_of_the_same_host_is_refused(onair: Onair) -> None:
    host = onair.account(followers=1_200)
    onair.broadcast(host)
    made = host.request("POST", "/streams", {"title": "Another", "topics": [], "devices": DEVICES})
    started = host.request("POST", f"/streams/{made.body.get('id')}/start", {"devices": DEVICES})
    assert "already_live" in (made.error_code, started.error_code)


def test_a_host_controls_only_streams_of_their_own(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    stranger = onair.account(followers=1_200)
    for path in ("end", "publish"):
        assert stranger.request("POST", f"/streams/{stream['id']}/{path}").status in (403, 404)
    assert stranger.call("GET", f"/streams/{stream['id']}")["state"] == "live"


def test_a_resent_purchase_proof_mints_once(onair: Onair) -> None:
    buyer = onair.account()
    body = {"provider": "sandbox", "pack": "coins_70", "proof": "the-same-text"}
    assert buyer.request("POST", "/purchases", body).status < 300
    buyer.request("POST", "/purchases", body)
    assert buyer.call("GET", "/wallet")["coins"] == 70


def test_a_socket_without_a_ticket_is_unauthorized(onair: Onair) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(onair.addresses.socket_url)
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("ticket", ["nonsense", "a.b.c"])
def test_a_forged_ticket_is_forbidden(onair: Onair, ticket: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{onair.addresses.socket_url}?ticket={ticket}")
    assert refused.value.response.status_code in (401, 403)


def test_a_ticket_signed_with_another_secret_is_forbidden(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    url = str(onair.account().call("POST", f"/streams/{stream['id']}/ticket")["socket_url"])
    address, _, ticket = url.partition("?ticket=")
    claims: dict[str, Any] = jwt.decode(ticket, options={"verify_signature": False})
    forged = jwt.encode({**claims, "role": "host"}, "x" * 64, "HS256")
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{address}?ticket={forged}")
    assert refused.value.response.status_code in (401, 403)


def test_an_expired_ticket_is_refused(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    url = str(onair.account().call("POST", f"/streams/{stream['id']}/ticket")["socket_url"])
    onair.advance(61)
    with pytest.raises(InvalidStatus) as refused:
        connect(url)
    assert refused.value.response.status_code in (401, 403)


def test_a_ticket_opens_one_connection(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    url = str(onair.account().call("POST", f"/streams/{stream['id']}/ticket")["socket_url"])
    assert onair.open_socket(url).join()["type"] == "joined"
    second = onair.open_socket(url)
    assert second.request({"action": "join"}, lambda got: got.get("type") == "joined")["type"] == "error"


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        '"join"',
        "{}",
        '{"action": "fly"}',
        '{"action": 7}',
        '{"action": "$connect"}',
        '{"action": "$disconnect"}',
        '{"action": "chat"}',
        '{"action": "chat", "id": 1, "text": "x"}',
        '{"action": "chat", "id": "a", "text": ["x"]}',
        '{"action": "react", "counts": {"❤️": "many"}}',
        '{"action": "react", "counts": {"❤️": -1}}',
        '{"action": "gift", "id": "g", "gift_id": "rose", "count": 0}',
        '{"action": "gift", "id": "g", "gift_id": "rose", "count": 1000}',
    ],
)
def test_a_message_that_is_no_known_action_is_an_invalid_request(onair: Onair, message: str) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    opened = onair.socket(onair.account(), stream["id"])
    opened.join()
    answer = opened.request(message, lambda got: got.get("type") == "ack")
    assert (answer["type"], answer["code"]) == ("error", "invalid_request"), answer


def test_a_message_over_32_kb_closes_the_socket(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    opened = onair.socket(onair.account(), stream["id"])
    opened.join()
    opened.send('{"action": "chat", "text": "' + "x" * 33_000 + '"}')
    assert opened.wait_closed() == 1009


def test_a_gift_beyond_the_wallet_is_refused_and_costs_nothing(onair: Onair) -> None:
    host = onair.account(followers=1_200)
    stream = onair.broadcast(host)
    viewer = onair.account(coins=1)
    opened = onair.socket(viewer, stream["id"])
    opened.join()
    refused = opened.gift("universe", 1)
    assert refused["code"] == "insufficient_coins"
    assert viewer.call("GET", "/wallet")["coins"] == 7_000
    assert host.call("GET", "/wallet")["diamonds"] == 0


def test_chat_beyond_its_burst_is_rate_limited_with_a_time(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    opened = onair.socket(onair.account(), stream["id"])
    opened.join()
    started_s = time.monotonic()
    answers = [opened.chat(f"line {number}") for number in range(12)]
    refused = [answer for answer in answers if answer["type"] == "error"]
    allowed = 5 + (time.monotonic() - started_s) + 1
    assert len(answers) - len(refused) <= allowed
    assert refused
    assert {answer["code"] for answer in refused} == {"rate_limited"}
    assert all(answer["retry_after_ms"] > 0 for answer in refused)
