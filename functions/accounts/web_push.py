"""Web Push: a message encrypted for one browser (RFC 8291) and signed for its push service (RFC 8292), sent by HTTP.

``cryptography`` and PyJWT do what is cryptography. The kept libraries for this (pywebpush, http-ece) come without
wheels, which the bundle needs, and bring an HTTP client of their own (docs/decisions/0126).
"""

from __future__ import annotations

import base64
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from functions import clock, settings, tokens
from functions.accounts.devices import Device

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

# RFC 8291 §4: a push service need not take more than 4096 bytes of body.
TEXT_BYTES_MAX: Final = 3_000
RECORD_BYTES: Final = 4_096
# RFC 8292 §2: at most 24 hours.
SIGNED_S: Final = 12 * 3600
# A notice of a broadcast is of no use later.
KEPT_S: Final = 3600
TIMEOUT_S: Final = 5.0
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Answer = Literal["sent", "gone", "later", "refused"]


def public_key() -> str:
    """The key that browsers subscribe with: base64url of an uncompressed point."""
    return _text(_point(_vapid_key()))


def _vapid_key() -> EllipticCurvePrivateKey:
    """Made of the deployment's secret, always the same: 64 random letters and digits are 380 bits."""
    from cryptography.hazmat.primitives.asymmetric import ec

    wide = int.from_bytes(
        _derived(tokens.secret(settings.required("PUSH_SECRET_ARN")).encode(), b"", b"onair vapid key", 48)
    )
    return ec.derive_private_key(wide % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def encrypted(text: bytes, device: Device, salt: bytes, own: EllipticCurvePrivateKey) -> bytes:
    """The body of a message (RFC 8188 ``aes128gcm`` with the keys of RFC 8291 §3.4), one record.

    Raises
    ------
    ValueError
        ``text`` is longer than `TEXT_BYTES_MAX`, or the device's key is no point of the curve.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(text) > TEXT_BYTES_MAX:
        raise ValueError(f"a push takes {TEXT_BYTES_MAX} bytes")
    theirs_raw, ours_raw = _bytes(device.p256dh), _point(own)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs_raw)
    shared = own.exchange(ec.ECDH(), theirs)
    material = _derived(shared, _bytes(device.auth), b"WebPush: info\0" + theirs_raw + ours_raw, 32)
    key = _derived(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(material, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD_BYTES.to_bytes(4) + bytes([len(ours_raw)]) + ours_raw
    # Two ends the last record (RFC 8188 §2).
    return header + AESGCM(key).encrypt(nonce, text + b"\2", None)


def is_point(text: str) -> bool:
    """Whether this is a public key of the curve."""
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _bytes(text))
    except ValueError:
        return False
    return True


def send(device: Device, text: bytes) -> Answer:
    """Send one message; what the push service said of it."""
    import urllib3
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        body = encrypted(text, device, os.urandom(16), ec.generate_private_key(ec.SECP256R1()))
    except ValueError:
        # A key that no browser made.
        return "gone"
    headers = {
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(KEPT_S),
        "Urgency": "normal",
        "Authorization": authorization(device.endpoint),
    }
    try:
        answer = _pool().request(
            "POST", device.endpoint, body=body, headers=headers, redirect=False, retries=False, timeout=TIMEOUT_S
        )
    except urllib3.exceptions.HTTPError:
        return "later"
    if answer.status in (404, 410):
        return "gone"
    if answer.status == 429 or answer.status >= 500:
        return "later"
    return "sent" if 200 <= answer.status < 300 else "refused"


def authorization(endpoint: str) -> str:
    """Who sends, for one push service (RFC 8292 §3)."""
    import jwt

    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": clock.now_ms() // 1000 + SIGNED_S,
        "sub": settings.required("WEB_URL"),
    }
    token = jwt.encode(claims, _vapid_key(), "ES256")
    return f"vapid t={token}, k={public_key()}"


@lru_cache(maxsize=1)
def _pool() -> Any:
    import urllib3

    return urllib3.PoolManager(maxsize=20)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _point(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
