"""Standing on the page: an operator strikes, the account reads its record and appeals, the operator takes it back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD
from tests.browser.conftest import DESK, PHONE, NewPage, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def _shot(page: Page, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=False)


def _enter(page: Page, handle: str, *, demo: bool = True) -> None:
    page.goto("/me")
    page.get_by_role("button", name="Sign in").click()
    if demo:
        sign_in(page, handle)
        return
    page.get_by_label("Handle").fill(handle)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("onair-sign-in").get_by_role("button", name="Sign in", exact=True).click()
    page.locator("onair-sign-in").wait_for(state="detached")


def _no_wider_than_the_glass(page: Page) -> None:
    assert page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("size", "name"), [(PHONE, "phone"), (DESK, "desk")])
def test_a_strike_is_read_appealed_and_taken_back(
    stack: Stack, new_page: NewPage, size: tuple[int, int], name: str
) -> None:
    handle = f"struck_{name}"
    Client(stack.addresses.own_api_url).sign_up(handle, PASSWORD)
    desk, own = new_page(size), new_page(size)
    _enter(desk, "demo_operator")
    desk.get_by_role("link", name="Operators").click()
    desk.get_by_label("Handle", exact=True).fill(handle)
    desk.get_by_role("button", name="Look up").click()
    desk.get_by_text("Add a strike").click()
    desk.get_by_label("Rule").select_option("fraud")
    desk.get_by_label("Reason").first.fill("Sold coins that do not exist")
    _shot(desk, f"{name}-operator-strike")
    _no_wider_than_the_glass(desk)
    desk.get_by_role("button", name="Strike", exact=True).click()
    expect(desk.locator(".standing.suspended")).to_be_visible()
    _shot(desk, f"{name}-operator-account")

    _enter(own, handle, demo=False)
    own.get_by_role("link", name="Account standing").click()
    expect(own.locator(".standing.suspended")).to_be_visible()
    expect(own.get_by_text("Sold coins that do not exist")).to_be_visible()
    expect(own.get_by_text("@demo_operator")).to_have_count(0)
    _shot(own, f"{name}-standing")
    _no_wider_than_the_glass(own)
    own.get_by_role("button", name="Appeal", exact=True).click()
    own.get_by_label("What we should know").fill("That was a joke among friends")
    _shot(own, f"{name}-appeal")
    own.get_by_role("button", name="Send appeal").click()
    expect(own.get_by_text("Appeal waits for its review")).to_be_visible()

    desk.get_by_role("tab", name="Appeals").click()
    mine = desk.locator("li", has_text=f"@{handle}")
    mine.get_by_label("Reason").fill("It was one")
    _shot(desk, f"{name}-operator-appeals")
    _no_wider_than_the_glass(desk)
    mine.get_by_role("button", name="Take it back").click()
    expect(mine).to_have_count(0)
    desk.get_by_role("tab", name="Appeals").press("ArrowRight")
    desk.get_by_role("tab", name="Audit trail").click()
    expect(desk.get_by_text(f"Appeal reviewed · {handle}")).to_be_visible()
    _shot(desk, f"{name}-operator-trail")

    own.reload()
    expect(own.locator(".standing.good")).to_be_visible()
    expect(own.get_by_text("Appeal accepted")).to_be_visible()


def test_the_operators_page_is_empty_for_everyone_else(new_page: NewPage) -> None:
    page = new_page()
    _enter(page, "demo_viewer")
    expect(page.get_by_role("link", name="Operators")).to_have_count(0)
    page.goto("/operator")
    expect(page.get_by_text("This page is for operators.")).to_be_visible()
