"""Cognito: sign-up, password, tokens. Its refusals become codes of ours, and none tells whether a handle exists."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from functions import aws, settings
from functions.errors import OnairError
from functions.security import OPERATORS

WRONG: Final = "The handle or the password is not right."
WRONG_PASSWORD: Final = "The password is not right."
WRONG_CODE: Final = "The code is not right, or has expired."
ASK_CODE: Final = "Enter the code of your authenticator app."
SECOND_STEP: Final = "SOFTWARE_TOKEN_MFA"
_TOO_FAST: Final = frozenset({"TooManyRequestsException", "LimitExceededException", "TooManyFailedAttemptsException"})


class Tokens(msgspec.Struct, frozen=True):
    """What Cognito gives for a password or a refresh token; ``expires_in`` in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str | None = None


class TakenError(Exception):
    """The pool has this user name already."""


def sign_up(handle: str, password: str) -> str:
    """Add a user; returns the new account's id (``sub``). The pool takes users from us alone: its own SignUp is closed.

    The password is first given as a temporary one: what a crash leaves half done is finished by whoever knows it
    (`sign_in`), and by nobody else.

    Raises
    ------
    TakenError
        The handle is in the pool: of someone else, or of a sign-up that did not come to its end.
    OnairError
        ``invalid_request`` naming ``password``, or ``rate_limited``.
    """
    try:
        answer = _cognito().admin_create_user(
            UserPoolId=_pool_id(), Username=handle, TemporaryPassword=password, MessageAction="SUPPRESS"
        )
    except ClientError as error:
        if _code(error) == "UsernameExistsException":
            raise TakenError from None
        raise _password_refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error
    set_password(handle, password)
    attributes: list[dict[str, str]] = answer["User"]["Attributes"]
    return next(one["Value"] for one in attributes if one["Name"] == "sub")


def set_password(handle: str, password: str) -> None:
    """Give a user a password for good; nothing else asks for the old one, so the caller has proof of another kind."""
    try:
        _cognito().admin_set_user_password(UserPoolId=_pool_id(), Username=handle, Password=password, Permanent=True)
    except ClientError as error:
        raise _password_refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def change_password(access_token: str, before: str, after: str) -> None:
    """Change a password by the old one; ``unauthenticated`` where that is not right."""
    try:
        _cognito().change_password(AccessToken=access_token, PreviousPassword=before, ProposedPassword=after)
    except ClientError as error:
        if _code(error) == "NotAuthorizedException":
            raise OnairError("unauthenticated", WRONG_PASSWORD, field="password") from None
        raise _password_refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def sign_in(handle: str, password: str, code: str | None = None) -> Tokens:
    """Tokens for a password, and for the ``code`` of an authenticator app where the account asks for one.

    A user whom a crash left with a temporary password is given it for good first: signing up asks nothing more of
    anyone.

    Raises
    ------
    OnairError
        ``unauthenticated``, with ``details.needs`` = ``code`` where a code is missing or wrong and the password right.
    """
    answer = _by_password({"USERNAME": handle, "PASSWORD": password})
    if answer.get("ChallengeName") == "NEW_PASSWORD_REQUIRED":
        set_password(handle, password)
        answer = _by_password({"USERNAME": handle, "PASSWORD": password})
    if answer.get("ChallengeName") == SECOND_STEP:
        if code is None:
            raise OnairError("unauthenticated", ASK_CODE, details={"needs": "code"})
        answer = _respond(handle, code, str(answer["Session"]))
    return _tokens(answer)


def asks_for_code(handle: str, password: str) -> bool:
    """Whether the password is right and the account asks for a code besides; ``unauthenticated`` for a wrong one."""
    answer = _by_password({"USERNAME": handle, "PASSWORD": password})
    return answer.get("ChallengeName") == SECOND_STEP


