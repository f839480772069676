"""How a broadcast plays and is sent: quality, delay, catching up, full screen; the host's figures and screen.

``SCREENSHOTS=dir`` keeps pictures of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import measure
from tests.browser.conftest import DESK, PHONE, NewPage, end_live, go_live, launch, open_page, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

LYING = (844, 390)
_PLAYER = "() => document.querySelector('onair-app').renderRoot.querySelector('onair-watch').player"


def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"playback-{name}.png")


def _watch(page: Page, stream_id: str) -> None:
    page.goto(f"/watch/{stream_id}")
    page.locator("onair-player[state=playing]").wait_for(timeout=30_000)


def test_a_viewer_sees_the_delay_and_chooses_quality_and_size(new_page: NewPage, demo_stream: str) -> None:
    page = new_page(PHONE)
    _watch(page, demo_stream)
    page.get_by_role("button", name="Playback", exact=True).click()

    # The delay is a figure of this picture, and one of a live broadcast.
    page.wait_for_function(f"({_PLAYER})().latency_s > 0")
    delay = page.locator("onair-playback [data-latency]")
    expect(delay).not_to_have_text("–")
    assert 0.3 < float(delay.get_attribute("data-latency") or 0) < 8

    # Auto is chosen and says what it plays; the rendition can be held, by keyboard too, and let go again.
    auto = page.get_by_role("radio", name="Auto")
    rendition = page.get_by_role("radio", name=re.compile("^720p"))
    expect(auto).to_be_checked()
    expect(auto).to_contain_text("now 720p")
    _picture(page, "phone")
    auto.focus()
    page.keyboard.press("ArrowDown")
    expect(rendition).to_be_checked()
    assert page.evaluate(f"({_PLAYER})().hls.autoLevelEnabled") is False
    auto.click()
    expect(auto).to_be_checked()
    assert page.evaluate(f"({_PLAYER})().hls.autoLevelEnabled") is True

    # Full screen keeps the room: it is the page that fills the screen.
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement === document.documentElement")
    expect(page.get_by_label("Add a comment…")).to_be_visible()
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null")
    page.keyboard.press("m")
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()

    # The lock screen knows what plays, and its pause holds until one wants it back.
    title = page.evaluate("() => navigator.mediaSession.metadata.title")
    assert title
    assert page.evaluate("() => navigator.mediaSession.metadata.artist")

    lying = new_page(LYING)
    _watch(lying, demo_stream)
    _picture(lying, "lying")
    lying.get_by_role("button", name="Playback", exact=True).click()
    lying.get_by_role("button", name="Full screen").scroll_into_view_if_needed()
    expect(lying.get_by_role("button", name="Full screen")).to_be_in_viewport()
    _picture(lying, "lying-sheet")
    wide = new_page(DESK)
    _watch(wide, demo_stream)
    wide.get_by_role("button", name="Playback", exact=True).click()
    expect(wide.get_by_role("radio", name="Auto")).to_contain_text("now 720p")
    _picture(wide, "desk")


def _two_renditions(folder: Path) -> None:
    """Playlists of 720p and 240p, forty seconds long, their segments aligned."""
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg is not None
    picture = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=15:duration=40"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=40"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-keyint_min", "30", "-sc_threshold", "0"]
    sizes = ["-map", "0:v", "-map", "1:a", "-map", "0:v", "-map", "1:a", "-s:v:1", "426x240"]
    rates = ["-b:v:0", "1500k", "-b:v:1", "300k", "-c:a", "aac", "-pix_fmt", "yuv420p"]
    hls = ["-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-hls_segment_type", "fmp4"]
    names = ["-var_stream_map", "v:0,a:0 v:1,a:1", "-master_pl_name", "index.m3u8"]
    files = ["-hls_fmp4_init_filename", "init_%v.mp4", "-hls_segment_filename", str(folder / "part_%v_%03d.m4s")]
    command = [ffmpeg, "-v", "error", *picture, *sound, *sizes, *coding, *rates, *hls, *names, *files]
    subprocess.run([*command, str(folder / "media_%v.m3u8")], check=True, timeout=90)


def _grown(playlist: str, segments: int) -> str:
    """The playlist as it was when it had so many segments."""
    lines: list[str] = []
    for line in playlist.replace("#EXT-X-ENDLIST", "").splitlines():
        lines.append(line)
        segments -= line.endswith(".m4s")
        if segments == 0:
            break
    return "\n".join(lines) + "\n"


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here")
def test_a_viewer_changes_the_rendition_without_a_stall(new_page: NewPage, demo_stream: str, tmp_path: Path) -> None:
    # given a broadcast with two renditions
    _two_renditions(tmp_path)
    page = new_page(PHONE)
    began = time.monotonic()

    def answer(route: Route) -> None:
        name = route.request.url.partition("?")[0].rpartition("/")[2]
        body: str | bytes = (tmp_path / name).read_bytes()
        if name.startswith("media_"):
            body = _grown((tmp_path / name).read_text(), 4 + int((time.monotonic() - began) / 2))
        route.fulfill(body=body, headers={"Access-Control-Allow-Origin": "*"})

    page.route(re.compile(r"/live/[^/]+/[^/]+/[^/]+$"), answer)
    _watch(page, demo_stream)
    # when one is chosen
    page.evaluate(
        f"""() => {{
          const player = ({_PLAYER})();
          window.states = [];
          player.addEventListener("state", () => window.states.push(player.state));
        }}"""
    )
    page.get_by_role("button", name="Playback", exact=True).click()
    lines = [text.split("p")[0] for text in page.get_by_role("radio").locator("span").all_inner_texts()]
    assert lines == ["Auto", "720", "240"]
    low, high = (page.get_by_role("radio", name=re.compile(f"^{each}p")) for each in (240, 720))
    first = page.evaluate(f"({_PLAYER})().video.videoHeight")
    (high if first == 240 else low).click()
    # then it is seen once what was loaded is played, and the picture never stops
    page.wait_for_function(
        f"(first) => ({_PLAYER})().video.videoHeight !== first && ({_PLAYER})().video.videoHeight > 0",
        arg=first,
        timeout=30_000,
    )
    expect(page.get_by_role("radio", name="Auto")).to_contain_text("now 720p" if first == 240 else "now 240p")
    assert set(page.evaluate("() => window.states")) <= {"playing"}
    _picture(page, "renditions")


def test_who_falls_behind_catches_up_faster_and_may_jump(new_page: NewPage, demo_stream: str) -> None:
    page = new_page(PHONE)
    _watch(page, demo_stream)
    page.wait_for_function(f"({_PLAYER})().latency_s > 0")

    # A little behind: it plays faster, without a word.
    page.evaluate(f"({_PLAYER})().video.currentTime -= 2")
    page.wait_for_function(f"({_PLAYER})().catchingUp", timeout=10_000)
    expect(page.get_by_role("button", name="Go to live")).to_have_count(0)

    # Far behind: the way back is offered on the picture, and leads there.
    page.evaluate(f"({_PLAYER})().video.currentTime -= 6")
    chip = page.get_by_role("button", name="Go to live")
    expect(chip).to_be_visible()
    _picture(page, "behind")
    chip.click()
    expect(chip).to_have_count(0)
    page.wait_for_function(f"({_PLAYER})().latency_s < 5 && ({_PLAYER})().state === 'playing'")
    assert measure.picture_change(page) > measure.MOVING_MIN


def test_a_host_sees_what_is_sent_and_shares_the_screen(new_page: NewPage) -> None:
    host = new_page(PHONE)
    go_live(host, "My screen, live")
    host.locator("button.health").click()
    sheet = host.locator("onair-publish-health")

    def figure(name: str) -> float:
        return float(sheet.locator(f"[data-figure={name}]").get_attribute("data-value") or "nan")

    expect(sheet.locator("figure")).to_be_visible(timeout=20_000)  # two measurements at least
    assert figure("bitrate") > 50_000
    assert 0 <= figure("loss") <= 0.2
    assert 0 <= figure("rtt") < 500
    expect(sheet).to_contain_text("pictures a second")
    _picture(host, "health")
    host.keyboard.press("Escape")

    # Muted is told and seen by the host, and taken back.
    host.get_by_role("button", name="Mute microphone").click()
    expect(host.get_by_text("Microphone muted")).to_be_visible()
    host.get_by_role("button", name="Unmute microphone").click()

    # The screen takes the camera's place in the same session, and the camera comes back.
    host.get_by_role("button", name="Share your screen").click()
    stop = host.get_by_role("button", name="Stop sharing your screen")
    expect(stop).to_be_visible()
    sends = "() => document.querySelector('onair-app').renderRoot.querySelector('onair-live').publisher"
    assert host.evaluate(f"({sends})().media.getVideoTracks()[0].getSettings().displaySurface !== undefined")
    assert host.evaluate(f"({sends})().state") == "live"
    _picture(host, "screen")
    stop.click()
    expect(host.get_by_role("button", name="Share your screen")).to_be_visible()
    assert host.evaluate(f"({sends})().media.getVideoTracks().length") == 1
    assert host.evaluate(f"({sends})().media.getVideoTracks()[0].getSettings().displaySurface === undefined")
    end_live(host)


# Keeps what the page answers the lock screen with, and lets a test hide the page as a left tab is hidden.
_LOCK_SCREEN = """
  window.lockScreen = {};
  const kept = navigator.mediaSession.setActionHandler.bind(navigator.mediaSession);
  navigator.mediaSession.setActionHandler = (name, act) => {
    window.lockScreen[name] = act;
    kept(name, act);
  };
  let hidden = false;
  Object.defineProperty(document, "hidden", { get: () => hidden });
  window.leave = (away) => {
    hidden = away;
    document.dispatchEvent(new Event("visibilitychange"));
  };
