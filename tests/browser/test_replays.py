"""Recordings as a list: on one's own profile with files, visibility and deletion, on others' what may be watched.

``SCREENSHOTS=dir`` keeps pictures of it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD, wait_until
from tests.browser.conftest import DESK, PHONE, NewPage
from tests.browser.test_profile import reach
from tests.browser.test_replay import _recorded
from tests.browser.test_settings import person, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"replays-{name}.png")


def test_a_host_finds_shows_and_deletes_a_recording_and_others_see_what_they_may(
    stack: Stack, new_page: NewPage
) -> None:
    host = new_page(PHONE)
    stream_id = _recorded(stack, host)
    api = Client(stack.addresses.api_url)
    api.sign_in("demo_host", PASSWORD)
    person(stack, "late_fan")
    fan = new_page(DESK)
    signed_in(fan, "late_fan", "/@demo_host")

    # Others see it with its picture and length, and it plays.
    theirs = fan.get_by_role("region", name="Replays").get_by_role("link", name=re.compile("Golden hour, again"))
    expect(theirs).to_be_visible()
    expect(theirs.locator("img")).to_have_js_property("naturalWidth", 320)
    expect(theirs.locator(".tag")).to_have_text(re.compile(r"^\d:\d\d$"))
    assert reach(fan) <= 0
    _picture(fan, "others")
    expect(fan.get_by_role("button", name="Your recording")).to_have_count(0)

    # The host finds it from the own page, and takes it back by keyboard.
    host.goto("/me")
    host.get_by_role("link", name="Your replays").click()
    host.wait_for_url(re.compile("/@demo_host$"))
    section = host.get_by_role("region", name="Replays")
    manage = section.get_by_role("button", name="Your recording “Golden hour, again”")
    expect(manage).to_be_visible()
    manage.scroll_into_view_if_needed()
    box = manage.bounding_box()
    assert box is not None and min(box["width"], box["height"]) >= 44
    _picture(host, "own")
    manage.focus()
    host.keyboard.press("Enter")
    expect(host.locator("onair-replays onair-sheet")).to_contain_text(re.compile(r"\d MB.*kept until"))
    everyone = host.get_by_role("radio", name="Everyone")
    expect(everyone).to_be_checked()
    host.wait_for_function("() => document.getAnimations().every((one) => one.playState !== 'running')")
    _picture(host, "manage")
    everyone.focus()
    host.keyboard.press("ArrowDown")
    expect(host.get_by_role("radio", name="Followers")).to_be_checked()
    host.keyboard.press("ArrowDown")
    expect(host.get_by_role("radio", name="Only you")).to_be_checked()
    expect(section.locator(".tag.to")).to_have_text("Only you")
    expect(host.get_by_text("Who can watch it: Only you")).to_be_visible()
    assert api.call("GET", f"/streams/{stream_id}")["replay"] == "off"
    fan.reload()
    expect(fan.get_by_text("No replays yet.")).to_be_visible()
    _picture(fan, "others-none")

    # Esc gives the focus back; the recording still plays for its host.
    host.keyboard.press("Escape")
    expect(host.get_by_role("dialog")).to_be_hidden()
    expect(manage).to_be_focused()
    section.get_by_role("link", name=re.compile("Golden hour, again")).click()
    host.wait_for_url(re.compile(f"/replay/{stream_id}"))
    host.wait_for_function(
        "() => document.querySelector('onair-app').renderRoot.querySelector('onair-replay')?.video?.currentTime > 0.5"
    )
    host.go_back()

    # Deleted from the list, it leaves the list and the page stays.
    host.get_by_role("button", name="Your recording “Golden hour, again”").click()
    host.get_by_role("button", name="Delete the recording").click()
    expect(host.get_by_text("This cannot be undone")).to_be_visible()
    _picture(host, "delete")
    host.get_by_role("button", name="Delete for everyone").click()
    expect(host.get_by_text("Your broadcasts stay here for a while once they end.")).to_be_visible()
    expect(section.get_by_role("heading", name="Replays")).to_be_focused()
    assert host.url.endswith("/@demo_host")
    assert api.call("GET", "/me/replays")["items"] == []


def test_a_list_that_does_not_load_says_so_and_loads_when_asked_again(stack: Stack, new_page: NewPage) -> None:
    person(stack, "unlucky")
    page = new_page(PHONE)
    # given no answer
    page.route("**/me/replays?*", lambda route: route.abort())
    signed_in(page, "unlucky", "/@unlucky")
    section = page.get_by_role("region", name="Replays")
    expect(section.get_by_role("alert")).to_contain_text("The replays did not load")
    _picture(page, "failed")
    # when the network is back
    page.unroute("**/me/replays?*")
    again = section.get_by_role("button", name="Try again")
    again.focus()
    page.keyboard.press("Enter")
    expect(section.get_by_text("Your broadcasts stay here for a while once they end.")).to_be_visible()


def _hold(page: Page, held: list[Route], count: int) -> None:
    """Wait until so many requests are held; asking the page something lets Playwright hand them on."""
    wait_until(lambda: page.evaluate("0") == 0 and len(held) == count, f"{count} requests are held")


def _stored(at: int) -> dict[str, Any]:
    """A recording as the list tells of it; its picture is not to be had."""
    day = "2026-01-02T03:04:05.000Z"
    stream = {"id": f"stored{at}", "title": f"Evening {at}", "replay": "public", "started_at": day}
    picture = f"/nothing/{at}.jpg" if at == 0 else None
    return {
        "stream": stream,
        "state": "ready",
        "viewers": at,
        "expires_at": "2099-01-02T03:04:05.000Z",
        "picture_url": picture,
        "duration_s": 60.0,
        "bytes": 1_000_000,
    }


def test_choices_made_in_a_row_are_sent_in_order_and_a_refused_one_is_taken_back(
    stack: Stack, new_page: NewPage
) -> None:
    person(stack, "quick")
    page = new_page(PHONE)
    page.route("**/me/replays?*", lambda route: route.fulfill(json={"items": [_stored(0), _stored(1)]}))
    held: list[Route] = []
    page.route("**/streams/stored0", lambda route: held.append(route))
    signed_in(page, "quick", "/@quick")
    page.get_by_role("button", name="Your recording “Evening 0”").click()
    page.get_by_role("radio", name="Everyone").focus()
    # when one is chosen while the answer to the one before is awaited
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    only_you = page.get_by_role("radio", name="Only you")
    expect(only_you).to_be_checked()
    # then it is sent after that answer
    _hold(page, held, 1)
    held[0].fulfill(json=_stored(0)["stream"] | {"replay": "followers"})
    _hold(page, held, 2)
    assert [one.request.post_data_json for one in held] == [{"replay": "followers"}, {"replay": "off"}]
    expect(only_you).to_be_checked()
    # and where it is refused, what is stored is shown
    held[1].fulfill(status=503, json={"error": {"code": "unavailable", "message": "Not now."}})
    expect(page.get_by_role("radio", name="Followers")).to_be_checked()


def test_a_recording_whose_sheet_was_closed_while_it_was_deleted_leaves_the_list(
    stack: Stack, new_page: NewPage
) -> None:
    person(stack, "hasty")
    page = new_page(PHONE)
    page.route("**/me/replays?*", lambda route: route.fulfill(json={"items": [_stored(0), _stored(1)]}))
    held: list[Route] = []
    page.route("**/streams/stored0", lambda route: held.append(route))
    signed_in(page, "hasty", "/@hasty")
    page.get_by_role("button", name="Your recording “Evening 0”").click()
    page.get_by_role("button", name="Delete the recording").click()
    page.get_by_role("button", name="Delete for everyone").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    # when the answer comes
    _hold(page, held, 1)
    held[0].fulfill(status=204)
    # then the other one is what is left
    expect(page.get_by_role("button", name="Your recording “Evening 0”")).to_have_count(0)
    expect(page.get_by_role("button", name="Your recording “Evening 1”")).to_be_visible()
