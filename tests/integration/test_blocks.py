"""A block while live, over real sockets: who is blocked is shown out within a tick, and does not come back."""

from __future__ import annotations

from local.testing import Onair


def test_who_is_blocked_by_the_host_is_shown_out_and_stays_out(onair: Onair) -> None:
    host, rude, other = onair.account("b_host", followers=1_200), onair.account("b_rude"), onair.account("b_other")
    stream = onair.broadcast(host)
    spare = str(rude.call("POST", f"/streams/{stream['id']}/ticket")["socket_url"])
    sockets = [onair.socket(one, stream["id"]) for one in (rude, other)]
    for opened in sockets:
        opened.join()
    host.call("PUT", "/accounts/b_rude/block")
    bye = sockets[0].wait_for(lambda message: message.get("type") == "bye", "bye", within_s=3)
    assert (bye["code"], bye["reconnect"]) == ("banned", False)
    sockets[0].wait_closed()
    # A ticket from before the block opens a socket, and joins no room with it.
    late = onair.open_socket(spare)
    assert late.join()["code"] == "banned"
    assert rude.request("POST", f"/streams/{stream['id']}/ticket").body["error"]["code"] == "blocked"
    # Nobody else hears of it.
    assert sockets[1].chat("still here")["type"] == "ack"
    sockets[1].wait_for_event("chat", text="still here")
    assert not [one for one in sockets[1].messages for event in one.get("events", []) if event["type"] == "muted"]


def test_who_blocks_the_host_leaves_as_well(onair: Onair) -> None:
    host, viewer = onair.account("c_host", followers=1_200), onair.account("c_viewer")
    stream = onair.broadcast(host)
    opened = onair.socket(viewer, stream["id"])
    opened.join()
    viewer.call("PUT", "/accounts/c_host/block")
    opened.wait_closed()
    viewer.call("DELETE", "/accounts/c_host/block")
    again = onair.socket(viewer, stream["id"])
    assert again.join()["type"] == "joined"
