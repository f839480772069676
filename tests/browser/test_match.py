"""A match in Chromium: one host asks another, both are shown in both broadcasts, viewers see who it is, and it ends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD, Onair
from tests.browser.conftest import DESK, PHONE, NewPage, end_live, go_live, sign_in

pytestmark = pytest.mark.browser

# Real time on two cores that encode, decode and compose.
SLOW_MS = 60_000
RIVAL = "rita_live"
# True once the composed picture is there and each of its halves has changed: both hosts' cameras turn a wheel.
HALVES_MOVE = """() => {
  const find = (root) => root.querySelector("video") ?? [...root.querySelectorAll("*")]
    .map((one) => one.shadowRoot && find(one.shadowRoot)).find(Boolean);
  const video = find(document);
  if (!video || video.videoWidth !== 640 || video.videoHeight !== 360) return false;
  const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 18 });
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0, 32, 18);
  const seen = (window.halves ??= [new Set(), new Set()]);
  for (const half of [0, 1]) seen[half].add(pen.getImageData(half * 16, 0, 16, 18).data.join());
  return seen.every((pictures) => pictures.size > 3);
}"""


# True once the picture of one video has changed a few times.
MOVES = """(video) => {
  if (!video.videoWidth) return false;
  const pen = Object.assign(document.createElement("canvas"), { width: 16, height: 16 }).getContext("2d");
  pen.drawImage(video, 0, 0, 16, 16);
  return (video.seen ??= new Set()).add(pen.getImageData(0, 0, 16, 16).data.join()).size > 3;
}"""


def _shot(page: Page, name: str) -> None:
    """A screenshot for whoever looks at screens (`make screenshots`)."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/match-{name}.png")


@pytest.fixture(scope="module")
def rival(stack: Stack) -> Client:
    """Another account that may go live."""
    return Onair(stack).account(RIVAL, followers=1_200)


def _go_live_as(page: Page, handle: str, title: str) -> None:
    page.goto("/")
    page.locator("a.create").click()
    page.get_by_label("Handle").fill(handle)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("onair-sign-in form button[type=submit], onair-sign-in form .act").last.click()
    page.locator("onair-sign-in").wait_for(state="detached")
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Continue").click()
    page.locator("footer").get_by_role("button", name="Go live").click()
    page.locator("onair-on-air .health:not(.connecting)").wait_for(timeout=30_000)


def _ask(host: Page) -> None:
    """Ask the rival, from the list or by handle."""
    host.get_by_role("button", name="Match", exact=True).click()
    host.get_by_label("Find by handle").fill(f"@{RIVAL}")
    host.keyboard.press("Enter")
    host.get_by_role("button", name=f"Ask @{RIVAL} for a match").click()


def _sees_and_hears(page: Page, handle: str) -> None:
    """The other host's picture moves on this page and their sound comes, until this host wants none of it."""
    video = page.locator("onair-seats figure.rival video")
    expect(video).to_have_attribute("aria-label", f"@{handle}, live", timeout=SLOW_MS)
    page.wait_for_function(MOVES, arg=video.element_handle(), timeout=SLOW_MS, polling=250)
    page.wait_for_function(
        "(seats) => seats.stage.watchers.get('match')?.flows?.audio",
        arg=page.locator("onair-seats").element_handle(),
        timeout=SLOW_MS,
    )
    expect(page.locator("onair-seats .soundless, onair-seats .rival .away")).to_have_count(0)
    assert video.evaluate("(video) => video.muted") is False
    for name, pressed in ((f"Mute @{handle} for yourself", "true"), (f"Hear @{handle}", "false")):
        button = page.get_by_role("button", name=name)
        box = button.bounding_box()
        assert box is not None and min(box["width"], box["height"]) >= 44
        button.focus()
        page.keyboard.press("Enter")
        expect(page.locator("onair-seats .hear")).to_have_attribute("aria-pressed", pressed)
        assert video.evaluate("(video) => video.muted") is (pressed == "true")
    own = page.locator("onair-on-air video.own").element_handle()
    page.wait_for_function(MOVES, arg=own, timeout=SLOW_MS, polling=250)


def _watch(page: Page, title: str) -> None:
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    sign_in(page, "demo_viewer")
    page.locator(".card", has_text=title).click()
    page.locator("onair-player[state=playing]").wait_for(timeout=SLOW_MS)


