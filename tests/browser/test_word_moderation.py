"""Moderation in Chromium: a comment waits for the host and is shown, the room's rules, and a report by a viewer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD
from tests.browser.conftest import DESK, NewPage, end_live, go_live, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"moderation-{name}.png")


def _say(page: Page, text: str) -> None:
    page.locator("aside form input").fill(text)
    page.keyboard.press("Enter")


def test_the_host_decides_what_waits_and_a_viewer_reports(stack: Stack, new_page: NewPage) -> None:
    host, viewer = new_page(), new_page(DESK)
    go_live(host, "Call-in hour")
    viewer.goto("/")
    viewer.get_by_role("button", name="Sign in").click()
    sign_in(viewer, "demo_viewer")
    viewer.locator(".card", has_text="Call-in hour").click()
    viewer.locator("onair-player[state=playing]").wait_for(timeout=30_000)

    # A phone number waits: its author is told, nobody sees it, the host has it one tap away.
    _say(viewer, "ring me on +49 170 1234567")
    expect(viewer.locator("onair-toast")).to_contain_text("waits for the host")
    host.locator("[data-sheet=held]").click()
    waiting = host.locator("onair-held li")
    expect(waiting).to_contain_text("ring me on +49 170 1234567")
    expect(waiting).to_contain_text("phone number")
    expect(viewer.locator("li.chat", has_text="ring me")).to_have_count(0)
    _picture(host, "held")
    waiting.get_by_role("button", name="Show").click()
    expect(viewer.locator("li.chat", has_text="ring me")).to_be_visible()
    expect(viewer.locator("onair-toast")).to_contain_text("shown now")
    expect(host.locator("onair-held")).to_contain_text("Nothing waits")
    host.keyboard.press("Escape")
    expect(host.locator("[data-sheet=held]")).to_have_count(0)

    # Links are refused once the host says so.
    host.locator("[data-sheet=rules]").click()
    host.locator("[data-rule=links-refused]").click()
    expect(host.locator("[data-rule=links-refused]")).to_have_attribute("aria-pressed", "true")
    _picture(host, "rules")
    host.keyboard.press("Escape")
    _say(viewer, "see www.example.com")
    expect(viewer.locator("onair-toast")).to_contain_text("not allowed in this room")
    expect(viewer.locator("aside form input")).to_have_value("see www.example.com")
    viewer.locator("aside form input").fill("")

    # The host lets the viewer moderate: the room's rules are one tap away at once.
    host.locator("li.chat", has_text="ring me").click(button="right")
    host.locator("[data-act=appoint]").click()
    expect(host.locator("onair-toast")).to_contain_text("moderates your broadcasts now")
    expect(viewer.locator("[data-sheet=rules]")).to_be_visible()

    # The viewer reports what the host says.
    _say(host, "buy my followers")
    said = viewer.locator("li.chat", has_text="buy my followers")
    said.click(button="right")
    viewer.locator("[data-act=report]").click()
    form = viewer.locator("onair-report")
    expect(form.get_by_role("button", name="Send report")).to_be_disabled()
    form.get_by_label("Fraud").check()
    form.get_by_role("textbox").fill("sells what is not theirs")
    _picture(viewer, "report")
    form.get_by_role("button", name="Send report").click()
    expect(viewer.locator("onair-toast")).to_contain_text("Thank you")
    expect(form).to_have_count(0)
    end_live(host)
    # The list outlives the broadcast, and others of these tests have the same host.
    api = Client(stack.addresses.api_url)
    api.sign_in("demo_host", PASSWORD)
    api.call("DELETE", "/me/moderators/demo_viewer")
