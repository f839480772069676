"""What an account wants to hear of, where, and when not: preferences by kind, quiet hours, language. One item.

Minors get no pushes at night, whatever they chose (`MINOR_NIGHT`; our own rule, as the large networks have it).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta
from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from functions.accounts.table import AccountsItem, account_key

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Kind = Literal[
    "mention", "reply", "follow", "go_live", "reminder", "gift", "seat", "payout", "report", "standing"
]  # fmt: skip
# What is decided about one's own account is always told: whoever is not told cannot appeal.
ALWAYS_TOLD: Final[frozenset[Kind]] = frozenset({"standing"})

CHOICE: Final = "notice_choice"
Minute = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Language = Literal["en", "es", "de", "pt", "ja", "ko"]


class Way(msgspec.Struct, frozen=True):
    """Where one kind is told: in the inbox, and by a push besides. Without the inbox there is no push either."""

    inbox: bool = True
    push: bool = True


class Quiet(msgspec.Struct, frozen=True):
    """Hours without pushes, by the account's clock; ``until`` may lie on the next day. The inbox goes on."""

    start: Minute = msgspec.field(name="from")
    until: Minute


class Preferences(msgspec.Struct, frozen=True):
    """What an account chose; kinds not named are told both ways, and without ``time_zone`` the market's holds."""

    kinds: dict[Kind, Way] = {}
    quiet: Quiet | None = None
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    language: Language = "en"

    def way(self, kind: Kind) -> Way:
        """How one kind is told."""
        chosen = self.kinds.get(kind, Way())
        return Way(inbox=True, push=chosen.push) if kind in ALWAYS_TOLD else chosen


MINOR_NIGHT: Final = Quiet("22:00", "08:00")


class ChoiceItem(AccountsItem):
    """``account#{id}`` / ``notice_choice``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    choice = UnicodeAttribute()


def zone_problem(time_zone: str) -> str | None:
    """Why this is no time zone (English), or None."""
    return None if _zone(time_zone) else "A time zone is a name of the IANA list, as Europe/Berlin."


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo | None:
    # Here: a list that is only read does without.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name that would lead out of the data, or to a folder of it, is no zone either.
        return None


def is_quiet(chosen: Preferences, now_ms: int, *, minor: bool, market_zone: str) -> bool:
    """Whether a push would come at an hour that the account keeps quiet (or a minor's night)."""
    here = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(_zone(chosen.time_zone or market_zone) or UTC)
    minute = f"{here:%H:%M}"
    nights = [chosen.quiet] if chosen.quiet is not None else []
    if minor:
        nights.append(MINOR_NIGHT)
    return any(_within(minute, night) for night in nights)


def _within(minute: str, night: Quiet) -> bool:
    if night.start <= night.until:
        return night.start <= minute < night.until
    return minute >= night.start or minute < night.until


def decoded(item: ChoiceItem | None) -> Preferences:
    """What an item says; the defaults where there is none."""
    return Preferences() if item is None else msgspec.json.decode(item.choice, type=Preferences)


def read(account_id: str) -> Preferences:
    """What an account chose (one read)."""
    try:
        return decoded(ChoiceItem.get(account_key(account_id), CHOICE, consistent_read=True))
    except DoesNotExist:
        return Preferences()


def write(account_id: str, chosen: Preferences) -> None:
    """Keep what an account chose."""
    ChoiceItem(account_key(account_id), CHOICE, choice=msgspec.json.encode(chosen).decode()).save()


def whole(chosen: Preferences, kinds: tuple[Kind, ...]) -> Preferences:
    """With a line for every kind, as a screen shows them."""
    every: Mapping[Kind, Way] = {kind: chosen.way(kind) for kind in kinds}
    return msgspec.structs.replace(chosen, kinds=dict(every))