def test_two_hosts_meet_in_a_match_that_their_viewers_see_and_one_of_them_ends(
    new_page: NewPage, rival: Client
) -> None:
    host, other, viewer = new_page(DESK), new_page(PHONE), new_page(PHONE)
    go_live(host, "Soup against pie")
    _go_live_as(other, RIVAL, "Pie against soup")
    _watch(viewer, "Soup against pie")
    expect(viewer.locator("onair-match section")).to_have_count(0)

    # Declined: whoever asked is told, and nothing is shown.
    host.get_by_role("button", name="Match", exact=True).click()
    expect(host.locator(f"onair-rivals li[data-handle={RIVAL}]")).to_be_visible(timeout=SLOW_MS)
    _shot(host, "sheet-wide")
    host.keyboard.press("Escape")
    _ask(host)
    expect(host.get_by_text(f"Waiting for @{RIVAL}…")).to_be_visible()
    expect(other.get_by_role("alertdialog", name="@demo_host asks you for a match")).to_be_visible()
    expect(viewer.locator("onair-match section")).to_have_count(0)
    _shot(host, "waiting-wide")
    _shot(other, "asked-phone")
    other.get_by_role("button", name="Decline").click()
    expect(host.get_by_text(f"@{RIVAL} declined the match.").first).to_be_visible()
    expect(other.get_by_text("declined the match")).to_have_count(0)
    expect(other.get_by_role("button", name="Match", exact=True)).to_be_focused()
    expect(host.locator("onair-match section")).to_have_count(0)

    # The other way round: asked, and accepted by keyboard.
    other.get_by_role("button", name="Match", exact=True).click()
    expect(other.locator("onair-rivals li[data-handle=demo_host]")).to_be_visible(timeout=SLOW_MS)
    _shot(other, "sheet-phone")
    other.get_by_role("button", name="Ask @demo_host for a match").click()
    expect(other.get_by_text("Waiting for @demo_host…")).to_be_visible()
    _shot(other, "waiting-phone")
    expect(host.get_by_role("alertdialog", name=f"@{RIVAL} asks you for a match")).to_be_visible()
    _shot(host, "asked-wide")
    host.get_by_role("button", name="Accept").focus()
    host.keyboard.press("Enter")

    for page in (host, other):
        expect(page.locator("onair-match .banner")).to_be_visible()
        expect(page.get_by_role("button", name="End match")).to_be_visible()
    banner = viewer.locator("onair-match .banner")
    watched = viewer.url.rpartition("/")[2]
    expect(banner).to_contain_text("@demo_host")
    expect(banner).to_contain_text(f"@{RIVAL}")
    # The hosts see and hear each other at once, not by what viewers are shown.
    for page, handle in ((host, RIVAL), (other, "demo_host")):
        _sees_and_hears(page, handle)
    _shot(host, "on-wide")
    _shot(other, "on-phone")
    _shot(viewer, "viewer-phone")
    expect(viewer.locator("onair-seats figure")).to_have_count(0)

    # Both pictures are in the viewers', side by side, and both move.
    viewer.wait_for_function(HALVES_MOVE, timeout=SLOW_MS, polling=250)
    _shot(viewer, "picture-phone")

    # Whoever comes later is told as well, follows the rival from there, and goes over to their broadcast.
    viewer.reload()
    viewer.locator("onair-player[state=playing]").wait_for(timeout=SLOW_MS)
    expect(banner).to_be_visible()
    viewer.get_by_role("button", name=f"Follow: @{RIVAL}").click()
    expect(viewer.get_by_role("button", name=f"Following: @{RIVAL}")).to_be_disabled()
    expect(viewer.get_by_role("button", name=f"Watch @{RIVAL}’s broadcast")).to_be_focused()
    assert RIVAL in [one["handle"] for one in _followed(viewer, rival)]
    viewer.get_by_role("button", name=f"Watch @{RIVAL}’s broadcast").click()
    expect(viewer.get_by_role("button", name="Watch @demo_host’s broadcast")).to_be_visible(timeout=SLOW_MS)
    viewer.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    viewer.wait_for_function(HALVES_MOVE, timeout=SLOW_MS, polling=250)
    _shot(viewer, "viewer-wide")

    # One of them ends it, once they are sure.
    other.get_by_role("button", name="End match").click()
    _shot(other, "end-phone")
    other.locator("onair-match .confirm").get_by_role("button", name="End match").click()
    for page in (host, other, viewer):
        expect(page.locator("onair-match section")).to_have_count(0)
        expect(page.locator("onair-seats figure")).to_have_count(0)
    expect(host.get_by_text(f"The match with @{RIVAL} is over.").first).to_be_visible()
    expect(other.get_by_role("button", name="Match", exact=True)).to_be_focused()
    end_live(other)
    end_live(host)

    # Whoever watches again is told of it at the moment at which it was on.
    viewer.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    viewer.goto(f"/replay/{watched}")
    expect(viewer.locator("onair-replay a.match")).to_contain_text(f"@{RIVAL}", timeout=SLOW_MS)
    _shot(viewer, "replay-phone")


