"""Cognito: sign-up, password, tokens. Its refusals become codes of ours, and none tells whether a handle exists."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from functions import aws, settings
from functions.errors import OnairError
from functions.security import OPERATORS

WRONG: Final = "The handle or the password is not right."
_TOO_FAST: Final = frozenset({"TooManyRequestsException", "LimitExceededException", "TooManyFailedAttemptsException"})


class Tokens(msgspec.Struct, frozen=True):
    """What Cognito gives for a password or a refresh token; ``expires_in`` in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str | None = None


class TakenError(Exception):
    """The pool has this user name already."""


def sign_up(handle: str, password: str) -> str:
    """Add a user; returns the new account's id (``sub``).

    Raises
    ------
    TakenError
        The handle is in the pool: of someone else, or of a sign-up that did not come to its end.
    OnairError
        ``invalid_request`` naming ``password`` with the pool's own reason, or ``rate_limited``.
    """
    client = aws.client("cognito-idp")
    try:
        answer = client.sign_up(ClientId=_client_id(), Username=handle, Password=password)
    except ClientError as error:
        code = _code(error)
        if code == "UsernameExistsException":
            raise TakenError from None
        if code in ("InvalidPasswordException", "InvalidParameterException"):
            reason = str(error.response.get("Error", {}).get("Message", ""))
            raise OnairError(
                "invalid_request",
                f"`password`: {reason}".strip(),
                field="password",
                details={"reason": reason},
            ) from None
        raise _refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error
    confirm(handle)
    return str(answer["UserSub"])


def confirm(handle: str) -> None:
    """Make the user able to sign in; nothing happens when it already is."""
    try:
        aws.client("cognito-idp").admin_confirm_sign_up(UserPoolId=settings.required("USER_POOL_ID"), Username=handle)
    except ClientError as error:
        # Cognito answers NotAuthorizedException for a user who is confirmed already.
        if _code(error) != "NotAuthorizedException":
            raise _refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def sign_in(handle: str, password: str) -> Tokens:
    """Tokens for a password; ``unauthenticated`` when it is not right.

    A user whom a crash left unconfirmed is confirmed first: signing up asks nothing more of anyone.
    """
    parameters = {"USERNAME": handle, "PASSWORD": password}
    try:
        return _initiate("USER_PASSWORD_AUTH", parameters)
    except ClientError as error:
        if _code(error) != "UserNotConfirmedException":
            raise _refused(error) from error
    confirm(handle)
    try:
        return _initiate("USER_PASSWORD_AUTH", parameters)
    except ClientError as error:
        raise _refused(error) from error


def refresh(refresh_token: str) -> Tokens:
    """Tokens for a refresh token, which stays valid unless the pool rotates it."""
    try:
        found = _initiate("REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": refresh_token})
    except ClientError as error:
        if _code(error) in ("NotAuthorizedException", "InvalidParameterException", "UserNotFoundException"):
            raise OnairError("unauthenticated", "Your session has ended. Sign in again.") from None
        raise _refused(error) from error
    return found if found.refresh_token else msgspec.structs.replace(found, refresh_token=refresh_token)


def sign_out(access_token: str) -> None:
    """End every session of the token's owner; an ended one stays ended."""
    try:
        aws.client("cognito-idp").global_sign_out(AccessToken=access_token)
    except ClientError as error:
        if _code(error) != "NotAuthorizedException":
            raise _refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def is_operator(handle: str) -> bool:
    """Whether the user is in the group of operators."""
    groups: list[dict[str, Any]] = aws.client("cognito-idp").admin_list_groups_for_user(
        UserPoolId=settings.required("USER_POOL_ID"), Username=handle
    )["Groups"]
    return any(group["GroupName"] == OPERATORS for group in groups)


def add_operator(handle: str) -> None:
    """Put the user into the group of operators; again changes nothing."""
    aws.client("cognito-idp").admin_add_user_to_group(
        UserPoolId=settings.required("USER_POOL_ID"), Username=handle, GroupName=OPERATORS
    )


def owner(tokens: Tokens) -> str:
    """The account id of an access token that Cognito gave us just now (over TLS: nothing to verify)."""
    import jwt

    claims: dict[str, Any] = jwt.decode(tokens.access_token, options={"verify_signature": False})
    return str(claims["sub"])


def _initiate(flow: str, parameters: dict[str, str]) -> Tokens:
    try:
        answer: dict[str, Any] = aws.client("cognito-idp").initiate_auth(
            ClientId=_client_id(), AuthFlow=flow, AuthParameters=parameters
        )
    except BotoCoreError as error:
        raise OnairError("unavailable") from error
    result: dict[str, Any] | None = answer.get("AuthenticationResult")
    if result is None:
        raise OnairError("unauthenticated", "This account asks for a second step that is not available here.")
    return Tokens(str(result["AccessToken"]), int(result["ExpiresIn"]), result.get("RefreshToken"))


def _client_id() -> str:
    return settings.required("USER_POOL_CLIENT_ID")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _refused(error: ClientError) -> OnairError:
    code = _code(error)
    if code in ("NotAuthorizedException", "UserNotFoundException", "PasswordResetRequiredException"):
        return OnairError("unauthenticated", WRONG)
    if code in _TOO_FAST:
        return OnairError("rate_limited", retry_after_ms=1000)
    if code == "InvalidParameterException":
        return OnairError("invalid_request")
    return OnairError("unavailable")
