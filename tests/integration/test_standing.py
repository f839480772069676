"""A standing that changes while live, on the local stack: who sees what, and how soon."""

from __future__ import annotations

import time

import pytest

from local.testing import PASSWORD, Onair, wait_until

# The tick of a small room is 200 ms; ring, sequencer and two slow cores come on top. Measured: docs/performance.md.
SOON_S = 3.0


@pytest.mark.parametrize("rule", ["spam", "fraud", "minor_safety"])
def test_a_struck_hosts_broadcast_ends_for_everyone_with_a_reason(onair: Onair, rule: str) -> None:
    olga, host, fan = onair.operator(), onair.account(followers=1_200), onair.account()
    stream = onair.broadcast(host)
    on_stage, watching = onair.socket(host, stream["id"]), onair.socket(fan, stream["id"])
    on_stage.join()
    watching.join()
    started = time.monotonic()
    olga.call("POST", f"/operator/accounts/{host.handle}/strikes", {"rule": rule, "reason": "Seen"})
    for socket in (on_stage, watching):
        event = socket.wait_for_event("ended", within_s=SOON_S)
        assert event["reason"] == "standing"
        bye = socket.wait_for(lambda message: message.get("type") == "bye", "bye", within_s=SOON_S)
        assert bye["reconnect"] is False
        socket.wait_closed(SOON_S)
    assert time.monotonic() - started < 2 * SOON_S
    seen = fan.call("GET", f"/streams/{stream['id']}")
    assert (seen["state"], seen["end_reason"]) == ("ended", "standing")
    refused = host.request("POST", "/streams", {"title": "Again", "devices": {"encoder": True}})
    assert refused.error_code == "not_eligible"


def test_a_suspended_viewers_sockets_close_and_no_ticket_opens_another(onair: Onair) -> None:
    olga, host, fan = onair.operator(), onair.account(followers=1_200), onair.account("fan_one")
    stream = onair.broadcast(host)
    early = fan.call("POST", f"/streams/{stream['id']}/ticket")
    watching = onair.socket(fan, stream["id"])
    watching.join()
    olga.call("PUT", "/operator/accounts/fan_one/standing", {"standing": "suspended", "reason": "Seen"})
    bye = watching.wait_for(lambda message: message.get("type") == "bye", "bye", within_s=SOON_S)
    assert (bye["code"], bye["reconnect"]) == ("suspended", False)
    watching.wait_closed(SOON_S)
    # a ticket of before opens a socket, but no room
    late = onair.open_socket(str(early["socket_url"]))
    assert late.join()["code"] == "suspended"
    assert fan.request("POST", f"/streams/{stream['id']}/ticket").error_code == "suspended"
    assert fan.request("POST", "/sessions", {"refresh_token": fan.refresh_token}).error_code == "unauthenticated"
    # the record can be read, and the way back is open
    fan.sign_in("fan_one", PASSWORD)
    assert fan.call("GET", "/me/standing")["standing"] == "suspended"
    olga.call("PUT", "/operator/accounts/fan_one/standing", {"standing": "good", "reason": "A mistake"})
    assert onair.socket(fan, stream["id"]).join()["type"] == "joined"


def test_follows_of_old_accounts_count_within_a_moment_and_of_young_ones_not(onair: Onair) -> None:
    olga, host = onair.operator(), onair.account("counted_host")
    old, young = onair.account(days_old=8), onair.account()
    for fan in (old, young):
        fan.call("PUT", "/accounts/counted_host/follow")

    def counted() -> int:
        return int(olga.call("GET", "/operator/accounts/counted_host")["followers_counted"])

    wait_until(lambda: counted() == 1, "the old account's follow to count")
    assert host.call("GET", "/me")["followers"] == 2
    rows = {row["code"]: row for row in host.call("GET", "/me/eligibility")["requirements"]}
    assert rows["followers"]["actual"] == 1
    olga.call("PUT", f"/operator/accounts/{old.handle}/standing", {"standing": "banned", "reason": "Bought"})

    def counted_a_minute_later() -> int:
        # A minute's work that was under way when the ban came looks again in the next one.
        onair.advance(61)
        return counted()

    wait_until(lambda: counted_a_minute_later() == 0, "a banned account's follow to count no more")
    assert host.call("GET", "/me")["followers"] == 2
