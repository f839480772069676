"""A client of the HTTPS API as any other program would be: JSON with an access token. For the seed and for tests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import urllib3

TIMEOUT_S: Final = 30.0
_pool: Final = urllib3.PoolManager(maxsize=16, retries=False, timeout=TIMEOUT_S)


class RefusedError(Exception):
    """The API refused; ``code`` and ``status`` are those of its answer."""

    def __init__(self, status: int, code: str, message: str, details: Any) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details


@dataclass(frozen=True)
class Answer:
    """One answer: status, headers in lower case, and the body as JSON (`None` when empty)."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error_code(self) -> str | None:
        """The stable code of a refusal; `None` for anything else."""
        error: Any = self.body.get("error") if isinstance(self.body, dict) else None
        return str(error["code"]) if isinstance(error, dict) and "code" in error else None


class Client:
    """Speaks to ``{api_url}``; signed in after `sign_in`."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url
        self.handle: str | None = None
        self.account_id: str | None = None
        self.access_token: str | None = None
        self.refresh_token: str | None = None

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send one request; ``raw`` is sent as it is where a test wants no JSON."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self.access_token is not None:
            sent.setdefault("Authorization", f"Bearer {self.access_token}")
        content = raw if raw is not None else None if body is None else msgspec.json.encode(body)
        answer = _pool.request(method, f"{self.api_url}{path}", body=content, headers=sent)
        try:
            parsed: Any = msgspec.json.decode(answer.data) if answer.data else None
        except msgspec.DecodeError:
            parsed = answer.data.decode(errors="replace")
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, parsed)

    def call(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Any:
        """The answer's body; raises `RefusedError` for any status from 400 on."""
        answer = self.request(method, path, body, headers=headers)
        if answer.status >= 400:
            error: Any = answer.body.get("error", {}) if isinstance(answer.body, dict) else {}
            message = str(error.get("message", answer.body))
            raise RefusedError(answer.status, str(error.get("code", "")), message, error.get("details"))
        return answer.body

    def sign_up(
        self, handle: str, password: str, *, name: str | None = None, birth_date: str = "1990-05-17", market: str = "US"
    ) -> None:
        """Create an account and sign in with it."""
        body = {
            "handle": handle,
            "password": password,
            "display_name": name or handle,
            "birth_date": birth_date,
            "market": market,
        }
        self.account_id = str(self.call("POST", "/accounts", body)["id"])
        self.sign_in(handle, password)

    def sign_in(self, handle: str, password: str) -> None:
        """Sign in; later requests carry the access token."""
        session = self.call("POST", "/sessions", {"handle": handle, "password": password})
        self.handle = handle
        self.access_token = str(session["access_token"])
        self.refresh_token = session.get("refresh_token")

    def buy(self, pack: str) -> Any:
        """Buy a coin pack in the sandbox; returns the wallet."""
        proof = secrets.token_hex(12)
        return self.call("POST", "/purchases", {"provider": "sandbox", "pack": pack, "proof": proof})
