"""A host whose relay cannot show anybody beside them: told so while guests or a rival are to be on screen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from local import ports, template
from local.client import Client
from local.stack import Options, Stack
from local.testing import Onair, wait_until
from tests.browser.conftest import DESK, PHONE, NewPage, end_live, go_live

pytestmark = pytest.mark.browser

SLOW_MS = 45_000
ALONE = "Your relay has no processor to spare: viewers see you alone."


@pytest.fixture(scope="module")
def options() -> Options:
    """The relay composes nothing."""
    declared = template.load({**template.LOCAL_CONTEXT, "relay_compose_max": "0"}).template
    return Options(ports=ports.free(), template=declared)


def _shot(page: Page, name: str) -> None:
    """A screenshot for whoever looks at screens (`make screenshots`)."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"alone-{name}.png")


def _on_air(anyone: Client) -> str | None:
    """The demo host's stream, once it is live for everyone."""
    items = anyone.call("GET", "/feed/for-you")["items"]
    return next((each["id"] for each in items if each["host"]["handle"] == "demo_host"), None)


def _clear_of(page: Page, *others: str) -> None:
    """What is told lies over none of the others, and within the page."""
    box = page.locator("onair-stage-refused p").bounding_box()
    size = page.viewport_size
    assert box is not None and size is not None
    assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"]
    for other in others:
        # Sheets that are closed have buttons too.
        shown = [at.bounding_box() for at in page.locator(other).all()]
        assert any(shown), other
        for seen in filter(None, shown):
            beside = box["x"] + box["width"] <= seen["x"] or seen["x"] + seen["width"] <= box["x"]
            apart = box["y"] + box["height"] <= seen["y"] or seen["y"] + seen["height"] <= box["y"]
            assert beside or apart, f"{other} is covered"


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_host_is_told_that_viewers_see_them_alone_while_others_are_to_be_on_screen(
    stack: Stack, new_page: NewPage, size: tuple[int, int]
) -> None:
    onair = Onair(stack)
    rival = onair.account(f"rival_{size[0]}", followers=1_200)
    guest = onair.account(f"guest_{size[0]}")
    host = new_page(size)
    go_live(host, "Soup alone")
    told = host.locator("onair-stage-refused").get_by_role("status")
    expect(told).to_have_text("")

    # A guest is let in.
    mine = str(wait_until(lambda: _on_air(guest), "the broadcast in the feed", within_s=30))
    room = onair.socket(guest, mine)
    room.join()
    guest.call("POST", f"/streams/{mine}/seats", {})
    host.get_by_role("button", name="Guests").click()
    host.get_by_role("button", name="Let in").click()
    host.keyboard.press("Escape")
    expect(told).to_have_text(ALONE, timeout=SLOW_MS)
    _shot(host, f"guest-{size[0]}")
    _clear_of(host, "header button", ".side button", "onair-seats .tiles", "aside form")

    # Who sees it alone is the host, and it is over with the seat.
    assert "stage_refused" not in guest.call("GET", f"/streams/{mine}")
    host.get_by_role("button", name="Guests").click()
    host.get_by_role("button", name="Remove").click()
    host.keyboard.press("Escape")
    expect(told).to_have_text("")

    # A match is the same.
    theirs = onair.broadcast(rival, title="Pie")["id"]
    rival.call("POST", f"/streams/{theirs}/match", {"handle": "demo_host"})
    host.get_by_role("button", name="Accept").click()
    expect(told).to_have_text(ALONE, timeout=SLOW_MS)
    _shot(host, f"match-{size[0]}")
    _clear_of(host, "onair-match .banner", "header button", ".side button", "aside form")
    rival.call("POST", f"/streams/{theirs}/end")
    expect(told).to_have_text("", timeout=SLOW_MS)
    end_live(host)
    onair.close()
