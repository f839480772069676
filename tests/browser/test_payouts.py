"""A creator's earnings in Chromium: set up, asked for, held, refused, paid; and what operators see of it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from local.client import Client
from local.stack import Stack
from local.testing import PASSWORD, Onair, wait_until
from tests.browser.conftest import open_page
from tests.browser.test_screens import Gallery, gallery, size
from tests.integration.payout_moments import earn, end_holds, minute, operator, prove, step

__all__ = ["gallery", "size"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def _sign_in(page: Page, handle: str) -> None:
    page.get_by_role("button", name="Sign in").first.click()
    page.get_by_label("Handle").fill(handle)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("form").get_by_role("button", name="Sign in").click()
    page.locator("onair-sign-in").wait_for(state="detached")


def _creator(onair: Onair, name: str) -> Client:
    host, viewer = onair.account(name, followers=1_200), onair.account(f"{name}_fan", coins=14_000)
    earn(onair, viewer, host, onair.broadcast(host)["id"])
    return host


def _many_days(page: Page) -> None:
    """A month of earnings, for the picture: gifts of many days cannot be sent in one."""
    day = page.evaluate("() => new Date().toISOString().slice(0, 8)")
    items = [
        {"day": f"{day}{n:02d}", "gifts": n * 7 % 23, "coins": 0, "diamonds": (n * n * 37) % 900 + (n % 6) * 140}
        for n in range(1, 32)
        if n % 5
    ]

    def answer(route: Route) -> None:
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(content_type="application/json", headers=headers, body=json.dumps({"items": items}))

    page.route(re.compile("/wallet/days"), answer)


def _plot_grown(page: Page) -> None:
    page.locator("onair-earnings-plot").wait_for()
    page.wait_for_function("() => document.getAnimations().every(({ playState }) => playState === 'finished')")


def test_a_creator_is_paid(
    browser: Browser, origin: str, stack: Stack, gallery: Gallery, size: tuple[int, int]
) -> None:
    onair = Onair(stack)
    host = _creator(onair, f"earner_{gallery.size_name}")
    page = open_page(browser, origin, size)
    page.goto("/earnings")
    gallery.take(page, "earnings-visitor")
    held: list[Route] = []
    page.route(re.compile("/payouts/account"), lambda route: held.append(route))
    _sign_in(page, str(host.handle))
    page.locator("onair-payouts [role=status]").wait_for()
    gallery.take(page, "earnings-loading")
    page.unroute_all()
    page.goto("/me")
    page.get_by_role("link", name="Earnings and payouts").click()
    page.get_by_role("button", name="Set up payouts").wait_for()
    gallery.take(page, "earnings-not-set-up")

    # Where to pay: a number that the form does not take, then one that it does.
    page.get_by_role("button", name="Set up payouts").click()
    page.get_by_label("Country of tax residence").select_option("US")
    page.get_by_label("Social security or employer number").fill("12")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("not a tax number")
    expect(page.get_by_label("Social security or employer number")).to_be_focused()
    gallery.take(page, "earnings-payee-refused")
    page.get_by_label("Social security or employer number").fill("123-45-6789")
    page.get_by_label("I certify").check()
    gallery.take(page, "earnings-payee")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("number ending in 6789").wait_for()
    assert "123456789" not in page.content()

    # How much: refused below the minimum, quoted above it, asked for by keyboard, held.
    page.get_by_role("button", name="Request a payout").click()
    amount = page.locator("onair-payout-form input[name=diamonds]")
    amount.fill("1000")
    expect(page.get_by_role("alert")).to_contain_text("even number")
    gallery.take(page, "earnings-amount-refused")
    amount.fill("2002")
    ask = page.get_by_role("button", name="Request $10.01")
    ask.wait_for()
    gallery.take(page, "earnings-amount")
    ask.press("Enter")
    page.locator("onair-payouts li[data-step=held]").wait_for()
    page.unroute_all()
    _many_days(page)
    page.reload()
    _plot_grown(page)
    gallery.take(page, "earnings-held")
    plot = page.get_by_role("slider", name="Diamonds earned")
    plot.focus()
    plot.press("ArrowRight")
    expect(plot).to_have_attribute("aria-valuenow", "1")
    page.get_by_role("button", name="Months").click()
    expect(page.locator("onair-earnings-plot output")).to_contain_text("4,888")

    # The sandbox refuses this amount, and pays the next one.
    end_holds(onair)
    minute(onair)
    (refused,) = host.call("GET", "/payouts")["items"]
    wait_until(lambda: step(host, refused["id"]) == "reversed", "the sandbox to refuse", 20)
    paid = host.call("POST", "/payouts", {"diamonds": 2_000})
    end_holds(onair)
    minute(onair)
    wait_until(lambda: step(host, paid["id"]) == "paid", "the payout to be paid", 20)
    page.reload()
    page.get_by_text("back in your wallet").wait_for()
    _plot_grown(page)
    expect(page.locator("dd.net").last).to_have_text("$10.00")
    gallery.take(page, "earnings-paid")
    page.locator("onair-payouts").evaluate("element => element.scrollTo(0, element.scrollHeight)")
    gallery.take(page, "earnings-year")
    page.get_by_role("button", name="Year before").click()
    expect(page.locator("dd.net").last).to_have_text("$0.00")

    def fails(route: Route) -> None:
        body = '{"error": {"code": "unavailable", "message": "Something on our side did not answer."}}'
        route.fulfill(status=503, headers={"Access-Control-Allow-Origin": "*"}, body=body)

    page.route(re.compile("/payouts"), fails)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("did not load")
    gallery.take(page, "earnings-error")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    page.locator("onair-payouts li[data-step=paid]").wait_for()
    page.context.close()
    onair.close()


def test_operators_decide_and_see_the_ledger_proved(
    browser: Browser, origin: str, stack: Stack, gallery: Gallery, size: tuple[int, int]
) -> None:
    onair = Onair(stack)
    host = _creator(onair, f"waiting_{gallery.size_name}")
    host.call(
        "PUT", "/payouts/account", {"country": "DE", "form": "W-8BEN", "certified": True, "identifier": "12345678901"}
    )
    asked = host.call("POST", "/payouts", {"diamonds": 4_000})
    end_holds(onair)
    from functions import aws

    aws.client("dynamodb").update_item(
        TableName=stack.declared.outputs["AccountsTable"],
        Key={"pk": {"S": f"account#{host.account_id}"}, "sk": {"S": "profile"}},
        UpdateExpression="SET standing = :limited",
        ExpressionAttributeValues={":limited": {"S": "limited"}},
    )
    minute(onair)
    wait_until(lambda: step(host, asked["id"]) == "review", "the payout to wait", 20)
    prove(onair)
    by = operator(onair, f"decider_{gallery.size_name}")
    page = open_page(browser, origin, size)
    page.goto("/me")
    _sign_in(page, str(by.handle))
    # The operators' page is somebody else's: here the component stands by itself.
    page.evaluate(
        """() => {
          const app = document.querySelector("onair-app").shadowRoot.querySelector("main");
          const own = document.createElement("onair-operator-payouts");
          own.style.cssText = "display:block;padding:20px;height:100%;overflow:auto";
          app.replaceChildren(own);
        }"""
    )
    page.get_by_text("Every coin is proved").wait_for()
    page.get_by_text("not in good standing").wait_for()
    gallery.take(page, "operator-payouts")
    page.get_by_role("button", name="Approve").click()
    page.get_by_label("Reason").fill("Spoke with them.")
    gallery.take(page, "operator-payouts-reason")
    page.locator("form").get_by_role("button", name="Approve").click()
    page.get_by_text("Nothing waits here").wait_for()
    wait_until(lambda: step(host, asked["id"]) == "paid", "the approved payout to be paid", 20)
    page.context.close()
    onair.close()
