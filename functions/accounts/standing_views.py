"""What the routes about standing take and give: records as their account sees them, and as operators do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from functions import clock
from functions.accounts import standing, views
from functions.accounts.model import Account, Standing
from functions.accounts.record import Waiting
from functions.accounts.standing import APPEAL_LENGTH_MAX, REASON_LENGTH_MAX, AppealState, Entry, Rule

# Lengths hold after normalisation to NFC, which the types cannot know: parse.text checks them, these document.
Reason = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": REASON_LENGTH_MAX})]
AppealText = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": APPEAL_LENGTH_MAX})]
# RFC 3339 with an offset: a time without one means another moment to each reader.
Moment = Annotated[datetime, Meta(tz=True)]
Id = Annotated[str, Meta(min_length=1, max_length=128)]


class NewStrike(msgspec.Struct, frozen=True):
    """A strike: which rule was broken, why, and the evidence."""

    rule: Rule
    reason: Reason
    stream_id: Id | None = None
    event_id: Id | None = None
    frame_at: Moment | None = None


class StandingChange(msgspec.Struct, frozen=True):
    """The standing from now on, in the place of all that held; without ``until`` for ever."""

    standing: Standing
    reason: Reason
    until: Moment | None = None


class LiveAccess(msgspec.Struct, frozen=True):
    """Until when followers and account age are waived; null takes it away."""

    until: Moment | None
    reason: Reason


class NewAppeal(msgspec.Struct, frozen=True):
    """What speaks against an entry of one's own record."""

    entry_id: Id
    text: AppealText


class Review(msgspec.Struct, frozen=True):
    """What becomes of an appeal."""

    decision: Literal["upheld", "overturned"]
    reason: Reason


class EvidenceView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a strike rests on."""

    stream_id: str | UnsetType = UNSET
    event_id: str | UnsetType = UNSET
    frame_at: str | UnsetType = UNSET


class AppealView(msgspec.Struct, frozen=True):
    """An appeal and its review."""

    text: str
    at: str
    state: AppealState
    decided_at: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    decided_by: str | UnsetType = UNSET


class RecordEntry(msgspec.Struct, frozen=True):
    """One entry. ``active``: a strike that still counts. Only operators are told which operator decided."""

    id: str
    kind: Literal["strike", "decision"]
    at: str
    reason: str
    decided_by: str
    may_appeal: bool
    rule: Rule | UnsetType = UNSET
    points: int | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    evidence: EvidenceView | UnsetType = UNSET
    standing: Standing | UnsetType = UNSET
    until: str | UnsetType = UNSET
    appeal: AppealView | UnsetType = UNSET


class Record(msgspec.Struct, frozen=True):
    """An account's standing, when it changes by itself, and its whole record, newest first."""

    standing: Standing
    points: int
    points_max: int
    entries: list[RecordEntry]
    until: str | UnsetType = UNSET


class OperatedAccount(msgspec.Struct, frozen=True):
    """An account as operators see it."""

    profile: views.Profile
    market: str
    created_at: str
    followers_counted: int
    record: Record
    live_access_until: str | UnsetType = UNSET


class AppealInQueue(msgspec.Struct, frozen=True):
    """An appeal that waits for its review."""

    id: str
    handle: str
    standing: Standing
    entry: RecordEntry


class Appeals(msgspec.Struct, frozen=True):
    """A page of appeals, those that wait longest first; without ``cursor`` it is the last."""

    items: list[AppealInQueue]
    cursor: str | UnsetType = UNSET


def entry(of: Entry, now_ms: int, *, to_operators: bool) -> RecordEntry:
    """An entry, with the operators' names where ``to_operators``."""
    return RecordEntry(
        id=of.id,
        kind="strike" if of.rule is not None else "decision",
        at=clock.rfc3339(of.at_ms),
        reason=of.reason,
        # One works in public, the other decides about strangers: the account is told that a person decided.
        decided_by=of.by if to_operators else "operator",
        may_appeal=standing.may_appeal(of, now_ms),
        rule=of.rule or UNSET,
        points=of.points if of.rule is not None else UNSET,
        active=standing.active_points([of], now_ms) > 0 if of.rule is not None else UNSET,
        expires_at=_time(of.expires_ms),
        evidence=_evidence(of) if of.rule is not None else UNSET,
        standing=of.standing or UNSET,
        until=_time(of.until_ms),
        appeal=_appeal(of, to_operators),
    )


def record(account: Account, entries: Sequence[Entry], *, to_operators: bool) -> Record:
    """A whole record."""
    now_ms = clock.now_ms()
    return Record(
        standing=account.standing,
        points=standing.active_points(entries, now_ms),
        points_max=len(standing.LADDER),
        entries=[entry(each, now_ms, to_operators=to_operators) for each in reversed(entries)],
        until=_time(account.standing_until_ms),
    )


def operated(account: Account, entries: Sequence[Entry]) -> OperatedAccount:
    """An account and its record, for operators."""
    ahead = account.live_access_until_ms > clock.now_ms()
    return OperatedAccount(
        profile=views.profile(account),
        market=account.market,
        created_at=clock.rfc3339(account.created_ms),
        followers_counted=account.followers_counted,
        record=record(account, entries, to_operators=True),
        live_access_until=_time(account.live_access_until_ms) if ahead else UNSET,
    )


def queued(waiting: Waiting) -> AppealInQueue:
    """An appeal in the operators' queue."""
    found = entry(waiting.entry, clock.now_ms(), to_operators=True)
    return AppealInQueue(waiting.id, waiting.account.handle, waiting.account.standing, found)


def _evidence(of: Entry) -> EvidenceView:
    given = of.evidence
    return EvidenceView(given.stream_id or UNSET, given.event_id or UNSET, _time(given.frame_ms))


def _appeal(of: Entry, to_operators: bool) -> AppealView | UnsetType:
    given = of.appeal
    if given is None:
        return UNSET
    decided_by = given.decided_by if to_operators else None
    return AppealView(
        given.text, clock.rfc3339(given.at_ms), given.state, _time(given.decided_ms), given.reason or UNSET,
        decided_by or UNSET,
    )  # fmt: skip


def _time(at_ms: int | None) -> str | UnsetType:
    return UNSET if at_ms is None else clock.rfc3339(at_ms)
