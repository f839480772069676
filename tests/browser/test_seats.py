"""Guests on screen in Chromium: asked, let in, seen by host and viewer, muted, arranged, and gone again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, NewPage, end_live, go_live, sign_in

pytestmark = pytest.mark.browser

# Real time on two cores that encode, decode and compose.
SLOW_MS = 45_000


def _shot(page: Page, name: str) -> None:
    """A screenshot for whoever looks at screens (`make screenshots`)."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/seats-{name}.png")


def _open_seats(page: Page) -> None:
    page.get_by_role("button", name="Guests").click()


def _plays(page: Page, seat: str) -> None:
    """The picture of a seat moves on this page."""
    video = page.locator(f"onair-seats figure[data-seat='{seat}'] video")
    video.wait_for(timeout=SLOW_MS)
    page.wait_for_function(
        "(video) => video.videoWidth > 0 && video.currentTime > 0.3",
        arg=video.element_handle(),
        timeout=SLOW_MS,
    )


def test_a_viewer_asks_comes_on_screen_and_leaves_while_others_see_one_picture(new_page: NewPage) -> None:
    host, guest = new_page(DESK), new_page()
    go_live(host, "Soup for three")
    guest.goto("/")
    guest.get_by_role("button", name="Sign in").click()
    sign_in(guest, "demo_viewer")
    guest.locator(".card", has_text="Soup for three").click()
    guest.locator("onair-player[state=playing]").wait_for(timeout=SLOW_MS)

    # Nobody is there yet; the viewer asks.
    _open_seats(guest)
    _shot(guest, "ask")
    guest.get_by_role("button", name="Ask to join on screen").click()
    expect(guest.get_by_text("You asked to join. The host decides.")).to_be_visible()

    # The host sees who waits, and lets them in.
    expect(host.locator(".side .count")).to_have_text("1")
    _open_seats(host)
    expect(host.locator("onair-seats .asked li")).to_have_count(1)
    _shot(host, "requests")
    host.get_by_role("button", name="Let in").click()

    # Both see each other at once; the guest's own picture is there too.
    expect(guest.locator("onair-seats figure.own")).to_be_visible(timeout=SLOW_MS)
    _plays(guest, "host")
    seat = host.locator("onair-seats figure").first.get_attribute("data-seat") or ""
    _plays(host, seat)
    assert guest.locator("onair-player").evaluate("(player) => player.muted") is True
    _shot(guest, "guest")
    expect(host.locator("onair-seats .guests li")).to_have_count(1)
    _shot(host, "manage")

    # Whoever watches the programme sees both, in the layout that the host chooses.
    viewer = new_page()
    viewer.goto(guest.url)
    viewer.locator("onair-player[state=playing]").wait_for(timeout=SLOW_MS)
    viewer.wait_for_function(
        """() => {
          const find = (root) => root.querySelector("video") ?? [...root.querySelectorAll("*")]
            .map((one) => one.shadowRoot && find(one.shadowRoot)).find(Boolean);
          const video = find(document);
          return video && video.videoWidth === 640 && video.videoHeight === 360;
        }""",
        timeout=SLOW_MS,
    )
    _shot(viewer, "viewer")
    host.locator("[data-layout=spotlight]").click()
    expect(host.locator("[data-layout=spotlight]")).to_have_attribute("aria-pressed", "true")

    # Muted by the host, and gone by oneself.
    host.get_by_role("button", name="Mute", exact=True).click()
    expect(guest.get_by_text("The host muted you.")).to_be_attached()
    host.keyboard.press("Escape")
    _shot(host, "host")
    guest.get_by_role("button", name="Leave screen").click()
    expect(guest.locator("onair-seats figure")).to_have_count(0)
    expect(host.locator("onair-seats figure")).to_have_count(0)
    end_live(host)


def test_a_guest_whose_page_goes_away_leaves_no_empty_seat(new_page: NewPage) -> None:
    host, guest = new_page(DESK), new_page()
    go_live(host, "Soup for a moment")
    guest.goto("/")
    guest.get_by_role("button", name="Sign in").click()
    sign_in(guest, "demo_viewer")
    guest.locator(".card", has_text="Soup for a moment").click()
    guest.locator("onair-player[state=playing]").wait_for(timeout=SLOW_MS)
    _open_seats(guest)
    guest.get_by_role("button", name="Ask to join on screen").click()
    expect(host.locator(".side .count")).to_have_text("1")
    _open_seats(host)
    host.get_by_role("button", name="Let in").click()
    expect(guest.locator("onair-seats figure.own")).to_be_visible(timeout=SLOW_MS)
    expect(host.locator("onair-seats .guests li")).to_have_count(1)

    guest.goto("about:blank")
    expect(host.locator("onair-seats .guests li")).to_have_count(0, timeout=SLOW_MS)
    host.keyboard.press("Escape")
    end_live(host)
