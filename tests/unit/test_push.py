"""Pushes: encrypted for one browser and signed, once a device, not at quiet hours, to push services alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from functions import aws, clock, settings
from functions.accounts import devices, notice_choice, push, web_push
from functions.accounts.devices import Device
from functions.accounts.notice_choice import Preferences, Quiet, Way
from functions.accounts.notices import Notice
from tests import push_service
from tests.push_service import Browser, PushService
from tests.unit.https import Client, Person
from tests.unit.test_notices import announce_all, flow, follow_as


@pytest.fixture
def service() -> Iterator[PushService]:
    with push_service.running() as made:
        yield made


def register(client: Client, who: Person, browser: Browser, name: str = "phone") -> None:
    assert client.call("PUT", f"/me/devices/{name}", browser.subscription, who=who).status == 204


def notice(stream_id: str = "s1") -> Notice:
    return Notice("go_live", clock.now_ms(), stream_id, f"go_live.{stream_id}", "a1", "ada", "Ada", "Morning")


def orders() -> list[dict[str, Any]]:
    sqs, url = aws.client("sqs"), settings.required("PUSH_QUEUE_URL")
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append({"messageId": message["MessageId"], "body": message["Body"]})
    return found


def test_the_example_of_rfc_8291_comes_out_byte_by_byte() -> None:
    # RFC 8291, Appendix A.
    device = Device(
        "d",
        "https://push.example.net/",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
        0,
    )
    own = ec.derive_private_key(
        int.from_bytes(push_service.raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")), ec.SECP256R1()
    )
    salt = push_service.raw("DGv6ra1nlYgDCS1FRnbzlw")
    body = web_push.encrypted(b"When I grow up, I want to be a watermelon", device, salt, own)
    assert push_service.text(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
        "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_a_followers_browser_gets_one_push_that_only_it_can_read(client: Client, service: PushService) -> None:
    host, fan = client.host(), client.sign_up("fan")
    follow_as(client, fan, host)
    browser = Browser(service)
    register(client, fan, browser)
    notice_choice.write(fan.id, Preferences(language="de"))
    stream_id = client.live(host)
    flow(stream_id)
    announce_all(twice=True)
    waiting = orders()
    assert len(waiting) == 4, "a page that came twice, each with a batch that came twice"
    assert push.handle({"Records": waiting}, None) == {"batchItemFailures": []}
    # Then: one post, encrypted for this browser and signed with the key that it subscribed with
    ((path, headers, body),) = service.posts
    assert path == "/b"
    assert browser.opened(body) == {
        "kind": "go_live",
        "stream_id": stream_id,
        "title": "Host_One ist live",
        "body": "Morning",
        "url": f"/watch/{stream_id}",
    }
    assert b"Morning" not in body
    claims = push_service.signer(headers, client.call("GET", "/me/devices", who=fan).body["web_push_key"])
    assert (claims["aud"], claims["sub"]) == (service.origin, "https://onair.example")
    assert 0 < claims["exp"] - clock.now_ms() // 1000 <= 24 * 3600
    assert (headers["content-encoding"], headers["ttl"]) == ("aes128gcm", "3600")


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_gone_is_forgotten(client: Client, service: PushService, status: int) -> None:
    fan = client.sign_up("fan")
    register(client, fan, Browser(service, "old"), "old")
    register(client, fan, Browser(service, "new"), "new")
    service.answers = [status]
    assert push.bring(push.Order(notice(), [fan.id])) == 1
    left = client.call("GET", "/me/devices", who=fan).body["items"]
    assert len(left) == 1
    assert len(service.posts) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_asked_to_wait_tries_again_and_others_get_nothing_twice(
    client: Client, service: PushService, status: int
) -> None:
    fan = client.sign_up("fan")
    for name in ("one", "two"):
        register(client, fan, Browser(service, name), name)
    given = notice()
    push.order(given, [fan.id])
    (record,) = orders()
    service.answers = [status]
    assert push.handle({"Records": [record]}, None) == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    # When: the queue brings it again, and once more
    for _ in range(2):
        assert push.handle({"Records": [record]}, None) == {"batchItemFailures": []}
    # Then: one post each, and the one that was asked for again
    paths = sorted(path for path, _, _ in service.posts)
    assert len(paths) == 3
    assert set(paths) == {"/one", "/two"}


@pytest.mark.parametrize(
    "chosen",
    [
        Preferences(quiet=Quiet("00:00", "23:59")),
        Preferences(kinds={"go_live": Way(push=False)}),
        Preferences(kinds={"go_live": Way(inbox=False)}),
    ],
)
def test_nobody_is_disturbed_who_does_not_want_it(client: Client, service: PushService, chosen: Preferences) -> None:
    fan = client.sign_up("fan")
    register(client, fan, Browser(service))
    notice_choice.write(fan.id, chosen)
    assert push.bring(push.Order(notice(), [fan.id])) == 0
    assert service.posts == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/a",
        "https://fcm.googleapis.com:8443/a",
        "https://fcm.googleapis.com.evil.example/a",
        "https://evilfcm.googleapis.com.example/a",
        "https://evil.example/fcm.googleapis.com",
        "https://user@fcm.googleapis.com/a",
        "https://fcm.googleapis.com@evil.example/a",
        "https://evil.example\\.fcm.googleapis.com/a",
        "https://evil.example\n.fcm.googleapis.com/a",
        " https://fcm.googleapis.com/a",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1",
        "file:///etc/passwd",
        "x",
    ],
)
def test_we_post_to_push_services_alone(client: Client, service: PushService, endpoint: str) -> None:
    given = {**Browser(service).subscription, "endpoint": endpoint}
    answer = client.call("PUT", "/me/devices/d", given, who=client.sign_up("fan"))
    assert (answer.code, answer.field) == ("invalid_request", "endpoint")


def test_push_services_and_those_below_them_are_allowed(client: Client) -> None:
    for endpoint in ("https://fcm.googleapis.com/fcm/send/x", "https://web.push.apple.com/x"):
        assert devices.allowed(endpoint)


def test_a_key_off_the_curve_and_a_bad_name_are_refused(client: Client, service: PushService) -> None:
    fan, good = client.sign_up("fan"), Browser(service).subscription
    off = push_service.text(b"\4" + b"\1" * 64)
    assert client.call("PUT", "/me/devices/d", {**good, "p256dh": off}, who=fan).field == "p256dh"
    assert client.call("PUT", f"/me/devices/{'x' * 65}", good, who=fan).field == "device_id"


def test_a_device_is_renewed_dropped_and_the_oldest_of_many_makes_way(client: Client, service: PushService) -> None:
    fan = client.sign_up("fan")
    for number in range(devices.DEVICES_MAX + 1):
        register(client, fan, Browser(service, f"b{number}"), f"d{number}")
    listed = [one["id"] for one in client.call("GET", "/me/devices", who=fan).body["items"]]
    assert listed == [f"d{number}" for number in range(1, devices.DEVICES_MAX + 1)]
    # The same subscription under another name is one device.
    register(client, fan, Browser(service, "b5"), "again")
    assert client.call("DELETE", "/me/devices/d7", who=fan).status == 204
    assert client.call("DELETE", "/me/devices/d7", who=fan).status == 204
    listed = [one["id"] for one in client.call("GET", "/me/devices", who=fan).body["items"]]
    assert listed[-1] == "again"
    assert {"d5", "d7"}.isdisjoint(listed)


def test_a_message_too_long_is_not_made() -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ValueError, match="3000"):
        web_push.encrypted(b"x" * 3_001, Device("d", "e", "", "", 0), b"s" * 16, own)
    assert json.loads(push._text(notice("s" * 26), "ja"))["title"] == "Adaさんがライブ配信中です"
