"""What comes in over HTTPS, made into types: body, query, headers, text; and who is asking.

Whatever is wrong leaves as `OnairError` ``invalid_request`` that names the field in ``details.field``. Unknown fields
are ignored, so that a newer client can speak to an older deployment.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from typing import Annotated, Any, Final, TypeVar

import msgspec
from chalice.app import Request

from functions import ids
from functions.errors import OnairError

# Ten times the largest request of the protocol; API Gateway itself would take 10 MB.
BODY_BYTES_MAX: Final = 64 * 1024
IDEMPOTENCY_KEY_LENGTH_MAX: Final = 128
LIST_LIMIT_DEFAULT: Final = 20
LIST_LIMIT_MAX: Final = 100
CURSOR_LENGTH_MAX: Final = 1024

T = TypeVar("T")

_PLACE = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<field>[^`]*)`")


class Identity(msgspec.Struct, frozen=True):
    """Who asks, from a verified access token: the account's id (Cognito ``sub``) and its handle (``username``)."""

    account: str
    handle: str


class Page(msgspec.Struct, frozen=True):
    """Where a list goes on, and how many items at most (1 to 100)."""

    cursor: Annotated[str, msgspec.Meta(max_length=CURSOR_LENGTH_MAX)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT


def refused(field: str, problem: str) -> OnairError:
    """The error for one wrong field; ``problem`` is a sentence in English."""
    return OnairError("invalid_request", problem, field=field)


def body(request: Request, kind: type[T]) -> T:
    """The request's JSON body as ``kind``; an absent body counts as ``{}``.

    Raises
    ------
    OnairError
        ``too_large`` beyond 64 KiB, ``invalid_request`` for what is not JSON or has a wrong or missing field.
    """
    try:
        raw = request.raw_body or b"{}"
    except (binascii.Error, ValueError):
        raise OnairError("invalid_request", "The body is not valid Base64.") from None
    if len(raw) > BODY_BYTES_MAX:
        raise OnairError("too_large", details={"bytes_max": BODY_BYTES_MAX})
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise _named(error) from None
    except (ValueError, RecursionError):
        raise OnairError("invalid_request", "The body is not JSON.") from None


def query(request: Request, kind: type[T]) -> T:
    """The query string as ``kind``; numbers are read from their text, of a repeated parameter the last counts."""
    given = dict(request.query_params or {})
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _named(error) from None


def text(field: str, value: str, *, minimum: int, maximum: int) -> str:
    """``value`` in NFC without outer white space: ``minimum`` to ``maximum`` code points, no control characters."""
    composed = unicodedata.normalize("NFC", value).strip()
    if not minimum <= len(composed) <= maximum:
        raise OnairError(
            "invalid_request",
            f"`{field}` takes {minimum} to {maximum} characters.",
            field=field,
            details={"minimum": minimum, "maximum": maximum},
        )
    # Cc: line feeds, terminal codes; Cs: halves of a surrogate pair, which UTF-8 cannot carry. Cf stays: emoji need it.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in composed):
        raise refused(field, f"`{field}` may not hold control characters.")
    return composed


def idempotency_key(request: Request) -> str | None:
    """The header ``Idempotency-Key``, or None; 1 to 128 printable ASCII characters."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX or not all(" " < character <= "~" for character in key):
        raise refused("Idempotency-Key", "`Idempotency-Key` takes 1 to 128 printable ASCII characters.")
    return str(key)


def fingerprint(content: msgspec.Struct) -> str:
    """The same text for the same content, for ever: tells a resent request from another one under the same key."""
    return ids.derived(msgspec.json.encode(content, order="deterministic").decode())


def identity(request: Request) -> Identity:
    """Who asks on a protected route, from the claims that the gateway verified."""
    authorizer: dict[str, Any] = request.context.get("authorizer") or {}
    claims: dict[str, Any] = authorizer.get("claims") or {}
    account, handle = claims.get("sub"), claims.get("username")
    if not account or not handle:
        raise OnairError("unauthenticated")
    return Identity(str(account), str(handle))


def bearer(request: Request) -> str | None:
    """The token of ``Authorization: Bearer …``; None without the header, ``unauthenticated`` for another scheme."""
    header: str | None = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise OnairError("unauthenticated")
    return token.strip()


def optional_identity(request: Request) -> Identity | None:
    """Who asks on an open route: None without a token; a token that is there must be good."""
    token = bearer(request)
    if token is None:
        return None
    from functions import security

    return security.verified(token)


def cursor(value: str | None, parts: int | None = None) -> list[str]:
    """The parts that `make_cursor` put in, none of them empty (``parts`` says how many); an empty list for None."""
    if value is None:
        return []
    try:
        padded = value.encode("ascii") + b"=" * (-len(value) % 4)
        raw = binascii.a2b_base64(padded.translate(_URL_SAFE), strict_mode=True)
        found = msgspec.json.decode(raw, type=list[str])
    except (ValueError, binascii.Error):
        found = []
    if not found or not all(found) or (parts is not None and len(found) != parts):
        raise refused("cursor", "This cursor is not one of ours. Start the list from the beginning.")
    return found


def make_cursor(*parts: str) -> str:
    """Opaque text that names a place in a list. Its parts grant nothing: the partition always comes from the route."""
    encoded = binascii.b2a_base64(msgspec.json.encode(parts), newline=False)
    return encoded.translate(_URL_UNSAFE).rstrip(b"=").decode()


_URL_UNSAFE = bytes.maketrans(b"+/", b"-_")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _named(error: msgspec.ValidationError) -> OnairError:
    match = _PLACE.match(str(error))
    problem, path = (match["problem"], match["path"]) if match else (str(error), None)
    field = (path or "$").removeprefix("$").removeprefix(".")
    missing = _MISSING.search(problem)
    if missing:
        field = f"{field}.{missing['field']}".removeprefix(".")
    if not field:
        return OnairError(
            "invalid_request", f"The request has the wrong shape: {problem}.", details={"problem": problem}
        )
    return OnairError("invalid_request", f"`{field}`: {problem}.", field=field, details={"problem": problem})
