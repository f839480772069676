"""What the account routes take and give: the wire shapes of accounts, and how an account becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from functions import clock, messages
from functions.accounts.model import (
    CONTACT_LENGTH_MAX,
    DISPLAY_NAME_LENGTH_MAX,
    HANDLE_LENGTH_MAX,
    HANDLE_LENGTH_MIN,
    Account,
    Requirement,
    Standing,
    is_private,
)

# Lengths hold after normalisation to NFC, which the types cannot know: parse.text and model check them, these document.
DisplayName = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": DISPLAY_NAME_LENGTH_MAX})]
HandleText = Annotated[
    str,
    Meta(
        extra_json_schema={
            "minLength": HANDLE_LENGTH_MIN,
            "maxLength": HANDLE_LENGTH_MAX,
            "pattern": "^[a-z0-9_.]+$",
        }
    ),
]
Password = Annotated[str, Meta(min_length=1, max_length=256)]


Code = Annotated[str, Meta(min_length=6, max_length=20)]
ContactText = Annotated[str, Meta(min_length=3, max_length=CONTACT_LENGTH_MAX)]


class NewAccount(msgspec.Struct, frozen=True):
    """A sign-up. ``market`` is an ISO 3166-1 alpha-2 code that the deployment serves."""

    handle: HandleText
    password: Password
    display_name: DisplayName
    birth_date: date
    market: str
    contact: Annotated[str, Meta(extra_json_schema={"maxLength": CONTACT_LENGTH_MAX})] | None = None


class SignIn(msgspec.Struct, frozen=True):
    """Handle and password (with ``code`` where the account asks for one), or a refresh token alone.

    ``code``: six digits of an authenticator app, or a recovery code, which ends that second step.
    """

    handle: str | None = None
    password: Password | None = None
    code: Code | None = None
    refresh_token: Annotated[str, Meta(min_length=1, max_length=8192)] | None = None


class Session(msgspec.Struct, frozen=True):
    """Tokens; ``expires_in`` is the access token's lifetime in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


class Contact(msgspec.Struct, frozen=True):
    """An e-mail address, or a phone number as +491701234567; it counts once its code was shown."""

    contact: ContactText


class ShownCode(msgspec.Struct, frozen=True):
    """A code that came by mail or from an authenticator app."""

    code: Code


class Reset(msgspec.Struct, frozen=True):
    """Whose password is forgotten."""

    handle: HandleText


class NewPassword(msgspec.Struct, frozen=True):
    """A password by the code that came to the account's verified contact."""

    handle: HandleText
    code: Code
    password: Password


class PasswordChange(msgspec.Struct, frozen=True):
    """A password by the one before."""

    password: Password
    new_password: Password


class OwnPassword(msgspec.Struct, frozen=True):
    """One's password, as proof."""

    password: Password


class TotpSecret(msgspec.Struct, frozen=True):
    """What an authenticator app takes: the secret in Base32, and the same as an address for a QR code."""

    secret: str
    uri: str


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Each stands once for a code of the app, and ends the second step; shown this once."""

    recovery_codes: list[str]


class AccountChange(msgspec.Struct, frozen=True):
    """What changes about one's account; absent fields stay."""

    display_name: DisplayName | UnsetType = UNSET
    private: bool | UnsetType = UNSET


class Relation(msgspec.Struct, frozen=True):
    """How whoever asks stands to an account. ``requested``: asked to follow it, and waits for an answer."""

    following: bool
    followed_by: bool
    requested: bool
    blocked: bool


class Profile(msgspec.Struct, frozen=True):
    """An account as everyone sees it."""

    id: str
    handle: str
    display_name: str
    followers: int
    following: int
    avatar_url: str | None
    badges: tuple[str, ...]
    private: bool
    live_stream: str | UnsetType = UNSET
    # The broadcast that is announced next, of those that whoever asks may watch.
    next_stream: str | UnsetType = UNSET
    relation: Relation | UnsetType = UNSET


class OwnAccount(msgspec.Struct, frozen=True):
    """An account as its owner sees it."""

    id: str
    handle: str
    display_name: str
    followers: int
    following: int
    avatar_url: str | None
    badges: tuple[str, ...]
    market: str
    birth_date: date
    standing: Standing
    created_at: str
    contact_verified: bool
    private: bool
    totp: bool
    contact: str | UnsetType = UNSET
    live_stream: str | UnsetType = UNSET


class Profiles(msgspec.Struct, frozen=True):
    """A page of profiles; without ``cursor`` it is the last."""

    items: list[Profile]
    cursor: str | UnsetType = UNSET


class EligibilityQuery(msgspec.Struct, frozen=True):
    """``devices``: what the app may use, comma-separated: ``camera``, ``microphone``, ``encoder``."""

    devices: Annotated[str, Meta(max_length=100)] = ""


class RequirementView(msgspec.Struct, frozen=True):
    """One requirement; ``fix`` says what to do in the language asked for, and is empty where it is met.

    ``waived``: it is not met, and an operator lets it pass for now.
    """

    code: str
    met: bool
    needed: int | str | bool
    actual: int | str | bool
    fix: str
    waived: bool = False


class Eligibility(msgspec.Struct, frozen=True):
    """May this account go live, and everything it takes."""

    eligible: bool
    requirements: list[RequirementView]


def profile(account: Account) -> Profile:
    """What everyone may see of an account."""
    return Profile(
        id=account.id,
        handle=account.handle,
        display_name=account.display_name,
        followers=account.followers,
        following=account.following,
        avatar_url=account.avatar_url,
        badges=account.badges,
        private=is_private(account, clock.today_utc(clock.now_ms())),
        live_stream=account.live_stream or UNSET,
    )


def own(account: Account) -> OwnAccount:
    """What the owner may see, the birth date among it."""
    return OwnAccount(
        id=account.id,
        handle=account.handle,
        display_name=account.display_name,
        followers=account.followers,
        following=account.following,
        avatar_url=account.avatar_url,
        badges=account.badges,
        market=account.market,
        birth_date=account.birth_date,
        standing=account.standing,
        created_at=clock.rfc3339(account.created_ms),
        contact_verified=account.contact_verified,
        totp=account.totp,
        private=is_private(account, clock.today_utc(clock.now_ms())),
        contact=account.contact or UNSET,
        live_stream=account.live_stream or UNSET,
    )


def requirement_views(found: Sequence[Requirement], language: str) -> list[RequirementView]:
    """Requirements with their fix in ``language``."""
    return [
        RequirementView(
            code=requirement.code,
            met=requirement.met,
            needed=requirement.needed,
            actual=requirement.actual,
            waived=requirement.waived,
            fix=""
            if requirement.met
            else messages.fix(
                requirement.code, language, needed=str(requirement.needed), actual=str(requirement.actual)
            ),
        )
        for requirement in found
    ]
