"""Leaderboards, goals, gallery, months, export and limit over HTTPS, after gifts that were settled."""

from __future__ import annotations

import random

import msgspec
import pytest

from functions import aws
from functions.rooms.messages import GiftMessage, RoomEvent, Sender, SettingsEvent
from functions.rooms.model import RoomView
from functions.rooms.stored import StoredRooms
from functions.wallet import gift_transfer, settle
from functions.wallet.giving import Giver
from functions.wallet.table import StoredLedger
from tests.contract import tables
from tests.unit import https


@pytest.fixture
def client(client: https.Client, monkeypatch: pytest.MonkeyPatch) -> https.Client:
    tables.create_ledger(aws.client("dynamodb"), "ledger")
    monkeypatch.setenv("LEDGER_TABLE", "ledger")
    monkeypatch.setenv("SANDBOX_PURCHASES", "true")
    return client


def test_gifts_show_on_boards_goals_gallery_months_and_statement(client: https.Client) -> None:
    host = client.host()
    fans = [client.sign_up(f"fan_{n}") for n in range(2)]
    stream = client.live(host)
    goals = {"goals": [{"gift_id": "rose", "count": 10}]}
    assert client.call("PUT", f"/streams/{stream}/goals", goals, who=host).body["items"][0]["given"] == 0
    for n, fan in enumerate(fans):
        request = {"provider": "sandbox", "pack": "coins_70", "proof": f"p{n}"}
        assert client.call("POST", "/purchases", request, who=fan).status == 201
        room, giver = RoomView(stream, host.id, True), Giver("US", 30)
        sender = Sender(fan.id, fan.handle, fan.handle)
        gift_transfer.give(StoredLedger(), sender, GiftMessage("g", "rose", 2 + n), room, giver)
    assert settle.settle_all(StoredLedger(), host.id, rng=random.Random(1))

    board = client.call("GET", f"/streams/{stream}/leaderboard").body["items"]
    assert [(each["rank"], each["handle"], each["coins"]) for each in board] == [(1, "fan_1", 3), (2, "fan_0", 2)]
    assert client.call("GET", f"/streams/{stream}/leaderboard?limit=1").body["items"] == board[:1]
    assert client.call("GET", f"/accounts/{host.handle}/leaderboard").body["items"] == board
    # Who blocked somebody meets them on no board, and keeps the place that is theirs.
    client.call("PUT", "/accounts/fan_1/block", who=fans[0])
    for path in (f"/streams/{stream}/leaderboard", f"/accounts/{host.handle}/leaderboard"):
        for n, fan in enumerate(fans):
            places = client.call("GET", path, who=fan).body["items"]
            assert [(each["rank"], each["handle"]) for each in places] == [(2 - n, fan.handle)]
        assert client.call("GET", path, who=host).body["items"] == board
    goal = {"gift_id": "rose", "count": 10, "given": 5}
    assert client.call("GET", f"/streams/{stream}/goals").body["items"] == [goal]
    assert client.call("GET", f"/accounts/{host.handle}/gifts").body["items"] == [
        {"gift_id": "rose", "count": 5, "coins": 5}
    ]
    (month,) = client.call("GET", "/wallet/months", who=host).body["items"]
    assert (month["gifts"], month["coins"], month["diamonds"], month["paid"]) == (2, 5, 2, 0)
    exported = client.call("GET", f"/wallet/export?month={month['month']}", who=host)
    assert [each["reason"] for each in exported.body["items"]] == ["settlement"]


def test_limits_are_set_read_and_kept_in_bounds(client: https.Client) -> None:
    fan = client.sign_up("fan")
    assert client.call("GET", "/wallet/limit", who=fan).body == {"coins_a_day": None, "spent_today": 0}
    assert client.call("PUT", "/wallet/limit", {"coins_a_day": 50}, who=fan).body["coins_a_day"] == 50
    raised = client.call("PUT", "/wallet/limit", {"coins_a_day": None}, who=fan).body
    assert (raised["coins_a_day"], raised["coins_next"]) == (50, None)
    for bad in (-1, 1.5, "many", 10**12):
        assert client.call("PUT", "/wallet/limit", {"coins_a_day": bad}, who=fan).field == "coins_a_day"


@pytest.mark.parametrize(
    ("goals", "field"),
    [
        ([{"gift_id": "no_such_gift", "count": 1}], "gift_id"),
        ([{"gift_id": "rose", "count": 0}], "goals[0].count"),
        ([{"gift_id": "rose", "count": 1}] * 2, "goals"),
        ([{"gift_id": "rose", "count": 1}] * 6, "goals"),
    ],
)
def test_goals_that_make_no_sense_are_refused(client: https.Client, goals: list[object], field: str) -> None:
    host = client.host()
    stream = client.live(host)
    assert client.call("PUT", f"/streams/{stream}/goals", {"goals": goals}, who=host).field == field
    assert client.call("GET", f"/streams/{stream}/goals").body["items"] == []


def test_a_room_is_told_of_new_goals_with_the_settings_that_stand(client: https.Client) -> None:
    host = client.host()
    stream = client.live(host)
    assert client.call("PATCH", f"/streams/{stream}/room", {"slow_mode_s": 7}, who=host).status == 200
    for goals in ([{"gift_id": "rose", "count": 1}], []):
        assert client.call("PUT", f"/streams/{stream}/goals", {"goals": goals}, who=host).status == 200
    told = [msgspec.json.decode(each.body, type=RoomEvent) for each in StoredRooms().inbox(stream, 10)]
    settings = [each for each in told if isinstance(each, SettingsEvent)]
    assert sorted(each.goals for each in settings) == [False, True, True]
    assert {each.settings.slow_mode_s for each in settings} == {7}
    # A stream that is over has nobody to tell, and keeps its goals.
    assert client.call("POST", f"/streams/{stream}/end", who=host).status == 200
    assert client.call("PUT", f"/streams/{stream}/goals", {"goals": []}, who=host).status == 200
    assert len(StoredRooms().inbox(stream, 10)) == len(told) + 1


def test_only_the_host_sets_goals_and_an_export_names_a_month(client: https.Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    stream = client.live(host)
    assert client.call("PUT", f"/streams/{stream}/goals", {"goals": []}, who=fan).code == "forbidden"
    for bad in ("2026-13", "26-1", "", "2026-1"):
        assert client.call("GET", f"/wallet/export?month={bad}", who=fan).field == "month"
