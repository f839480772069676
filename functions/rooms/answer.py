"""How a socket route answers: who is calling, what they say, and what went wrong, in the protocol's shape.

A route is a function of a `Caller` and a parsed message; `route` makes a Lambda handler of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from functions import clock, observe
from functions.errors import OnairError
from functions.rooms import flood
from functions.rooms.messages import CLIENT_ID_MAX, MESSAGE_BYTES_MAX, Refusal, Role, Sender

M = TypeVar("M")
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

_PLACE: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING: Final = re.compile(r"missing required field `(?P<field>[^`]*)`")


class Caller(Struct, frozen=True):
    """Who is at the other end, as the ticket said when the socket opened. ``account`` of a visitor starts so."""

    connection_id: str
    stream_id: str
    host_id: str
    role: Role
    nonce: str
    sender: Sender
    market: str = ""
    age_years: int = 0
    created_ms: int = 0

    @property
    def account(self) -> str:
        return self.sender.id


class _Named(Struct, frozen=True):
    id: str | None = None
    question_id: str | None = None
    poll_id: str | None = None


class _Context(Struct, frozen=True):
    """The authorizer's context (functions/rooms/authorize.py): API Gateway passes on strings only."""

    account: str
    stream: str
    host: str
    role: Role
    nonce: str
    handle: str = ""
    name: str = ""
    badges: str = ""
    market: str = ""
    age: int = 0
    created: int = 0


def caller(event: dict[str, Any]) -> Caller:
    """Who sent this event; ``unauthenticated`` where the authorizer's context is not there."""
    request: dict[str, Any] = event.get("requestContext") or {}
    try:
        context = msgspec.convert(request.get("authorizer") or {}, _Context, strict=False)
    except msgspec.ValidationError:
        raise OnairError("unauthenticated", "This socket has no valid ticket. Ask for a new one.") from None
    badges = tuple(badge for badge in context.badges.split(",") if badge)
    return Caller(
        connection_id=str(request["connectionId"]),
        stream_id=context.stream,
        host_id=context.host,
        role=context.role,
        nonce=context.nonce,
        sender=Sender(context.account, context.handle, context.name, badges),
        market=context.market,
        age_years=context.age,
        created_ms=context.created,
    )


def parse(body: str, kind: type[M]) -> M:
    """A message of a known type.

    Raises
    ------
    OnairError
        ``too_large`` beyond 32 KB; ``invalid_request`` for what is not JSON, and for a wrong or missing field, which
        ``details.field`` names.
    """
    if len(body) > MESSAGE_BYTES_MAX or len(body.encode(errors="replace")) > MESSAGE_BYTES_MAX:
        raise OnairError("too_large")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except (ValueError, RecursionError):
        raise OnairError("invalid_request", "This message is not JSON.") from None


def _named(problem: str) -> OnairError:
    place, missing = _PLACE.search(problem), _MISSING.search(problem)
    path = place["path"] if place else ""
    field = f"{path}.{missing['field']}".removeprefix(".") if missing else path
    sentence = problem[: place.start()] if place else problem
    if not field:
        return OnairError("invalid_request", f"This message has the wrong shape: {sentence}.")
    return OnairError("invalid_request", f"`{field}`: {sentence}.", field=field)


def route(
    kind: type[M], *, visitors: bool = False, relays: bool = False
) -> Callable[[Callable[[Caller, M], Struct | None]], Handler]:
    """Make a Lambda handler of a route: parse, act, answer; errors become the protocol's, each once, here.

    What a socket sends beyond a limit is not looked at, and one that goes on being refused is closed (flood.py).

    Parameters
    ----------
    kind : type
        What the message is parsed as.
    visitors : bool
        Whether someone without an account may do this; where not, they are asked to sign in.
    relays : bool
        Whether the relay may, which only reads.
    """

    def decorate(act: Callable[[Caller, M], Struct | None]) -> Handler:
        @observe.tracer.capture_lambda_handler(capture_response=False)
        @wraps(act)
        def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
            body = str(event.get("body") or "")
            connection_id = str((event.get("requestContext") or {}).get("connectionId") or "")
            try:
                who = caller(event)
                wait_ms = flood.watch().wait_ms(connection_id, clock.now_ms())
                if wait_ms:
                    raise OnairError("rate_limited", retry_after_ms=wait_ms)
                message = parse(body, kind)
                if who.role == "visitor" and not visitors:
                    raise OnairError("unauthenticated")
                if who.role == "relay" and not relays:
                    raise OnairError("forbidden")
                return answered(act(who, message))
            except OnairError as error:
                if flood.watch().is_enough(connection_id, clock.now_ms()):
                    flood.close(connection_id)
                return refused(error, body)
            except Exception:  # noqa: BLE001 - the edge: logged with its trace, and the person gets an answer
                # Whatever it was, the person is told that trying again is right: every act is safe to send again.
                observe.logger.exception("route failed", extra={"route": act.__module__})
                return refused(OnairError("unavailable"), body)

        return handle

    return decorate


def answered(answer: Struct | None) -> dict[str, Any]:
    """A route's response with this message; None answers nothing."""
    if answer is None:
        return {"statusCode": 200}
    return {"statusCode": 200, "body": msgspec.json.encode(answer).decode()}


def refused(error: OnairError, body: str) -> dict[str, Any]:
    """A route's response that tells what went wrong, under the message's own id where it has one."""
    details = error.details if isinstance(error.details, dict) else {}
    named = {str(name): str(value) for name, value in details.items()}
    return answered(
        Refusal(
            code=error.code,
            message=error.message,
            id=_id_of(body),
            retry_after_ms=error.retry_after_ms,
            details=named or None,
        )
    )


def _id_of(body: str) -> str | None:
    if len(body) > MESSAGE_BYTES_MAX:
        return None
    try:
        named = msgspec.json.decode(body, type=_Named)
    except (ValueError, RecursionError):
        return None
    # What is no new thing and has no id of its own is answered under that of what it is about.
    found = named.id or named.question_id or named.poll_id
    return found if found and len(found) <= CLIENT_ID_MAX else None
