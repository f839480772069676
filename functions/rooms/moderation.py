"""Who may do what to whom in a room, and which words a host does not want. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from functions.errors import OnairError
from functions.rooms.messages import Role, RoomSettings, Sender
from functions.rooms.model import Member, Room
from functions.rooms.text import clean_text
from functions.rooms.views import MemberChange, RoomChange

KEYWORDS_MAX: Final = 200
KEYWORD_MAX: Final = 40
MODERATOR_BADGE: Final = "moderator"


def shown_as(sender: Sender, role: Role) -> Sender:
    """The sender with the badge of a role that the ticket did not know of."""
    if role != "moderator" or MODERATOR_BADGE in sender.badges:
        return sender
    return replace(sender, badges=(*sender.badges, MODERATOR_BADGE))


def role_of(room: Room, account: str, member: Member | None) -> Role:
    """The role of an account that asks over HTTPS."""
    if account == room.host.id:
        return "host"
    return (member or Member(account=account)).role("viewer")


def required_moderator(role: Role, member: Member | None) -> None:
    """Raises ``forbidden`` for who neither hosts nor moderates (a banned moderator does not)."""
    if role not in ("host", "moderator") or (member is not None and member.banned):
        raise OnairError("forbidden")


def changed_settings(before: RoomSettings, change: RoomChange) -> RoomSettings:
    """The settings with what a change names."""
    return RoomSettings(
        slow_mode_s=before.slow_mode_s if change.slow_mode_s is UNSET else change.slow_mode_s,
        followers_only=before.followers_only if change.followers_only is UNSET else change.followers_only,
        comments_on=before.comments_on if change.comments_on is UNSET else change.comments_on,
        gifts_on=before.gifts_on if change.gifts_on is UNSET else change.gifts_on,
    )


def clean_keywords(typed: Sequence[str]) -> tuple[str, ...]:
    """Keywords as they are kept, each once; raises ``invalid_request`` naming ``keywords[n]``."""
    kept = [clean_text(word, f"keywords[{at}]", KEYWORD_MAX) for at, word in enumerate(typed)]
    return tuple({_plain(word): word for word in kept}.values())


def holds_keyword(text: str, keywords: tuple[str, ...]) -> bool:
    """Whether a text holds one of the keywords, whatever its case, width or ligatures (NFKC, case folded).

    A keyword matches whole words, so that "ass" does not refuse "class"; one in a script without letter case (Chinese,
    Thai, Arabic) matches anywhere, since those join words or have no spaces.
    """
    return bool(keywords) and _pattern(keywords).search(_plain(text)) is not None


@lru_cache(maxsize=64)
def _pattern(keywords: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_alternative(_plain(word)) for word in keywords))


def _alternative(word: str) -> str:
    if any(unicodedata.category(character) == "Lo" for character in word):
        return re.escape(word)
    before = r"(?<!\w)" if re.match(r"\w", word) else ""
    after = r"(?!\w)" if re.search(r"\w$", word) else ""
    return f"{before}{re.escape(word)}{after}"


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def changed_member(before: Member, change: MemberChange, by: Role, now_ms: int) -> Member:
    """The member after a change by the host or a moderator.

    Raises
    ------
    OnairError
        ``forbidden``: only the host makes moderators, mutes or bans one.
    """
    if by != "host" and (before.moderator or change.moderator is not UNSET):
        raise OnairError("forbidden", "Only the host can change a moderator.")
    banned = before.banned if change.banned is UNSET else change.banned
    muted_until_ms = before.muted_until_ms
    if change.mute_s is not UNSET:
        muted_until_ms = now_ms + change.mute_s * 1000 if change.mute_s else 0
    moderator = before.moderator if change.moderator is UNSET else change.moderator
    after = replace(
        before,
        banned=banned,
        muted_until_ms=muted_until_ms,
        # Who is banned moderates no longer, also when let in again.
        moderator=moderator and not banned,
    )
    # The version stops a comment that was admitted before, and would be recorded after.
    return before if after == before else replace(after, version=before.version + 1)
