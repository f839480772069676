"""Reports of comments, broadcasts and accounts: one case for each target, with a clock, until an operator decides.

| pk               | sk                          | item |
|------------------|-----------------------------|------|
| case#{case}      | case                        | a target with what was reported of it, counted by reason |
| reports          | {due}#{case}                | a case that waits, the one that is due first first |
| case#{case}      | by#{generation}#{account}   | that this account reported it: for whoever tells the outcome |
| account#{id}     | filed#{case}#{generation}   | the same, with what was written (once a generation) |
| account#{id}     | reports#{day}               | how many it filed on a day |

A case that was decided and is reported again is a new generation of the same case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal, cast

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection as Tables
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from functions import clock, ids, storage, transaction
from functions.accounts import trail
from functions.accounts.table import AccountsItem, account_key
from functions.errors import OnairError
from functions.parse import Identity

Reason = Literal[
    "spam", "harassment", "hate", "sexual_content", "violence", "self_harm", "minor_safety", "extremism",
    "illegal_goods", "fraud", "impersonation", "copyright", "other",
]  # fmt: skip
TargetKind = Literal["comment", "stream", "account"]
CaseState = Literal["open", "taken", "acted", "dismissed"]

TEXT_LENGTH_MAX: Final = 500
# How soon an operator should have decided. What may cost a life or concerns a child does not wait until tomorrow.
HOUR_MS: Final = 3_600_000
DUE_MS: Final = 24 * HOUR_MS
DUE_GRAVE_MS: Final = HOUR_MS
GRAVE: Final = frozenset({"self_harm", "minor_safety", "extremism", "violence"})
# Whoever reports more in a day is helping nobody.
REPORTS_A_DAY_MAX: Final = 30
FILED_KEPT_S: Final = 180 * 24 * 3600
TEXTS_KEPT_MAX: Final = 10
QUEUE: Final = "reports"
CASE: Final = "case"
ATTEMPTS_MAX: Final = 6
# Of more, the first by their ids are told the outcome; all read it in `GET /me/reports`.
REPORTERS_TOLD_MAX: Final = 1_000


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is reported: ``account`` (id) and ``handle`` are whose it is; ``text`` a comment as it stood, ``at`` when it
    was said."""

    kind: TargetKind
    account: str
    handle: str
    stream_id: str | None = None
    event_id: str | None = None
    text: str | None = None
    at: str | None = None

    @property
    def case(self) -> str:
        """The case's id: the same whoever reports it."""
        return ids.derived("case", self.kind, self.event_id or self.stream_id or self.account)


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target with what was reported of it. ``texts`` are what reporters wrote, the first of them."""

    id: str
    target: Target
    generation: int = 1
    version: int = 0
    state: CaseState = "open"
    reasons: dict[str, int] = {}
    texts: tuple[str, ...] = ()
    first_ms: int = 0
    due_ms: int = 0
    taken_by: str = ""
    decided_ms: int = 0

    @property
    def waits(self) -> bool:
        """Whether it is in the queue."""
        return self.state in ("open", "taken")


class CaseItem(AccountsItem):
    """``case#{case}`` / ``case``: JSON of a `Case`; ``version`` stands beside it, for conditions."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    case = UnicodeAttribute()
    version = NumberAttribute()


class QueueItem(AccountsItem):
    """``reports`` / ``{due}#{case}``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    case = UnicodeAttribute()


class FiledItem(AccountsItem):
    """``account#{id}`` / ``filed#{case}#{generation}``: what this account reported."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    case = UnicodeAttribute()
    generation = NumberAttribute()
    reason = UnicodeAttribute()
    text = UnicodeAttribute(null=True)
    at_ms = NumberAttribute()
    expires_at = NumberAttribute()


class ReporterItem(AccountsItem):
    """``case#{case}`` / ``by#{generation}#{account}``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    expires_at = NumberAttribute()


class DayItem(AccountsItem):
    """``account#{id}`` / ``reports#{day}``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    filed = NumberAttribute(default=0)
    expires_at = NumberAttribute()


