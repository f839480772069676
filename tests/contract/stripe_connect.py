"""A fake Stripe Connect: Express accounts, onboarding links, and transfers by idempotency key.

https://docs.stripe.com/api/idempotent_requests: the first answer under a key is kept, a refusal by the execution too;
the same key with other parameters is an error.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import stripe

from tests.contract.provider_server import ProviderServer

WEBHOOK_SECRET = "whsec_payouts"
COUNTRIES = {"US", "DE", "JP"}


class StripeConnect(ProviderServer):
    """One platform in test mode; ``balance`` is what it can pay (cents)."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: dict[str, dict[str, Any]] = {}
        self.transfers: list[dict[str, Any]] = []
        self.balance = 1_000_000
        self._keys: dict[str, tuple[str, int, Any]] = {}

    def secret(self, **changes: Any) -> dict[str, Any]:
        """What an operator would put into Secrets Manager."""
        keys = {"secret_key": "sk_test_connect", "webhook_secret": WEBHOOK_SECRET}
        return {**keys, "api_url": self.url, **changes}

    def onboard(self, account: str) -> None:
        """The payee gives everything."""
        self.accounts[account].update(
            payouts_enabled=True, capabilities={"transfers": "active"}, requirements={"currently_due": []}
        )

    def reject(self, account: str) -> None:
        """The platform or Stripe rejects the payee."""
        self.accounts[account].update(payouts_enabled=False, capabilities={"transfers": "inactive"})

    def forget_keys(self) -> None:
        """As a day later."""
        self._keys.clear()

    def event(self, kind: str, content: dict[str, Any], livemode: bool = False) -> bytes:
        """An event's body."""
        event = {"id": "evt_1", "object": "event", "type": kind, "created": int(time.time()), "livemode": livemode}
        return json.dumps({**event, "data": {"object": content}}).encode()

    def signature(self, body: bytes, secret: str = WEBHOOK_SECRET) -> str:
        """The header that signs a body."""
        make: Any = stripe.WebhookSignature.generate_signature_header
        return str(make(body.decode(), secret, int(time.time())))

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        assert headers["authorization"] == "Bearer sk_test_connect"
        place = urlsplit(path)
        given = dict(parse_qsl(body)) if isinstance(body, str) else {}
        if method == "POST":
            key = headers.get("idempotency-key", "")
            if key in self._keys:
                before, status, content = self._keys[key]
                if before != f"{path} {body}":
                    return 400, _error("idempotency_error", "idempotency_error")
                return status, content
            status, content = self._create(place.path, given)
            if key:
                self._keys[key] = (f"{path} {body}", status, content)
            return status, content
        if place.path == "/v1/transfers":
            group = parse_qs(place.query)["transfer_group"][0]
            found = [each for each in self.transfers if each["transfer_group"] == group]
            return 200, {"object": "list", "data": found, "has_more": False, "url": "/v1/transfers"}
        account = self.accounts.get(place.path.removeprefix("/v1/accounts/"))
        return (200, account) if account else (404, _error("invalid_request_error", "resource_missing"))

    def _create(self, path: str, given: dict[str, str]) -> tuple[int, Any]:
        if path == "/v1/accounts":
            return self._open(given)
        if path == "/v1/account_links":
            url = f"https://connect.example/{given['account']}"
            return 200, {"object": "account_link", "url": url, "created": 1, "expires_at": 2}
        assert path == "/v1/transfers", path
        return self._transfer(given)

    def _open(self, given: dict[str, str]) -> tuple[int, Any]:
        if given["country"] not in COUNTRIES:
            return 400, _error("invalid_request_error", "country_unsupported")
        assert given["capabilities[transfers][requested]"].lower() == "true"
        account = {
            "id": f"acct_{len(self.accounts) + 1}",
            "object": "account",
            "payouts_enabled": False,
            "capabilities": {"transfers": "inactive"},
            "requirements": {"currently_due": ["individual.first_name", "external_account"]},
        }
        self.accounts[account["id"]] = account
        return 200, account

    def _transfer(self, given: dict[str, str]) -> tuple[int, Any]:
        destination = self.accounts.get(given["destination"])
        if destination is None:
            return 400, _error("invalid_request_error", "resource_missing")
        if destination["capabilities"]["transfers"] != "active":
            return 400, _error("invalid_request_error", "insufficient_capabilities_for_transfer")
        amount = int(given["amount"])
        if amount > self.balance:
            return 400, _error("invalid_request_error", "balance_insufficient")
        self.balance -= amount
        made = {
            "id": f"tr_{len(self.transfers) + 1}",
            "object": "transfer",
            "amount": amount,
            "amount_reversed": 0,
            "currency": given["currency"],
            "destination": given["destination"],
            "transfer_group": given["transfer_group"],
            "metadata": {"payout": given["metadata[payout]"], "account": given["metadata[account]"]},
        }
        self.transfers.append(made)
        return 200, made


def _error(kind: str, code: str) -> dict[str, Any]:
    return {"error": {"type": kind, "code": code, "message": f"{code} (fake)"}}
