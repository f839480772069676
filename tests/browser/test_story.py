"""The whole story in Chromium: a broadcast from one page to another, and those who are refused or cut off."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import measure
from tests.browser.conftest import NewPage, end_live, go_live, sign_in, silent_relay

pytestmark = pytest.mark.browser


def test_a_broadcast_reaches_another_screen_with_chat_hearts_and_a_gift(new_page: NewPage) -> None:
    host, viewer = new_page(), new_page()

    go_live(host, "Soup for two")

    # The viewer finds it in the feed; it starts silent, and a tap brings the sound.
    viewer.goto("/")
    viewer.get_by_role("button", name="Sign in").click()
    sign_in(viewer, "demo_viewer")
    viewer.locator(".card", has_text="Soup for two").click()
    viewer.locator("onair-player[state=playing]").wait_for(timeout=30_000)
    assert measure.picture_change(viewer) > measure.MOVING_MIN
    assert measure.loudness(viewer, expected=False) == 0
    viewer.get_by_role("button", name="Tap for sound").click()
    assert measure.loudness(viewer, expected=True) > measure.SOUND_MIN
    expect(viewer.get_by_role("button", name="Tap for sound")).to_have_count(0)

    # A comment crosses, and its author sees it once.
    viewer.get_by_label("Add a comment…").fill("smells good from here")
    viewer.keyboard.press("Enter")
    expect(host.locator("li.chat", has_text="smells good from here")).to_be_visible()
    expect(viewer.locator("li.chat", has_text="smells good from here")).to_have_count(1)

    # Hearts: a double tap on the picture, and the button; they rise on the host's screen.
    box = viewer.locator("onair-player").bounding_box()
    assert box is not None
    flown = host.locator("onair-reactions").evaluate_handle(
        """(element) => {
          const seen = { hearts: 0 };
          new MutationObserver((changes) => {
            for (const change of changes) for (const node of change.addedNodes) seen.hearts += node.textContent === "❤️";
          }).observe(element.shadowRoot, { childList: true });
          return seen;
        }"""
    )
    viewer.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 250)
    for _ in range(4):
        viewer.get_by_role("button", name="Send ❤️").last.click()
    host.wait_for_function("(seen) => seen.hearts >= 3", arg=flown)

    # A gift crosses, coins fall at once, diamonds rise by settlement.
    viewer.get_by_role("button", name="Gifts", exact=True).click()
    coins = viewer.locator("onair-gift-tray .balance")
    expect(coins).to_have_text("10,500")
    doughnut = viewer.locator("[data-gift=doughnut]")
    doughnut.click()
    doughnut.click()
    expect(coins).to_have_text("10,470")
    expect(host.locator("li.gift", has_text="Doughnut")).to_be_visible()
    expect(host.locator("onair-gift-stage .banner")).to_be_visible()
    expect(host.locator(".earned")).to_have_attribute("data-diamonds", "15", timeout=20_000)
    viewer.keyboard.press("Escape")
    expect(viewer.locator("li.gift", has_text="Doughnut")).to_have_count(1)

    # The host answers.
    host.get_by_label("Answer your viewers…").fill("thank you!")
    host.keyboard.press("Enter")
    expect(viewer.locator("li.chat", has_text="thank you!")).to_be_visible()

    # The end: a summary here, the ended state there.
    end_live(host)
    summary = host.locator("onair-live .done")
    expect(summary.locator(".diamonds dd")).to_have_text("15")
    expect(summary.locator(".comments dd")).to_have_text("2")
    expect(summary.locator(".gifts dd")).to_have_text("1")
    # Five taps of the button or the picture (a double tap is one heart).
    expect(summary.locator(".reactions dd")).to_have_text("5")
    expect(viewer.get_by_role("heading", name="This broadcast has ended")).to_be_visible()


def test_a_newcomer_sees_what_is_missing_to_go_live(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/")
    page.locator("a.create").click()
    sign_in(page, "demo_newcomer")
    page.get_by_label("Title").fill("Too soon")
    page.get_by_role("button", name="Next").click()

    expect(page.get_by_text("This is still missing")).to_be_visible()
    followers = page.locator("[data-code=followers]")
    expect(followers).to_have_class("unmet")
    expect(followers).to_contain_text("Needs 1,000 · you have 0")
    expect(followers).to_contain_text("Invite people to follow you")
    expect(page.locator("[data-code=age]")).to_contain_text("from the age of 18")
    for device in ("camera", "microphone"):
        expect(page.locator(f"[data-code={device}]")).to_have_class("met")
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)


def test_a_refused_camera_is_explained(new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script(
        """navigator.mediaDevices.getUserMedia = async (wanted) => {
          throw new DOMException("no", wanted.video ? "NotAllowedError" : "NotFoundError");
        }"""
    )
    page.goto("/go-live")
    sign_in(page, "demo_host")
    page.get_by_label("Title").fill("No camera")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("[data-code=camera]")).to_contain_text("Allow it in your browser")
    expect(page.locator("[data-code=microphone]")).to_contain_text("None was found")
    expect(page.locator("[data-code=followers]")).to_have_class("met")


def test_a_visitor_watches_by_link_and_comments_after_signing_in(new_page: NewPage, demo_stream: str) -> None:
    page = new_page()
    page.goto(f"/watch/{demo_stream}")
    page.locator("onair-player[state=playing]").wait_for(timeout=30_000)
    assert measure.picture_change(page) > measure.MOVING_MIN

    page.get_by_label("Add a comment…").fill("just passing by")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in to comment")).to_be_visible()
    sign_in(page, "demo_viewer2")

    # Back in the act: the comment is said without being typed again, and the picture never stopped.
    expect(page.locator("li.chat", has_text="just passing by")).to_have_count(1)
    expect(page.locator("onair-player")).to_have_attribute("state", "playing")


def test_a_dead_relay_shows_reconnecting_and_the_picture_comes_back(new_page: NewPage, demo_stream: str) -> None:
    page = new_page()
    page.goto(f"/watch/{demo_stream}")
    page.locator("onair-player[state=playing]").wait_for(timeout=30_000)

    with silent_relay():
        words = page.locator(".words")
        expect(words).to_be_visible(timeout=20_000)
        page.locator("onair-player[state=reconnecting]").wait_for(timeout=20_000)
        expect(words).to_contain_text("Reconnecting…")

    page.locator("onair-player[state=playing]").wait_for(timeout=40_000)
    expect(page.locator(".words")).to_have_count(0)
    assert measure.picture_change(page) > measure.MOVING_MIN


def test_a_broadcast_that_is_gone_says_so(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/watch/01nothinghere0000000000000")
    expect(page.get_by_text("This broadcast does not exist")).to_be_visible()
    page.get_by_role("link", name="Find another live").click()
    expect(page).to_have_url("/")
