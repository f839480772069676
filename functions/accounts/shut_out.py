"""Who is suspended or banned from Onair acts at no door: the one guard, in front of every protected route.

A sign-out everywhere ends refresh tokens, but an access token lives until it expires, and whoever is suspended may sign
in again to read why. Each changing route is closed to them unless it is listed here (docs/decisions/0130).
"""

from __future__ import annotations

from typing import Final

from chalice.app import Request

from functions import parse, security
from functions.accounts import table
from functions.errors import OnairError

BANNED: Final = "This account is banned."
# What still works: reading; what protects oneself, takes something back, or is one's right in one's own data. Routes of
# going live are their own guard: they answer with every requirement, standing among them.
OPEN: Final = frozenset(
    {
        "DELETE /accounts/{handle}/block",
        "DELETE /accounts/{handle}/follow",
        "DELETE /accounts/{handle}/follower",
        "DELETE /me",
        "DELETE /me/avatar",
        "DELETE /me/devices/{device_id}",
        "DELETE /me/follow-requests/{handle}",
        "DELETE /me/moderators/{handle}",
        "DELETE /sessions",
        "DELETE /streams/{stream_id}",
        "DELETE /streams/{stream_id}/reminder",
        "PATCH /me",
        "POST /accounts/{handle}/report",
        "POST /me/contact/verify",
        "POST /me/standing/appeals",
        "POST /me/totp",
        "POST /me/totp/confirm",
        "POST /me/totp/disable",
        "POST /streams",
        "POST /streams/{stream_id}/end",
        "POST /streams/{stream_id}/report",
        "POST /streams/{stream_id}/start",
        "PUT /accounts/{handle}/block",
        "PUT /me/contact",
        "PUT /me/devices/{device_id}",
        "PUT /me/notifications",
        "PUT /me/notifications/preferences",
        "PUT /me/password",
        "PUT /wallet/limit",
    }
)


def is_closed(route: str) -> bool:
    """Whether a protected route (``PUT /accounts/{handle}/follow``) is closed to who is shut out."""
    return not route.startswith("GET ") and route not in OPEN


def guard(route: str, request: Request) -> None:
    """Refuse whoever is shut out of Onair on a route that changes something (one read; none for what is `OPEN`).

    Raises
    ------
    OnairError
        ``suspended`` or ``banned``; ``unauthenticated`` where the account is gone.
    """
    if not is_closed(route):
        return
    if "/operator/" in route and not security.is_operator(request):
        # The route says that this is not theirs.
        return
    account = table.read_profile(parse.identity(request).account)
    if account is None:
        raise OnairError("unauthenticated")
    if account.standing == "banned":
        raise OnairError("banned", BANNED)
    if account.standing == "suspended":
        raise OnairError("suspended")
