"""A push service over HTTP on this machine, and a browser behind it that decrypts what it gets with a library of its
own (http-ece), not with the code under test."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def text(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(encoded: str) -> bytes:
    """Of base64url without padding."""
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


@dataclass
class PushService:
    """What was posted, and how the next posts are answered (201 when nothing is said)."""

    origin: str
    answers: list[int] = field(default_factory=list)
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


class Browser:
    """One subscription, and its private key."""

    def __init__(self, service: PushService, name: str = "b") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        self.endpoint = f"{service.origin}/{name}"

    @property
    def subscription(self) -> dict[str, str]:
        """As the page sends it."""
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"kind": "web", "endpoint": self.endpoint, "p256dh": text(point), "auth": text(self.auth)}

    def opened(self, body: bytes) -> dict[str, Any]:
        """What a message says."""
        plain = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        return json.loads(plain)


def signer(headers: dict[str, str], public_key: str) -> dict[str, Any]:
    """The claims of a post's VAPID token; raises when another key than ``public_key`` signed it."""
    scheme, _, fields = headers["authorization"].partition(" ")
    values = dict(part.strip().split("=", 1) for part in fields.split(","))
    assert (scheme, values["k"]) == ("vapid", public_key)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw(public_key))
    return jwt.decode(values["t"], key, ["ES256"], options={"verify_aud": False, "verify_exp": False})


@contextmanager
def running() -> Iterator[PushService]:
    """A push service that listens."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                service.posts.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status = service.answers.pop(0) if service.answers else 201
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing: tests read what was posted."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = PushService(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
