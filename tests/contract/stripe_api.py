"""A fake Stripe: Checkout sessions by idempotency key, charges, and signed events."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qsl

import stripe

from tests.contract.provider_server import ProviderServer

WEBHOOK_SECRET = "whsec_contract"


class Stripe(ProviderServer):
    """One account in test mode."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, dict[str, Any]] = {}
        self.charges: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[str, str]] = {}

    def secret(self, **changes: Any) -> dict[str, Any]:
        """What an operator would put into Secrets Manager."""
        keys = {"secret_key": "sk_test_contract", "webhook_secret": WEBHOOK_SECRET}
        return {**keys, "api_url": self.url, **changes}

    def pay(self, session_id: str, intent: str = "pi_1", **changes: Any) -> dict[str, Any]:
        """The buyer pays a session; its charge is ``ch_`` and the rest of the intent's id."""
        session = self.sessions[session_id]
        session.update(payment_status="paid", payment_intent=intent, **changes)
        charge = f"ch_{intent.removeprefix('pi_')}"
        self.charges[charge] = {
            "id": charge,
            "object": "charge",
            "amount": session["amount_subtotal"],
            "amount_refunded": 0,
            "payment_intent": intent,
            "metadata": session["metadata"],
        }
        return session

    def session(self, account: str, pack: str, cents: int, number: str = "1", **changes: Any) -> dict[str, Any]:
        """A session as it stands after Checkout opened."""
        made = {
            "id": f"cs_test_{number}",
            "object": "checkout.session",
            "livemode": False,
            "mode": "payment",
            "payment_status": "unpaid",
            "amount_subtotal": cents,
            "currency": "usd",
            "payment_intent": None,
            "url": f"https://checkout.example/{number}",
            "metadata": {"account": account, "pack": pack},
            **changes,
        }
        self.sessions[made["id"]] = made
        return made

    def event(self, kind: str, content: dict[str, Any], created: int | None = None, livemode: bool = False) -> bytes:
        """An event's body."""
        at = int(time.time()) if created is None else created
        event = {"id": "evt_1", "object": "event", "type": kind, "created": at, "livemode": livemode}
        return json.dumps({**event, "data": {"object": content}}).encode()

    def signature(self, body: bytes, secret: str = WEBHOOK_SECRET, age_s: int = 0) -> str:
        """The header that signs a body."""
        make: Any = stripe.WebhookSignature.generate_signature_header
        return str(make(body.decode(), secret, int(time.time()) - age_s))

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        assert headers["authorization"] == "Bearer sk_test_contract"
        if (method, path) == ("POST", "/v1/checkout/sessions"):
            return self._create(headers["idempotency-key"], body)
        kind, _, name = path.removeprefix("/v1/").rpartition("/")
        found = (self.sessions if kind == "checkout/sessions" else self.charges).get(name)
        if found is None:
            return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such"}}
        return 200, found

    def _create(self, key: str, body: str) -> tuple[int, Any]:
        if key in self.keys and self.keys[key][0] != body:
            return 400, {"error": {"type": "idempotency_error", "message": "Keys can only be used with the same"}}
        if key not in self.keys:
            given = dict(parse_qsl(body))
            assert given["payment_intent_data[metadata][pack]"] == given["metadata[pack]"]
            account, pack = given["metadata[account]"], given["metadata[pack]"]
            cents = int(given["line_items[0][price_data][unit_amount]"])
            made = self.session(account, pack, cents, str(len(self.sessions) + 1))
            self.keys[key] = (body, made["id"])
        return 200, self.sessions[self.keys[key][1]]
