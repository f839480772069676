"""The CloudFront function, run in node with tokens that functions/tokens.py signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from functions import clock, tokens
from infra.relay import KEY_PLACE
from tests.infra.reading import Cloud, text

SOURCE = Path(__file__).parents[2] / "infra" / "playback.js"
KEY = "k" * 64
# CloudFront's runtime has Buffer and require('crypto') as node has; the handler is a global there.
RUNNER = """
const code = require('fs').readFileSync(process.argv[1], 'utf8').replace('__PLAYBACK_KEY__', process.argv[2]);
const handler = new Function('require', code + '; return handler;')(require);
const uris = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(uris.map((uri) => handler({ request: { method: 'GET', uri, headers: {} } }))));
"""


@pytest.fixture(autouse=True)
def signing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYBACK_SECRET_ARN", "playback")
    monkeypatch.setattr(tokens, "secret", {"playback": KEY}.__getitem__)


def ask(uri: str) -> dict[str, Any]:
    done = subprocess.run(
        ["node", "-e", RUNNER, str(SOURCE), KEY],
        input=json.dumps([uri]),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return json.loads(done.stdout)[0]


def _signed(claims: dict[str, Any], key: str = KEY, algorithm: str | None = "HS256") -> str:
    return jwt.encode(claims, key, algorithm)


def _claims(**changes: Any) -> dict[str, Any]:
    return {"sub": "stream1", "aud": "play", "exp": int(time.time()) + 60, **changes}


@pytest.mark.parametrize("kind", ["live", "replay"])
def test_valid_token_opens_and_leaves_the_path(kind: str) -> None:
    token, _ = {"live": tokens.playback_token, "replay": tokens.replay_token}[kind]("stream1")
    answer = ask(f"/{kind}/{token}/stream1/video/part-7.2.mp4")
    assert answer["uri"] == f"/{kind}/stream1/video/part-7.2.mp4"


def test_every_viewer_of_a_stream_asks_for_the_same_path() -> None:
    paths = {ask(f"/live/{_signed(_claims(exp=int(time.time()) + s))}/stream1/index.m3u8")["uri"] for s in (50, 70)}
    assert paths == {"/live/stream1/index.m3u8"}


def _refused() -> dict[str, str]:
    good = _signed(_claims())
    head, body, signature = good.split(".")
    other = "A" if signature[0] != "A" else "B"
    return {
        "expired": f"/live/{_signed(_claims(exp=int(time.time()) - 1))}/stream1/index.m3u8",
        "without expiry": f"/live/{_signed({'sub': 'stream1', 'aud': 'play'})}/stream1/index.m3u8",
        "with an expiry that is no number": f"/live/{_raw(_claims(exp='soon'))}/stream1/index.m3u8",
        "of another stream": f"/live/{good}/stream2/index.m3u8",
        "for the replay": f"/live/{_signed(_claims(aud='replay'))}/stream1/index.m3u8",
        "for the live broadcast": f"/replay/{good}/stream1/index.m3u8",
        "for publishing": f"/live/{_signed(_claims(aud='publish'))}/stream1/index.m3u8",
        "signed with another key": f"/live/{_signed(_claims(), 'x' * 64)}/stream1/index.m3u8",
        "with a changed signature": f"/live/{head}.{body}.{other}{signature[1:]}/stream1/index.m3u8",
        "with a changed body": f"/live/{head}.{body[:-2]}AA.{signature}/stream1/index.m3u8",
        "unsigned": f"/live/{_signed(_claims(), '', 'none')}/stream1/index.m3u8",
        "missing": "/live/stream1/index.m3u8",
        "not a token": "/live/x/stream1/index.m3u8",
        "not JSON": f"/live/{_mac('bm8', 'bm8')}/stream1/index.m3u8",
    }


def _mac(head: str, body: str) -> str:
    signature = hmac.new(KEY.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _raw(claims: dict[str, Any]) -> str:
    """A well-signed token that PyJWT would refuse to make."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return _mac(part({"alg": "HS256"}), part(claims))


@pytest.mark.parametrize("what", sorted(_refused()))
def test_token_is_refused(what: str) -> None:
    answer = ask(_refused()[what])
    assert answer.get("statusCode") == 401, answer
    error = json.loads(answer["body"]["data"])["error"]
    assert error["code"] == "unauthenticated"
    assert error["message"]
    assert answer["headers"]["access-control-allow-origin"]["value"] == "*"


def test_hand_made_token_with_good_claims_opens() -> None:
    # The oracle of the refused ones: made the same way, with nothing wrong in it.
    assert ask(f"/live/{_raw(_claims())}/stream1/index.m3u8")["uri"] == "/live/stream1/index.m3u8"


def test_expiry_is_that_of_the_signer() -> None:
    token, expires_ms = tokens.playback_token("stream1")
    assert 0 < expires_ms - clock.now_ms() <= tokens.PLAYBACK_LIFETIME_S * 1000
    assert jwt.decode(token, KEY, ["HS256"], audience="play")["sub"] == "stream1"


def test_deployed_function_is_this_file_with_the_key_filled_in_by_cloudformation(cloud: Cloud) -> None:
    _, function = cloud.one("AWS::CloudFront::Function", "RelayPlayback")
    assert function["FunctionConfig"]["Runtime"] == "cloudfront-js-2.0"
    code = text(function["FunctionCode"])
    assert KEY_PLACE not in code
    secret, _ = cloud.one("AWS::SecretsManager::Secret", "Playback")
    before, after = SOURCE.read_text().split(KEY_PLACE)
    joined = function["FunctionCode"]["Fn::Join"][1]
    assert joined[0].endswith(before + "{{resolve:secretsmanager:")
    assert joined[1] == {"Ref": secret}
    assert joined[2].endswith("}}" + after)
    assert len(SOURCE.read_bytes()) + len(KEY) < 10_000  # CloudFront's limit is 10 KB
