"""What issue 5 lists as bad input, at the running system: each its code, no change, and the chain still whole."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from functions import settings
from functions.wallet.audit import audit
from functions.wallet.table import StoredLedger
from local.client import Client
from local.testing import Onair, Socket, wait_until


@dataclass
class Evening:
    """A host on air, and a viewer with coins in the room."""

    onair: Onair
    host: Client
    viewer: Client
    stream: str
    socket: Socket

    def gift(self, **message: Any) -> Any:
        """The answer to a gift message, sent as it is."""
        sent = {"action": "gift", "id": self.socket.new_id("gift"), "gift_id": "rose", "count": 1, **message}
        return self.socket.request(sent, lambda got: got.get("type") == "ack" and got.get("id") == sent["id"])


@pytest.fixture
def evening(onair: Onair) -> Iterator[Evening]:
    """Whatever the test does: afterwards the audit of the whole ledger finds nothing."""
    host, viewer = onair.account("glad_host", followers=1_200), onair.account("glad_viewer", coins=7_000)
    stream = str(onair.broadcast(host)["id"])
    socket = onair.socket(viewer, stream)
    socket.join()
    yield Evening(onair, host, viewer, stream, socket)
    variables = {"LEDGER_TABLE": onair.stack.declared.outputs["LedgerTable"]}
    token = settings.environment.set(variables)
    try:
        report = audit(StoredLedger(), int(onair.stack.clock.now_ms()) + 60_000, segments=1)
    finally:
        settings.environment.reset(token)
    assert [each for each in report.differences if each.name != "unsettled_too_long"] == []
    assert report.transfers > 0


def wallet(client: Client) -> Any:
    return client.call("GET", "/wallet")


@pytest.mark.parametrize("count", [0, -1, -(2**63), 1000, 2**53, 10**30, 1.5, "1", None, True, [1], {"count": 1}])
def test_a_count_that_is_no_whole_number_from_1_to_999_is_refused(evening: Evening, count: Any) -> None:
    before = wallet(evening.viewer)
    answer = evening.gift(count=count)
    assert (answer["type"], answer["code"]) == ("error", "invalid_request")
    assert wallet(evening.viewer) == before


@pytest.mark.parametrize("gift", ["", "nothing", "ROSE", "pumpkin2", 7, None, "r" * 500])
def test_an_unknown_gift_is_refused(evening: Evening, gift: Any) -> None:
    before = wallet(evening.viewer)
    assert evening.gift(gift_id=gift)["code"] == "invalid_request"
    assert wallet(evening.viewer) == before


def test_a_gift_to_oneself_is_forbidden(evening: Evening) -> None:
    evening.host.buy("coins_70")
    on_stage = evening.onair.socket(evening.host, evening.stream)
    on_stage.join()
    assert on_stage.gift("rose")["code"] == "forbidden"
    assert wallet(evening.host)["coins"] == 70


def test_after_the_end_there_is_no_way_to_give(evening: Evening) -> None:
    """The room closes its sockets; what still arrives meanwhile is refused, and no ticket opens it again."""
    assert evening.gift()["type"] == "ack"
    evening.host.call("POST", f"/streams/{evening.stream}/end")
    before = wallet(evening.viewer)
    try:
        assert evening.gift()["code"] == "not_live"
    except ConnectionClosed:
        assert evening.socket.wait_closed() == 1000
    refused = evening.viewer.request("POST", f"/streams/{evening.stream}/ticket")
    assert (refused.status, refused.error_code) == (409, "not_live")
    assert wallet(evening.viewer) == before


def test_the_same_id_with_other_content_is_reused_and_with_the_same_is_answered_alike(evening: Evening) -> None:
    first = evening.gift(id="twice", count=3)
    before = wallet(evening.viewer)
    assert evening.gift(id="twice", count=3) == first
    for other in ({"count": 4}, {"gift_id": "heart"}, {"combo": "run"}):
        assert evening.gift(id="twice", **{"count": 3, **other})["code"] == "id_reused"
    assert wallet(evening.viewer) == before


def test_gifts_are_refused_to_hosts_who_switched_them_off_until_they_switch_them_on(evening: Evening) -> None:
    evening.host.call("PATCH", f"/streams/{evening.stream}/room", {"gifts_on": False})
    assert evening.gift()["code"] == "forbidden"
    evening.host.call("PATCH", f"/streams/{evening.stream}/room", {"gifts_on": True})
    assert evening.gift()["type"] == "ack"


@pytest.mark.parametrize(("market", "born", "needed"), [("US", "2010-02-01", 18), ("KR", "2008-01-01", 19)])
def test_who_is_too_young_for_gifts_here_is_told_the_age(evening: Evening, market: str, born: str, needed: int) -> None:
    young = evening.onair.account("young_viewer", birth_date=born, market=market)
    young.buy("coins_70")
    opened = evening.onair.socket(young, evening.stream)
    opened.join()
    answer = opened.gift("rose")
    assert answer["code"] == "age_restricted"
    assert str(needed) in json.dumps(answer)
    assert wallet(young)["coins"] == 70


def test_a_limit_that_one_set_oneself_holds_at_once_and_is_told(evening: Evening) -> None:
    evening.viewer.call("PUT", "/wallet/limit", {"coins_a_day": 10})
    assert evening.gift(count=10)["type"] == "ack"
    assert evening.gift()["code"] == "limit_reached"
    told = evening.viewer.call("PUT", "/wallet/limit", {"coins_a_day": 100})
    assert (told["coins_a_day"], told["coins_next"]) == (10, 100)
    assert evening.gift()["code"] == "limit_reached"


def test_a_new_account_gives_no_more_than_its_first_days_allow(evening: Evening) -> None:
    for _ in range(3):
        evening.viewer.buy("coins_17500")
    assert evening.gift(gift_id="universe")["type"] == "ack"
    assert evening.gift(gift_id="yacht")["code"] == "limit_reached"


def forged(cursor: str) -> Iterator[str]:
    """Cursors that look like ours: made up, of another version, cut off, and doubled."""
    yield "e30"
    yield base64.urlsafe_b64encode(json.dumps(["1", "0" * 64]).encode()).decode().rstrip("=")
    yield cursor[:-4]
    yield cursor + cursor
    yield "x" * 1024


def test_a_forged_cursor_and_one_of_another_wallet_are_refused(evening: Evening) -> None:
    for n in range(3):
        evening.gift(count=n + 1)
    other = evening.onair.account("other_viewer", coins=7_000)
    other.buy("coins_70")
    page = evening.viewer.call("GET", "/wallet/statement?limit=2")
    assert evening.viewer.call("GET", f"/wallet/statement?limit=2&cursor={page['cursor']}")["items"]
    for cursor in forged(page["cursor"]):
        answer = evening.viewer.request("GET", f"/wallet/statement?cursor={cursor}")
        assert (answer.status, answer.error_code) == (400, "invalid_request"), cursor
        assert answer.body["error"]["details"]["field"] == "cursor"
    assert other.request("GET", f"/wallet/statement?cursor={page['cursor']}").error_code == "invalid_request"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"provider": "bank"}, "provider"),
        ({"provider": "apple"}, "provider"),  # not configured on this stack
        ({"pack": "coins_1"}, "pack"),
        ({"pack": 70}, "pack"),
        ({"proof": ""}, "proof"),
        ({"proof": "p" * 8193}, "proof"),
    ],
)
def test_a_purchase_that_makes_no_sense_mints_nothing(evening: Evening, change: dict[str, Any], field: str) -> None:
    before = wallet(evening.viewer)
    body = {"provider": "sandbox", "pack": "coins_70", "proof": "fresh", **change}
    answer = evening.viewer.request("POST", "/purchases", body)
    assert (answer.status, answer.error_code) == (400, "invalid_request")
    assert answer.body["error"]["details"]["field"] == field
    assert wallet(evening.viewer) == before


def test_boards_and_goals_follow_what_was_given(evening: Evening) -> None:
    goal = {"goals": [{"gift_id": "rose", "count": 5}]}
    evening.host.call("PUT", f"/streams/{evening.stream}/goals", goal)
    evening.gift(count=4)
    evening.gift(gift_id="heart")
    path = f"/streams/{evening.stream}"

    def given() -> bool:
        board = evening.viewer.call("GET", f"{path}/leaderboard")["items"]
        goals = evening.viewer.call("GET", f"{path}/goals")["items"]
        return [each["coins"] for each in board] == [9] and goals[0]["given"] == 4

    wait_until(given, "the settlement to be counted", 20)
