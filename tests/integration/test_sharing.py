"""A shared link over the stack that the template makes: at the page's address, as CloudFront leads it."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from local.testing import Onair


def test_a_shared_link_is_answered_at_the_pages_address_and_counts_who_came(onair: Onair) -> None:
    host, fan, friend = onair.account("share_host", followers=1_200), onair.account(), onair.account()
    stream = onair.broadcast(host, title="Tea & talk")
    socket = onair.socket(fan, stream["id"])
    socket.join()
    url = str(fan.call("POST", f"/streams/{stream['id']}/share", {"channel": "link"})["url"])
    assert url.startswith(f"{onair.addresses.web_url}/s/")
    socket.wait_for_event("share")
    with urllib.request.urlopen(url, timeout=5) as answer:
        page = answer.read().decode()
        assert answer.headers["Content-Type"].startswith("text/html")
    assert 'property="og:title" content="Tea &amp; talk"' in page
    code = url.rpartition("/")[2]
    assert f"/watch/{stream['id']}?via={code}" in page
    friend.call("POST", f"/streams/{stream['id']}/ticket?via={code}")
    assert host.call("GET", f"/streams/{stream['id']}/shares") == {"shares": 1, "arrivals": 1}


def test_a_link_that_leads_nowhere_is_a_page_as_well(onair: Onair) -> None:
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{onair.addresses.web_url}/s/zzzzzzzzzzzz", timeout=5)
    assert missing.value.code == 404
    assert missing.value.read().decode().startswith("<!doctype html>")


def test_viewers_are_named_to_the_host(onair: Onair) -> None:
    host, fan = onair.account(followers=1_200), onair.account("shy_fan")
    stream = onair.broadcast(host)
    socket = onair.socket(fan, stream["id"])
    socket.join()
    socket.wait_for(lambda got: got.get("viewers", 0) >= 1, "being counted")
    seen = host.call("GET", f"/streams/{stream['id']}/viewers")
    assert [one["handle"] for one in seen["items"]] == ["shy_fan"]