def reported(before: Case | None, target: Target, reason: Reason, text: str | None, now_ms: int) -> Case:
    """The case after one more report: pure. A decided one begins anew."""
    due_ms = now_ms + (DUE_GRAVE_MS if reason in GRAVE else DUE_MS)
    if before is None or not before.waits:
        generation, version = (before.generation + 1, before.version) if before else (1, 0)
        before = Case(
            id=target.case, target=target, generation=generation, version=version, first_ms=now_ms, due_ms=due_ms
        )
    texts = before.texts if text is None else (*before.texts, text)[:TEXTS_KEPT_MAX]
    reasons = {**before.reasons, reason: before.reasons.get(reason, 0) + 1}
    return msgspec.structs.replace(
        before, reasons=reasons, texts=texts, due_ms=min(before.due_ms, due_ms), version=before.version + 1
    )


def file(reporter: str, target: Target, reason: Reason, text: str | None) -> None:
    """Report; doing so again before a decision changes nothing (3 calls at most, without conflicts).

    Raises
    ------
    OnairError
        ``rate_limited`` beyond 30 reports a day, ``unavailable``.
    """
    for _ in range(ATTEMPTS_MAX):
        before = read(target.case)
        now_ms = clock.now_ms()
        after = reported(before, target, reason, text, now_ms)
        if _already_filed(reporter, after):
            return
        try:
            _write_report(reporter, before, after, reason, text, now_ms)
            return
        except transaction.ConditionError as error:
            # The day's count is the last of the request (updates come last); all else means that someone was faster.
            if max(error.failed) == _size(before, after) - 1:
                raise OnairError(
                    "rate_limited", "You reported a lot today. Come back tomorrow.", retry_after_ms=DUE_MS
                ) from None
    raise OnairError("unavailable")


def _already_filed(reporter: str, case: Case) -> bool:
    try:
        FiledItem.get(account_key(reporter), f"filed#{case.id}#{case.generation}", consistent_read=True)
    except DoesNotExist:
        return False
    return True


def _size(before: Case | None, after: Case) -> int:
    return 5 + int(_moved(before, after))


def _moved(before: Case | None, after: Case) -> bool:
    return before is not None and before.waits and before.due_ms != after.due_ms


def _write_report(
    reporter: str, before: Case | None, after: Case, reason: Reason, text: str | None, now_ms: int
) -> None:
    now_s = now_ms // 1000
    day = clock.rfc3339(now_ms)[:10]
    filed = FiledItem(
        account_key(reporter),
        f"filed#{after.id}#{after.generation}",
        case=after.id,
        generation=after.generation,
        reason=reason,
        text=text,
        at_ms=now_ms,
        expires_at=now_s + FILED_KEPT_S,
    )

    def write() -> None:
        with TransactWrite(connection=_connection()) as batch:
            if before is not None and _moved(before, after):
                batch.delete(_place(before))
            batch.save(filed, condition=FiledItem.pk.does_not_exist())
            batch.save(
                ReporterItem(f"case#{after.id}", f"by#{after.generation}#{reporter}", expires_at=filed.expires_at)
            )
            batch.save(_item(after), condition=_unchanged(before))
            batch.save(_place(after))
            batch.update(
                DayItem(account_key(reporter), f"reports#{day}"),
                actions=[DayItem.filed.add(1), DayItem.expires_at.set(now_s + 2 * 24 * 3600)],
                condition=DayItem.filed.does_not_exist() | (DayItem.filed < REPORTS_A_DAY_MAX),
            )

    transaction.commit(write)


def reporters(case: Case) -> list[str]:
    """Who reported this generation of a case, at most `REPORTERS_TOLD_MAX` (one call for each megabyte)."""
    prefix = f"by#{case.generation}#"
    found = ReporterItem.query(f"case#{case.id}", ReporterItem.sk.startswith(prefix), limit=REPORTERS_TOLD_MAX)
    return [item.sk.removeprefix(prefix) for item in found]


def read(case_id: str) -> Case | None:
    """A case, or None."""
    try:
        return msgspec.json.decode(CaseItem.get(f"case#{case_id}", CASE, consistent_read=True).case, type=Case)
    except DoesNotExist:
        return None


