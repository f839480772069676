"""The moderated, asking, voting room on the stack that the template makes, its reader of frames included."""

from __future__ import annotations

from local.testing import Onair
from tests.integration.room_moments import spend_an_evening


def test_an_evening_in_a_room(onair: Onair) -> None:
    host, viewer = onair.account("evening_host", followers=1_200), onair.account("evening_fan")
    viewer.call("PUT", "/accounts/evening_host/follow")
    stream = onair.broadcast(host)
    seen = spend_an_evening(onair, host, viewer, stream["id"])
    assert (seen["notice"]["kind"], seen["notice"]["from"]["handle"]) == ("mention", "evening_fan")
    assert host.call("GET", "/me/notifications")["items"][0]["read"] is True
    refused = seen["rival"].request("POST", f"/streams/{stream['id']}/ticket")
    assert (refused.status, refused.body["error"]["code"]) == (403, "banned")
