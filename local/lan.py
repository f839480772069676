"""``LAN=1``: HTTPS on the home network with a certificate of our own, so that a real phone can go live.

Browsers give camera and microphone to secure origins only. A certificate authority made on this machine (kept in
``.cache/lan``, its key readable by its owner alone) signs a certificate for this machine's address; the phone has to
trust the authority once. Anybody who holds that key could pose as any site to that phone: remove the trust when you
are done.
"""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.addresses import Addresses
from local.template import CACHE

FOLDER: Final = CACHE / "lan"
AUTHORITY_DAYS: Final = 365
# iOS refuses certificates that are valid for more than 825 days.
LEAF_DAYS: Final = 90


@dataclass(frozen=True)
class Network:
    """This machine on its home network."""

    host: str
    tls: ssl.SSLContext

    def show(self, addresses: Addresses) -> None:
        """Print the address and its QR code."""
        print(f"  On the phone:  {addresses.web_url}   (trust {addresses.web_url}/ca.pem once; README tells how)\n")
        segno.make(addresses.web_url, micro=False).terminal(compact=True)
        print(flush=True)


def prepare(host: str | None = None) -> Network:
    """The address on the home network and a TLS context for it; makes authority and certificate where they lack."""
    host = host or home_address()
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority_key, authority = _authority()
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=LEAF_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    chain, key_file = FOLDER / "leaf.pem", FOLDER / "leaf.key"
    chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    _write_key(key_file, key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key_file)
    return Network(host, tls)


def authority_file() -> Path:
    """The authority's certificate, which the phone has to trust."""
    return FOLDER / "ca.pem"


def home_address() -> str:
    """The address that this machine uses towards its network; nothing is sent. Raises ``OSError`` without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): routed like any other, and nobody is there
        return str(probe.getsockname()[0])


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    certificate_file, key_file = authority_file(), FOLDER / "ca.key"
    now = datetime.datetime.now(datetime.UTC)
    if certificate_file.is_file() and key_file.is_file():
        kept = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if isinstance(key, ec.EllipticCurvePrivateKey) and kept.not_valid_after_utc > now:
            return key, kept
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Onair on {socket.gethostname()}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(key_file, key)
    return key, certificate


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
