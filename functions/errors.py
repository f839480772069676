"""The one table of error codes: code → HTTP status → sentence for the person. Nothing else invents a code.

The sentence tells what to do next. Translations live in ``messages/{language}.json`` beside this file; English
is the table itself, so a code without a translation still says something useful.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CODES: Final[Mapping[str, tuple[int, str]]] = {
    "invalid_request": (400, "Something in this request is not right. Correct it and send it again."),
    "unauthenticated": (401, "Sign in to do this."),
    "forbidden": (403, "You do not have the right to do this."),
    "not_eligible": (403, "Your account does not meet every requirement yet. See what is missing."),
    "suspended": (403, "This account is suspended for now. Its record tells until when, and how to appeal."),
    "banned": (403, "You are banned here."),
    "blocked": (403, "This is not available to you."),
    "age_restricted": (403, "This is for older viewers than your account's birth date shows."),
    "not_found": (404, "This does not exist, or is gone."),
    "conflict": (409, "This cannot be done as things stand now. Reload and look again."),
    "not_live": (409, "The broadcast is not live."),
    "already_live": (409, "You are live already. End that broadcast first, or take it over."),
    "insufficient_coins": (409, "You do not have enough coins. Get more, then send again."),
    "insufficient_diamonds": (409, "You do not have enough diamonds for this payout."),
    "limit_reached": (409, "This is beyond the spending limit for today. It starts anew at midnight UTC."),
    "purchase_refused": (422, "This purchase could not be confirmed, so no coins were added. Contact support with it."),
    "id_reused": (409, "This id was used before for something else. Use a new id."),
    "too_large": (413, "This is too large. Send less at once."),
    "rate_limited": (429, "Too fast. Wait a moment, then try again."),
    "slow_mode": (429, "Slow mode is on. Wait before the next comment."),
    "muted": (403, "You are muted in this room."),
    "followers_only": (403, "Only followers can comment here. Follow the host to join in."),
    "filtered": (422, "This text is not allowed in this room. Change it and send again."),
    "unavailable": (503, "Something on our side did not answer. Try again in a moment."),
}


class OnairError(Exception):
    """A refusal that a person is told about.

    Parameters
    ----------
    code : str
        A key of `CODES`; anything else is a programming error and raises ``KeyError``.
    message : str | None
        Replaces the table's sentence where a better one is known (English; ``details`` has the parameters).
    field : str | None
        The request field that is wrong; lands in ``details.field``.
    details : Any
        JSON-ready parameters of the refusal (for ``not_eligible``: the requirements).
    retry_after_ms : int | None
        When trying again makes sense (``rate_limited``, ``slow_mode``).
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        field: str | None = None,
        details: Any = None,
        retry_after_ms: int | None = None,
    ) -> None:
        self.code = code
        self.status, table_message = CODES[code]
        self.custom_message = message
        self.message = message or table_message
        self.retry_after_ms = retry_after_ms
        self.details: Any = details
        if field is not None:
            self.details = {**(details or {}), "field": field}
        super().__init__(f"{code}: {self.message}")
