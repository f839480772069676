"""HTTPS routes of reports: anyone signed in reports a comment, a broadcast or an account; operators work the queue."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from chalice.app import Blueprint, Response
from msgspec import UNSET, Meta, UnsetType

from functions import clock, parse, security
from functions.accounts import rates, reports, table, telling
from functions.accounts.rates import Limit
from functions.accounts.reports import Case, CaseState, Reason, Target, TargetKind
from functions.errors import OnairError
from functions.parse import Page
from functions.rooms import moderating
from functions.rooms.messages import CLIENT_ID_MAX, ChatEvent, QuestionEvent
from functions.security import cognito
from functions.streams import table as streams

routes = Blueprint(__name__)

FILED_SHOWN_MAX: Final = 100
REASON_LENGTH_MAX: Final = 500
# Twice as many as are taken in (reports.py): some are gone by the time, some are sent again.
COMMENTS_A_DAY_MAX: Final = 2 * reports.REPORTS_A_DAY_MAX
DAY_S: Final = 24 * 3600


class NewReport(msgspec.Struct, frozen=True):
    """Why, in words if one likes; of a broadcast also which comment (``event_id``)."""

    reason: Reason
    text: str | None = None
    event_id: Annotated[str, Meta(min_length=1, max_length=CLIENT_ID_MAX)] | None = None


class CaseView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A case as operators see it: what is reported, how often and for what, and until when to decide."""

    id: str
    kind: TargetKind
    handle: str
    state: CaseState
    reports: int
    reasons: dict[str, int]
    first_at: str
    due_at: str
    overdue: bool
    stream_id: str | UnsetType = UNSET
    event_id: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    said_at: str | UnsetType = UNSET
    texts: tuple[str, ...] = ()
    taken_by: str | UnsetType = UNSET


class Cases(msgspec.Struct, frozen=True):
    """Cases that wait, due first first; without ``cursor`` it is the last page."""

    items: list[CaseView]
    cursor: str | UnsetType = UNSET


class CaseDecision(msgspec.Struct, frozen=True):
    """``taken``: I am at it; ``acted``: something was done about it (a strike, a removal); ``dismissed``."""

    state: Literal["taken", "acted", "dismissed"]
    reason: str


class FiledView(msgspec.Struct, frozen=True):
    """A report of one's own: ``open`` until an operator decided."""

    kind: TargetKind
    handle: str
    reason: str
    at: str
    state: Literal["open", "acted", "dismissed"]


class FiledList(msgspec.Struct, frozen=True):
    """What one reported in the last half year, newest first, at most 100."""

    items: list[FiledView]


@routes.route("/streams/{stream_id}/report", methods=["POST"], authorizer=cognito)
def report_stream(stream_id: str) -> Response:
    """Report a broadcast, or one comment in its room."""
    me = parse.identity(routes.current_request)
    given = parse.body(routes.current_request, NewReport)
    stream = streams.required(stream_id)
    if stream.state == "ready":
        raise OnairError("not_found")
    if given.event_id is None:
        target = Target("stream", stream.host.id, stream.host.handle, stream.id)
    else:
        # Counted before it is looked for: what is not there is found out by reading all frames of the room.
        rates.take([Limit("report_comment", me.account, COMMENTS_A_DAY_MAX, DAY_S)])
        target = _comment(stream_id, given.event_id)
    return _filed(me.account, target, given)


@routes.route("/accounts/{handle}/report", methods=["POST"], authorizer=cognito)
def report_account(handle: str) -> Response:
    """Report an account."""
    me = parse.identity(routes.current_request)
    given = parse.body(routes.current_request, NewReport)
    account = table.by_handle(handle)
    return _filed(me.account, Target("account", account.id, account.handle), given)


@routes.route("/me/reports", methods=["GET"], authorizer=cognito)
def list_filed() -> FiledList:
    """What one reported, and what became of it."""
    me = parse.identity(routes.current_request)
    found = reports.filed_by(me.account, FILED_SHOWN_MAX)
    return FiledList([_filed_view(one) for one in found])


@routes.route("/operator/reports", methods=["GET"], authorizer=cognito)
def list_reports() -> Cases:
    """Cases that wait for a decision, due first first."""
    request = routes.current_request
    security.operator(request)
    page = parse.query(request, Page)
    place = parse.cursor(page.cursor, parts=1)
    items, after = reports.waiting(place[0] if place else None, page.limit)
    now_ms = clock.now_ms()
    return Cases([_view(one, now_ms) for one in items], parse.make_cursor(after) if after is not None else UNSET)


@routes.route("/operator/reports/{case_id}", methods=["PUT"], authorizer=cognito)
def decide_report(case_id: str) -> CaseView:
    """Take a case, or decide it; in the trail. A strike is given by its own route, with the case as evidence."""
    request = routes.current_request
    me = security.operator(request)
    given = parse.body(request, CaseDecision)
    reason = parse.text("reason", given.reason, minimum=1, maximum=REASON_LENGTH_MAX)
    decided = reports.decide(case_id, given.state, me, reason)
    if not decided.waits:
        # The operator's reason stays inside: it is about somebody else.
        event = f"report.{decided.id}.{decided.generation}"
        notice = telling.of_house("report", decided.decided_ms, event, decided.state, facts={})
        telling.order(notice, reports.reporters(decided))
    return _view(decided, clock.now_ms())


def _comment(stream_id: str, event_id: str) -> Target:
    """A comment or question as it stands now: what is reported must be readable when it is removed meanwhile."""
    found = moderating.find_event(stream_id, event_id)
    event = found.event if found is not None else None
    if not isinstance(event, (ChatEvent, QuestionEvent)) or event.sender is None:
        raise OnairError("not_found", "There is no such comment, or it is removed already.", field="event_id")
    return Target("comment", event.sender.id, event.sender.handle, stream_id, event_id, event.text, event.at)


def _filed(reporter: str, target: Target, given: NewReport) -> Response:
    if target.account == reporter:
        raise OnairError("forbidden", "You cannot report yourself.")
    text = None
    if given.text is not None and given.text.strip():
        text = parse.text("text", given.text, minimum=1, maximum=reports.TEXT_LENGTH_MAX)
    reports.file(reporter, target, given.reason, text)
    return Response(Accepted(), status_code=202)


class Accepted(msgspec.Struct, frozen=True):
    """The report is with the operators; ``GET /me/reports`` tells what becomes of it."""

    state: Literal["open"] = "open"


def _view(case: Case, now_ms: int) -> CaseView:
    target = case.target
    return CaseView(
        id=case.id,
        kind=target.kind,
        handle=target.handle,
        state=case.state,
        reports=sum(case.reasons.values()),
        reasons=case.reasons,
        first_at=clock.rfc3339(case.first_ms),
        due_at=clock.rfc3339(case.due_ms),
        overdue=case.waits and now_ms > case.due_ms,
        stream_id=target.stream_id or UNSET,
        event_id=target.event_id or UNSET,
        text=target.text or UNSET,
        said_at=target.at or UNSET,
        texts=case.texts,
        taken_by=case.taken_by or UNSET,
    )


def _filed_view(one: reports.Filed) -> FiledView:
    state: Literal["open", "acted", "dismissed"] = "open" if one.state in ("open", "taken") else one.state
    target = one.case.target
    return FiledView(target.kind, target.handle, one.reason, clock.rfc3339(one.at_ms), state)
