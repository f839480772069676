"""Every state of the page as a picture, on a phone and on a desk, and the rules that hold on each of them.

``SCREENSHOTS=dir`` keeps the pictures there. ``README_SCREENSHOT=1`` writes the watch screen to docs/images/watch.png.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD, Socket, wait_until
from tests.browser import scene
from tests.browser.conftest import DESK, PHONE, ROOT, end_live, go_live, launch, open_page, sign_in, silent_relay

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]

TOUCH_MIN_PX = 44
TITLE = "Golden hour by the sea"
COMMENTS = (
    ("demo_viewer2", "that light though 😍"),
    ("demo_studio", "hello from the studio!"),
    ("demo_viewer2", "where is this?"),
    ("demo_newcomer", "first time here, I am staying"),
    ("demo_studio", "the water is so calm today, did you wait long for this?"),
    ("demo_newcomer", "👏👏👏"),
)

# Boxes of all controls that can be touched, through shadow roots, with what they are called.
_CONTROLS = """
() => {
  const found = [];
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) walk(element.shadowRoot);
      if (!element.matches("button, a[href], input, select") || element.closest("[inert]")) continue;
      const box = element.getBoundingClientRect();
      if (box.width === 0 || getComputedStyle(element).visibility === "hidden") continue;
      const name = element.getAttribute("aria-label") || element.labels?.[0]?.textContent || element.textContent;
      const { left, right, width, height } = box;
      found.push({ name: name.trim(), left, right, width, height });
    }
  };
  walk(document);
  return found;
}
"""


@dataclass
class Gallery:
    """Takes the pictures, and holds each screen to what all have in common."""

    folder: Path
    size_name: str

    def take(self, page: Page, name: str) -> Path:
        """One picture; raises when a control is too small, unnamed or out of the glass."""
        page.wait_for_function("() => document.fonts.status === 'loaded'")
        path = self.folder / f"{self.size_name}-{name}.png"
        page.screenshot(path=path)
        width = page.evaluate("() => innerWidth")
        controls: list[dict[str, Any]] = page.evaluate(_CONTROLS)
        nameless = [each for each in controls if not each["name"]]
        small = [each for each in controls if min(each["width"], each["height"]) < TOUCH_MIN_PX - 0.5]
        outside = [each for each in controls if each["left"] < -0.5 or each["right"] > width + 0.5]
        assert (nameless, small, outside) == ([], [], []), name
        return path


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Gallery:
    """Where the pictures of one size go."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return Gallery(folder, "phone" if request.param == PHONE else "desk")


@pytest.fixture
def size(gallery: Gallery) -> tuple[int, int]:
    """The glass, in CSS pixels."""
    return PHONE if gallery.size_name == "phone" else DESK


