"""Payouts on the local stack, through gateway, queue, schedule and worker as the template declares them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from local.client import Client
from local.testing import Onair, wait_until
from tests.integration.payout_moments import PAYEE, earn, end_holds, minute, step


def _creator(onair: Onair) -> Client:
    host, viewer = onair.account("paid_host", followers=1_200), onair.account("paying_viewer", coins=14_000)
    earn(onair, viewer, host, onair.broadcast(host)["id"])
    return host


def test_gifts_become_diamonds_and_diamonds_become_money(onair: Onair) -> None:
    host = _creator(onair)
    assert host.request("POST", "/payouts", {"diamonds": 2_000}).error_code == "not_eligible"
    assert host.call("PUT", "/payouts/account", PAYEE)["ready"] is True
    asked = host.call("POST", "/payouts", {"diamonds": 2_000})
    assert (asked["step"], asked["net_usd_cents"]) == ("held", 1_000)
    end_holds(onair)
    minute(onair)
    wait_until(lambda: step(host, asked["id"]) == "paid", "the payout to be paid", 20)
    # No longer held: paid without waiting for the minute.
    unanswered = host.call("POST", "/payouts", {"diamonds": 2_004})
    wait_until(lambda: step(host, unanswered["id"]) in ("held", "paying"), "the worker", 20)


def test_payouts_asked_for_at_once_take_no_more_than_there_is(onair: Onair) -> None:
    host = _creator(onair)
    host.call("PUT", "/payouts/account", PAYEE)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: host.request("POST", "/payouts", {"diamonds": 2_000}), range(6)))
    assert sorted(each.status for each in answers) == [201, 201, 409, 409, 409, 409]
    assert {each.error_code for each in answers if each.status == 409} == {"insufficient_diamonds"}
    assert host.call("GET", "/wallet")["diamonds"] == 4_888 - 4_000
