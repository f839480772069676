"""Chromium publishes and watches through two relay tasks, and the one that owns the stream is killed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright

from tests.browser.bare_page import sources_served
from tests.relay.cluster import Cluster
from tests.relay.stack import fetch, stream_key, until

pytestmark = pytest.mark.browser

_CHROMIUM = "/usr/bin/chromium"
_RESUMES_S = 5.0
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
# The page's own publisher; and hls.js as web/src/player.js sets and reloads it, noting when a picture was shown.
_PUBLISH = """async ([whip_url, stream_key]) => {
  const { Publisher } = await import("/src/publisher.js");
  const media = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 }, audio: true });
  const publish = { whip_url, stream_key };
  window.states = [];
  window.publisher = new Publisher(publish, media, async () => publish);
  publisher.addEventListener("state", () => states.push([publisher.state, performance.now()]));
  await publisher.start();
}"""
_WATCH = """(url) => {
  const video = document.body.appendChild(document.createElement("video"));
  video.muted = true;
  window.seen = { at: 0, gap: 0, fatal: [], errors: [] };
  let newest;
  const load = () => {
    newest = undefined;
    window.hls?.destroy();
    const hls = (window.hls = new Hls({
      lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.08, backBufferLength: 10, maxBufferLength: 12,
    }));
    hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => {
      const jumped = newest !== undefined && details.startSN > newest + 1;
      newest = details.endSN;
      if (jumped) load();
    });
    hls.on(Hls.Events.ERROR, (_, { fatal, details, response }) => {
      seen.errors.push([details, response?.code]);
      if (!fatal) return;
      seen.fatal.push(details);
      setTimeout(load, 500);
    });
    hls.loadSource(url);
    hls.attachMedia(video);
    video.play().catch(() => undefined);
  };
  load();
  let shownAt = 0;
  const shown = (now) => {
    if (shownAt) seen.gap = Math.max(seen.gap, now - shownAt);
    shownAt = seen.at = now;
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
}"""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with sources_served() as served:
        yield served


@pytest.fixture
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=_CHROMIUM if Path(_CHROMIUM).exists() else None, args=_FLAGS)
    yield browser
    browser.close()


def _page(chromium: Browser, origin: str) -> Page:
    page = chromium.new_context(permissions=["camera", "microphone"]).new_page()
    page.goto(f"{origin}/stage")
    return page


def test_a_page_publishes_again_and_another_plays_on_when_the_owner_is_killed(chromium: Browser, origin: str) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with Cluster(2) as cluster:
        cluster.put_stream("show")
        host, viewer = _page(chromium, origin), _page(chromium, origin)
        # given a broadcast that plays
        host.evaluate(_PUBLISH, [cluster.whip_url("show"), stream_key("show")])
        until(lambda: fetch(cluster.live_url("show")).status == 200, 30, "on air")
        viewer.add_script_tag(url=f"{origin}/node_modules/hls.js/dist/hls.min.js")
        viewer.evaluate(_WATCH, cluster.live_url("show"))
        viewer.wait_for_function("seen.at > 0", timeout=20_000)
        viewer.wait_for_function("document.querySelector('video').currentTime > 3", timeout=20_000)
        viewer.evaluate("seen.gap = 0")
        # when its owner dies
        owner = cluster.owner("show")
        assert owner is not None
        killed_at = viewer.evaluate("performance.now()")
        owner.kill()
        # then the page publishes to the other task, and the picture moves again in time and goes on
        viewer.wait_for_function("(at) => seen.gap > 500 && seen.at > at + 500", arg=killed_at, timeout=30_000)
        resumed_at = viewer.evaluate("seen.at")
        viewer.wait_for_function("(at) => seen.at > at + 3000", arg=resumed_at, timeout=20_000)
        seen = viewer.evaluate("seen")
        states = host.evaluate("states.map(([state]) => state)")
        logging.getLogger(__name__).info(
            "frozen for %.0f ms; hls.js: %s; host: %s", seen["gap"], seen["errors"], states
        )
        assert states == ["live", "reconnecting", "live"]
        assert seen["gap"] < _RESUMES_S * 1000, seen
        assert cluster.owner("show") is cluster.other(owner)
