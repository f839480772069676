"""Who may call: the Cognito authorizer of protected routes, and access tokens that open routes verify themselves.

On protected routes API Gateway (and the local gateway alike) verifies the token before our code runs. Open routes that
treat a signed-in person differently get whatever the client sends, so the token is verified here, by the same rules:
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from chalice.app import CognitoUserPoolAuthorizer, Request

from functions import clock, parse, settings
from functions.errors import OnairError
from functions.parse import Identity

# The Cognito group of those who decide about others (infra/accounts.py; `make operator` names the first).
OPERATORS: Final = "operators"

# The ARN is never called: infra/ makes the method's authorizer for the pool of the same stack. The scope is what makes
# API Gateway take access tokens rather than id tokens.
cognito = CognitoUserPoolAuthorizer("onair", provider_arns=["arn:local:pool"], scopes=["aws.cognito.signin.user.admin"])


@lru_cache(maxsize=4)
def _keys(url: str) -> Any:
    # A container keeps the key set; PyJWKClient asks again on its own when a token names a key it does not know.
    import jwt

    return jwt.PyJWKClient(url, cache_keys=True, lifespan=3600, timeout=5)


def verified(token: str) -> Identity:
    """The identity in an access token of our user pool and client.

    Raises
    ------
    OnairError
        ``unauthenticated`` for a forged, expired or foreign token, or one that is no access token;
        ``unavailable`` when the pool's keys cannot be fetched.
    """
    import jwt

    try:
        key = _keys(settings.required("JWKS_URL")).get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            issuer=settings.required("TOKEN_ISSUER"),
            # Cognito's access tokens have no audience, but the client's id; expiry goes by our own clock.
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False, "require": ["exp", "iss", "sub"]},
        )
    except jwt.PyJWKClientConnectionError as error:
        raise OnairError("unavailable") from error
    except jwt.PyJWTError:
        raise OnairError("unauthenticated") from None
    if (
        claims.get("token_use") != "access"
        or claims.get("client_id") != settings.required("USER_POOL_CLIENT_ID")
        or not claims.get("username")
        or clock.now_ms() >= int(claims["exp"]) * 1000
    ):
        raise OnairError("unauthenticated")
    return Identity(str(claims["sub"]), str(claims["username"]))


def operator(request: Request) -> Identity:
    """Who asks on an ``/operator/`` route; ``forbidden`` for whoever is not in the group `OPERATORS`.

    A token tells the groups of when it was made: who leaves the group operates until it expires (an hour at most).
    """
    me = parse.identity(request)
    if not is_operator(request):
        raise OnairError("forbidden", "This is for operators only.")
    return me


def is_operator(request: Request) -> bool:
    """Whether the token of a protected route names the group `OPERATORS`."""
    claims: dict[str, Any] = (request.context.get("authorizer") or {}).get("claims") or {}
    # API Gateway hands a list of a token's claims on as text, with commas between.
    return OPERATORS in str(claims.get("cognito:groups", "")).split(",")


def forget_keys() -> None:
    """Drop cached key sets (local stack and tests, when a pool is replaced)."""
    _keys.cache_clear()
