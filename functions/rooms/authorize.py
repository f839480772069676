"""Lambda authorizer of `$connect`: a valid ticket opens the socket, and its claims ride on every later message.

No database is read here; the ticket's nonce is used up by `join`.
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from functions import observe, tokens
from functions.errors import OnairError
from functions.rooms.messages import Role


class Ticket(Struct, frozen=True):
    """A ticket's claims, as far as a room needs them."""

    sub: str
    stream: str
    host: str
    role: Role
    jti: str
    handle: str = ""
    name: str = ""
    badges: tuple[str, ...] = ()
    market: str = ""
    age: int = 0
    created: int = 0


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Allow with the ticket's claims as context; anything else is 401 before a socket opens."""
    given: dict[str, str] = event.get("queryStringParameters") or {}
    try:
        ticket = msgspec.convert(tokens.read_ticket(given.get("ticket", "")), Ticket)
    except (OnairError, msgspec.ValidationError) as error:
        observe.logger.info("ticket refused", extra={"why": str(error)})
        # The service answers 401 to exactly this text, and 500 to any other.
        raise Exception("Unauthorized") from None  # noqa: TRY002
    return {
        "principalId": ticket.sub,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}],
        },
        "context": {
            "account": ticket.sub,
            "stream": ticket.stream,
            "host": ticket.host,
            "role": ticket.role,
            "nonce": ticket.jti,
            "handle": ticket.handle,
            "name": ticket.name,
            "badges": ",".join(ticket.badges),
            "market": ticket.market,
            "age": str(ticket.age),
            "created": str(ticket.created),
        },
    }
