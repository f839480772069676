"""HTTPS routes of operators about payouts: the queue of those that wait for a person, and the decision on one."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from chalice.app import Blueprint
from msgspec import UNSET, Meta, Struct, UnsetType

from functions import clock, parse, security
from functions.accounts import table as accounts
from functions.accounts import trail
from functions.accounts.model import Account
from functions.errors import OnairError
from functions.wallet import payout_notices, payout_provider, payouts
from functions.wallet.payout_queue import ring
from functions.wallet.payout_routes import PayoutAnswer, answer
from functions.wallet.payout_rules import Payout
from functions.wallet.routes import tried
from functions.wallet.table import StoredLedger

routes = Blueprint(__name__)

# No payout waits longer than this (ms since the Unix epoch, year 2286), held ones of next week included.
ALWAYS_MS: Final = 9_999_999_999_999


class QueueQuery(parse.Page, frozen=True):
    """Payouts in which step, oldest first."""

    step: Literal["review", "held", "ready", "paying"] = "review"


class WaitingPayout(Struct, frozen=True):
    """A payout as operators see it; ``why`` tells what made it wait for them.

    ``why``: ``frozen`` (coins went back), ``clawback`` (coins given to this creator went back), ``standing``,
    ``account_gone``, ``unanswered`` (the provider did not answer for 20 hours); absent: it is large. ``tried``: the
    provider was asked to pay. ``handle`` is absent once the account is gone.
    """

    account: str
    payout: PayoutAnswer
    since: str
    tried: bool
    earlier_paid: int
    handle: str | UnsetType = UNSET
    why: str | UnsetType = UNSET


class Queue(Struct, frozen=True):
    """``GET /operator/payouts``."""

    items: list[WaitingPayout]
    cursor: str | UnsetType = UNSET


class Decision(Struct, frozen=True):
    """``PUT /operator/payouts/{account}/{payout}``: what becomes of one that is looked at, and why."""

    decision: Literal["approve", "refuse"]
    reason: Annotated[str, Meta(min_length=1, max_length=trail.REASON_LENGTH_MAX)]


@routes.route("/operator/payouts", methods=["GET"], authorizer=security.cognito)
def list_waiting() -> Queue:
    """Payouts that wait, oldest first."""
    security.operator(routes.current_request)
    asked = parse.query(routes.current_request, QueueQuery)
    book, place = StoredLedger(), parse.cursor(asked.cursor, 2)
    after = tried(lambda: book.payout(place[0], place[1])) if place else None
    if after is not None and after.state != asked.step:
        # Decided since: the list has moved on, and starts anew.
        after = None
    found = tried(lambda: book.waiting_payouts(asked.step, ALWAYS_MS, asked.limit + 1, after))
    shown = found[: asked.limit]
    people = accounts.read_many([each.account for each in shown]) if shown else {}
    return Queue(
        [_waiting(book, each, people.get(each.account)) for each in shown],
        parse.make_cursor(shown[-1].account, shown[-1].id) if len(found) > asked.limit else UNSET,
    )


@routes.route("/operator/payouts/{account}/{payout}", methods=["PUT"], authorizer=security.cognito)
def decide(account: str, payout: str) -> WaitingPayout:
    """Let a payout be paid, or give its diamonds back. The decision is in the audit trail, or it was not made."""
    by = security.operator(routes.current_request)
    asked = parse.body(routes.current_request, Decision)
    reason = parse.text("reason", asked.reason, minimum=1, maximum=trail.REASON_LENGTH_MAX)
    if by.account == account:
        raise OnairError("forbidden", "Nobody decides on a payout of their own.")
    book = StoredLedger()
    note = trail.entry(by, f"payout.{asked.decision}", payout, reason, {"account": account})
    if asked.decision == "approve":
        decided = payouts.approve(book, account, payout, note)
        ring(decided)
    else:
        decided = payouts.reject(book, payout_provider.required(), account, payout, reason, note)
        payout_notices.tell(decided)
    return _waiting(book, decided, accounts.read(account))


def _waiting(book: StoredLedger, payout: Payout, account: Account | None) -> WaitingPayout:
    earlier = tried(lambda: book.payouts(payout.account))
    return WaitingPayout(
        account=payout.account,
        payout=answer(payout),
        since=clock.rfc3339(payout.since),
        tried=payout.tried,
        earlier_paid=sum(each.state == "paid" for each in earlier),
        handle=account.handle if account is not None else UNSET,
        why=payout.why or UNSET,
    )
