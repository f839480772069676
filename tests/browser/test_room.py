"""A room in Chromium, from both sides of the glass: replies, moderation, the pin, questions and polls."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, NewPage, end_live, go_live, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"room-{name}.png")


def _watch(page: Page, title: str, handle: str) -> None:
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    sign_in(page, handle)
    page.locator(".card", has_text=title).click()
    page.locator("onair-player[state=playing]").wait_for(timeout=30_000)


def _say(page: Page, text: str) -> None:
    page.locator("aside form input").fill(text)
    page.keyboard.press("Enter")


def test_an_evening_in_a_room(new_page: NewPage) -> None:
    host, viewer = new_page(), new_page(DESK)
    go_live(host, "Ask me anything")
    _watch(viewer, "Ask me anything", "demo_viewer")

    # A tap on a comment replies to it, and the answer quotes it.
    _say(viewer, "hello from the back row")
    said = host.locator("li.chat[aria-label^='Demo Viewer: hello']")
    said.click()
    expect(host.locator(".reply")).to_contain_text("hello from the back row")
    _picture(host, "reply")
    _say(host, "hello yourself")
    answer = viewer.locator("li.chat", has_text="hello yourself")
    expect(answer.locator(".quoted")).to_contain_text("hello from the back row")
    expect(answer.locator(".badge.host")).to_be_visible()

    # The host pins it from the menu; by keyboard the same menu opens for the viewer, without the host's acts.
    said.click(button="right")
    _picture(host, "menu")
    host.locator("[data-act=pin]").click()
    expect(viewer.locator(".pinned")).to_contain_text("hello from the back row")
    viewer.locator("ol[role=log]").focus()
    viewer.keyboard.press("End")
    viewer.keyboard.press("Enter")
    expect(viewer.locator("[data-act=reply]")).to_be_focused()
    expect(viewer.locator("[data-act=ban]")).to_have_count(0)
    viewer.keyboard.press("Escape")

    # A question goes over the picture and away again.
    viewer.locator("[data-sheet=questions]").click()
    viewer.get_by_label("Ask the host…").fill("What do you cook next?")
    viewer.get_by_role("button", name="Ask", exact=True).click()
    asked = viewer.locator("onair-questions li", has_text="What do you cook next?")
    asked.get_by_role("button").click()
    expect(asked.locator(".up")).to_have_text("1")
    _picture(viewer, "questions")
    viewer.keyboard.press("Escape")
    host.locator("[data-sheet=questions]").click()
    _picture(host, "questions-host")
    host.locator("onair-questions [data-state=showing]").click()
    expect(viewer.locator("section.question")).to_contain_text("What do you cook next?")
    host.keyboard.press("Escape")
    host.locator("section.question").get_by_role("button", name="Answered").click()
    expect(viewer.locator("section.question")).to_have_count(0)

    # A poll: one vote, tallies for all.
    host.locator("[data-sheet=poll]").click()
    host.get_by_role("textbox", name="Question").fill("Sweet or salty?")
    host.get_by_label("Answer 1").fill("Sweet")
    host.get_by_label("Answer 2").fill("Salty")
    host.get_by_text("30 s", exact=True).click()
    _picture(host, "poll-form")
    host.get_by_role("button", name="Start the poll").click()
    expect(viewer.locator("section.poll .title")).to_have_text(re.compile(r"^\s*(30|2\d) s left"))
    viewer.get_by_role("button", name="Vote for Salty").click()
    expect(host.locator(".option", has_text="Salty")).to_contain_text("100 %")
    expect(viewer.locator(".option.mine")).to_contain_text("Salty")
    _picture(viewer, "poll")
    _picture(host, "poll-host")

    # Rules and moderation are honoured at once.
    host.locator("[data-sheet=rules]").click()
    host.get_by_role("switch", name="Comments", exact=True).click()
    _picture(host, "rules")
    expect(viewer.locator("aside form input")).to_be_disabled()
    host.get_by_role("switch", name="Comments", exact=True).click()
    expect(viewer.locator("aside form input")).to_be_enabled()
    host.keyboard.press("Escape")
    said.click(button="right")
    host.locator("[data-act=mute]").click()
    expect(viewer.locator("aside form input")).to_be_disabled()
    expect(viewer.get_by_placeholder("You are muted in this room")).to_be_visible()
    # The room tells of it before the answer to the host's request does, which puts the menu away.
    expect(host.locator("onair-comment-menu")).to_have_count(0)
    said.click(button="right")
    host.locator("[data-act=remove]").click()
    expect(viewer.locator("li.chat", has_text="hello from the back row")).to_have_count(0)
    expect(viewer.locator(".pinned")).to_have_count(0)
    end_live(host)
