"""The HTTPS API: one Chalice app, one blueprint a capability, and the one place where errors become answers."""

from __future__ import annotations

# First, before anything else fills the heap: imported later, botocore's regular expressions are compiled right at the
# edge of an allocator's arena, which is then mapped and given back 20 times (5,000 page faults, 40 of 230 ms).
import botocore.session  # noqa: F401  # pyright: ignore[reportUnusedImport]

# isort: split
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from chalice.app import Chalice, CORSConfig, Request, Response

from functions import messages, observe
from functions.accounts import shut_out
from functions.accounts.data_routes import routes as data
from functions.accounts.graph_routes import routes as graph
from functions.accounts.moderator_routes import routes as moderators
from functions.accounts.notice_routes import routes as notices
from functions.accounts.operator_routes import routes as operators
from functions.accounts.picture_routes import routes as pictures
from functions.accounts.report_routes import routes as reports
from functions.accounts.routes import routes as accounts
from functions.accounts.session_routes import routes as sessions
from functions.accounts.standing_routes import routes as standing
from functions.errors import OnairError
from functions.rooms.match_routes import routes as match_making
from functions.rooms.routes import routes as rooms
from functions.rooms.seat_routes import routes as seats
from functions.streams.reminder_routes import routes as reminding
from functions.streams.replay_routes import routes as replays
from functions.streams.routes import routes as streams
from functions.streams.share_routes import routes as sharing
from functions.wallet.audit_routes import routes as audits
from functions.wallet.board_routes import routes as boards
from functions.wallet.export import routes as exports
from functions.wallet.payout_review import routes as payout_review
from functions.wallet.payout_routes import routes as payouts
from functions.wallet.routes import routes as wallet

CORS: Final = CORSConfig(
    allow_origin="*",
    allow_headers=["Accept-Language", "Idempotency-Key"],
    expose_headers=["Retry-After", "Link"],
    max_age=3600,
)
_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
_request: ContextVar[Request | None] = ContextVar("request", default=None)


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was refused: a stable code, a sentence for the person, parameters."""

    code: str
    message: str
    details: Any = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success."""

    error: Refusal


class Api(Chalice):
    """A Chalice app whose current request belongs to the caller's context.

    Chalice keeps it on the app object: on Lambda one request runs at a time, in the local stack many do.
    """

    if not TYPE_CHECKING:  # for the type checker it stays the plain attribute that Chalice declares

        @property
        def current_request(self) -> Request | None:
            return _request.get()

        @current_request.setter
        def current_request(self, request: Request | None) -> None:
            _request.set(request)

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        return _handle(event if event.get("body") else _without_content_type(event), context)


def _without_content_type(event: dict[str, Any]) -> dict[str, Any]:
    # HTTP clients name a media type even for the empty body of a POST (form, octet-stream); of nothing it says nothing,
    # and Chalice would refuse it.
    kept = dict(event)
    for field in ("headers", "multiValueHeaders"):
        kept[field] = {
            name: value for name, value in (event.get(field) or {}).items() if name.lower() != "content-type"
        }
    return kept


def error_answer(error: OnairError, accept_language: str | None) -> Response:
    """``error`` as status and body, its sentence in the person's language."""
    sentence = messages.message(error, messages.language(accept_language))
    headers: dict[str, Any] = dict(_JSON)
    if error.retry_after_ms is not None:
        # RFC 9110 §10.2.3 knows whole seconds only.
        headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    answer = ErrorAnswer(Refusal(error.code, sentence, error.details))
    return Response(msgspec.json.encode(answer).decode(), headers, error.status)


def _answering(view: Callable[..., Any], route: str, *, guarded: bool) -> Callable[..., Any]:
    """A view that always answers: its struct as JSON, None as 204, every refusal in our shape.

    Where a token opens the route (``guarded``), it is closed to who is shut out of Onair (accounts/shut_out.py).
    """

    @wraps(view)
    def answered(**arguments: Any) -> Response:
        try:
            request = _request.get()
            if guarded and request is not None:
                shut_out.guard(route, request)
            result = view(**arguments)
            return _encoded(result)
        except OnairError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001 - the last stop: the person gets an answer, the log the whole story
            return _unexpected(error)

    return answered


