"""A stadium in Chromium: frames go over into the media and back to the socket, and nobody misses or repeats one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket, expect

from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD, wait_until
from tests.browser.conftest import DESK, NewPage, end_live, go_live, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(150)]

# Host and two viewers; with one of them gone, 2 is the number at which a stadium of 3 is none any more.
STADIUM_VIEWERS = 3


@pytest.fixture
def low_threshold(stack: Stack) -> Iterator[None]:
    told = [each.environment for each in stack.declared.functions.values() if "STADIUM_VIEWERS" in each.environment]
    before = told[0]["STADIUM_VIEWERS"]
    for environment in told:
        environment["STADIUM_VIEWERS"] = str(STADIUM_VIEWERS)
    yield
    for environment in told:
        environment["STADIUM_VIEWERS"] = before


class Seen:
    """What came to a page by either way, and which lines it made of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.by_socket: list[dict[str, Any]] = []
        self.joins: list[dict[str, Any]] = []
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda text: self._received(str(text)))
        socket.on("framesent", lambda text: self._sent(str(text)))

    def _received(self, text: str) -> None:
        message = json.loads(text)
        if message["type"] == "frame":
            self.by_socket.append(message)

    def _sent(self, text: str) -> None:
        if json.loads(text)["action"] == "join":
            self.joins.append(json.loads(text))

    def begin(self) -> None:
        """From here on the page's own lines are kept."""
        self.page.locator("onair-watch").evaluate(
            "el => { window.lines = []; el.room.addEventListener('line', e => window.lines.push(e.detail.event.id)); }"
        )
        self.page.locator("onair-player").evaluate(
            "el => { window.media = []; el.addEventListener('frame', e => window.media.push(e.detail)); }"
        )

    @property
    def lines(self) -> list[str]:
        return self.page.evaluate("window.lines")

    @property
    def by_media(self) -> list[dict[str, Any]]:
        return self.page.evaluate("window.media")

    def socket_said(self, text: str) -> bool:
        return any(event.get("text") == text for frame in self.by_socket for event in frame["events"])

    def media_said(self, text: str) -> bool:
        return any(event.get("text") == text for frame in self.by_media for event in frame["events"])


def _watch(page: Page, handle: str, title: str) -> None:
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    sign_in(page, handle)
    page.locator(".card", has_text=title).click()
    page.locator("onair-player[state=playing]").wait_for(timeout=30_000)


def _say(host: Page, viewer: Page, text: str) -> float:
    """Say it, and wait until the viewer reads it; answers after how many seconds."""
    host.locator("aside form input").fill(text)
    host.keyboard.press("Enter")
    began = time.monotonic()
    expect(viewer.locator("li.chat", has_text=text)).to_be_visible(timeout=20_000)
    return time.monotonic() - began


@pytest.mark.usefixtures("low_threshold")
def test_frames_go_over_into_the_media_and_come_back(stack: Stack, new_page: NewPage) -> None:
    host, viewer, other = new_page(), new_page(), new_page(DESK)
    seen = Seen(viewer)
    go_live(host, "The final")
    _watch(viewer, "demo_viewer", "The final")
    seen.begin()
    _say(host, viewer, "before the crowd")
    assert seen.socket_said("before the crowd")

    _watch(other, "demo_viewer2", "The final")
    wait_until(lambda: _turn(viewer, seen, "media"), "the first frame of the stadium", within_s=20)
    late_s = [_say(host, viewer, f"with the picture, {n}") for n in range(5)]
    print(f"\nread after {', '.join(f'{one:.1f}' for one in late_s)} s in the media")  # noqa: T201 - a figure
    assert all(seen.media_said(f"with the picture, {n}") for n in range(5))
    assert not [n for n in range(5) if seen.socket_said(f"with the picture, {n}")], "nothing is posted to a viewer"
    assert {frame["transport"] for frame in seen.by_media} == {"media"}
    if folder := os.environ.get("SCREENSHOTS"):
        viewer.screenshot(path=Path(folder) / "stadium.png")

    other.goto("/")
    wait_until(lambda: _turn(viewer, seen, "socket"), "the first frame after the stadium", within_s=30)
    for n in range(3):
        _say(host, viewer, f"by the socket, {n}")
        assert seen.socket_said(f"by the socket, {n}")
    assert len(seen.joins) == 1, "nothing had to be asked for"

    stored = _stored(stack, host)
    lines = seen.lines
    assert lines == stored[stored.index(lines[0]) :], "every line once, in the order in which storage has them"
    end_live(host)


def _turn(viewer: Page, seen: Seen, transport: str) -> bool:
    # The page's events are only handed over while Playwright is busy with it.
    viewer.evaluate("0")
    return bool(seen.by_socket) and seen.by_socket[-1]["transport"] == transport


def _stored(stack: Stack, host: Page) -> list[str]:
    """Ids of all events of the room, as storage has them."""
    client = Client(stack.addresses.api_url)
    client.sign_in("demo_viewer", PASSWORD)
    items = client.call("GET", "/feed/for-you")["items"]
    stream_id = next(each["id"] for each in items if each["title"] == "The final")
    epoch = client.call("GET", f"/streams/{stream_id}/frames")["epoch"]
    ids: list[str] = []
    after, more = 0, True
    while more:
        page = client.call("GET", f"/streams/{stream_id}/frames?epoch={epoch}&after={after}")
        ids += [event["id"] for frame in page["frames"] for event in frame["events"]]
        after = page["frames"][-1]["seq"] if page["frames"] else after
        more = page.get("more", False) and bool(page["frames"])
    return ids
