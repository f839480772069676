"""Signed rights: ticket (open a socket), stream key (publish) and playback token (watch), all JWT with HS256.

Three audiences and two secrets: the playback secret is also held by the CloudFront function, the signing secret
never leaves Lambda and the relay, which verifies stream keys and playback tokens with the same claims
(media/relay/rights.py).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from functions import aws, clock, settings
from functions.errors import OnairError

# PyJWT brings in `cryptography`: each function that uses it imports it, so that the others start without.
ALGORITHM: Final = "HS256"
TICKET_LIFETIME_S: Final = 60
PLAYBACK_LIFETIME_S: Final = 4 * 3600


@lru_cache(maxsize=8)
def secret(arn: str) -> str:
    """A secret's text."""
    # One call a container: a secret is read on first use and kept (rotation replaces containers by a deploy).
    answer: dict[str, Any] = aws.client("secretsmanager").get_secret_value(SecretId=arn)
    return str(answer["SecretString"])


def forget_secrets() -> None:
    """Drop cached secrets (local stack, when a stack is replaced)."""
    secret.cache_clear()


def sign_ticket(claims: dict[str, Any]) -> tuple[str, int]:
    """Sign a ticket for `claims`; returns it and its expiry in ms since the Unix epoch."""
    import jwt

    expires_s = clock.now_ms() // 1000 + TICKET_LIFETIME_S
    body = {**claims, "aud": "socket", "exp": expires_s}
    return jwt.encode(body, secret(settings.required("SIGNING_SECRET_ARN")), ALGORITHM), expires_s * 1000


def read_ticket(ticket: str) -> dict[str, Any]:
    """Claims of a valid ticket; raises `OnairError` ``unauthenticated`` for a forged, expired or foreign one."""
    return _read(ticket, "socket", secret(settings.required("SIGNING_SECRET_ARN")))


def stream_key(stream_id: str, generation: int) -> str:
    """The key to publish ``stream_id``: the same text for the same generation; a new generation revokes the old."""
    import jwt

    body = {"sub": stream_id, "gen": generation, "aud": "publish"}
    return jwt.encode(body, secret(settings.required("SIGNING_SECRET_ARN")), ALGORITHM)


def seat_key(stream_id: str, seat: str) -> str:
    """A guest's key to publish into ``seat`` and to watch the others; good while the stream's item lists the seat."""
    import jwt

    body = {"sub": stream_id, "seat": seat, "aud": "seat"}
    return jwt.encode(body, secret(settings.required("SIGNING_SECRET_ARN")), ALGORITHM)


def playback_token(stream_id: str) -> tuple[str, int]:
    """The right to watch ``stream_id`` live; returns the token and its expiry in ms since the Unix epoch."""
    return _playback(stream_id, "play")


def replay_token(stream_id: str) -> tuple[str, int]:
    """The right to watch the replay of ``stream_id``, which may be for others than the live broadcast; as above."""
    return _playback(stream_id, "replay")


def _playback(stream_id: str, audience: str) -> tuple[str, int]:
    import jwt

    expires_s = clock.now_ms() // 1000 + PLAYBACK_LIFETIME_S
    body = {"sub": stream_id, "aud": audience, "exp": expires_s}
    return jwt.encode(body, secret(settings.required("PLAYBACK_SECRET_ARN")), ALGORITHM), expires_s * 1000


def _read(token: str, audience: str, secret: str) -> dict[str, Any]:
    import jwt

    # Expiry is checked against our clock object rather than PyJWT's, so that tests and the local stack can move time.
    try:
        claims: dict[str, Any] = jwt.decode(
            token, secret, algorithms=[ALGORITHM], audience=audience, options={"verify_exp": False, "require": ["exp"]}
        )
    except jwt.InvalidTokenError:
        raise OnairError("unauthenticated", "This ticket is not valid. Ask for a new one.") from None
    if clock.now_ms() >= int(claims["exp"]) * 1000:
        raise OnairError("unauthenticated", "This ticket has expired. Ask for a new one.")
    return claims
