"""A broadcast that is over, watched again: it plays, its room follows the picture, and its host keeps or deletes it.

``SCREENSHOTS=dir`` keeps pictures of it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from functions import aws
from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD, Socket, wait_until
from tests.browser.conftest import DESK, PHONE, NewPage, end_live, go_live, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_JUMP = "(input, to) => { input.value = to; input.dispatchEvent(new Event('input', {bubbles: true, composed: true})); }"


def _seconds(page: Page) -> float:
    return float(page.locator("onair-replay video").evaluate("(video) => video.currentTime"))


def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"replay-{name}.png")


def _recorded(stack: Stack, host: Page) -> str:
    """A broadcast of about twenty seconds with a comment at its start, one removed, and one at its end."""
    go_live(host, "Golden hour, again")
    viewer = Client(stack.addresses.api_url)
    viewer.sign_in("demo_viewer", PASSWORD)

    def flowing() -> str | None:
        streams = viewer.call("GET", "/feed/for-you")["items"]
        return next((each["id"] for each in streams if each["host"]["handle"] == "demo_host"), None)

    stream_id = str(wait_until(flowing, "the broadcast in the feed", within_s=30))
    room = Socket(str(viewer.call("POST", f"/streams/{stream_id}/ticket")["socket_url"]))
    room.join()
    assert room.chat("that light at the start")["type"] == "ack"
    removed = room.chat("something rude")["event_id"]
    room.wait_for_event("chat", text="something rude")
    viewer.call("DELETE", f"/streams/{stream_id}/events/{removed}")
    room.wait_for_event("removed")
    bucket = stack.declared.outputs["MediaBucket"]
    wait_until(lambda: _stored(bucket, stream_id) >= 8, "segments in the bucket", within_s=60)
    assert room.chat("goodbye at the end")["type"] == "ack"
    room.wait_for_event("chat", text="goodbye at the end")
    wait_until(lambda: _stored(bucket, stream_id) >= 10, "segments in the bucket", within_s=60)
    end_live(host)
    room.close()
    wait_until(lambda: viewer.call("GET", f"/streams/{stream_id}")["state"] == "replay", "the replay", within_s=40)
    return stream_id


def _stored(bucket: str, stream_id: str) -> int:
    found = aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"replay/{stream_id}/")
    return sum(each["Key"].endswith(".m4s") for each in found.get("Contents", []))


def test_a_replay_plays_with_its_room_in_step_forward_and_back(stack: Stack, new_page: NewPage) -> None:
    host = new_page(PHONE)
    stream_id = _recorded(stack, host)
    page = new_page(PHONE)
    # A link to the broadcast leads whoever comes late to its replay.
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    sign_in(page, "demo_viewer2")
    page.goto(f"/watch/{stream_id}")
    page.wait_for_url(re.compile(f"/replay/{stream_id}"))
    page.wait_for_function(
        "() => document.querySelector('onair-app').renderRoot.querySelector('onair-replay')?.video?.currentTime > 1"
    )
    slider = page.get_by_role("slider", name="Timeline")
    early, late = page.get_by_text("that light at the start"), page.get_by_text("goodbye at the end")
    expect(late).to_have_count(0)
    # when one jumps near the end
    total = float(slider.get_attribute("max") or 0)
    assert total > 15
    slider.evaluate(_JUMP, str(total - 1.5))
    expect(late).to_be_visible()
    expect(early).to_be_visible()
    expect(page.get_by_text("something rude")).to_have_count(0)
    _picture(page, "phone-end")
    # and back to the start by the keyboard
    slider.focus()
    page.keyboard.press("Home")
    expect(late).to_have_count(0)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert _seconds(page) < 5
    page.locator("onair-replay").evaluate("(replay) => replay.renderRoot.querySelector('input').blur()")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()

    # A visitor who never was here sees it as well, since broadcast and replay are for everyone.
    visitor = new_page(DESK)
    visitor.goto(f"/replay/{stream_id}")
    visitor.wait_for_function(
        "() => document.querySelector('onair-app').renderRoot.querySelector('onair-replay')?.video?.currentTime > 1"
    )
    # The timeline shows what is where the pointer is.
    bar = visitor.get_by_role("slider", name="Timeline").bounding_box()
    assert bar is not None
    visitor.mouse.move(bar["x"] + bar["width"] * 0.7, bar["y"] + bar["height"] / 2)
    glimpse = visitor.locator("onair-replay figure.glimpse img")
    expect(glimpse).to_be_visible()
    expect(glimpse).to_have_js_property("naturalWidth", 320)
    later = glimpse.get_attribute("src")
    _picture(visitor, "desk")
    visitor.mouse.move(bar["x"] + bar["width"] * 0.02, bar["y"] + bar["height"] / 2)
    expect(glimpse).not_to_have_attribute("src", str(later))
    visitor.mouse.move(10, 10)
    expect(glimpse).to_have_count(0)

    # The host keeps it, and deletes it for everyone.
    host.goto(f"/replay/{stream_id}")
    host.get_by_role("button", name="Your recording").click()
    _picture(host, "own")
    host.get_by_role("button", name="Download as MP4").click()
    # One file, whatever sizes of picture the browser sent: under load it takes a smaller one.
    file = host.get_by_role("link", name=re.compile("Save the MP4|Part 1"))
    expect(file).to_be_visible(timeout=30_000)
    _picture(host, "files")
    with host.expect_download(timeout=15_000) as saving:
        file.click()
    kept = saving.value.path().read_bytes()
    assert kept[4:8] == b"ftyp"
    assert b"mehd" in kept[:2000]
    expect(visitor.get_by_role("button", name="Your recording")).to_have_count(0)
    host.get_by_role("button", name="Delete the recording").click()
    expect(host.get_by_text("This cannot be undone")).to_be_visible()
    _picture(host, "delete")
    host.get_by_role("button", name="Delete for everyone").click()
    host.wait_for_url(re.compile("/me$"))
    bucket = stack.declared.outputs["MediaBucket"]
    prefix = f"replay/{stream_id}/"
    wait_until(
        lambda: not aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents"), "its deletion", 30
    )
