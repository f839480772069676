"""Sharing: one's link, the page and card behind it, who came by it, and the moment in the room."""

from __future__ import annotations

import pytest

from functions import observe
from functions.streams import shares
from tests.unit import moderated_room
from tests.unit.https import Answer, Client, Person, rest_event
from tests.unit.moderated_room import of_type


def link(client: Client, stream: str, who: Person, channel: str = "link") -> str:
    answer = client.call("POST", f"/streams/{stream}/share", {"channel": channel}, who=who)
    assert answer.status == 200, answer.body
    return str(answer.body["url"])


def opened(url: str) -> Answer:
    """The page behind a link, as a browser or a crawler gets it."""
    from functions.api import app

    answer = app(rest_event("GET", f"/s/{url.rpartition('/')[2]}"), None)
    return Answer(answer["statusCode"], answer["body"], {**answer["headers"]})


def test_a_link_is_ones_own_and_the_same_again(client: Client) -> None:
    stream = client.live(client.host())
    ana, bo = client.sign_up("ana"), client.sign_up("bob")
    url = link(client, stream, ana)
    assert url.startswith(("https://", "http://"))
    assert link(client, stream, ana) == url
    assert len({url, link(client, stream, ana, "mail"), link(client, stream, bo)}) == 3
    # An account counts once a channel, however often it taps.
    assert shares.counts(stream) == shares.ShareCounts(shares=3)


def test_a_link_leads_to_a_card_and_on_to_the_broadcast(client: Client) -> None:
    host = client.host()
    made = client.call("POST", "/streams", {"title": '<b>"Tea" & talk', "devices": {"encoder": True}}, who=host).body
    client.call("POST", f"/streams/{made['id']}/start", {"devices": {"encoder": True}}, who=host)
    url = link(client, made["id"], host)
    page = opened(url)
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert '<meta property="og:title" content="&lt;b&gt;&quot;Tea&quot; &amp; talk">' in page.body
    assert f'<meta property="og:url" content="{url}">' in page.body
    assert f"/watch/{made['id']}?via={url.rpartition('/')[2]}" in page.body
    assert "<b>" not in page.body and "<script" not in page.body


def test_a_card_names_nothing_that_is_not_for_everyone(client: Client) -> None:
    host = client.host()
    stream = client.live(host, title="Only for friends", audience="followers")
    page = opened(link(client, stream, host)).body
    assert "Only for friends" not in page and "og:image" not in page and "Host" not in page


@pytest.mark.parametrize("code", ["zzzzzzzzzzzz", "short", "..%2f", "x" * 200])
def test_a_link_that_leads_nowhere_says_so_to_people(client: Client, code: str) -> None:
    page = opened(f"/s/{code}")
    assert page.status == 404 and page.body.startswith("<!doctype html>")


def test_what_is_not_announced_cannot_be_shared(client: Client) -> None:
    host = client.host()
    made = client.call("POST", "/streams", {"title": "Soon", "devices": {"encoder": True}}, who=host).body
    assert client.call("POST", f"/streams/{made['id']}/share", {}, who=host).code == "not_found"
    assert client.call("POST", "/streams/no-such/share", {}, who=host).code == "not_found"
    stream = client.live(host)
    wrong = client.call("POST", f"/streams/{stream}/share", {"channel": "pigeon"}, who=host)
    assert (wrong.code, wrong.field) == ("invalid_request", "channel")


def test_who_came_by_a_link_is_counted_once_and_never_who_shared(client: Client) -> None:
    host = client.host()
    stream = client.live(host)
    ana, bo, cyd = client.sign_up("ana"), client.sign_up("bob"), client.sign_up("cyd")
    code = link(client, stream, ana).rpartition("/")[2]
    other = link(client, stream, cyd).rpartition("/")[2]
    for who, via in ((bo, code), (bo, code), (bo, other), (ana, code), (cyd, "no-such-code"), (cyd, code)):
        answer = client.call("POST", f"/streams/{stream}/ticket?via={via}", who=who)
        assert answer.status == 200, answer.body
    assert client.call("POST", f"/streams/{stream}/ticket?via={code}").status == 200  # a visitor has no name
    found = shares.read(code)
    assert found is not None and found.arrivals == 2
    told = client.call("GET", f"/streams/{stream}/shares", who=host)
    assert told.body == {"shares": 2, "arrivals": 2}
    assert client.call("GET", f"/streams/{stream}/shares", who=ana).code == "forbidden"


def test_the_room_is_told_of_a_share_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with moderated_room.made(client, monkeypatch) as room:
        ana = room.person("ana")
        socket = room.enter(ana)
        for channel in ("link", "mail", "link"):
            assert room.call("POST", "/share", {"channel": channel}, who=ana).status == 200
        room.sequence()
        (event,) = of_type(socket, "share")
        assert event["from"]["handle"] == "ana"


def test_viewers_are_named_to_those_who_moderate_and_else_only_whom_one_follows(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moderated_room.made(client, monkeypatch) as room:
        ana, bo, cyd = (room.person(handle) for handle in ("ana", "bob", "cyd"))
        assert client.call("PUT", f"/accounts/{bo.handle}/follow", who=ana).status == 204
        for one in (room.host, ana, bo, cyd):
            room.enter(one)
        room.sockets.joined("visitor-abc", "visitor", stream=room.stream)
        room.sequence()

        def seen(who: Person) -> list[tuple[str, str]]:
            return [(one["handle"], one["role"]) for one in room.call("GET", "/viewers", who=who).body["items"]]

        everybody = [("host_one", "host"), ("ana", "viewer"), ("bob", "viewer"), ("cyd", "viewer")]
        assert seen(room.host) == everybody
        assert seen(ana) == [("host_one", "host"), ("bob", "viewer"), ("ana", "viewer")]
        assert seen(cyd) == [("host_one", "host"), ("cyd", "viewer")]
        assert room.call("GET", "/viewers", who=cyd).body["viewers"] == 5
        assert room.call("PUT", "/members/cyd", {"moderator": True}).status == 200
        assert ("cyd", "moderator") in seen(room.host) and len(seen(cyd)) == 4
        short = room.call("GET", "/viewers?limit=2").body
        assert (len(short["items"]), short["more"]) == (2, True)
        assert client.call("GET", f"/streams/{room.stream}/viewers?limit=0", who=ana).field == "limit"
        with observe.counting() as calls:
            seen(ana)
        assert len(calls) <= 10, [call.operation for call in calls]


def test_who_is_banned_sees_nobody(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with moderated_room.made(client, monkeypatch) as room:
        ana = room.person("ana")
        assert room.call("PUT", "/members/ana", {"banned": True}).status == 200
        assert room.call("GET", "/viewers", who=ana).code == "banned"
        assert room.call("POST", "/end", {}).status == 200
        assert room.call("GET", "/viewers").code == "not_live"
