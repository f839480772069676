"""What the relay refuses, as one exception and the JSON body that every client of Onair already reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

# The relay's share of the protocol's table of codes (functions/errors.py holds all of it; media/ stands alone).
CODES: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "rate_limited": 429,
    "unavailable": 503,
}


class RelayError(Exception):
    """A refusal that a client is told about.

    Parameters
    ----------
    code : str
        A key of `CODES`.
    message : str
        One sentence for a person: what is wrong and what to do.
    status : int | None
        An HTTP status that a standard asks for where it differs from the table's (RFC 9725: 406, 412, 415, 422, 428).
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        self.code = code
        self.status = CODES[code] if status is None else status
        self.message = message
        super().__init__(f"{code}: {message}")

    def body(self) -> bytes:
        """The JSON body ``{"error": {"code", "message"}}``."""
        return msgspec.json.encode({"error": {"code": self.code, "message": self.message}})
