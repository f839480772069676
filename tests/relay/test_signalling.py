"""What WHIP and WHEP answers say: the resource, its entity tag, and ICE servers with their credentials (RFC 9725)."""

from __future__ import annotations

from media.relay.settings import Settings, read
from media.relay.signalling import created


class _Session:
    etag = '"tag"'
    ice_user = "user"
    candidates = 0

    async def add_candidate(self, line: str, mid: str) -> None: ...


def test_the_answer_names_resource_tag_and_ice_servers() -> None:
    told = read(
        {
            "STREAMS_TABLE": "t", "SIGNING_SECRET": "s", "PLAYBACK_SECRET": "p", "RELAY_PUBLIC_URL": "https://r.example",
            "ICE_SERVERS": 'stun:stun.example.org, turns:turn.example.org?transport=tcp;ann;pass"word',
        }
    )  # fmt: skip
    answer = created("v=0\r\n", "/whip/a/1", _Session(), told)
    assert answer.status == 201 and answer.content_type == "application/sdp"
    assert (answer.headers["Location"], answer.headers["ETag"]) == ("https://r.example/whip/a/1", '"tag"')
    assert answer.headers.getall("Link") == [
        '<stun:stun.example.org>; rel="ice-server"',
        '<turns:turn.example.org?transport=tcp>; rel="ice-server"; username="ann"; credential="pass\\"word"; '
        'credential-type="password"',
    ]


def test_without_ice_servers_none_are_told() -> None:
    assert "Link" not in created("v=0\r\n", "/whip/a/1", _Session(), Settings()).headers
