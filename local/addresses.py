"""Where clients find everything, and the one table that turns AWS host names of the template into local addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local.ports import LOOPBACK, Ports

PROTOCOL: Final = 1
PASSWORD: Final = "Onair-demo-1"
DEMO_ACCOUNTS: Final[Mapping[str, str]] = {
    "demo_host": "may go live",
    "demo_viewer": "watches, with 10,500 coins",
    "demo_viewer2": "watches, with 10,500 coins",
    "demo_newcomer": "may not go live yet: too few followers, and too young; the page says so",
    "demo_studio": "hosts the demo broadcast",
    "demo_operator": "operates: strikes, appeals, live access, the audit trail",
}


@dataclass(frozen=True)
class Addresses:
    """The origins that clients use. ``public_host`` is given on a home network (LAN=1), where everything is HTTPS."""

    ports: Ports
    public_host: str | None = None

    @property
    def web_url(self) -> str:
        """The page, and the origin of ``/config.json``."""
        if self.public_host:
            return f"https://{self.public_host}:{self.ports.edge}"
        return f"http://{LOOPBACK}:{self.ports.edge}"

    @property
    def api_url(self) -> str:
        """The HTTPS API with its stage."""
        return f"{self.web_url}/v1"

    @property
    def own_api_url(self) -> str:
        """The HTTPS API for programs on this machine: by loopback, and so without TLS, on a home network too."""
        return f"http://{LOOPBACK}:{self.ports.edge}/v1"

    @property
    def socket_url(self) -> str:
        """The WebSocket API with its stage."""
        return f"{self.web_url.replace('http', 'ws', 1)}/live"

    @property
    def own_socket_url(self) -> str:
        """The WebSocket API for programs on this machine: by loopback, without TLS."""
        return f"ws://{LOOPBACK}:{self.ports.edge}/live"

    @property
    def callback_url(self) -> str:
        """Where functions post to connections; they run here, so always by loopback."""
        return f"http://{LOOPBACK}:{self.ports.edge}/live"

    @property
    def relay_url(self) -> str:
        """The relay; on a home network through the gateway, since a page over HTTPS may not load plain HTTP."""
        return f"{self.web_url}/relay" if self.public_host else f"http://{LOOPBACK}:{self.ports.relay}"

    @property
    def rtmp_url(self) -> str:
        """RTMP ingest; the application's name is ``live``."""
        return f"rtmp://{self.public_host or LOOPBACK}:{self.ports.rtmp}/live"

    @property
    def aws_url(self) -> str:
        """The moto server."""
        return f"http://{LOOPBACK}:{self.ports.aws}"

    def config(self) -> dict[str, Any]:
        """What ``GET /config.json`` answers."""
        accounts = [{"handle": handle, "password": PASSWORD, "note": note} for handle, note in DEMO_ACCOUNTS.items()]
        return {
            "api_url": self.api_url,
            "socket_url": self.socket_url,
            "relay_url": self.relay_url,
            "rtmp_url": self.rtmp_url,
            "web_url": self.web_url,
            "protocol": PROTOCOL,
            "min_client_protocol": PROTOCOL,
            "demo": {"accounts": accounts},
        }


def localize(name: str, value: str, addresses: Addresses) -> str:
    """A variable's text with AWS host names replaced; its ``name`` decides where one domain serves two things."""
    for pattern, replacement in _TABLE:
        value = pattern.sub(lambda found, to=replacement: to(addresses, name, found), value)
    return value


def _to_relay_or_page(addresses: Addresses, name: str, _: re.Match[str]) -> str:
    # One CloudFront domain carries the page and the relay; here these are two servers.
    if name.startswith("RTMP"):
        return addresses.rtmp_url
    return addresses.relay_url if name.startswith(("RELAY", "PLAYBACK")) else addresses.web_url


# Longest first: the callback and the socket share a host and differ in their scheme.
_TABLE: Final[list[tuple[re.Pattern[str], Callable[[Addresses, str, re.Match[str]], str]]]] = [
    (re.compile(r"wss://[a-z0-9]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com/live"), lambda to, _, __: to.socket_url),
    (re.compile(r"https://[a-z0-9]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com/live"), lambda to, _, __: to.callback_url),
    (re.compile(r"https://[a-z0-9]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com/v1"), lambda to, _, __: to.api_url),
    (
        re.compile(r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com/([\w-]+)/\.well-known"),
        lambda to, _, found: f"{to.aws_url}/{found[1]}/.well-known",
    ),
    (re.compile(r"https?://d[a-z0-9]+\.cloudfront\.net"), _to_relay_or_page),
    (
        re.compile(r"https://([\w.-]+?)\.s3\.[a-z0-9-]+\.amazonaws\.com"),
        lambda to, _, found: f"{to.aws_url}/{found[1]}",
    ),
    (re.compile(r"rtmps?://[\w.-]+(?::\d+)?/live"), lambda to, _, __: to.rtmp_url),
]
