"""Profiles at their own address: follow, lists, what comes next, reminder, report, block; by thumb and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from functions import clock
from local.client import Client
from local.seed import give_followers
from local.stack import Stack
from local.testing import wait_until
from tests.browser.conftest import DESK, PHONE, NewPage
from tests.browser.test_settings import person, picture, signed_in

SIZES = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])


def announcing(stack: Stack, handle: str) -> tuple[Client, str]:
    """Someone who has announced a broadcast for tomorrow, and its id."""
    host = person(stack, handle)
    give_followers(stack.declared, str(host.account_id), 1_250)
    tomorrow = clock.rfc3339(clock.now_ms() + 24 * 3_600_000)
    wanted = {"title": "Bread for beginners", "topics": [], "devices": {"encoder": True}, "scheduled_for": tomorrow}
    made: Any = host.call("POST", "/streams", wanted)
    return host, str(made["id"])


def reach(page: Page) -> float:
    """How far the page is wider than its window: nothing may stick out."""
    return float(page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


@SIZES
def test_a_profile_is_followed_reminded_of_listed_reported_and_blocked(
    new_page: NewPage, stack: Stack, size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    baker, fan = f"baker_{size[0]}", f"fan_{size[0]}"
    host, stream_id = announcing(stack, baker)
    viewer = person(stack, fan)
    shots = Path(tmp_path_factory.getbasetemp())
    page = new_page(size)
    try:
        signed_in(page, fan, f"/@{baker}")
        expect(page.get_by_role("heading", name=f"Baker {size[0]}", exact=True)).to_be_visible()
        # Then: what comes next, and a reminder by keyboard
        expect(page.get_by_role("region", name="Next broadcast")).to_contain_text("Bread for beginners")
        remind = page.get_by_role("button", name="Reminder: Baker")
        expect(remind).to_have_attribute("aria-pressed", "false")
        page.screenshot(path=str(shots / f"profile-{size[0]}.png"))
        remind.focus()
        page.keyboard.press("Enter")
        expect(remind).to_have_attribute("aria-pressed", "true")
        wait_until(lambda: viewer.call("GET", f"/streams/{stream_id}")["reminder"], "the reminder to be kept")
        # When: followed, the list of followers has the fan, who leads to their own profile
        page.get_by_role("button", name="Follow", exact=True).click()
        expect(page.get_by_role("button", name="Following", exact=True)).to_be_visible()
        page.get_by_role("button", name="followers").click()
        opened = page.locator("onair-profile onair-sheet")
        row = opened.get_by_role("link", name=f"@{fan}")
        expect(row).to_be_visible()
        page.screenshot(path=str(shots / f"profile-list-{size[0]}.png"))
        assert reach(page) <= 0
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        # When: reported
        page.get_by_role("button", name="Report").click()
        page.get_by_label("Impersonation").check()
        page.get_by_label("Anything we should know?").fill("That is my picture")
        page.get_by_role("button", name="Send report").click()
        wait_until(lambda: viewer.call("GET", "/me/reports")["items"], "the report to be filed")
        expect(page.get_by_role("dialog")).to_be_hidden()
        # When: blocked, and let in again
        page.get_by_role("button", name="Block", exact=True).click()
        opened.get_by_role("button", name="Block", exact=True).click()
        expect(page.get_by_text("You block this account.")).to_be_visible()
        page.get_by_role("button", name="Unblock").click()
        expect(page.get_by_role("button", name="Follow", exact=True)).to_be_visible()
    finally:
        host.call("DELETE", f"/streams/{stream_id}")


@SIZES
def test_the_feed_shows_what_comes_up_and_leads_to_who_announced_it(
    new_page: NewPage, stack: Stack, size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cook, fan = f"cook_{size[0]}", f"guest_{size[0]}"
    host, stream_id = announcing(stack, cook)
    person(stack, fan)
    page = new_page(size)
    try:
        signed_in(page, fan, "/")
        coming = page.get_by_role("region", name="Coming up")
        expect(coming).to_contain_text("Bread for beginners")
        coming.get_by_role("button", name=f"Reminder: Cook {size[0]}").click()
        expect(coming.get_by_role("button", name=f"Reminder: Cook {size[0]}")).to_have_attribute("aria-pressed", "true")
        page.screenshot(path=str(tmp_path_factory.getbasetemp() / f"upcoming-{size[0]}.png"))
        coming.get_by_role("link").filter(has_text=f"Cook {size[0]}").click()
        page.wait_for_url(f"**/@{cook}")
        expect(page.get_by_role("heading", name=f"Cook {size[0]}", exact=True)).to_be_visible()
    finally:
        host.call("DELETE", f"/streams/{stream_id}")


def test_a_host_gives_the_next_broadcast_its_cover(
    new_page: NewPage, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host, stream_id = announcing(stack, "painter")
    page = new_page(PHONE)
    try:
        signed_in(page, "painter", "/@painter")
        page.get_by_label("Cover").set_input_files({"name": "c.jpg", "mimeType": "image/jpeg", "buffer": picture()})
        expect(page.locator(".cover img")).to_be_visible(timeout=15_000)
        assert host.call("GET", f"/streams/{stream_id}")["preview_url"]
        page.screenshot(path=str(tmp_path_factory.getbasetemp() / "profile-cover.png"))
    finally:
        host.call("DELETE", f"/streams/{stream_id}")


def test_a_live_profile_leads_to_the_broadcast_and_a_handle_of_nobody_says_so(
    new_page: NewPage, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    person(stack, "looker")
    page = new_page(PHONE)
    signed_in(page, "looker", "/@demo_studio")
    expect(page.locator("onair-profile .live-badge")).to_be_visible()
    page.screenshot(path=str(tmp_path_factory.getbasetemp() / "profile-live.png"))
    page.get_by_role("link", name="Watch").click()
    page.wait_for_url("**/watch/*")
    page.goto("/@nobody_at_all")
    expect(page.get_by_role("alert")).to_contain_text("Nobody has this handle.")
