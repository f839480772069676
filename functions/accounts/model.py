"""Rules about accounts, pure: handles, ages, markets, and what it takes to go live. No storage, no HTTP, no clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Final, Literal

import msgspec

Standing = Literal["good", "limited", "suspended", "banned"]

HANDLE_LENGTH_MIN: Final = 3
HANDLE_LENGTH_MAX: Final = 24
DISPLAY_NAME_LENGTH_MAX: Final = 50
CONTACT_LENGTH_MAX: Final = 254
# As the user pool asks (infra/accounts.py); checked here first, since a handle is taken before a password is.
PASSWORD_LENGTH_MIN: Final = 10
PASSWORD_LENGTH_MAX: Final = 256
FOLLOWING_MAX: Final = 10_000
AGE_MAX: Final = 130
# Below it one is private unless one chose otherwise, and neither gives nor takes gifts, sits on screen or is found.
ADULT_AGE: Final = 18
DAY_MS: Final = 86_400_000

_HANDLE = re.compile(rf"[a-z0-9_.]{{{HANDLE_LENGTH_MIN},{HANDLE_LENGTH_MAX}}}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
# E.164: at most 15 digits, the first not zero.
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")

# Names that a person would take for us, for a role, or for a route of the page.
# fmt: off
RESERVED_HANDLES: Final = frozenset((
    "about", "account", "accounts", "admin", "administrator", "api", "app", "audit", "billing", "config", "contact",
    "creator", "creators", "feed", "feeds", "gift", "gifts", "help", "host", "info", "legal", "live", "login",
    "logout", "mail", "me", "moderator", "moderators", "null", "official", "onair", "operator", "operators",
    "partner", "partners", "pay", "payout", "payouts", "postmaster", "press", "privacy", "purchase", "report", "root",
    "safety", "search", "security", "session", "sessions", "settings", "share", "staff", "stream", "streams",
    "studio", "support", "system", "team", "terms", "test", "trust", "undefined", "verified", "visitor", "wallet",
    "webmaster", "www",
))
# fmt: on


class Market(msgspec.Struct, frozen=True):
    """What one market asks.

    ``default`` marks a row whose ages are our own choice rather than a rule of law; ``source`` says where from.
    """

    followers_min: Annotated[int, msgspec.Meta(ge=0)]
    host_age_min: Annotated[int, msgspec.Meta(ge=0, le=AGE_MAX)]
    sign_up_age_min: Annotated[int, msgspec.Meta(ge=0, le=AGE_MAX)]
    account_age_days_min: Annotated[int, msgspec.Meta(ge=0)] = 0
    default: bool = False
    source: str = ""


class Account(msgspec.Struct, frozen=True):
    """An account as stored; the birth date leaves only in its owner's view."""

    id: str
    handle: str
    display_name: str
    birth_date: date
    market: str
    standing: Standing
    created_ms: int
    followers: int = 0
    following: int = 0
    badges: tuple[str, ...] = ()
    avatar_url: str | None = None
    live_stream: str | None = None
    contact: str | None = None
    contact_verified: bool = False
    private: bool | None = None
    totp: bool = False
    has_blocks: bool = False


class Devices(msgspec.Struct, frozen=True):
    """What the host's app may use: camera and microphone, or an encoder that stands for both."""

    camera: bool = False
    microphone: bool = False
    encoder: bool = False


class Requirement(msgspec.Struct, frozen=True):
    """One thing it takes to go live, and how the account stands to it."""

    code: str
    met: bool
    needed: int | str | bool
    actual: int | str | bool


def handle_problem(handle: str) -> str | None:
    """Why ``handle`` may not be taken (English), or None."""
    if not _HANDLE.fullmatch(handle):
        return f"A handle has {HANDLE_LENGTH_MIN} to {HANDLE_LENGTH_MAX} characters: letters a–z, digits, `_` and `.`."
    if handle.startswith(".") or handle.endswith(".") or ".." in handle:
        return "A handle neither begins nor ends with a dot, nor has two in a row."
    if handle in RESERVED_HANDLES:
        return "This handle is reserved. Choose another."
    return None


def password_problem(password: str) -> str | None:
    """Why ``password`` is not strong enough (English), or None."""
    strong = (
        PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX
        and any("a" <= letter <= "z" for letter in password)
        and any("A" <= letter <= "Z" for letter in password)
        and any("0" <= letter <= "9" for letter in password)
        and password == password.strip()
    )
    if strong:
        return None
    return "A password has at least 10 characters: letters a–z, capitals A–Z and digits among them."


def contact_problem(contact: str) -> str | None:
    """Why ``contact`` is neither an e-mail address nor a phone number (English), or None."""
    if len(contact) <= CONTACT_LENGTH_MAX and (_EMAIL.fullmatch(contact) or _PHONE.fullmatch(contact)):
        return None
    return "A contact is an e-mail address, or a phone number as +491701234567."


def age_years(birth: date, today: date) -> int:
    """Completed years. Born on 29 February, one is a year older on 1 March where the year has no 29th.

    The later of the two days in use: nobody is let in a day early in any market.
    """
    return today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))


def birth_date_problem(birth: date, today: date) -> str | None:
    """Why ``birth`` cannot be the birth date of a person alive on ``today`` (English), or None."""
    if birth >= today:
        return "A birth date lies in the past."
    if age_years(birth, today) > AGE_MAX:
        return f"A birth date lies at most {AGE_MAX} years back."
    return None


def is_minor(account: Account, today: date) -> bool:
    """Whether the account is a child's: no gifts given or received, no seat on screen, not found by search."""
    return age_years(account.birth_date, today) < ADULT_AGE


def is_private(account: Account, today: date) -> bool:
    """Whether the account lets in whom it chose only: as it chose itself, else minors are, adults are not."""
    return is_minor(account, today) if account.private is None else account.private


def is_found(account: Account, today: date) -> bool:
    """Whether search and suggestions may name the account."""
    return account.standing == "good" and not is_minor(account, today) and not is_private(account, today)


def requirements(account: Account, market: Market, devices: Devices, now_ms: int, today: date) -> Sequence[Requirement]:
    """Everything it takes to go live, met or not, in the order a screen shows it."""
    age = age_years(account.birth_date, today)
    account_days = max(0, now_ms - account.created_ms) // DAY_MS
    camera = devices.camera or devices.encoder
    microphone = devices.microphone or devices.encoder
    found = [
        Requirement("followers", account.followers >= market.followers_min, market.followers_min, account.followers),
        Requirement("age", age >= market.host_age_min, market.host_age_min, age),
        Requirement("standing", account.standing == "good", "good", account.standing),
        Requirement("camera", camera, True, camera),
        Requirement("microphone", microphone, True, microphone),
    ]
    if market.account_age_days_min > 0:
        needed = market.account_age_days_min
        found.append(Requirement("account_age", account_days >= needed, needed, account_days))
    return found


def eligible(found: Sequence[Requirement]) -> bool:
    """True when every requirement is met."""
    return all(requirement.met for requirement in found)
