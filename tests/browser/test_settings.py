"""Settings and profiles in the page: picture, privacy, contact by code, blocks, the second step, leaving for good."""

from __future__ import annotations

import io
import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD, wait_until
from tests.browser.conftest import DESK, PHONE, NewPage


def person(stack: Stack, handle: str, **more: str) -> Client:
    client = Client(stack.addresses.api_url)
    client.sign_up(handle, PASSWORD, name=handle.replace("_", " ").title(), **more)
    return client


def signed_in(page: Page, handle: str, path: str) -> None:
    page.goto("/me")
    page.get_by_role("button", name="Sign in", exact=True).first.click()
    page.get_by_label("Handle").fill(handle)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("onair-sign-in form button").click()
    page.locator("onair-sign-in").wait_for(state="detached")
    page.goto(path)


def picture() -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((900, 700)).save(out, "JPEG")
    return out.getvalue()


def newest_mail(stack: Stack, to: str) -> str:
    """The body of the newest letter to an address, once there is one: other tests' letters lie there as well."""
    address = f"http://127.0.0.1:{stack.addresses.ports.edge}/_local/mail"

    def found() -> Any:
        with urllib.request.urlopen(address, timeout=5) as answer:
            items = json.load(answer)["items"]
        mine = [one["body"] for one in items if to in one["destinations"]["ToAddresses"]]
        return mine[-1] if mine else None

    return str(wait_until(found, "a letter"))


def section(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=name, exact=True)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_settings_hold_ones_picture_privacy_and_contact(
    stack: Stack, new_page: NewPage, size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    handle = f"settler_{size[0]}"
    me, fan = person(stack, handle), person(stack, f"fan_{size[0]}")
    page = new_page(size)
    signed_in(page, handle, "/settings")
    profile = section(page, "Profile")
    profile.locator("input[type=file]").set_input_files(
        {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": picture()}
    )
    expect(profile.get_by_role("button", name="Remove")).to_be_visible()
    assert str(me.call("GET", "/me")["avatar_url"]).endswith(".webp")
    profile.locator("input[type=file]").set_input_files(
        {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": b"no picture at all"}
    )
    expect(page.get_by_text("This is not a picture that can be shown")).to_be_visible()
    privacy = section(page, "Privacy")
    privacy.get_by_role("switch").check()
    wait_until(lambda: me.call("GET", "/me")["private"], "the account to be private")
    fan.call("PUT", f"/accounts/{handle}/follow")
    page.reload()
    privacy.get_by_role("button", name="Accept").click()
    wait_until(lambda: me.call("GET", "/me")["followers"] == 1, "the follower")
    contact = section(page, "Contact")
    address = f"{handle}@example.org"
    contact.get_by_label("E-mail").fill(address)
    contact.get_by_role("button", name="Send a code").click()
    code = re.search(r"\b\d{6}\b", newest_mail(stack, address))
    assert code is not None
    contact.get_by_label("Code sent to").fill(code[0])
    contact.get_by_role("button", name="Confirm").click()
    expect(contact.get_by_text(address)).to_be_visible()
    expect(contact.get_by_text("confirmed")).to_be_visible()
    page.screenshot(path=str(tmp_path_factory.getbasetemp() / f"settings-{size[0]}.png"))


def test_the_second_step_is_set_up_and_asked_for(stack: Stack, new_page: NewPage, totp: Callable[[str], str]) -> None:
    person(stack, "stepper")
    page = new_page(PHONE)
    signed_in(page, "stepper", "/settings")
    step = section(page, "Second step")
    step.get_by_role("button", name="Set up").click()
    secret = step.locator("pre").inner_text()
    step.get_by_label("Code from the app").fill(totp(secret))
    step.get_by_role("button", name="Confirm").click()
    expect(step.get_by_text("Keep these recovery codes")).to_be_visible()
    other = new_page(PHONE)
    other.goto("/me")
    other.get_by_role("button", name="Sign in", exact=True).first.click()
    other.get_by_label("Handle").fill("stepper")
    other.get_by_label("Password").fill(PASSWORD)
    other.locator("onair-sign-in form button").click()
    other.get_by_label("Code").fill(totp(secret))
    other.locator("onair-sign-in form button").click()
    other.locator("onair-sign-in").wait_for(state="detached")


@pytest.fixture
def totp() -> Callable[[str], str]:
    """The code of an authenticator app for a secret, now."""
    import base64
    import time

    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    def code(secret: str) -> str:
        key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
        return TOTP(key, 6, SHA1(), 30, enforce_key_length=False).generate(int(time.time())).decode()

    return code


def test_a_host_is_blocked_from_the_card_and_let_in_again_in_settings(
    stack: Stack, new_page: NewPage, demo_stream: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    me = person(stack, "blocker")
    page = new_page(PHONE)
    signed_in(page, "blocker", f"/watch/{demo_stream}")
    page.locator("onair-player[state=playing]").wait_for(timeout=30_000)
    page.locator("onair-watch .host, onair-watch .who").first.click()
    card = page.locator("onair-host-card")
    card.get_by_role("button", name="Block").click()
    page.screenshot(path=str(tmp_path_factory.getbasetemp() / "block.png"))
    card.get_by_role("alertdialog").get_by_role("button", name="Block").click()
    wait_until(lambda: me.call("GET", "/me/blocks")["items"], "the block")
    page.goto("/settings")
    section(page, "Privacy").get_by_role("button", name="Unblock").click()
    wait_until(lambda: not me.call("GET", "/me/blocks")["items"], "the block to be lifted")


def test_deleting_ones_account_takes_its_handle_typed(stack: Stack, new_page: NewPage) -> None:
    person(stack, "leaver")
    page = new_page(PHONE)
    signed_in(page, "leaver", "/settings")
    page.get_by_role("button", name="Delete account").click()
    page.get_by_label("Type leaver to go on").fill("somebody")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("This is not your handle.")).to_be_visible()
    page.get_by_label("Type leaver to go on").fill("leaver")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("Your account is gone")).to_be_visible()
    wait_until(
        lambda: (
            Client(stack.addresses.api_url)
            .request("POST", "/sessions", {"handle": "leaver", "password": PASSWORD})
            .status
            == 401
        ),
        "the user to be deleted",
    )
