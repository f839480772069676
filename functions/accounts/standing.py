"""Standing, pure: what strikes and decisions of operators make of an account, now and in times to come. No clock.

A record is a list of entries. A *strike* names the rule that was broken; it takes effect by how many points stand
against the account at that time, and counts towards later ones until it expires. A *decision* sets the standing as an
operator says and ends all earlier effects. An entry that an appeal overturned never was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from functions.accounts.model import DAY_MS, Standing

STRIKE_DAYS: Final = 90
REASON_LENGTH_MAX: Final = 500
APPEAL_LENGTH_MAX: Final = 1_000
# An account with more is banned long since; the record is read whole.
ENTRIES_MAX: Final = 500
APPEAL_DAYS: Final = 30

Rule = Literal[
    "spam", "harassment", "impersonation", "dangerous_acts", "self_harm", "copyright", "gambling", "other",
    "hate", "sexual_content", "violence", "illegal_goods", "fraud", "underage_host",
    "minor_safety", "extremism", "ban_evasion",
]  # fmt: skip
# Points of each rule: one is a step of the ladder below; four ban at once.
POINTS: Final[Mapping[Rule, int]] = {
    "spam": 1,
    "harassment": 1,
    "impersonation": 1,
    "dangerous_acts": 1,
    "self_harm": 1,
    "copyright": 1,
    "gambling": 1,
    "other": 1,
    "hate": 2,
    "sexual_content": 2,
    "violence": 2,
    "illegal_goods": 2,
    "fraud": 2,
    "underage_host": 2,
    "minor_safety": 4,
    "extremism": 4,
    "ban_evasion": 4,
}
# What the nth point brings, and for how many days; from the last on for ever.
LADDER: Final[tuple[tuple[Standing, int | None], ...]] = (
    ("limited", 7),
    ("suspended", 7),
    ("suspended", 30),
    ("banned", None),
)
SEVERITY: Final[Mapping[Standing, int]] = {"good": 0, "limited": 1, "suspended": 2, "banned": 3}

AppealState = Literal["open", "upheld", "overturned"]
# [from when (ms), standing]: each holds until the next begins, the last for ever. The first begins at 0.
Steps = Sequence[tuple[int, Standing]]


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a strike rests on: a stream, an event in its room, a time in its picture (ms since the Unix epoch)."""

    stream_id: str | None = None
    event_id: str | None = None
    frame_ms: int | None = None


class Appeal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the account said against an entry, and what became of it. There is one, and one review of it."""

    text: str
    at_ms: int
    state: AppealState = "open"
    decided_ms: int | None = None
    decided_by: str | None = None
    reason: str = ""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a record: a strike (``rule``, ``points``, ``expires_ms``) or a decision (``standing``)."""

    id: str
    at_ms: int
    by: str
    reason: str
    rule: Rule | None = None
    points: int = 0
    expires_ms: int | None = None
    evidence: Evidence = Evidence()
    standing: Standing | None = None
    until_ms: int | None = None
    appeal: Appeal | None = None
    request: str = ""

    @property
    def overturned(self) -> bool:
        """Whether an appeal has taken it back."""
        return self.appeal is not None and self.appeal.state == "overturned"


class Effect(msgspec.Struct, frozen=True):
    """A standing from one time until another (None: for ever)."""

    standing: Standing
    from_ms: int
    until_ms: int | None

    def holds(self, at_ms: int) -> bool:
        """Whether it holds at a time."""
        return self.from_ms <= at_ms and (self.until_ms is None or at_ms < self.until_ms)


def strike(id: str, rule: Rule, at_ms: int, by: str, reason: str, evidence: Evidence, request: str = "") -> Entry:
    """A new strike."""
    return Entry(id, at_ms, by, reason, rule, POINTS[rule], at_ms + STRIKE_DAYS * DAY_MS, evidence, request=request)


def effects(entries: Sequence[Entry]) -> list[Effect]:
    """What each entry brings, in the order of time."""
    found: list[Effect] = []
    strikes: list[Entry] = []
    for entry in sorted(entries, key=lambda one: (one.at_ms, one.id)):
        if entry.overturned:
            continue
        if entry.standing is not None:
            found = [_ended(effect, entry.at_ms) for effect in found]
            if entry.standing != "good":
                found.append(Effect(entry.standing, entry.at_ms, entry.until_ms))
            continue
        strikes.append(entry)
        standing, days = LADDER[min(active_points(strikes, entry.at_ms), len(LADDER)) - 1]
        found.append(Effect(standing, entry.at_ms, None if days is None else entry.at_ms + days * DAY_MS))
    return found


def active_points(entries: Sequence[Entry], at_ms: int) -> int:
    """Points that stand against an account at a time: of strikes that neither expired nor were overturned."""
    return sum(
        each.points
        for each in entries
        if not each.overturned and each.at_ms <= at_ms and (each.expires_ms is None or at_ms < each.expires_ms)
    )


def steps(entries: Sequence[Entry], now_ms: int) -> list[tuple[int, Standing]]:
    """The standing from ``now_ms`` on, as far as it is settled today: the gravest of all effects at each time."""
    given = effects(entries)
    ends = {effect.until_ms for effect in given if effect.until_ms is not None and effect.until_ms > now_ms}
    found: list[tuple[int, Standing]] = []
    for at_ms in (now_ms, *sorted(ends)):
        held: list[Standing] = [effect.standing for effect in given if effect.holds(at_ms)]
        standing: Standing = max(held, key=lambda one: SEVERITY[one]) if held else "good"
        if not found or found[-1][1] != standing:
            found.append((at_ms if found else 0, standing))
    return found


def at(given: Steps, now_ms: int) -> tuple[Standing, int | None]:
    """The standing at a time, and when it changes next by itself (None: it does not). No steps: good."""
    standing: Standing = "good"
    for from_ms, next_standing in given:
        if from_ms > now_ms:
            return standing, int(from_ms)
        standing = next_standing
    return standing, None


def may_appeal(entry: Entry, now_ms: int) -> bool:
    """Whether the account may still speak against an entry: once, within 30 days, and not against being let off."""
    return entry.appeal is None and entry.standing != "good" and now_ms < entry.at_ms + APPEAL_DAYS * DAY_MS


def _ended(effect: Effect, at_ms: int) -> Effect:
    if effect.until_ms is not None and effect.until_ms <= at_ms:
        return effect
    return Effect(effect.standing, effect.from_ms, at_ms)