def set_up_totp(access_token: str) -> str:
    """A new secret for an authenticator app, in Base32; it counts once `confirm_totp` has seen a code of it."""
    try:
        return str(_cognito().associate_software_token(AccessToken=access_token)["SecretCode"])
    except ClientError as error:
        raise _refused_token(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def confirm_totp(access_token: str, handle: str, code: str) -> None:
    """Ask for a code at each sign-in from now on; ``invalid_request`` naming ``code`` where this one is not right."""
    try:
        _cognito().verify_software_token(AccessToken=access_token, UserCode=code)
        _prefer_totp(handle, on=True)
    except ClientError as error:
        if _code(error) in ("EnableSoftwareTokenMFAException", "CodeMismatchException", "InvalidParameterException"):
            raise OnairError("invalid_request", WRONG_CODE, field="code") from None
        raise _refused_token(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def stop_totp(handle: str) -> None:
    """Ask for no code any more; again changes nothing."""
    try:
        _prefer_totp(handle, on=False)
    except ClientError as error:
        raise _refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def _prefer_totp(handle: str, *, on: bool) -> None:
    _cognito().admin_set_user_mfa_preference(
        UserPoolId=_pool_id(), Username=handle, SoftwareTokenMfaSettings={"Enabled": on, "PreferredMfa": on}
    )


def sign_out_everywhere(handle: str) -> None:
    """End every session of a user; nothing happens where there is none."""
    try:
        _cognito().admin_user_global_sign_out(UserPoolId=_pool_id(), Username=handle)
    except ClientError as error:
        if _code(error) != "UserNotFoundException":
            raise _refused(error) from error


def delete(handle: str, account_id: str) -> None:
    """Take a user out of the pool; nothing happens where there is none, or where the handle is another's by now."""
    try:
        found = _cognito().admin_get_user(UserPoolId=_pool_id(), Username=handle)
        if any(one["Name"] == "sub" and one["Value"] == account_id for one in found["UserAttributes"]):
            _cognito().admin_delete_user(UserPoolId=_pool_id(), Username=handle)
    except ClientError as error:
        if _code(error) != "UserNotFoundException":
            raise _refused(error) from error


def refresh(refresh_token: str) -> Tokens:
    """Tokens for a refresh token, which stays valid unless the pool rotates it."""
    try:
        found = _tokens(_refreshed(refresh_token))
    except OnairError as error:
        if error.code in ("unauthenticated", "invalid_request"):
            raise OnairError("unauthenticated", "Your session has ended. Sign in again.") from None
        raise
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


def end_sessions(handle: str) -> None:
    """End every session of a user: no refresh token is good any more, access tokens run out within the hour."""
    aws.client("cognito-idp").admin_user_global_sign_out(UserPoolId=settings.required("USER_POOL_ID"), Username=handle)


def owner(tokens: Tokens) -> str:
    """The account id of an access token that Cognito gave us just now (over TLS: nothing to verify)."""
    import jwt

    claims: dict[str, Any] = jwt.decode(tokens.access_token, options={"verify_signature": False})
    return str(claims["sub"])


def _by_password(parameters: dict[str, str]) -> dict[str, Any]:
    # The administrators' flow, as in `_respond`: the client allows no other by password, so nobody tries passwords at
    # Cognito itself, past the counts of failures that are ours.
    try:
        return _cognito().admin_initiate_auth(
            UserPoolId=_pool_id(),
            ClientId=_client_id(),
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters=parameters,
        )
    except ClientError as error:
        raise _refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def _refreshed(refresh_token: str) -> dict[str, Any]:
    try:
        return _cognito().initiate_auth(
            ClientId=_client_id(), AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters={"REFRESH_TOKEN": refresh_token}
        )
    except ClientError as error:
        raise _refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def _respond(handle: str, code: str, session: str) -> dict[str, Any]:
    try:
        return _cognito().admin_respond_to_auth_challenge(
            UserPoolId=_pool_id(),
            ClientId=_client_id(),
            ChallengeName=SECOND_STEP,
            Session=session,
            ChallengeResponses={"USERNAME": handle, f"{SECOND_STEP}_CODE": code},
        )
    except ClientError as error:
        if _code(error) in ("CodeMismatchException", "ExpiredCodeException", "InvalidParameterException"):
            raise OnairError("unauthenticated", WRONG_CODE, details={"needs": "code"}) from None
        raise _refused(error) from error
    except BotoCoreError as error:
        raise OnairError("unavailable") from error


def _tokens(answer: dict[str, Any]) -> Tokens:
    result: dict[str, Any] | None = answer.get("AuthenticationResult")
    if result is None:
        raise OnairError("unauthenticated", "This account asks for a second step that is not available here.")
    return Tokens(str(result["AccessToken"]), int(result["ExpiresIn"]), result.get("RefreshToken"))


def _cognito() -> Any:
    return aws.client("cognito-idp")


def _pool_id() -> str:
    return settings.required("USER_POOL_ID")


def _client_id() -> str:
    return settings.required("USER_POOL_CLIENT_ID")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _password_refused(error: ClientError) -> OnairError:
    if _code(error) in ("InvalidPasswordException", "InvalidParameterException"):
        reason = str(error.response.get("Error", {}).get("Message", ""))
        return OnairError(
            "invalid_request", f"`password`: {reason}".strip(), field="password", details={"reason": reason}
        )
    return _refused(error)


def _refused_token(error: ClientError) -> OnairError:
    # No password was asked for: the token was signed out everywhere, as a new password does.
    return OnairError("unauthenticated") if _code(error) == "NotAuthorizedException" else _refused(error)


def _refused(error: ClientError) -> OnairError:
    code = _code(error)
    if code in ("NotAuthorizedException", "UserNotFoundException", "PasswordResetRequiredException"):
        return OnairError("unauthenticated", WRONG)
    if code in _TOO_FAST:
        return OnairError("rate_limited", retry_after_ms=1000)
    if code == "InvalidParameterException":
        return OnairError("invalid_request")
    return OnairError("unavailable")
