"""Fixtures of the browser tests: the page built, a whole stack (relay and demo accounts too), Chromium, phones."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, Playwright, sync_playwright

from local import ports, template
from local.client import Client
from local.stack import Options, Stack
from local.testing import PASSWORD, wait_until

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
PHONE = (390, 844)
DESK = (1280, 800)
TIMEOUT_MS = 15_000

NewPage = Callable[..., Page]


def launch(chromium: BrowserType, *more: str) -> Browser:
    """Chromium with a fake camera and microphone, and with ``more`` flags. Debian's where it is, else Playwright's."""
    path = CHROMIUM if Path(CHROMIUM).exists() else None
    return chromium.launch(executable_path=path, args=[*FLAGS, *more])


@pytest.fixture(scope="session")
def built_page() -> None:
    """The page as the sources are now."""
    if not (ROOT / "web" / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--silent"], cwd=ROOT / "web", check=True, timeout=300)
    subprocess.run(["npm", "run", "build", "--silent"], cwd=ROOT / "web", check=True, timeout=120)


@pytest.fixture(scope="session")
def declared() -> dict[str, Any]:
    """The template that every stack here is made from."""
    return template.load(template.LOCAL_CONTEXT).template


@pytest.fixture(scope="module")
def options(declared: dict[str, Any]) -> Options:
    """How the stack of a file is started; a file that needs another one has this fixture of its own."""
    return Options(ports=ports.free(), template=declared)


@pytest.fixture(scope="module")
def stack(built_page: None, options: Options) -> Iterator[Stack]:
    """A whole stack: relay, demo accounts, demo broadcast. Each file has its own: what one leaves behind (a clock that
    was moved, a stream that is live) breaks no other."""
    running = Stack(options)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def origin(stack: Stack) -> str:
    """Where the page is."""
    return stack.addresses.web_url


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright itself, which runs once in a process: a test that wants a Chromium of its own starts it from here."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One Chromium for all tests: it is heavy."""
    with launch(playwright.chromium) as running:
        yield running


def open_page(browser: Browser, origin: str, size: tuple[int, int] = PHONE, *, scheme: str = "dark") -> Page:
    """A page of somebody new: own storage, own permissions."""
    mobile = size[0] < 700
    context: BrowserContext = browser.new_context(
        base_url=origin,
        viewport={"width": size[0], "height": size[1]},
        has_touch=mobile,
        is_mobile=mobile,
        color_scheme="light" if scheme == "light" else "dark",
        permissions=["camera", "microphone"],
        locale="en-US",
    )
    context.set_default_timeout(TIMEOUT_MS)
    return context.new_page()


@pytest.fixture
def new_page(browser: Browser, origin: str) -> Iterator[NewPage]:
    """Makes pages of different people; fails when one of them threw; closes them after the test."""
    pages: list[Page] = []
    thrown: list[str] = []

    def make(size: tuple[int, int] = PHONE) -> Page:
        page = open_page(browser, origin, size)
        page.on("pageerror", lambda error: thrown.append(str(error)))
        pages.append(page)
        return page

    yield make
    for page in pages:
        page.context.close()
    assert thrown == []


def sign_in(page: Page, handle: str) -> None:
    """Sign in with a demo account by one tap; the sheet must be open."""
    page.locator(f"[data-handle={handle}]").click()
    page.locator("onair-sign-in").wait_for(state="detached")


def go_live(page: Page, title: str) -> None:
    """The whole way from the tab bar's plus to on air, as the demo host."""
    page.goto("/")
    page.locator("a.create").click()
    sign_in(page, "demo_host")
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Cooking").click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Continue").click()
    page.locator("footer").get_by_role("button", name="Go live").click()
    page.locator("onair-on-air .health:not(.connecting)").wait_for(timeout=30_000)


@pytest.fixture(autouse=True)
def nothing_left_on_air(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails while its host is on air leaves nothing that the next one trips over."""
    yield
    stack = request.node.funcargs.get("stack")
    if not isinstance(stack, Stack):
        return
    host = Client(stack.addresses.api_url)
    host.sign_in("demo_host", PASSWORD)
    for each in host.call("GET", "/feed/for-you")["items"]:
        if each["host"]["handle"] == "demo_host":
            host.call("POST", f"/streams/{each['id']}/end")


def end_live(page: Page) -> None:
    """End and see the summary."""
    page.get_by_role("button", name="End", exact=True).click()
    page.get_by_role("button", name="End now").click()
    page.locator("onair-live .done").wait_for()


@pytest.fixture
def demo_stream(stack: Stack) -> str:
    """The demo broadcast's stream, once its media flows."""
    client = Client(stack.addresses.api_url)
    client.sign_in("demo_viewer", PASSWORD)

    def flowing() -> str | None:
        streams = client.call("GET", "/feed/for-you")["items"]
        return next((each["id"] for each in streams if each["host"]["handle"] == "demo_studio"), None)

    return str(wait_until(flowing, "the demo broadcast in the feed", within_s=30))


def relay_pid() -> int:
    """The relay's process: the child of this one that runs it."""
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"media.relay" in command:
                return int(pid)
    raise LookupError("no relay among this process's children")


@contextlib.contextmanager
def silent_relay() -> Iterator[None]:
    """The relay stops answering, as when its machine hangs; it goes on afterwards."""
    pid = relay_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
