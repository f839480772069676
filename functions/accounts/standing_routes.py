"""HTTPS routes about one's own standing: the record, and appeals. They answer whatever the standing is."""

from __future__ import annotations

from chalice.app import Blueprint, Response

from functions import clock, parse
from functions.accounts import record, standing, standing_views, table
from functions.security import cognito

routes = Blueprint(__name__)


@routes.route("/me/standing", methods=["GET"], authorizer=cognito)
def read_standing() -> standing_views.Record:
    """One's own standing and record; also for who is suspended or banned."""
    me = parse.identity(routes.current_request)
    return standing_views.record(table.required(me.account), record.entries(me.account), to_operators=False)


@routes.route("/me/standing/appeals", methods=["POST"], authorizer=cognito)
def make_appeal() -> Response:
    """Speak against an entry of one's own record: once, within 30 days."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, standing_views.NewAppeal)
    text = parse.text("text", given.text, minimum=1, maximum=standing.APPEAL_LENGTH_MAX)
    made = record.appeal(me.account, given.entry_id, text)
    return Response(standing_views.entry(made, clock.now_ms(), to_operators=False), status_code=201)
