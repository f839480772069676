"""A fake App Store: its own chain of certificates, signed transactions and notifications, and the consumption API."""

from __future__ import annotations

import base64
import datetime
import time
import uuid
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.contract.provider_server import ProviderServer

# Apple marks the certificates that may sign for the App Store by these extensions.
LEAF_MARK = x509.ObjectIdentifier("1.2.840.113635.100.6.11.1")
INTERMEDIATE_MARK = x509.ObjectIdentifier("1.2.840.113635.100.6.2.1")
BUNDLE = "com.example.onair"
APP = 4711


class Chain:
    """Root, intermediate and leaf, as Apple's."""

    def __init__(self, marked: bool = True) -> None:
        root_key, middle_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root = _certificate("Root", root_key, "Root", root_key, True, None)
        middle = _certificate("Middle", middle_key, "Root", root_key, True, INTERMEDIATE_MARK)
        leaf = _certificate("Leaf", self.key, "Middle", middle_key, False, LEAF_MARK if marked else None)
        self.certificates = [base64.b64encode(_der(each)).decode() for each in (leaf, middle, root)]

    @property
    def root(self) -> str:
        return self.certificates[-1]

    def sign(self, content: dict[str, Any]) -> str:
        """A JWS with the chain in its header."""
        return jwt.encode(content, self.key, "ES256", headers={"x5c": self.certificates})


class AppStore(ProviderServer):
    """One app in one environment; ``consumption`` holds what it was told, ``known`` its transactions by id, signed."""

    def __init__(self, environment: str = "Sandbox") -> None:
        super().__init__()
        self.chain = Chain()
        self.environment = environment
        self.consumption: dict[str, Any] = {}
        self.known: dict[str, str] = {}
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.api_key = ec.generate_private_key(ec.SECP256R1()).private_bytes(*pem).decode()

    def secret(self, **changes: Any) -> dict[str, Any]:
        """What an operator would put into Secrets Manager."""
        return {
            "bundle_id": BUNDLE,
            "environment": self.environment,
            "app_apple_id": APP,
            "root_certificates": [self.chain.root],
            "online_checks": False,
            "issuer_id": "issuer",
            "key_id": "key",
            "private_key": self.api_key,
            "consumption_consent": True,
            "api_url": self.url,
            **changes,
        }

    def transaction(self, account: str, pack: str = "coins_70", number: str = "1000", **changes: Any) -> str:
        """A signed transaction; ``changes`` replace fields, None removes one."""
        content = {
            "transactionId": number,
            "originalTransactionId": number,
            "bundleId": BUNDLE,
            "productId": pack,
            "type": "Consumable",
            "quantity": 1,
            "appAccountToken": account,
            "environment": self.environment,
            "inAppOwnershipType": "PURCHASED",
            "signedDate": int(time.time() * 1000),
            "purchaseDate": int(time.time() * 1000),
            **changes,
        }
        return self.chain.sign({name: value for name, value in content.items() if value is not None})

    def notification(self, kind: str, transaction: str | None, at: int | None = None, **changes: Any) -> str:
        """A signed notification of version 2."""
        data = {"bundleId": BUNDLE, "appAppleId": APP, "environment": self.environment, **changes}
        if transaction is not None:
            data["signedTransactionInfo"] = transaction
        signed_at = int(time.time() * 1000) if at is None else at
        content = {"notificationType": kind, "notificationUUID": str(uuid.uuid4()), "version": "2.0", "data": data}
        return self.chain.sign({**content, "signedDate": signed_at})

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        assert headers["authorization"].startswith("Bearer ")
        if method == "GET":
            signed = self.known.get(path.removeprefix("/inApps/v1/transactions/"))
            if signed is None:
                return 404, {"errorCode": 4040010, "errorMessage": "Transaction id not found."}
            return 200, {"signedTransactionInfo": signed}
        assert method == "PUT"
        self.consumption[path.rpartition("/")[2]] = body
        return 202, None


def _certificate(
    name: str, key: Any, issuer: str, issuer_key: Any, authority: bool, mark: x509.ObjectIdentifier | None
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(issuer_identifier, critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
            critical=True,
        )
    )
    if mark is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(mark, b"\x05\x00"), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
