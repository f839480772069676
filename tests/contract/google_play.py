"""A fake Google: access tokens of a service account, purchases of the Play Developer API, signed Pub/Sub pushes."""

from __future__ import annotations

import base64
import datetime
import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.contract.provider_server import ProviderServer

PACKAGE = "com.example.onair"
AUDIENCE = "https://api.example/v1/webhooks/google"
EMAIL = "push@example.iam.gserviceaccount.com"


class GooglePlay(ProviderServer):
    """One app; ``purchases`` by (product, token), as the API tells them; ``voided`` ones and when."""

    def __init__(self) -> None:
        super().__init__()
        self.key = rsa.generate_private_key(65537, 2048)
        self.purchases: dict[tuple[str, str], dict[str, Any]] = {}
        self.voided: list[tuple[str, int]] = []
        self.page = 1000

    def secret(self, **changes: Any) -> dict[str, Any]:
        """What an operator would put into Secrets Manager."""
        return {
            "package_name": PACKAGE,
            "service_account": {
                "type": "service_account",
                "client_email": "play@example.iam.gserviceaccount.com",
                "private_key_id": "k1",
                "private_key": self._pem(),
                "token_uri": f"{self.url}/token",
            },
            "push_audience": AUDIENCE,
            "push_email": EMAIL,
            "api_url": self.url,
            "certificates_url": f"{self.url}/certs",
            **changes,
        }

    def sell(self, account: str, token: str, pack: str = "coins_70", **changes: Any) -> None:
        """Somebody bought a pack."""
        content = {"purchaseState": 0, "consumptionState": 0, "quantity": 1, "obfuscatedExternalAccountId": account}
        self.purchases[pack, token] = {**content, **changes}

    def push(self, content: dict[str, Any], at: int | None = None) -> bytes:
        """The body of a push with a developer notification."""
        told = {"version": "1.0", "packageName": PACKAGE, "eventTimeMillis": str(at or int(time.time() * 1000))}
        data = base64.b64encode(json.dumps({**told, **content}).encode()).decode()
        return json.dumps({"message": {"data": data, "messageId": "1"}, "subscription": "s"}).encode()

    def authorization(self, **changes: Any) -> str:
        """The header of a push; ``changes`` replace claims."""
        now = int(time.time())
        claims = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": EMAIL, "email_verified": True}
        content = {**claims, "iat": now, "exp": now + 600, **changes}
        return "Bearer " + jwt.encode(content, self.key, "RS256", headers={"kid": "k1"})

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/token":
            return 200, {"access_token": "access", "expires_in": 3600, "token_type": "Bearer"}
        if path == "/certs":
            return 200, {"k1": self._certificate()}
        assert headers["authorization"] == "Bearer access"
        if path.startswith(f"/androidpublisher/v3/applications/{PACKAGE}/purchases/voidedpurchases?"):
            return 200, self._voided(dict(parse_qsl(urlsplit(path).query)))
        place = path.removeprefix(f"/androidpublisher/v3/applications/{PACKAGE}/purchases/products/")
        product, _, token = place.partition("/tokens/")
        token, _, verb = token.partition(":")
        found = self.purchases.get((product, token))
        if found is None:
            return 404, {"error": {"code": 404, "message": "The purchase token was not found."}}
        if verb == "consume":
            assert method == "POST"
            if found["consumptionState"] == 1:
                return 400, {"error": {"code": 400, "message": "Already consumed."}}
            found["consumptionState"] = 1
            return 204, None
        return 200, found

    def _voided(self, asked: dict[str, str]) -> dict[str, Any]:
        since, first = int(asked["startTime"]), int(asked.get("token", "0"))
        assert since > (time.time() - 30 * 24 * 3600) * 1000, "the API refuses to look further back"
        found = [each for each in self.voided if each[1] >= since]
        shown = found[first : first + self.page]
        told = [{"purchaseToken": token, "voidedTimeMillis": str(at), "voidedReason": 1} for token, at in shown]
        more = first + self.page < len(found)
        return {
            "voidedPurchases": told,
            **({"tokenPagination": {"nextPageToken": str(first + self.page)}} if more else {}),
        }

    def _pem(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(encoding, form, serialization.NoEncryption()).decode()

    def _certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "google")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()
