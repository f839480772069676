"""HTTPS routes of operators about accounts. Each asks for the group `operators`; each act is in the trail."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from chalice.app import Blueprint, Response
from msgspec import UNSET

from functions import clock, parse, security
from functions.accounts import enforce, record, standing, standing_views, table, telling, trail
from functions.accounts.model import DAY_MS, Account
from functions.errors import OnairError
from functions.parse import Identity, Page
from functions.security import cognito
from functions.streams.table import schedule_ms

routes = Blueprint(__name__)

LIVE_ACCESS_DAYS_MAX: Final = 366


def _reason(value: str) -> str:
    return parse.text("reason", value, minimum=1, maximum=standing.REASON_LENGTH_MAX)


def _until_ms(value: datetime | None) -> int | None:
    if value is None:
        return None
    at_ms = schedule_ms(value)
    if at_ms <= clock.now_ms():
        raise parse.refused("until", "`until` lies in the future.")
    return at_ms


def _operated(account_id: str) -> standing_views.OperatedAccount:
    return standing_views.operated(table.required(account_id), record.entries(account_id))


def _of_another(me: Identity, handle: str) -> Account:
    """The account of ``handle``, which is not the operator's own."""
    account = table.by_handle(handle)
    if account.id == me.account:
        raise OnairError("forbidden", "Nobody decides on an account of their own.")
    return account


def _enforced(account: Account) -> None:
    """The account as it is after a change, with what its standing asks for done at once."""
    enforce.at_once(table.required(account.id))


def _told(account: Account, event: str, what: str, at_ms: int, reason: str) -> None:
    """Have the account told what was decided, and why."""
    notice = telling.of_house("standing", at_ms, event, what, title=reason, facts={})
    telling.order(notice, [account.id])


@routes.route("/operator/accounts/{handle}", methods=["GET"], authorizer=cognito)
def read_operated(handle: str) -> standing_views.OperatedAccount:
    """An account with its whole record."""
    security.operator(routes.current_request)
    return _operated(table.by_handle(handle).id)


@routes.route("/operator/accounts/{handle}/strikes", methods=["POST"], authorizer=cognito)
def strike_account(handle: str) -> Response:
    """Add a strike; what it comes to is enforced at once."""
    request = routes.current_request
    me = security.operator(request)
    given = parse.body(request, standing_views.NewStrike)
    evidence = standing.Evidence(
        given.stream_id, given.event_id, schedule_ms(given.frame_at) if given.frame_at is not None else None
    )
    reason, account = _reason(given.reason), _of_another(me, handle)
    made = record.strike(me, account, given.rule, reason, evidence, parse.idempotency_key(request))
    _enforced(account)
    _told(account, f"strike.{made.id}", "strike", made.at_ms, reason)
    return Response(standing_views.entry(made, clock.now_ms(), to_operators=True), status_code=201)


@routes.route("/operator/accounts/{handle}/standing", methods=["PUT"], authorizer=cognito)
def set_standing(handle: str) -> standing_views.OperatedAccount:
    """Set a standing in the place of all that held; it is enforced at once."""
    request = routes.current_request
    me = security.operator(request)
    given = parse.body(request, standing_views.StandingChange)
    until_ms, reason = _until_ms(given.until), _reason(given.reason)
    if until_ms is not None and given.standing in ("good", "banned"):
        raise parse.refused("until", "Only `limited` and `suspended` end at a time.")
    account = _of_another(me, handle)
    made = record.decide(me, account, given.standing, until_ms, reason)
    _enforced(account)
    _told(account, f"standing.{made.id}", given.standing, made.at_ms, reason)
    return _operated(account.id)


@routes.route("/operator/accounts/{handle}/live-access", methods=["PUT"], authorizer=cognito)
def set_live_access(handle: str) -> standing_views.OperatedAccount:
    """Waive followers and account age until a time (at most a year ahead); null takes it away."""
    request = routes.current_request
    me = security.operator(request)
    given = parse.body(request, standing_views.LiveAccess)
    until_ms, reason = _until_ms(given.until), _reason(given.reason)
    if until_ms is not None and until_ms > clock.now_ms() + LIVE_ACCESS_DAYS_MAX * DAY_MS:
        raise parse.refused("until", "Live access is given for a year at most.")
    account = table.by_handle(handle)
    record.grant_live_access(me, account, until_ms, reason)
    return _operated(account.id)


@routes.route("/operator/appeals", methods=["GET"], authorizer=cognito)
def list_appeals() -> standing_views.Appeals:
    """Appeals that wait, the oldest first."""
    request = routes.current_request
    security.operator(request)
    page = parse.query(request, Page)
    place = parse.cursor(page.cursor, parts=1)
    items, after = record.waiting(place[0] if place else None, page.limit)
    return standing_views.Appeals(
        [standing_views.queued(one) for one in items], parse.make_cursor(after) if after is not None else UNSET
    )


@routes.route("/operator/appeals/{appeal_id}", methods=["PUT"], authorizer=cognito)
def review_appeal(appeal_id: str) -> standing_views.RecordEntry:
    """Decide an appeal, once for all."""
    request = routes.current_request
    me = security.operator(request)
    given = parse.body(request, standing_views.Review)
    reason = _reason(given.reason)
    account, decided = record.review(me, appeal_id, given.decision == "overturned", reason)
    _enforced(account)
    at_ms = decided.appeal.decided_ms if decided.appeal is not None else None
    _told(account, f"appeal.{decided.id}", given.decision, at_ms or clock.now_ms(), reason)
    return standing_views.entry(decided, clock.now_ms(), to_operators=True)


@routes.route("/operator/audit", methods=["GET"], authorizer=cognito)
def list_trail() -> trail.Entries:
    """What operators did, newest first."""
    request = routes.current_request
    security.operator(request)
    page = parse.query(request, Page)
    place = parse.cursor(page.cursor, parts=1)
    items, after = trail.listed(place[0] if place else None, page.limit)
    return trail.Entries(items, parse.make_cursor(after) if after is not None else UNSET)
