"""Records stored: strikes, decisions and appeals of each account, and the standing that they come to.

Each change is one transaction: the entry, the profile's standing, what has to follow (due.py), the operators' trail,
the queue of appeals. The profile's ``record_version`` orders them; whoever loses reads anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.transactions import TransactWrite

from functions import clock, ids, storage, transaction
from functions.accounts import due, standing, table, trail
from functions.accounts.due import Due
from functions.accounts.model import Account, Standing
from functions.accounts.standing import Appeal, Entry, Evidence, Rule
from functions.accounts.table import PROFILE, AccountsItem, ProfileItem, account_key
from functions.errors import OnairError
from functions.parse import Identity
from functions.tokens import TICKET_LIFETIME_S

ENTRY_PREFIX: Final = "record#"
APPEALS: Final = "appeals"
ATTEMPTS_MAX: Final = 5
# A second look once every ticket of before has expired: a socket that was opening meanwhile is closed then.
AGAIN_MS: Final = (TICKET_LIFETIME_S + 5) * 1000


class EntryItem(AccountsItem):
    """``account#{id}`` / ``record#{time}#{entry}``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    entry = UnicodeAttribute()


class AppealItem(AccountsItem):
    """``appeals`` / ``{time}-{entry}``: an appeal that waits for its review."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    account = UnicodeAttribute()
    at_ms = NumberAttribute()


class Waiting(Struct, frozen=True):
    """An appeal in the queue."""

    id: str
    account: Account
    entry: Entry


class _Change(Struct, frozen=True):
    """One entry as it becomes, and what goes with it; ``told`` is the trail's."""

    entry: Entry
    told: trail.Entry | None = None
    queued: AppealItem | None = None
    unqueued: AppealItem | None = None


def entries(account_id: str) -> list[Entry]:
    """The whole record of an account, oldest first (one call)."""
    rows = EntryItem.query(
        account_key(account_id),
        EntryItem.sk.startswith(ENTRY_PREFIX),
        limit=standing.ENTRIES_MAX,
        page_size=standing.ENTRIES_MAX,
        consistent_read=True,
    )
    return [msgspec.json.decode(row.entry, type=Entry) for row in rows]


def strike(by: Identity, account: Account, rule: Rule, reason: str, evidence: Evidence, key: str | None) -> Entry:
    """Add a strike; the same ``key`` (an Idempotency-Key) again answers the first.

    Raises
    ------
    OnairError
        ``id_reused`` for other content under the same key, ``conflict`` beyond `standing.ENTRIES_MAX`.
    """
    entry_id = ids.derived("strike", by.account, account.id, key) if key is not None else ids.new()
    request = ids.derived(rule, reason, msgspec.json.encode(evidence).decode())

    def change(record: Sequence[Entry]) -> _Change | Entry:
        earlier = next((one for one in record if one.id == entry_id), None)
        if earlier is not None:
            if earlier.request != request:
                raise OnairError("id_reused", field="Idempotency-Key")
            return earlier
        made = standing.strike(entry_id, rule, clock.now_ms(), by.handle, reason, evidence, request)
        details = {"entry": made.id, "rule": rule, "points": made.points, "evidence": msgspec.to_builtins(evidence)}
        return _Change(made, trail.entry(by, "standing.strike", account.handle, reason, details))

    return _write(account.id, change)


def decide(by: Identity, account: Account, what: Standing, until_ms: int | None, reason: str) -> Entry:
    """Set a standing, in the place of all that held before."""

    def change(_: Sequence[Entry]) -> _Change | Entry:
        made = Entry(ids.new(), clock.now_ms(), by.handle, reason, standing=what, until_ms=until_ms)
        details = {"entry": made.id, "standing": what, "until": _time(until_ms)}
        return _Change(made, trail.entry(by, "standing.set", account.handle, reason, details))

    return _write(account.id, change)


def appeal(account_id: str, entry_id: str, text: str) -> Entry:
    """Speak against an entry of one's own record; the same text again answers the same.

    Raises
    ------
    OnairError
        ``not_found``, ``conflict`` (there was an appeal, or it is too late for one).
    """

    def change(record: Sequence[Entry]) -> _Change | Entry:
        found = _named(record, entry_id)
        if found.appeal is not None and found.appeal.text == text:
            return found
        now_ms = clock.now_ms()
        if not standing.may_appeal(found, now_ms):
            raise OnairError(
                "conflict", "This cannot be appealed any more: there is one appeal, within 30 days.", field="entry_id"
            )
        queued = AppealItem(APPEALS, f"{now_ms:013d}-{entry_id}", account=account_id, at_ms=now_ms)
        return _Change(replace(found, appeal=Appeal(text, now_ms)), queued=queued)

    return _write(account_id, change)