@pytest.fixture(scope="session")
def camera_browser(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A second Chromium whose camera films a sunset: the pictures of a broadcast deserve something to look at."""
    film = scene.film(browser, tmp_path_factory.mktemp("film") / "sunset.mjpeg")
    with launch(browser.browser_type, f"--use-file-for-fake-video-capture={film}") as filming:
        yield filming


def _answer(page: Page, path: str, status: int, body: str) -> None:
    def fulfil(route: Route) -> None:
        route.fulfill(
            status=status, content_type="application/json", headers={"Access-Control-Allow-Origin": "*"}, body=body
        )

    page.route(re.compile(path), fulfil)


def _ready(page: Page) -> None:
    page.locator("onair-app nav").wait_for()


def test_feed_sign_in_and_account(
    browser: Browser, origin: str, gallery: Gallery, size: tuple[int, int], demo_stream: str
) -> None:
    page = open_page(browser, origin, size)
    page.goto("/")
    _ready(page)
    gallery.take(page, "landing")
    page.get_by_role("button", name="Sign in").click()
    gallery.take(page, "sign-in")
    page.get_by_label("Handle").fill("demo_viewer")
    page.get_by_label("Password").fill("wrong-Password-1")
    page.locator("form").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    gallery.take(page, "sign-in-refused")
    page.get_by_role("button", name="New here?").click()
    gallery.take(page, "sign-up")
    page.get_by_role("button", name="Have an account?").click()
    sign_in(page, "demo_viewer")

    page.locator(".card").first.wait_for()
    gallery.take(page, "feed")
    page.get_by_role("link", name="Following").click()
    page.locator(".card, .nobody").first.wait_for()
    gallery.take(page, "following")
    page.get_by_role("link", name="Me", exact=True).click()
    page.locator("onair-me li").first.wait_for()
    gallery.take(page, "me")

    _answer(page, "/feed/", 200, '{"items": []}')
    page.goto("/")
    page.get_by_role("heading", name="Nobody is live right now").wait_for()
    gallery.take(page, "feed-empty")
    page.unroute_all()
    _answer(
        page, "/feed/", 503, '{"error": {"code": "unavailable", "message": "Something on our side did not answer."}}'
    )
    page.goto("/")
    page.get_by_role("heading", name="The feed did not load").wait_for()
    gallery.take(page, "feed-error")
    page.unroute_all()
    held: list[Route] = []
    page.route(re.compile("/feed/"), lambda route: held.append(route))
    page.goto("/")
    page.locator(".ghost").first.wait_for()
    gallery.take(page, "feed-loading")
    page.goto("/nowhere")
    page.get_by_text("This page does not exist").wait_for()
    gallery.take(page, "not-found")
    page.context.close()


def test_going_live(
    browser: Browser, camera_browser: Browser, origin: str, gallery: Gallery, size: tuple[int, int]
) -> None:
    newcomer = open_page(browser, origin, size)
    newcomer.goto("/go-live")
    gallery.take(newcomer, "go-live-sign-in")
    sign_in(newcomer, "demo_newcomer")
    gallery.take(newcomer, "go-live-about")
    newcomer.get_by_label("Title").fill("Too soon")
    newcomer.get_by_role("button", name="Next").click()
    newcomer.locator("[data-code=followers]").wait_for()
    gallery.take(newcomer, "go-live-missing")
    newcomer.context.close()

    host = open_page(camera_browser, origin, size)
    host.goto("/go-live")
    sign_in(host, "demo_host")
    host.get_by_label("Title").fill(TITLE)
    host.get_by_role("button", name="Travel").click()
    host.get_by_role("button", name="Next").click()
    host.get_by_text("All set").wait_for()
    gallery.take(host, "go-live-ready")
    host.get_by_role("button", name="Continue").click()
    host.wait_for_function("(video) => video.videoWidth > 0", arg=host.locator("video").element_handle())
    gallery.take(host, "go-live-preview")
    host.context.close()


def test_a_broadcast_on_both_sides(
    browser: Browser, camera_browser: Browser, stack: Stack, origin: str, gallery: Gallery, size: tuple[int, int]
) -> None:
    host = open_page(camera_browser, origin, size)
    go_live(host, TITLE)
    viewer = open_page(browser, origin, size)
    viewer.goto("/")
    viewer.get_by_role("button", name="Sign in").click()
    sign_in(viewer, "demo_viewer")
    viewer.locator(".card", has_text=TITLE).click()
    viewer.locator("onair-player[state=playing]").wait_for(timeout=30_000)
    gallery.take(viewer, "watch-muted")
    viewer.get_by_role("button", name="Tap for sound").click()
    stream_id = viewer.url.rsplit("/", 1)[-1]

    with _audience(stack, stream_id) as sockets:
        for handle, text in COMMENTS:
            sockets[handle].chat(text)
        viewer.locator("li.chat", has_text=COMMENTS[-1][1]).wait_for()
        sockets["demo_viewer2"].gift("rose", 1, combo="a")
        sockets["demo_viewer2"].gift("rose", 1, combo="a")
        viewer.locator("li.gift").first.wait_for()
        viewer.locator("onair-gift-stage .banner").wait_for()
        sockets["demo_studio"].react({"❤️": 24, "🔥": 12, "🎉": 8})
        viewer.wait_for_function(
            "(element) => element.shadowRoot.childElementCount > 7",
            arg=viewer.locator("onair-reactions").element_handle(),
        )
        watch = gallery.take(viewer, "watch")
        if os.environ.get("README_SCREENSHOT") == "1" and gallery.size_name == "phone":
            images = ROOT / "docs" / "images"
            images.mkdir(parents=True, exist_ok=True)
            shutil.copy(watch, images / "watch.png")
        gallery.take(host, "on-air")

        viewer.get_by_role("button", name="Gifts", exact=True).click()
        viewer.locator("[data-gift=rose]").click()
        gallery.take(viewer, "gift-tray")
        viewer.get_by_role("button", name="Get coins").click()
        viewer.locator(".pack").first.wait_for()
        gallery.take(viewer, "get-coins")
        viewer.keyboard.press("Escape")
        viewer.locator("onair-gift-tray").wait_for(state="detached")
        viewer.locator("button.who").click()
        expect(viewer.locator("onair-host-card dd").first).not_to_have_text("…")
        gallery.take(viewer, "host")
        viewer.keyboard.press("Escape")

        with silent_relay():
            viewer.locator("onair-player[state=reconnecting]").wait_for(timeout=30_000)
            gallery.take(viewer, "watch-reconnecting")
        viewer.locator("onair-player[state=playing]").wait_for(timeout=60_000)

    host.get_by_role("button", name="End", exact=True).click()
    gallery.take(host, "end-confirm")
    host.get_by_role("button", name="Keep going").click()
    end_live(host)
    gallery.take(host, "summary")
    viewer.get_by_role("heading", name="This broadcast has ended").wait_for()
    gallery.take(viewer, "watch-ended")
    host.context.close()
    viewer.context.close()


@contextlib.contextmanager
def _audience(stack: Stack, stream_id: str) -> Iterator[dict[str, Socket]]:
    sockets: dict[str, Socket] = {}
    for handle in dict.fromkeys(handle for handle, _ in COMMENTS):
        client = Client(stack.addresses.api_url)
        client.sign_in(handle, PASSWORD)
        ticket = client.call("POST", f"/streams/{stream_id}/ticket")
        sockets[handle] = Socket(str(ticket["socket_url"]))
        sockets[handle].join()
    try:
        yield sockets
    finally:
        for each in sockets.values():
            each.close()


def test_input_stays_above_the_keyboard(browser: Browser, origin: str, demo_stream: str) -> None:
    page = open_page(browser, origin, PHONE)
    page.goto(f"/watch/{demo_stream}")
    field = page.get_by_label("Add a comment…")
    field.wait_for()
    before = field.bounding_box()
    # Chromium without a screen has no keyboard: the page's listener is told what one does to the visual viewport.
    page.evaluate(
        """() => {
          Object.defineProperty(window.visualViewport, "height", { get: () => innerHeight - 320, configurable: true });
          window.visualViewport.dispatchEvent(new Event("resize"));
        }"""
    )

    def above() -> bool:
        box = field.bounding_box()
        return box is not None and box["y"] + box["height"] <= PHONE[1] - 320

    assert before is not None and before["y"] + before["height"] > PHONE[1] - 320
    wait_until(above, "the comment field above the keyboard")
    page.context.close()
