"""The whole path of the product without media: sign-up to settlement, over HTTPS and sockets as clients speak them."""

from __future__ import annotations

from local.testing import Onair, wait_until


def test_a_broadcast_from_sign_up_to_summary(onair: Onair) -> None:
    host = onair.account("studio_one", followers=1_200)
    viewer = onair.account("viewer_one", coins=7_000)

    viewer.call("PUT", "/accounts/studio_one/follow")
    assert viewer.call("GET", "/accounts/studio_one")["followers"] == 1_201
    eligibility = host.call("GET", "/me/eligibility?devices=camera,microphone")
    assert eligibility["eligible"], eligibility

    stream = onair.broadcast(host, title="First light")
    assert stream["state"] == "live"
    assert stream["publish"]["whip_url"].endswith(f"/whip/{stream['id']}")

    host_socket = onair.socket(host, stream["id"])
    assert host_socket.join()["me"]["role"] == "host"
    viewer_socket = onair.socket(viewer, stream["id"])
    joined = viewer_socket.join()
    assert joined["room"]["title"] == "First light"

    assert viewer_socket.chat("good evening")["type"] == "ack"
    seen = host_socket.wait_for_event("chat", text="good evening")
    assert seen["from"]["handle"] == "viewer_one"

    viewer_socket.react({"❤️": 12})
    host_socket.wait_for(
        lambda message: message.get("type") == "frame" and message["reactions"].get("❤️") == 12, "twelve hearts"
    )

    gift = viewer_socket.gift("rose", 10)
    assert gift["type"] == "ack", gift
    assert gift["coins"] == 7_000 - 10
    host_socket.wait_for_event("gift", gift_id="rose", count=10)
    # Half of ten coins is the creator's share.
    wait_until(lambda: host.call("GET", "/wallet")["diamonds"] == 5, "the host's five diamonds")

    summary = host.call("POST", f"/streams/{stream['id']}/end")
    assert (summary["comments"], summary["reactions"], summary["diamonds"]) == (1, 12, 5), summary
    assert summary["viewers_unique"] >= 1
    viewer_socket.wait_for_event("ended")
    assert host.call("POST", f"/streams/{stream['id']}/end") == summary


def test_frames_rise_by_one_and_a_second_join_gets_what_it_missed(onair: Onair) -> None:
    host = onair.account(followers=1_200)
    viewer = onair.account()
    stream = onair.broadcast(host)
    first = onair.socket(viewer, stream["id"])
    joined = first.join()
    for number in range(3):
        first.chat(f"line {number}")
        first.wait_for_event("chat", text=f"line {number}")
    numbers = [message["seq"] for message in first.messages if message.get("type") == "frame"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    first.close()

    second = onair.socket(viewer, stream["id"])
    again = second.join(epoch=joined["epoch"], after=joined["seq"])
    texts = [event["text"] for frame in again["frames"] for event in frame["events"] if event["type"] == "chat"]
    assert texts == ["line 0", "line 1", "line 2"]


def test_the_same_gift_id_charges_once(onair: Onair) -> None:
    host = onair.account(followers=1_200)
    viewer = onair.account(coins=7_000)
    stream = onair.broadcast(host)
    opened = onair.socket(viewer, stream["id"])
    opened.join()
    first = opened.gift("rose", 3, id="gift-a")
    second = opened.gift("rose", 3, id="gift-a")
    assert (first["coins"], second["coins"]) == (6_997, 6_997)
    assert viewer.call("GET", "/wallet")["coins"] == 6_997
    other = opened.gift("rose", 4, id="gift-a")
    assert other["code"] == "id_reused"
    assert viewer.call("GET", "/wallet")["coins"] == 6_997


def test_a_visitor_watches_and_is_asked_to_sign_in_when_acting(onair: Onair) -> None:
    host = onair.account(followers=1_200)
    stream = onair.broadcast(host)
    visitor = onair.client()
    ticket = visitor.call("POST", f"/streams/{stream['id']}/ticket")
    assert ticket["role"] == "visitor"
    opened = onair.open_socket(ticket["socket_url"])
    assert opened.join()["me"]["role"] == "visitor"
    assert opened.chat("let me in")["code"] == "unauthenticated"


def test_who_may_not_go_live_is_told_each_reason(onair: Onair) -> None:
    newcomer = onair.account(birth_date="2010-01-01")
    devices = {"camera": False, "microphone": True}
    refused = newcomer.request("POST", "/streams", {"title": "Hello", "topics": [], "devices": devices})
    assert (refused.status, refused.error_code) == (403, "not_eligible")
    requirements = refused.body["error"]["details"]
    missing = {one["code"] for one in requirements if not one["met"]}
    assert {"followers", "age", "camera"} <= missing
    assert all(one["fix"] for one in requirements if not one["met"])
