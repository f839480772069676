"""Pushes to phones: a token's endpoint, the words of each service, and what is gone, slow or no longer whose it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.sns.models import sns_backends

from functions import aws, clock, settings
from functions.accounts import device_push, devices, erasing, push
from functions.accounts.notices import Notice
from tests.unit.https import Client, Person
from tests.unit.test_push import orders

AT_MS = 1_800_000_000_000
TOKENS = {"ios": "a" * 64, "android": "fcm:token-of_a-phone"}


def endpoints() -> dict[str, Any]:
    backend: Any = sns_backends["123456789012"]["us-east-1"]
    return dict(backend.platform_endpoints)


def messages() -> list[dict[str, Any]]:
    """What each endpoint was handed, whole."""
    return [json.loads(one) for endpoint in endpoints().values() for one in endpoint.messages.values()]


def register(client: Client, who: Person, kind: str = "ios", name: str = "phone", token: str = "") -> int:
    body = {"kind": kind, "token": token or TOKENS[kind]}
    return client.call("PUT", f"/me/devices/{name}", body, who=who).status


def bring(account: Person, event: str = "one") -> list[str]:
    """A notice to one account's devices; the messages that the queue must bring again."""
    push.order(Notice("go_live", AT_MS, "s1", event, "a1", "ada", "Ada", "Morning"), [account.id])
    return [one["itemIdentifier"] for one in push.handle({"Records": orders()}, None)["batchItemFailures"]]