def review(by: Identity, appeal_id: str, overturn: bool, reason: str) -> tuple[Account, Entry]:
    """Decide an appeal, once for all.

    Raises
    ------
    OnairError
        ``not_found``, ``forbidden`` (it is one's own), ``conflict`` (it has been decided otherwise).
    """
    at_ms, _, entry_id = appeal_id.partition("-")
    item = next(iter(AppealItem.query(APPEALS, AppealItem.sk == appeal_id, consistent_read=True)), None)
    if item is None or not at_ms.isdigit():
        raise OnairError("not_found")
    if item.account == by.account:
        raise OnairError("forbidden", "Nobody decides on an appeal of their own.")
    account = table.read(item.account)
    if account is None:
        item.delete()
        raise OnairError("not_found")
    state: standing.AppealState = "overturned" if overturn else "upheld"

    def change(record: Sequence[Entry]) -> _Change | Entry:
        found = _named(record, entry_id)
        if found.appeal is None or found.appeal.state != "open":
            raise OnairError("conflict")
        decided = replace(found.appeal, state=state, decided_ms=clock.now_ms(), decided_by=by.handle, reason=reason)
        details = {"entry": found.id, "decision": state, "same_operator": found.by == by.handle}
        told = trail.entry(by, "appeal.review", account.handle, reason, details)
        return _Change(replace(found, appeal=decided), told, unqueued=item)

    return account, _write(account.id, change)


def waiting(after: str | None, limit: int) -> tuple[list[Waiting], str | None]:
    """Appeals that wait, oldest first, and the key to go on after."""
    last = {"pk": {"S": APPEALS}, "sk": {"S": after}} if after is not None else None
    found = AppealItem.query(APPEALS, limit=limit, page_size=limit, last_evaluated_key=cast(Any, last))
    rows = list(found)
    accounts = table.read_many(sorted({row.account for row in rows}))
    items: list[Waiting] = []
    for row in rows:
        entry_id = row.sk.partition("-")[2]
        entry = next((one for one in entries(row.account) if one.id == entry_id), None)
        if entry is not None and row.account in accounts:
            items.append(Waiting(row.sk, accounts[row.account], entry))
    return items, rows[-1].sk if found.last_evaluated_key and rows else None


def grant_live_access(by: Identity, account: Account, until_ms: int | None, reason: str) -> None:
    """Waive followers and account age until a time, or (None) no longer."""
    action = ProfileItem.live_access_until.remove()
    if until_ms is not None:
        action = ProfileItem.live_access_until.set(until_ms)
    told = trail.entry(by, "live_access.set", account.handle, reason, {"until": _time(until_ms)})

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.save(trail.item(told), condition=trail.IS_NEW)
            batch.update(ProfileItem(account_key(account.id), PROFILE), actions=[action], condition=table.PRESENT)

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        raise OnairError("not_found") from None


def _write(account_id: str, change: Callable[[Sequence[Entry]], _Change | Entry]) -> Entry:
    """Store what ``change`` makes of the record; an entry that it returns as it is needs no writing."""
    for _ in range(ATTEMPTS_MAX):
        # The version first: an entry that comes after this read has moved it on.
        before = table.required(account_id)
        record = entries(account_id)
        wanted = change(record)
        if isinstance(wanted, Entry):
            return wanted
        others = [one for one in record if one.id != wanted.entry.id]
        if len(others) >= standing.ENTRIES_MAX:
            raise OnairError("conflict", "This record is full.")
        if _committed(before, [*others, wanted.entry], wanted):
            return wanted.entry
    raise OnairError("unavailable")


def _committed(before: Account, record: Sequence[Entry], change: _Change) -> bool:
    account_id, now_ms, entry = before.id, clock.now_ms(), change.entry
    # An entry of this moment counts from its own time, which may be a millisecond ahead of nobody's.
    plan = standing.steps(record, max(now_ms, entry.at_ms))

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            if change.unqueued is not None:
                batch.delete(change.unqueued)
            batch.save(
                EntryItem(
                    account_key(account_id),
                    f"{ENTRY_PREFIX}{entry.at_ms:013d}#{entry.id}",
                    entry=msgspec.json.encode(entry).decode(),
                )
            )
            if change.told is not None:
                batch.save(trail.item(change.told), condition=trail.IS_NEW)
            if change.queued is not None:
                batch.save(change.queued)
            for at_ms in sorted({now_ms, now_ms + AGAIN_MS, *(from_ms for from_ms, _ in plan if from_ms > 0)}):
                batch.save(due.item(Due(account_id, at_ms)))
            batch.update(
                ProfileItem(account_key(account_id), PROFILE),
                actions=[
                    ProfileItem.standing.set(plan[0][1]),
                    ProfileItem.standing_steps.set([list(step) for step in plan]),
                    ProfileItem.record_version.set(before.record_version + 1),
                ],
                condition=table.same_record(before),
            )

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        return False
    return True


def _named(record: Sequence[Entry], entry_id: str) -> Entry:
    found = next((one for one in record if one.id == entry_id), None)
    if found is None:
        raise OnairError("not_found")
    return found


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else clock.rfc3339(at_ms)
