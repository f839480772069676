"""Which port is for what: one base port (`ONAIR_PORT`) moves all of them, so that two stacks can run side by side."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Final

DEFAULT_BASE: Final = 8080
LOOPBACK: Final = "127.0.0.1"


class BusyPortError(RuntimeError):
    """A port of the stack is taken; the message names it, its use and the fix."""


@dataclass(frozen=True)
class Ports:
    """The ports of one stack, counted from ``base``."""

    base: int

    @property
    def edge(self) -> int:
        """Page, HTTPS API, socket, ``/config.json`` and ``/_local/``."""
        return self.base

    @property
    def relay(self) -> int:
        """WHIP, WHEP and LL-HLS of the relay."""
        return self.base + 1

    @property
    def aws(self) -> int:
        """The moto server: what a client takes as ``AWS_ENDPOINT_URL``."""
        return self.base + 2

    @property
    def rtmp(self) -> int:
        """RTMP of the relay."""
        return self.base + 3

    @property
    def dynamodb(self) -> int:
        """DynamoDB Local, where ``ONAIR_DYNAMODB=local`` asks for it."""
        return self.base + 4

    def named(self) -> list[tuple[int, str]]:
        """Every port with its use, for the doctor and for the sentence about a busy one."""
        return [
            (self.edge, "page and API"),
            (self.relay, "relay"),
            (self.aws, "AWS endpoint (moto)"),
            (self.rtmp, "RTMP"),
            (self.dynamodb, "DynamoDB Local"),
        ]


def from_environment() -> Ports:
    """The ports that ``ONAIR_PORT`` asks for; raises ``ValueError`` with a sentence when it is not a usable port."""
    text = os.environ.get("ONAIR_PORT", str(DEFAULT_BASE))
    if not text.isdigit() or not 1024 <= int(text) <= 65_000:
        raise ValueError(f"ONAIR_PORT={text} is not a port between 1024 and 65000. Try: ONAIR_PORT=8180 make run")
    return Ports(int(text))


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # What servers do too: a port whose last connections only wait out their time is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def check_free(ports: Ports) -> None:
    """Raise `BusyPortError` for the first port of the stack that something else holds."""
    for port, use in ports.named():
        if not is_free(port):
            other = suggestion(ports)
            raise BusyPortError(
                f"Port {port} ({use}) is taken by another program. Stop it (lsof -i :{port} names it), "
                f"or start on other ports: ONAIR_PORT={other} make run"
            )


def suggestion(ports: Ports) -> int:
    """A base port whose whole range is free."""
    for base in range(ports.base + 20, 65_000, 20):
        if all(is_free(port) for port, _ in Ports(base).named()):
            return base
    return ports.base


def free() -> Ports:
    """Ports that nothing holds now, for tests: another process may still take one before they are used."""
    for _ in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            base = int(probe.getsockname()[1])
        if base <= 65_000 and all(is_free(port) for port, _ in Ports(base).named()):
            return Ports(base)
    raise BusyPortError("No run of five free ports was found on this machine.")
