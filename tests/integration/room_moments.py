"""An evening in a room: everything that hosts, moderators and members do beside talking, over HTTPS and sockets."""

from __future__ import annotations

from typing import Any

from local.client import Client
from local.testing import Onair, wait_until


def spend_an_evening(onair: Onair, host: Client, viewer: Client, stream_id: str) -> dict[str, Any]:
    """Do it all, waiting for each to be seen; answers what a test may look at again."""
    studio, fan = onair.socket(host, stream_id), onair.socket(viewer, stream_id)
    studio.join()
    fan.join()
    rival = onair.account("rival_one")
    rival_socket = onair.socket(rival, stream_id)
    rival_socket.join()

    # A follower may talk where only followers may, a rival may not; a mute and a role reach open sockets.
    host.call("PATCH", f"/streams/{stream_id}/room", {"followers_only": True, "keywords": ["casino"]})
    fan.wait_for_event("settings")
    assert rival_socket.chat("let me in")["code"] == "followers_only"
    assert (
        rival_socket.request({"action": "ask", "id": "r", "text": "May I?"}, lambda got: got.get("id") == "r")["code"]
        == "followers_only"
    )
    assert fan.chat("the best CASINO")["code"] == "filtered"
    rival.call("PUT", f"/accounts/{host.handle}/follow")
    fan.wait_for_event("follow")
    host.call("PATCH", f"/streams/{stream_id}/room", {"followers_only": False})
    host.call("PUT", f"/streams/{stream_id}/members/rival_one", {"mute_s": 60})
    rival_socket.wait_for(lambda got: got.get("type") == "me" and "muted_until" in got, "the mute")
    assert rival_socket.chat("still here")["code"] == "muted"

    # A comment is pinned, removed, and gone from storage.
    said = fan.chat(f"a secret for @{host.handle}")["event_id"]
    fan.wait_for_event("chat", id=said)
    host.call("PATCH", f"/streams/{stream_id}/room", {"pinned": said})
    fan.wait_for_event("pinned")
    host.call("DELETE", f"/streams/{stream_id}/events/{said}")
    fan.wait_for_event("removed", event_id=said)
    assert "a secret" not in str(viewer.call("GET", f"/streams/{stream_id}/frames?after=0"))

    # A question, its upvotes (the second of a member counts no more), its answer.
    question = _act(fan, "ask", id="q", text="Where is this?")["event_id"]
    for _ in range(2):
        _act(studio, "upvote", question_id=question)
    fan.wait_for_event("question", question_id=question, upvotes=1)
    _act(studio, "answer", question_id=question, state="showing")
    fan.wait_for_event("question", question_id=question, state="showing")
    _act(studio, "answer", question_id=question, state="answered")
    assert viewer.call("GET", f"/streams/{stream_id}/questions")["items"] == []

    # Two polls, one after the other: the second waits for the first one's result.
    first = _act(studio, "poll", id="p1", question="Left?", options=["yes", "no"], seconds=1)["event_id"]
    for _ in range(2):
        _act(fan, "vote", poll_id=first, option=1)
    fan.wait_for_event("poll", poll_id=first, tallies=[0, 1])
    onair.advance(1)
    second = _act(studio, "poll", id="p2", question="Right?", options=["yes", "no"], seconds=600)["event_id"]
    fan.wait_for_event("poll", poll_id=first, state="closed", tallies=[0, 1])
    fan.wait_for_event("poll", poll_id=second, state="open")

    # The reader of frames: the host's pulse, and the notice of a mention.
    studio.wait_for(lambda got: got.get("type") == "pulse", "the pulse")
    notice = wait_until(lambda: host.call("GET", "/me/notifications")["items"], "the mention")[0]
    host.call("PUT", "/me/notifications", {"until": notice["id"]})

    # A ban says bye.
    host.call("PUT", f"/streams/{stream_id}/members/rival_one", {"banned": True})
    rival_socket.wait_for(lambda got: got.get("type") == "bye" and got.get("code") == "banned", "the bye")
    rival_socket.wait_closed()
    for socket in (studio, fan):
        socket.close()
    return {"notice": notice, "rival": rival}


def _act(socket: Any, action: str, **fields: Any) -> Any:
    about = fields.get("id") or fields.get("question_id") or fields.get("poll_id")
    answer = socket.request({"action": action, **fields}, lambda got: got.get("id") == about)
    assert answer["type"] == "ack", answer
    return answer