def decide(case_id: str, state: Literal["taken", "acted", "dismissed"], by: Identity, reason: str) -> Case:
    """Take a case, or close it; the act is in the operators' trail in the same transaction.

    Raises
    ------
    OnairError
        ``not_found``, ``forbidden`` (of oneself), ``conflict`` (decided already, or taken by another operator who is at
        it), ``unavailable``.
    """
    for _ in range(ATTEMPTS_MAX):
        before = read(case_id)
        if before is None:
            raise OnairError("not_found", "There is no such case.")
        if before.target.account == by.account:
            raise OnairError("forbidden", "Nobody decides on a report of themselves.")
        if not before.waits:
            raise OnairError("conflict", "This case is decided already.")
        if state == "taken" and before.state == "taken" and before.taken_by != by.handle:
            raise OnairError("conflict", f"{before.taken_by} is at this case.")
        after = msgspec.structs.replace(
            before,
            state=state,
            taken_by=by.handle,
            version=before.version + 1,
            decided_ms=0 if state == "taken" else clock.now_ms(),
        )
        about = {"case": case_id, "kind": before.target.kind, "reports": sum(before.reasons.values())}
        entry = trail.entry(by, f"report.{state}", before.target.handle, reason, about)
        try:
            _write_decision(before, after, entry)
            return after
        except transaction.ConditionError:
            continue
    raise OnairError("unavailable")


def _write_decision(before: Case, after: Case, entry: trail.Entry) -> None:
    def write() -> None:
        with TransactWrite(connection=_connection()) as batch:
            if not after.waits:
                batch.delete(_place(before))
            batch.save(_item(after), condition=_unchanged(before))
            batch.save(trail.item(entry), condition=trail.IS_NEW)

    transaction.commit(write)


def waiting(after: str | None, limit: int) -> tuple[list[Case], str | None]:
    """Cases that wait, due first first, and where the list goes on (two calls)."""
    last = {"pk": {"S": QUEUE}, "sk": {"S": after}} if after is not None else None
    found = QueueItem.query(QUEUE, limit=limit, page_size=limit, last_evaluated_key=cast(Any, last))
    rows = list(found)
    cases = _many([row.case for row in rows])
    kept = [cases[row.case] for row in rows if row.case in cases]
    return kept, rows[-1].sk if found.last_evaluated_key and rows else None


class Filed(msgspec.Struct, frozen=True):
    """What an account reported, and what became of it so far."""

    case: Case
    reason: str
    at_ms: int
    state: CaseState


def filed_by(account: str, limit: int) -> list[Filed]:
    """What an account reported in the last half year, newest first (two calls)."""
    rows = list(FiledItem.query(account_key(account), FiledItem.sk.startswith("filed#")))
    rows.sort(key=lambda row: -int(row.at_ms))
    rows = rows[:limit]
    cases = _many([row.case for row in rows])
    return [
        Filed(case, row.reason, int(row.at_ms), _state_of(case, int(row.generation)))
        for row in rows
        if (case := cases.get(row.case)) is not None
    ]


def _state_of(case: Case, generation: int) -> CaseState:
    # An earlier generation was decided, or there would be no later one; how, only the newest tells.
    return case.state if case.generation == generation else "dismissed" if case.state == "dismissed" else "acted"


def _many(case_ids: Sequence[str]) -> dict[str, Case]:
    if not case_ids:
        return {}
    found = CaseItem.batch_get([(f"case#{one}", CASE) for one in dict.fromkeys(case_ids)], consistent_read=True)
    cases = [msgspec.json.decode(item.case, type=Case) for item in found]
    return {case.id: case for case in cases}


def _item(case: Case) -> CaseItem:
    return CaseItem(f"case#{case.id}", CASE, case=msgspec.json.encode(case).decode(), version=case.version)


def _place(case: Case) -> QueueItem:
    return QueueItem(QUEUE, f"{case.due_ms:013d}#{case.id}", case=case.id)


def _unchanged(before: Case | None) -> Condition:
    if before is None:
        return cast(Condition, CaseItem.pk.does_not_exist())
    return cast(Condition, CaseItem.version == before.version)


def _connection() -> Tables:
    return storage.connection()