def test_an_ask_that_is_taken_back_leaves_no_card_and_a_broadcast_that_ends_no_banner(
    new_page: NewPage, rival: Client
) -> None:
    host, other = new_page(PHONE), new_page(DESK)
    _go_live_as(other, RIVAL, "Pie once more")
    go_live(host, "Soup once more")
    _ask(host)
    expect(other.get_by_role("alertdialog")).to_be_visible()
    host.get_by_role("button", name="Cancel").click()
    expect(other.get_by_role("alertdialog")).to_have_count(0)
    expect(other.get_by_text("@demo_host does not ask for a match any more.").first).to_be_visible()

    # The rival asks in turn, and ends their broadcast while the match is on.
    other.get_by_role("button", name="Match", exact=True).click()
    other.get_by_role("button", name="Ask @demo_host for a match").click()
    host.get_by_role("button", name="Accept").click()
    expect(other.locator("onair-match .banner")).to_be_visible()
    end_live(other)
    expect(host.locator("onair-match section")).to_have_count(0)
    end_live(host)


def test_an_encoder_is_seen_at_once_by_host_and_guest_who_are_told_that_they_do_not_hear_it(
    new_page: NewPage, stack: Stack, rival: Client
) -> None:
    stream = Onair(stack).broadcast(rival)
    encoder = _encoder(f"{stream['publish']['rtmp_url']}/{stream['publish']['stream_key']}")
    host, guest = new_page(DESK), new_page(PHONE)
    go_live(host, "Soup for an encoder")
    _watch(guest, "Soup for an encoder")
    guest.get_by_role("button", name="Guests").click()
    guest.get_by_role("button", name="Ask to join on screen").click()
    host.get_by_role("button", name="Guests").click()
    host.get_by_role("button", name="Let in").click()
    host.keyboard.press("Escape")
    expect(guest.locator("onair-seats figure.own")).to_be_visible(timeout=SLOW_MS)
    expect(guest.locator("onair-seats figure.rival")).to_have_count(0)
    # when
    rival.call("POST", f"/streams/{stream['id']}/match", {"handle": "demo_host"})
    host.get_by_role("button", name="Accept").click()
    # then
    for page in (host, guest):
        video = page.locator("onair-seats figure.rival video")
        video.wait_for(timeout=SLOW_MS)
        page.wait_for_function(MOVES, arg=video.element_handle(), timeout=SLOW_MS, polling=250)
        expect(page.get_by_text(f"You do not hear @{RIVAL} live.")).to_be_visible(timeout=SLOW_MS)
    _shot(host, "encoder-wide")
    _shot(guest, "encoder-guest-phone")
    # when the encoder is away
    encoder.kill()
    encoder.wait(timeout=5)
    for page in (host, guest):
        expect(page.locator("onair-seats .rival .away")).to_have_text("Reconnecting…", timeout=SLOW_MS)
    rival.call("DELETE", f"/streams/{stream['id']}/match")
    for page in (host, guest):
        expect(page.locator("onair-seats figure.rival, onair-seats .soundless")).to_have_count(0)
    expect(guest.locator("onair-seats figure.own")).to_be_visible()
    rival.call("POST", f"/streams/{stream['id']}/end")
    end_live(host)


def _encoder(url: str) -> subprocess.Popen[bytes]:
    """A picture that changes and a tone, sent as an encoder does."""
    return subprocess.Popen(
        ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error",
         "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15", "-re", "-f", "lavfi", "-i", "sine=frequency=440",
         "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1", "-pix_fmt", "yuv420p",
         "-g", "15", "-c:a", "aac", "-t", "240", "-f", "flv", url],
    )  # fmt: skip


def _followed(viewer: Page, anyone: Client) -> list[dict[str, str]]:
    return list(anyone.call("GET", "/accounts/demo_viewer/following")["items"])
