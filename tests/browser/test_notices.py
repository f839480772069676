"""Notices in the page: the bell counts, the inbox is read, choices are kept, a push's click opens its stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from local.stack import Stack
from local.testing import wait_until
from tests.browser.conftest import DESK, PHONE, NewPage
from tests.browser.test_settings import person, section, signed_in


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_bell_counts_the_inbox_is_read_and_choices_are_kept(
    new_page: NewPage, stack: Stack, size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    handle = f"bell_{size[0]}"
    mine, fan = person(stack, handle), person(stack, f"fan_of_{size[0]}")
    fan.call("PUT", f"/accounts/{handle}/follow")
    wait_until(lambda: mine.call("GET", "/me/notifications")["items"], "the follow to be told")
    page = new_page(size)
    signed_in(page, handle, "/me")
    bell = page.get_by_role("link", name="Notifications: 1 new")
    expect(bell).to_be_visible()
    page.screenshot(path=str(tmp_path_factory.getbasetemp() / f"bell-{size[0]}.png"))
    # When: by keyboard
    bell.focus()
    page.keyboard.press("Enter")
    # Then: it is there, and read
    expect(page.get_by_text(f"Fan Of {size[0]} follows you")).to_be_visible()
    wait_until(lambda: mine.call("GET", "/me/notifications")["items"][0]["read"], "the notice to be read")
    # When: quiet hours and a choice
    page.get_by_role("switch", name="Quiet hours").check()
    page.get_by_label("From").fill("23:15")
    page.get_by_label("New followers: Here").uncheck()
    expect(page.get_by_label("New followers: Device")).to_be_disabled()

    def kept() -> bool:
        chosen: Any = mine.call("GET", "/me/notifications/preferences")
        return (
            chosen["quiet"] == {"from": "23:15", "until": "07:00"}
            and not chosen["kinds"]["follow"]["inbox"]
            and "/" in f"{chosen['time_zone']}/"
        )

    wait_until(kept, "the choices to be kept")
    page.screenshot(path=str(tmp_path_factory.getbasetemp() / f"notices-{size[0]}.png"), full_page=True)


def test_who_refused_notifications_is_told_where_to_allow_them(new_page: NewPage, stack: Stack) -> None:
    person(stack, "refuser")
    page = new_page(PHONE)
    page.add_init_script("Object.defineProperty(Notification, 'permission', { get: () => 'denied' })")
    signed_in(page, "refuser", "/notifications")
    expect(section(page, "On this device").get_by_role("status")).to_contain_text("keeps our notifications away")


def test_a_push_is_shown_and_its_click_opens_the_stream(new_page: NewPage, stack: Stack) -> None:
    page = new_page(PHONE)
    page.context.grant_permissions(["notifications"], origin=stack.addresses.web_url)
    page.goto("/")
    registration = registered(page)
    session = page.context.new_cdp_session(page)
    session.send("ServiceWorker.enable")
    payload = {"kind": "go_live", "stream_id": "s1", "title": "Ada is live", "body": "Bread", "url": "/watch/s1"}
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": stack.addresses.web_url, "registrationId": registration, "data": json.dumps(payload)},
    )
    shown = """async () => {
        const found = await (await navigator.serviceWorker.ready).getNotifications();
        return found.map((one) => [one.title, one.body, one.tag]);
    }"""
    wait_until(lambda: page.evaluate(shown), "the notification")
    assert page.evaluate(shown) == [["Ada is live", "Bread", "go_live-s1"]]
    (worker,) = page.context.service_workers
    worker.evaluate(
        """async () => {
            const [notification] = await self.registration.getNotifications();
            self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
        }"""
    )
    page.wait_for_url("**/watch/s1")
    assert page.evaluate(shown) == []


def registered(page: Page) -> str:
    """Registers the service worker as the page does, and answers its id in Chromium."""
    session = page.context.new_cdp_session(page)
    seen: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: seen.extend(one["registrationId"] for one in event["registrations"] if not one["isDeleted"]),
    )
    session.send("ServiceWorker.enable")
    page.evaluate(
        "async () => { await navigator.serviceWorker.register('/push_worker.js', { scope: '/' });"
        " await navigator.serviceWorker.ready; }"
    )
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    return str(wait_until(lambda: seen and seen[-1], "the registration"))
