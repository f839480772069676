"""Who is here, what is read aloud and who came by a shared link, in Chromium."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, NewPage, end_live, go_live, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

# Chromium without a voice says nothing and fires nothing: what it was asked to say is kept instead.
_LISTEN = """() => {
  globalThis.said = [];
  speechSynthesis.speak = (utterance) => globalThis.said.push(utterance.text);
}"""


def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"presence-{name}.png")


def test_a_shared_link_brings_someone_whom_the_host_sees_and_hears(new_page: NewPage) -> None:
    host, viewer, friend = new_page(), new_page(), new_page(DESK)
    go_live(host, "Walking home")
    host.evaluate(_LISTEN)

    # A viewer shares: a link of their own, copied or shown.
    viewer.goto("/")
    viewer.get_by_role("button", name="Sign in").click()
    sign_in(viewer, "demo_viewer")
    viewer.locator(".card", has_text="Walking home").click()
    viewer.locator("onair-player[state=playing]").wait_for(timeout=30_000)
    with viewer.expect_response(re.compile(r"/share$")) as shared:
        viewer.get_by_role("button", name="Share").click()
    url = str(shared.value.json()["url"])
    expect(host.locator("li.share")).to_contain_text("Demo Viewer")
    # Chromium without a window has no right to the clipboard: the link is shown to be copied.
    expect(viewer.locator("onair-sheet[open] input[readonly]")).to_have_value(url)
    viewer.keyboard.press("Escape")

    # Whoever opens it lands in the broadcast.
    friend.goto(url)
    friend.wait_for_url(re.compile(r"/watch/.+via="))
    friend.locator("onair-player[state=playing]").wait_for(timeout=30_000)

    # The host sees everybody by name but the one who is not signed in; a viewer only whom they follow.
    host.locator(".viewers-now").click()
    names = host.locator("onair-viewers li b")
    expect(names.filter(has_text="Demo Viewer")).to_be_visible()
    expect(host.locator("onair-viewers p")).to_contain_text("not signed in")
    _picture(host, "viewers-host")
    host.keyboard.press("Escape")
    viewer.locator("button.viewers").click()
    expect(viewer.locator("onair-viewers")).to_contain_text("You see whom you follow")
    _picture(viewer, "viewers")
    viewer.keyboard.press("Escape")

    # What the host shows is read aloud, once the host asked for it, and once.
    host.locator("[data-sheet=questions]").click()
    host.get_by_role("checkbox", name="Read what is shown aloud").check()
    _picture(host, "read-aloud")
    host.keyboard.press("Escape")
    viewer.locator("aside form input").fill("how cold is it there?")
    viewer.keyboard.press("Enter")
    host.locator("li.chat", has_text="how cold is it there?").click(button="right")
    host.locator("[data-act=spotlight]").click()
    expect(viewer.locator("section.question")).to_contain_text("how cold is it there?")
    host.wait_for_function("() => globalThis.said.length === 1")
    assert host.evaluate("() => globalThis.said") == ["Demo Viewer: how cold is it there?"]
    end_live(host)
