"""What a task shows another one: tokens that open one stream at one task for half a minute, and nothing else."""

from __future__ import annotations

import time
from typing import Any, cast

import jwt
import pytest

from media.relay.errors import RelayError
from media.relay.lease import Beat, Lease, Leases
from media.relay.metrics import Metrics
from media.relay.peers import HEADER, Peers
from media.relay.pull import newest
from media.relay.settings import Settings

_SECRET = "s" * 64
_OWNER = Lease("show", 1, "owner", "http://owner", 1, Beat())


def _peers(task: str, secret: str = _SECRET) -> Peers:
    settings = Settings(task=task, signing_secret=secret)
    return Peers(settings, cast(Leases, None), lambda _: False, Metrics())


def test_the_owner_takes_the_token_that_another_task_signs() -> None:
    headers = _peers("edge").headers(_OWNER)
    assert _peers("owner").comes_from_peer(headers, "show")
    assert not _peers("owner").comes_from_peer({}, "show")


def _claims(**changed: Any) -> dict[str, Any]:
    claims = {"aud": "relay:owner", "sub": "show", "iss": "edge", "exp": int(time.time()) + 30, **changed}
    return {name: value for name, value in claims.items() if value is not None}


@pytest.mark.parametrize(
    ("what", "token"),
    [
        ("another secret", jwt.encode(_claims(), "x" * 64, "HS256")),
        ("no signature", jwt.encode(_claims(), None, "none")),
        ("of a minute ago", jwt.encode(_claims(exp=int(time.time()) - 1), _SECRET, "HS256")),
        ("without an end", jwt.encode(_claims(exp=None), _SECRET, "HS256")),
        ("for another task", jwt.encode(_claims(aud="relay:third"), _SECRET, "HS256")),
        ("for another broadcast", jwt.encode(_claims(sub="other"), _SECRET, "HS256")),
        ("a stream key", jwt.encode({"sub": "show", "gen": 1, "aud": "publish"}, _SECRET, "HS256")),
        ("a playback token", jwt.encode(_claims(aud="play"), _SECRET, "HS256")),
        ("no token", "nonsense"),
        ("empty", ""),
        ("far too long", "a." * 5_000),
    ],
)
def test_any_other_token_is_refused(what: str, token: str) -> None:
    with pytest.raises(RelayError, match="forbidden"):
        _peers("owner").comes_from_peer({HEADER: token}, "show")


_HEAD = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:10\n"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (_HEAD, (9, -1, True)),
        (_HEAD + '#EXT-X-PART:DURATION=1,URI="a"\n#EXT-X-PART:DURATION=1,URI="b"\n', (10, 1, False)),
        (_HEAD + '#EXT-X-PART:DURATION=1,URI="a"\n#EXTINF:1,\nx.m4s\n', (10, 0, True)),
        (_HEAD + "#EXTINF:1,\nx.m4s\n#EXTINF:1,\ny.m4s\n", (11, -1, True)),
        (_HEAD + '#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n#EXTINF:1,\nx.m4s\n#EXT-X-PART:DURATION=1,URI="a"\n', (16, 0, False)),
        (_HEAD + '#EXTINF:1,\nx.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="h"\n', (10, -1, True)),
    ],
)
def test_a_follower_reads_where_a_playlist_ends(text: str, end: tuple[int, int, bool]) -> None:
    assert newest(text) == end
