"""A host's moderators: of every broadcast from the next on, and of the live one at once."""

from __future__ import annotations

import pytest

from functions.accounts import moderators
from tests.unit.https import BOTH, Client, Person
from tests.unit.moderated_room import made


def listed(client: Client, host: Person) -> list[str]:
    return [one["handle"] for one in client.call("GET", "/me/moderators", who=host).body["items"]]


def may_moderate(client: Client, stream: str, who: Person) -> bool:
    return client.call("PATCH", f"/streams/{stream}/room", {}, who=who).status == 200


def test_a_moderator_of_a_host_moderates_the_next_broadcast(client: Client) -> None:
    host, bob, cyd = client.host(), client.sign_up("bob"), client.sign_up("cyd")
    for _ in range(2):
        assert client.call("PUT", "/me/moderators/bob", who=host).status == 204
    assert listed(client, host) == ["bob"]
    stream = client.live(host)
    assert may_moderate(client, stream, bob)
    assert not may_moderate(client, stream, cyd)
    ticket = client.call("POST", f"/streams/{stream}/ticket", who=bob).body
    assert ticket["role"] == "moderator"


def test_whom_the_host_dismissed_in_a_broadcast_stays_dismissed_when_it_starts_again(client: Client) -> None:
    host, bob = client.host(), client.sign_up("bob")
    client.call("PUT", "/me/moderators/bob", who=host)
    stream = client.live(host)
    client.call("PUT", f"/streams/{stream}/members/bob", {"moderator": False}, who=host)
    assert client.call("POST", f"/streams/{stream}/start", {"devices": BOTH}, who=host).status == 200
    assert not may_moderate(client, stream, bob)


def test_the_live_broadcast_follows_at_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with made(client, monkeypatch) as room:
        bob = room.enter(room.person("bob"))
        assert client.call("PUT", "/me/moderators/bob", who=room.host).status == 204
        assert room.sockets.gateway.posted[bob.id][-1] == {"type": "me", "role": "moderator"}
        assert client.call("DELETE", "/me/moderators/bob", who=room.host).status == 204
        assert room.sockets.gateway.posted[bob.id][-1] == {"type": "me", "role": "viewer"}
        assert listed(client, room.host) == []
        assert client.call("DELETE", "/me/moderators/bob", who=room.host).status == 204


def test_a_host_has_a_bounded_number_of_moderators(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderators, "MODERATORS_MAX", 1)
    host = client.host()
    for name in ("bob", "cyd"):
        client.sign_up(name)
    assert client.call("PUT", "/me/moderators/bob", who=host).status == 204
    assert client.call("PUT", "/me/moderators/cyd", who=host).code == "conflict"
    client.call("DELETE", "/me/moderators/bob", who=host)
    client.call("DELETE", "/me/moderators/bob", who=host)
    assert client.call("PUT", "/me/moderators/cyd", who=host).status == 204
    assert client.call("PUT", f"/me/moderators/{host.handle}", who=host).code == "invalid_request"
    assert client.call("PUT", "/me/moderators/nobody", who=host).code == "not_found"