def _encoded(result: Any) -> Response:
    response = result if isinstance(result, Response) else Response(result)
    if response.body is None:
        return Response("", dict(response.headers), 204)
    if not isinstance(response.body, (str, bytes)):
        response.body = msgspec.json.encode(response.body).decode()
        response.headers = {**_JSON, **response.headers}
    return response


def _accept_language() -> str | None:
    request = _request.get()
    found: str | None = request.headers.get("accept-language") if request is not None else None
    return found


def _refusal(error: OnairError) -> Response:
    if error.status >= 500:
        observe.logger.error("refused", code=error.code, exc_info=error)
    else:
        # Details stay out of the log: those of `not_eligible` tell a person's age.
        observe.logger.info("refused", code=error.code)
    return error_answer(error, _accept_language())


def _unexpected(error: Exception) -> Response:
    observe.logger.exception("unexpected", exc_info=error)
    with single_metric(name="UnexpectedErrors", unit=MetricUnit.Count, value=1, namespace="Onair"):
        return error_answer(OnairError("unavailable"), _accept_language())


def _in_our_shape(request: Request | None, proceed: Callable[[Any], Response]) -> Response:
    """Middleware: Chalice's own refusals (method, media type) get our shape, every answer its CORS headers."""
    response = proceed(request)
    if response.status_code == 415:
        response = _refusal(OnairError("invalid_request", "Send the body as `application/json`.", field="Content-Type"))
    elif response.status_code in (404, 405) and not _ours(response):
        # As API Gateway, which answers the same for a path and for a method that nobody declared.
        response = _refusal(OnairError("not_found", "There is no such route."))
    elif response.status_code >= 400 and not _ours(response):
        response = _refusal(OnairError("unavailable" if response.status_code >= 500 else "invalid_request"))
    response.headers = {**CORS.get_access_control_headers(), **response.headers}
    return response


def _ours(response: Response) -> bool:
    # Ours are refusals in our shape and, for people who follow a link, pages.
    return isinstance(response.body, str) and response.body.startswith(('{"error":', "<!doctype html>"))


app = Api("onair", configure_logs=False)
app.api.cors = CORS
app.register_middleware(_in_our_shape, "http")
# One a line: capabilities grow side by side.
_BLUEPRINTS: Final = (
    accounts,
    sessions,
    data,
    pictures,
    graph,
    moderators,
    operators,
    reports,
    notices,
    standing,
    streams,
    replays,
    reminding,
    sharing,
    rooms,
    seats,
    match_making,
    wallet,
    boards,
    exports,
    payouts,
    payout_review,
    audits,
)
for _blueprint in _BLUEPRINTS:
    app.register_blueprint(_blueprint)
for _path, _methods in app.routes.items():
    for _method, _entry in _methods.items():
        _entry.view_function = _answering(
            _entry.view_function, f"{_method} {_path}", guarded=_entry.authorizer is not None
        )


@observe.tracer.capture_lambda_handler(capture_response=False)
def _handle(event: Any, context: Any) -> dict[str, Any]:
    """One REST proxy event (payload 1.0) to one proxy answer."""
    proxied: dict[str, Any] = event.get("requestContext") or {}
    path, method = str(proxied.get("resourcePath")), str(proxied.get("httpMethod"))
    observe.logger.append_keys(request_id=proxied.get("requestId"), route=f"{method} {path}")
    if path not in app.routes:
        # Before Chalice, whose table of routes would grow by each unknown path.
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        response = error_answer(OnairError("not_found", "There is no such route."), headers.get("accept-language"))
        response.headers = {**CORS.get_access_control_headers(), **response.headers}
        return response.to_dict()
    return Chalice.__call__(app, event, context)
