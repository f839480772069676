"""The host's file of a recording whose picture changed on the way plays to its end, and wherever one seeks."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.relay import changing

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

# Plays to the end at double speed, then seeks; tells sizes as they were shown and, of each place, what is there.
_PLAY = """async ({ source, places }) => {
  const video = document.createElement("video");
  document.body.append(video);
  Object.assign(video, { muted: true, playbackRate: 2, src: source });
  const sizes = [];
  const seen = (_, { width, height }) => {
    const size = `${width}×${height}`;
    if (sizes.at(-1) !== size) sizes.push(size);
    video.requestVideoFrameCallback(seen);
  };
  video.requestVideoFrameCallback(seen);
  const over = new Promise((done) => {
    video.onended = () => done("ended");
    video.onerror = () => done(video.error.message);
  });
  await video.play();
  const how = await over;
  const shown = video.getVideoPlaybackQuality().totalVideoFrames;
  const there = [];
  for (const place of places) {
    const picture = new Promise((done) =>
      video.requestVideoFrameCallback((_, { width, height }) => done(`${width}×${height}`)),
    );
    video.currentTime = place;
    there.push(await picture);
  }
  return { how, duration: video.duration, sizes: sizes.slice(0, 3), shown, there };
}"""


def test_a_file_whose_picture_changes_plays_to_its_end_and_seeks_anywhere(browser: Browser) -> None:
    (body,) = changing.downloaded(changing.objects())
    page = browser.new_page()
    try:
        source = f"data:video/mp4;base64,{base64.b64encode(body).decode()}"
        got: dict[str, Any] = page.evaluate(_PLAY, {"source": source, "places": [4.2, 7.5, 1.1, 5.5]})
    finally:
        page.close()
    wide, upright = "640×360", "240×320"
    assert got["how"] == "ended"
    assert got["sizes"] == [wide, upright, wide]
    assert abs(got["duration"] - 9) < 0.05
    assert got["shown"] == 270
    assert got["there"] == [upright, wide, wide, upright]
