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
# Younger accounts do not count as followers: it takes this long for most that were made in bulk to be found.
FOLLOWER_AGE_DAYS_MIN: Final = 7

_HANDLE = re.compile(rf"[a-z0-9_.]{{{HANDLE_LENGTH_MIN},{HANDLE_LENGTH_MAX}}}")
# One plain address, without what a mail server would take for a name or a second address beside it: letters are counted
# by the text of a contact. The characters are those of HTML's `type=email`.
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
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

Age = Annotated[int, msgspec.Meta(ge=0, le=AGE_MAX)]


class Source(msgspec.Struct, frozen=True):
    """Where a column of a market comes from, and since when that holds (``date``, as given there)."""

    source: Annotated[str, msgspec.Meta(min_length=1)]
    date: date


class Market(msgspec.Struct, frozen=True):
    """What one market asks. Each column is named in ``sources`` or in ``default`` (our own choice, no rule of law).

    ``time_zone`` is the market's day: of several zones the one where a day begins last, so that nobody is let in early.
    """

    followers_min: Annotated[int, msgspec.Meta(ge=0)]
    host_age_min: Age
    sign_up_age_min: Age
    gift_age_min: Age = 18
    account_age_days_min: Annotated[int, msgspec.Meta(ge=0)] = 0
    verified_contact: bool = False
    payout: bool = True
    time_zone: str = "UTC"
    default: tuple[str, ...] = ()
    sources: dict[str, Source] = {}


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
    # Followers whose accounts are in standing and not days old: what eligibility asks for (follower_count.py).
    followers_counted: int = 0
    # Until when an operator waives followers and account age; 0 where nobody does.
    live_access_until_ms: int = 0
    # When the standing changes next by itself, None where it does not.
    standing_until_ms: int | None = None
    # Rises with each entry of the account's record.
    record_version: int = 0


class Devices(msgspec.Struct, frozen=True):
    """What the host's app may use: camera and microphone, or an encoder that stands for both."""

    camera: bool = False
    microphone: bool = False
    encoder: bool = False


class Requirement(msgspec.Struct, frozen=True):
    """One thing it takes to go live, and how the account stands to it; ``waived`` where an operator lets it pass."""

    code: str
    met: bool
    needed: int | str | bool
    actual: int | str | bool
    waived: bool = False


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


def counts_as_follower(account: Account, now_ms: int) -> bool:
    """Does a follow by this account count where followers are asked for? Neither banned, suspended, nor days old."""
    return account.standing in ("good", "limited") and now_ms >= comes_of_age_ms(account)


def comes_of_age_ms(account: Account) -> int:
    """From when on an account is no longer days old."""
    return account.created_ms + FOLLOWER_AGE_DAYS_MIN * DAY_MS


def requirements(account: Account, market: Market, devices: Devices, now_ms: int, today: date) -> Sequence[Requirement]:
    """Everything it takes to go live, met or not, in the order a screen shows it; ``today`` is the market's.

    Live access given by an operator waives followers and account age, never age or standing.
    """
    age = age_years(account.birth_date, today)
    account_days = max(0, now_ms - account.created_ms) // DAY_MS
    camera = devices.camera or devices.encoder
    microphone = devices.microphone or devices.encoder
    waived = now_ms < account.live_access_until_ms

    def gathered(code: str, needed: int, actual: int) -> Requirement:
        enough = actual >= needed
        return Requirement(code, enough or waived, needed, actual, waived and not enough)

    contact = account.contact_verified
    return [
        gathered("followers", market.followers_min, account.followers_counted),
        Requirement("age", age >= market.host_age_min, market.host_age_min, age),
        Requirement("standing", account.standing == "good", "good", account.standing),
        Requirement("camera", camera, True, camera),
        Requirement("microphone", microphone, True, microphone),
        gathered("account_age", market.account_age_days_min, account_days),
        Requirement("verified_contact", contact or not market.verified_contact, market.verified_contact, contact),
    ]


def eligible(found: Sequence[Requirement]) -> bool:
    """True when every requirement is met."""
    return all(requirement.met for requirement in found)
