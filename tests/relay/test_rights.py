"""Stream keys, playback tokens and the origin header: who gets in, and what the others are told."""

from __future__ import annotations

import time

import jwt
import pytest

from media.relay.errors import RelayError
from media.relay.rights import Rights
from tests.relay.stack import ORIGIN_SECRET, PLAYBACK_SECRET, SIGNING_SECRET, playback_token, stream_key

_RIGHTS = Rights(SIGNING_SECRET, PLAYBACK_SECRET, ORIGIN_SECRET)
_HS256 = "HS256"


def test_a_good_key_opens_its_stream() -> None:
    key = _RIGHTS.stream_key(f"Bearer {stream_key('abc', 3)}", "abc")
    assert (key.stream_id, key.generation) == ("abc", 3)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "unauthenticated"),
        ("", "unauthenticated"),
        ("Bearer ", "unauthenticated"),
        ("Basic abc", "unauthenticated"),
        ("Bearer nonsense", "unauthenticated"),
        (f"Bearer {stream_key('abc', secret='x' * 64)}", "unauthenticated"),
        (f"Bearer {playback_token('abc', secret=SIGNING_SECRET)}", "unauthenticated"),
        (f"Bearer {jwt.encode({'sub': 'abc', 'aud': 'publish'}, SIGNING_SECRET, _HS256)}", "unauthenticated"),
        (
            f"Bearer {jwt.encode({'sub': 'abc', 'aud': 'publish', 'gen': 'x'}, SIGNING_SECRET, _HS256)}",
            "unauthenticated",
        ),
        (f"Bearer {jwt.encode({'sub': 'abc', 'aud': 'publish', 'gen': 1}, '', 'none')}", "unauthenticated"),
        ("Bearer " + "a" * 5_000, "unauthenticated"),
        (f"Bearer {stream_key('other')}", "forbidden"),
    ],
)
def test_other_keys_are_refused(header: str | None, code: str) -> None:
    with pytest.raises(RelayError) as refusal:
        _RIGHTS.stream_key(header, "abc")
    assert refusal.value.code == code


def test_a_playback_token_opens_its_stream_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    rights = Rights(SIGNING_SECRET, PLAYBACK_SECRET, ORIGIN_SECRET)
    token = playback_token("abc", lifetime_s=60)
    rights.check_playback(token, "abc")
    rights.check_playback(token, "abc")
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(RelayError) as refusal:
        rights.check_playback(token, "abc")
    assert refusal.value.code == "unauthenticated"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("x", "unauthenticated"),
        (playback_token("abc", secret="x" * 64), "unauthenticated"),
        (stream_key("abc", secret=PLAYBACK_SECRET), "unauthenticated"),
        (playback_token("abc", lifetime_s=-1), "unauthenticated"),
        (playback_token("other"), "forbidden"),
    ],
)
def test_other_tokens_are_refused(token: str, code: str) -> None:
    with pytest.raises(RelayError) as refusal:
        _RIGHTS.check_playback(token, "abc")
    assert refusal.value.code == code


def test_only_the_origin_header_reads_without_a_token() -> None:
    _RIGHTS.check_origin(ORIGIN_SECRET)
    for rights, header, code in [
        (_RIGHTS, None, "unauthenticated"),
        (_RIGHTS, "wrong", "forbidden"),
        (Rights(SIGNING_SECRET, PLAYBACK_SECRET, ""), "", "unauthenticated"),
        (Rights(SIGNING_SECRET, PLAYBACK_SECRET, ""), "x", "forbidden"),
    ]:
        with pytest.raises(RelayError) as refusal:
            rights.check_origin(header)
        assert refusal.value.code == code


def test_remembered_tokens_are_bounded() -> None:
    rights = Rights(SIGNING_SECRET, PLAYBACK_SECRET, ORIGIN_SECRET)
    for lifetime_s in range(10_050):
        rights.check_playback(playback_token("abc", lifetime_s=lifetime_s + 100), "abc")
    assert len(rights._verified) == 10_000