def failing(code: str, status: int, message: str = "no") -> Any:
    """A client whose endpoint answers an error of SNS."""
    from botocore.exceptions import ClientError

    class Sns:
        def publish(self, **_: Any) -> Any:
            answer: Any = {
                "Error": {"Code": code, "Message": message},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            raise ClientError(answer, "Publish")

    return Sns()


@pytest.mark.parametrize("kind", ["ios", "android"])
def test_a_phone_is_told_in_the_words_of_its_service_and_once(client: Client, kind: str) -> None:
    fan = client.sign_up("fan")
    assert register(client, fan, kind) == 204
    listed = client.call("GET", "/me/devices", who=fan).body
    assert [one["kind"] for one in listed["items"]] == [kind]
    assert listed["kinds"] == ["web", "ios", "android"]

    assert bring(fan) == bring(fan) == []

    (told,) = messages()
    about = {"kind": "go_live", "stream_id": "s1", "url": "/watch/s1"}
    if kind == "ios":
        assert told["APNS"] == told["APNS_SANDBOX"]
        alert = {"title": "Ada is live", "body": "Morning"}
        assert json.loads(told["APNS"]) == {"aps": {"alert": alert, "sound": "default"}, **about}
    else:
        inner = json.loads(told["GCM"])["fcmV1Message"]["message"]
        assert inner == {"notification": {"title": "Ada is live", "body": "Morning"}, "data": about}
    assert told["default"] == "Ada is live"


def test_the_same_token_has_one_endpoint_that_comes_back_enabled(client: Client) -> None:
    fan = client.sign_up("fan")
    register(client, fan)
    (arn,) = endpoints()
    aws.client("sns").set_endpoint_attributes(EndpointArn=arn, Attributes={"Enabled": "false"})

    assert register(client, fan, name="phone-again") == 204

    assert list(endpoints()) == [arn] and endpoints()[arn].enabled
    assert [one["id"] for one in client.call("GET", "/me/devices", who=fan).body["items"]] == ["phone-again"]


def test_an_endpoint_that_sns_disabled_is_removed_on_both_sides(client: Client) -> None:
    fan = client.sign_up("fan")
    register(client, fan)
    (arn,) = endpoints()
    aws.client("sns").set_endpoint_attributes(EndpointArn=arn, Attributes={"Enabled": "false"})

    assert bring(fan) == []

    assert endpoints() == {}
    assert devices.read(fan.id) == []


@pytest.mark.parametrize(
    ("code", "status", "answer"),
    [
        ("Throttled", 429, "later"),
        ("ThrottledException", 429, "later"),
        ("KMSThrottling", 400, "later"),
        ("InternalError", 500, "later"),
        ("ServiceUnavailable", 503, "later"),
        ("EndpointDisabled", 400, "gone"),
        ("EndpointDisabledException", 400, "gone"),
        ("NotFound", 404, "gone"),
        ("InvalidParameter", 400, "refused"),
        ("PlatformApplicationDisabled", 400, "refused"),
    ],
)
def test_each_refusal_of_sns_is_understood(
    monkeypatch: pytest.MonkeyPatch, code: str, status: int, answer: str
) -> None:
    monkeypatch.setattr(aws, "client", lambda _service: failing(code, status))  # pyright: ignore[reportUnknownLambdaType]
    text = b'{"kind":"go_live","stream_id":"s","title":"t","body":"b","url":"/watch/s"}'
    assert device_push.send(devices.Device("d", "arn", "", "", 0, "ios"), text) == answer


def test_what_sns_throttles_comes_again_and_is_then_told_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fan = client.sign_up("fan")
    register(client, fan)
    real = device_push.send
    answers: list[Any] = ["later"]
    monkeypatch.setattr(
        device_push,
        "send",
        lambda *given: answers.pop() if answers else real(*given),  # pyright: ignore
    )
    push.order(Notice("go_live", clock.now_ms(), "s1", "x", "a1", "ada", "Ada", "Morning"), [fan.id])
    waiting = orders()

    assert len(push.handle({"Records": waiting}, None)["batchItemFailures"]) == 1
    assert messages() == []
    assert push.handle({"Records": waiting}, None) == {"batchItemFailures": []}
    assert len(messages()) == 1


def test_a_phone_where_somebody_else_signs_in_tells_them_and_not_the_one_before(client: Client) -> None:
    first, second = client.sign_up("first"), client.sign_up("second")
    register(client, first)
    register(client, second)

    bring(first)
    assert messages() == []
    bring(second)
    assert len(messages()) == 1
    assert client.call("GET", "/me/devices", who=first).body["items"] == []


def test_a_device_that_is_dropped_or_whose_account_is_erased_leaves_no_endpoint(client: Client) -> None:
    fan = client.sign_up("fan")
    register(client, fan)
    assert client.call("DELETE", "/me/devices/phone", who=fan).status == 204
    assert endpoints() == {}
    for number in range(devices.DEVICES_MAX + 1):
        assert register(client, fan, name=f"phone-{number}", token=f"{number:064d}") == 204
    assert len(endpoints()) == devices.DEVICES_MAX, "the oldest made way"

    erasing.begin(fan.id, fan.handle)
    assert erasing.erase(fan.id, lambda: 60_000)

    assert endpoints() == {}


def test_without_a_platform_application_phones_are_not_offered(client: Client) -> None:
    fan = client.sign_up("fan")
    kept = settings.environment.set({**settings.environment.get(), "PUSH_FCM_ARN": ""})
    try:
        answer = client.call("PUT", "/me/devices/phone", {"kind": "android", "token": TOKENS["android"]}, who=fan)
        offered = client.call("GET", "/me/devices", who=fan).body["kinds"]
    finally:
        settings.environment.reset(kept)
    assert (answer.code, answer.field) == ("invalid_request", "kind")
    assert offered == ["web", "ios"]


@pytest.mark.parametrize("token", [None, "short", "with a space in the middle"])
def test_what_is_no_token_is_refused_by_name(client: Client, token: str | None) -> None:
    fan = client.sign_up("fan")
    body = {"kind": "ios"} if token is None else {"kind": "ios", "token": token}
    answer = client.call("PUT", "/me/devices/phone", body, who=fan)
    assert (answer.code, answer.field) == ("invalid_request", "token")
