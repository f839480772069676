"""Who may do what to whom in a room, and which words a host does not want. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

from functions.errors import OnairError
from functions.rooms import words
from functions.rooms.disclosure import disclosed
from functions.rooms.messages import Role, RoomSettings, Rule, Sender
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
        repeats_on=before.repeats_on if change.repeats_on is UNSET else change.repeats_on,
        personal_data=before.personal_data if change.personal_data is UNSET else change.personal_data,
        links=before.links if change.links is UNSET else change.links,
        profanity=before.profanity if change.profanity is UNSET else change.profanity,
    )


def clean_keywords(typed: Sequence[str]) -> tuple[str, ...]:
    """Keywords as they are kept, each once; raises ``invalid_request`` naming ``keywords[n]``."""
    kept = [clean_text(word, f"keywords[{at}]", KEYWORD_MAX) for at, word in enumerate(typed)]
    return tuple({words.plain(word): word for word in kept}.values())


class Verdict(Struct, frozen=True):
    """What becomes of a comment, and what for."""

    rule: Rule
    reasons: tuple[str, ...] = ()


def verdict(text: str, room: Room, market: str) -> Verdict:
    """What the room's settings make of a viewer's text; ``market`` is the writer's, whose phone numbers are known."""
    if words.holds(text, room.keywords):
        return Verdict("refused", ("keyword",))
    rules = room.settings
    found: list[tuple[Rule, str]] = []
    if rules.profanity != "allowed" and words.holds(text, (), profanity=True):
        found.append((rules.profanity, "profanity"))
    if rules.personal_data != "allowed" or rules.links != "allowed":
        given_away = sorted(disclosed(text, market))
        found.extend((rules.links if kind == "link" else rules.personal_data, str(kind)) for kind in given_away)
    for rule in ("refused", "held"):
        reasons = tuple(why for what, why in found if what == rule)
        if reasons:
            return Verdict(rule, reasons)
    return Verdict("allowed")


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
