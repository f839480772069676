"""Qualities as viewers choose them: a lower one, sound alone, and back; and what the host is told of them.

``SCREENSHOTS=dir`` keeps pictures of it.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from local import ports
from local.stack import Options, Stack
from tests.browser.conftest import DESK, PHONE, NewPage, end_live, go_live, relay_pid

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_PLAYER = "() => document.querySelector('onair-app').renderRoot.querySelector('onair-watch').player"
_HEIGHT = f"({_PLAYER})().video.videoHeight"
# Samples of what is heard, of the element itself: silence is all zeros.
_LISTEN = f"""() => {{
  const context = new AudioContext();
  const meter = context.createAnalyser();
  context.createMediaElementSource(({_PLAYER})().video).connect(meter);
  meter.connect(context.destination);
  window.loudness = () => {{
    const samples = new Float32Array(meter.fftSize);
    meter.getFloatTimeDomainData(samples);
    return Math.max(...samples.map(Math.abs));
  }};
  return context.resume();
}}"""


@pytest.fixture(scope="module")
def options(declared: dict[str, Any]) -> Options:
    """The relay makes lower renditions."""
    return Options(ports=ports.free(), template=declared, ladder="480,240")


def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"ladder-{name}.png")


def _open(page: Page, stream_id: str) -> None:
    page.goto(f"/watch/{stream_id}")
    page.locator("onair-player[state=playing]").wait_for(timeout=30_000)
    page.get_by_role("button", name="Playback", exact=True).click()


def test_a_viewer_goes_to_a_lower_quality_to_sound_alone_and_back(new_page: NewPage, demo_stream: str) -> None:
    page = new_page(PHONE)
    _open(page, demo_stream)
    choices = page.get_by_role("radio")
    expect(choices).to_have_count(5)
    names = [choices.nth(at).locator("span").inner_text() for at in range(choices.count())]
    assert names == ["Auto", "720p", "480p", "240p", "Sound only"]
    auto = page.get_by_role("radio", name="Auto")
    expect(auto).to_contain_text("now 720p")
    expect(page.get_by_role("radio", name=re.compile("^720p"))).to_contain_text("as sent")
    _picture(page, "phone")

    # Another quality begins with the next segment: the picture goes on moving all the while.
    page.evaluate(
        f"""() => {{
          const {{ video }} = ({_PLAYER})();
          let last = video.currentTime, at = performance.now();
          window.longest = 0;
          window.watching = setInterval(() => {{
            if (video.currentTime !== last) [last, at] = [video.currentTime, performance.now()];
            window.longest = Math.max(window.longest, performance.now() - at);
          }}, 20);
        }}"""
    )
    page.get_by_role("radio", name=re.compile("^240p")).click()
    page.wait_for_function(f"() => {_HEIGHT} === 240", timeout=20_000)
    expect(page.get_by_role("radio", name=re.compile("^240p"))).to_be_checked()
    longest = page.evaluate("() => { clearInterval(window.watching); return window.longest; }")
    assert longest < 1_200, f"the picture stood for {longest:.0f} ms"
    expect(page.locator("onair-player[state=playing]")).to_be_visible()

    # Sound alone: no picture, time goes on, and something is heard.
    page.get_by_role("radio", name="Sound only").click()
    page.wait_for_function(f"() => {_HEIGHT} === 0 && ({_PLAYER})().video.currentTime > 0", timeout=20_000)
    expect(page.locator("onair-player[alone][state=playing]")).to_be_visible(timeout=20_000)
    assert page.evaluate(f"({_PLAYER})().video.muted") is False
    page.evaluate(_LISTEN)
    page.wait_for_function("() => window.loudness() > 0.01", timeout=10_000)
    before = page.evaluate(f"({_PLAYER})().video.currentTime")
    page.wait_for_function(f"(before) => ({_PLAYER})().video.currentTime > before + 2", arg=before, timeout=10_000)
    assert page.evaluate("() => navigator.mediaSession.playbackState") == "playing"
    _picture(page, "phone-sound")

    auto.click()
    page.wait_for_function(f"() => {_HEIGHT} >= 240", timeout=20_000)
    expect(page.locator("onair-player[state=playing]:not([alone])")).to_be_visible(timeout=20_000)
    expect(auto).to_be_checked()


def test_auto_goes_down_on_a_poor_network_and_comes_back(new_page: NewPage, demo_stream: str) -> None:
    page = new_page(PHONE)
    page.goto(f"/watch/{demo_stream}")
    page.locator("onair-player[state=playing]").wait_for(timeout=30_000)
    page.wait_for_function(f"() => {_HEIGHT} === 720", timeout=20_000)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    _throttle(network, 100_000)
    page.wait_for_function(f"() => [240, 480].includes({_HEIGHT})", timeout=60_000)
    expect(page.locator("onair-player[state=playing]")).to_be_visible(timeout=20_000)
    _throttle(network, -1)
    page.wait_for_function(f"() => {_HEIGHT} === 720", timeout=60_000)


def test_a_quality_that_is_made_no_longer_is_left_for_another_one(new_page: NewPage, demo_stream: str) -> None:
    page = new_page(PHONE)
    _open(page, demo_stream)
    page.get_by_role("radio", name=re.compile("^240p")).click()
    page.wait_for_function(f"() => {_HEIGHT} === 240", timeout=20_000)
    os.kill(_worker(), signal.SIGKILL)
    expect(page.get_by_role("radio", name="Auto")).to_be_checked(timeout=20_000)
    page.wait_for_function(f"() => {_HEIGHT} > 240", timeout=20_000)
    expect(page.locator("onair-player[state=playing]")).to_be_visible(timeout=10_000)


def _worker() -> int:
    """The process that makes the relay's lower renditions."""
    for children in Path(f"/proc/{relay_pid()}/task").glob("*/children"):
        for pid in children.read_text().split():
            if b"media.relay.ladder" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return int(pid)
    raise LookupError("no ladder among the relay's children")


def _throttle(network: CDPSession, bytes_a_second: int) -> None:
    """Let so much of the network through; -1 all of it."""
    conditions = {"offline": False, "latency": 0, "downloadThroughput": bytes_a_second, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", conditions)


def test_the_menu_lies_well_on_a_desk(new_page: NewPage, demo_stream: str) -> None:
    page = new_page(DESK)
    _open(page, demo_stream)
    expect(page.get_by_role("radio", name=re.compile("^240p"))).to_be_visible()
    _picture(page, "desk")
    page.get_by_role("radio", name="Sound only").click()
    expect(page.locator("onair-player[alone][state=playing]")).to_be_visible(timeout=20_000)
    _picture(page, "desk-sound")


def test_the_host_is_told_which_qualities_viewers_get_or_why_not(new_page: NewPage, stack: Stack) -> None:
    page = new_page(PHONE)
    go_live(page, "Ladder")
    page.locator("button.health").click()
    told = page.locator("onair-publish-health [data-ladder]")
    # The demo broadcast has the one worker that a task makes.
    expect(told).to_contain_text("one quality", timeout=30_000)
    assert told.get_attribute("data-ladder") == "task_full"
    _picture(page, "host")
    page.keyboard.press("Escape")
    end_live(page)