"""


def test_sound_goes_on_in_the_background_and_the_lock_screen_pauses_it(new_page: NewPage, demo_stream: str) -> None:
    page = new_page(PHONE)
    page.add_init_script(_LOCK_SCREEN)
    _watch(page, demo_stream)
    # given sound, which one tap gives and the next broadcast remembers
    page.get_by_role("button", name="Tap for sound").click()
    expect(page.get_by_role("button", name="Tap for sound")).to_have_count(0)
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    assert page.evaluate("() => localStorage.getItem('onair.sound')") == "on"
    # when the page is left, it plays on
    page.evaluate("() => leave(true)")
    at = page.evaluate(f"({_PLAYER})().video.currentTime")
    page.wait_for_function(f"(at) => ({_PLAYER})().video.currentTime > at + 3", arg=at)
    assert page.evaluate(f"[({_PLAYER})().video.paused, ({_PLAYER})().video.muted]") == [False, False]
    # when the lock screen pauses it, it stays so and nothing loads it again
    page.evaluate("() => lockScreen.pause()")
    assert page.evaluate("() => navigator.mediaSession.playbackState") == "paused"
    loaded = page.evaluate(f"({_PLAYER})().loadedAt")
    page.wait_for_function("(since) => performance.now() > since + 4000", arg=page.evaluate("() => performance.now()"))
    assert page.evaluate(f"[({_PLAYER})().video.paused, ({_PLAYER})().loadedAt]") == [True, loaded]
    # when it is wanted back, it is live, not where it was left
    page.evaluate("() => lockScreen.play()")
    page.wait_for_function(f"!({_PLAYER})().video.paused && ({_PLAYER})().latency_s < 5")
    page.evaluate("() => leave(false)")
    page.wait_for_function(f"({_PLAYER})().state === 'playing'")
    assert measure.picture_change(page) > measure.MOVING_MIN


def test_a_host_with_two_cameras_changes_over_in_the_same_session(browser: Browser, origin: str) -> None:
    with launch(browser.browser_type, "--use-fake-device-for-media-stream=device-count=2") as two:
        host = open_page(two, origin)
        sessions: list[str] = []
        host.on("response", lambda got: sessions.append(got.url) if got.status == 201 and "/whip/" in got.url else None)
        go_live(host, "Both sides of the table")
        sends = "document.querySelector('onair-app').renderRoot.querySelector('onair-live').publisher"
        camera = f"{sends}.media.getVideoTracks()[0].getSettings().deviceId"
        first = host.evaluate(camera)
        # when it is changed over, and back
        switch = host.get_by_role("button", name="Switch camera")
        switch.click()
        host.wait_for_function(f"(first) => {camera} !== first", arg=first)
        _picture(host, "other-camera")
        # then one camera is on, and the same session goes on
        assert host.evaluate(f"{sends}.media.getVideoTracks().map((track) => track.readyState)") == ["live"]
        assert host.evaluate(f"{sends}.state") == "live"
        switch.click()
        host.wait_for_function(f"(first) => {camera} === first", arg=first)
        end_live(host)
        assert len(sessions) == 1


def test_the_quality_on_screen_is_named_by_the_picture_that_is_there(new_page: NewPage, demo_stream: str) -> None:
    page = new_page(PHONE)
    told: list[str] = []

    def small(route: Route) -> None:
        answer = route.fetch()
        told.append(answer.text().replace("RESOLUTION=1280x720", "RESOLUTION=640x360"))
        route.fulfill(response=answer, body=told[-1])

    # given a picture that was small when the page loaded the playlist, and grew
    page.route("**/index.m3u8*", small)
    _watch(page, demo_stream)
    assert "RESOLUTION=640x360" in told[-1]
    # when somebody looks which quality it is
    page.get_by_role("button", name="Playback", exact=True).click()
    # then it is that of the picture
    expect(page.get_by_role("radio", name=re.compile("^720p"))).to_contain_text("as sent")
    expect(page.get_by_role("radio", name="Auto")).to_contain_text("now 720p")


# Cameras open as slowly as the test wants, and each track that was ever open is remembered.
_SLOW_CAMERAS = """() => {
  const devices = navigator.mediaDevices;
  const real = devices.getUserMedia.bind(devices);
  window.opened = [];
  window.waiting = [];
  devices.getUserMedia = async (wanted) => {
    if (window.slow) await new Promise((go) => waiting.push(go));
    const media = await real(wanted);
    opened.push(...media.getTracks());
    return media;
  };
}"""


def test_a_camera_that_opens_after_one_has_left_is_closed(browser: Browser, origin: str) -> None:
    with launch(browser.browser_type, "--use-fake-device-for-media-stream=device-count=2") as two:
        host = open_page(two, origin)
        host.add_init_script(f"({_SLOW_CAMERAS})()")
        host.goto("/")
        host.locator("a.create").click()
        sign_in(host, "demo_host")
        host.get_by_label("Title").fill("Not today")
        host.get_by_role("button", name="Next").click()
        host.get_by_role("button", name="Continue").click()
        # given a camera that is being opened
        switch = host.get_by_role("button", name="Switch camera")
        switch.wait_for()
        host.evaluate("() => (window.slow = true)")
        switch.click()
        host.wait_for_function("waiting.length === 1")
        # when one goes back before it is open
        host.get_by_role("button", name="Back").click()
        host.get_by_label("Title").wait_for()
        before = host.evaluate("opened.length")
        host.evaluate("() => { window.slow = false; waiting.forEach((go) => go()); }")
        # then nothing stays on
        host.wait_for_function("(before) => opened.length > before", arg=before)
        host.wait_for_function("opened.every((track) => track.readyState === 'ended')")
        expect(host.locator("onair-toast p")).to_have_count(0)


def test_a_broadcast_that_is_continued_here_may_change_cameras(browser: Browser, origin: str) -> None:
    with launch(browser.browser_type, "--use-fake-device-for-media-stream=device-count=2") as two:
        host = open_page(two, origin)
        go_live(host, "On the move")
        # when it is continued on another page
        other = host.context.new_page()
        other.goto(f"{origin}/")
        other.locator("a.create").click()
        other.get_by_role("button", name="Continue it here").click()
        # then both cameras are to be had there
        expect(other.get_by_role("button", name="Switch camera")).to_be_visible(timeout=30_000)
        end_live(other)
