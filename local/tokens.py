"""Cognito access tokens verified as API Gateway does: signature by the pool's JWKS, issuer, use, scope and expiry.

With scopes on a method API Gateway takes access tokens only; without, identity tokens only (API Gateway Developer
Guide, "Integrate a REST API with a user pool"). Time is the stack's clock, so that a test can let a token expire.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import jwt

from functions import clock
from local.declared import Guard
from local.deployment import REGION

FETCH_TIMEOUT_S: Final = 5


class ExpiredTokenError(Exception):
    """The token was good once."""


class RefusedTokenError(Exception):
    """No token, or one that is not for this pool."""


class MissingScopeError(Exception):
    """A good token without any of the scopes that the method asks for."""


@dataclass(frozen=True)
class KeySet:
    """The public keys of one user pool by their id."""

    pool: str
    client: str
    keys: Mapping[str, jwt.PyJWK]


def fetch_keys(aws_url: str, pool: str, client: str) -> KeySet:
    """The pool's keys from the moto server, where any other verifier finds them too."""
    with urllib.request.urlopen(f"{aws_url}/{pool}/.well-known/jwks.json", timeout=FETCH_TIMEOUT_S) as answer:
        found: dict[str, Any] = json.load(answer)
    return KeySet(pool, client, {str(key["kid"]): jwt.PyJWK(key, algorithm="RS256") for key in found["keys"]})


def verify(header: str | None, guard: Guard, keys: KeySet) -> dict[str, str]:
    """The claims of the token in an ``Authorization`` header, as text, as API Gateway hands them on.

    Raises
    ------
    RefusedTokenError, ExpiredTokenError, MissingScopeError
        What API Gateway answers with UNAUTHORIZED, EXPIRED_TOKEN (both 401) and ACCESS_DENIED (403).
    """
    if not header:
        raise RefusedTokenError
    token = header.removeprefix("Bearer ").strip()
    try:
        key = keys.keys[str(jwt.get_unverified_header(token).get("kid"))]
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=f"https://cognito-idp.{REGION}.amazonaws.com/{guard.pool}",
            options={
                "verify_aud": False,
                "verify_exp": False,
                "verify_iat": False,
                "require": ["exp", "iss", "token_use"],
            },
        )
    except (jwt.InvalidTokenError, KeyError):
        raise RefusedTokenError from None
    if clock.now_ms() >= int(claims["exp"]) * 1000:
        raise ExpiredTokenError
    if claims["token_use"] != ("access" if guard.scopes else "id"):
        raise RefusedTokenError
    if str(claims.get("client_id", claims.get("aud"))) != keys.client:
        raise RefusedTokenError
    if guard.scopes and not set(guard.scopes) & set(str(claims.get("scope", "")).split()):
        raise MissingScopeError
    return {name: _as_text(value) for name, value in claims.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        # As in the service: `cognito:groups` is handed on with commas between.
        return ",".join(str(each) for each in cast("list[Any]", value))
    return value if isinstance(value, str) else json.dumps(value)
