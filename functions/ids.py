"""Identifiers: opaque text, sortable by time where order matters, derived where a retry must find its first answer."""

from __future__ import annotations

import base64
import hashlib
import secrets

from functions import clock


def new() -> str:
    """A ULID of now: 26 characters, sorts by time (https://github.com/ulid/spec)."""
    # Imported with the first id: python-ulid reads package metadata as it is imported, a tenth of what boto3 costs, and
    # many cold starts never make an id.
    from ulid import ULID

    return str(ULID.from_timestamp(clock.now_ms() / 1000)).lower()


def derived(*parts: str) -> str:
    """The same 26 characters for the same parts, for ever: how an ``Idempotency-Key`` finds its first answer."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:26]


def nonce() -> str:
    """128 random bits, URL-safe."""
    return secrets.token_urlsafe(16)
