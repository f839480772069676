"""AWS clients: one botocore session a container, one client a service, every call counted by `observe`.

botocore rather than boto3: nothing here needs boto3's resources, and its import is part of every cold start.
"""

from __future__ import annotations

import threading
from typing import Any

import botocore.session
from botocore.config import Config

from functions import observe

_lock = threading.Lock()
_session: Any = None
_clients: dict[str, Any] = {}

# Short timeouts and few retries: a route has seconds, and every write is safe to repeat from outside.
CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})


def client(service: str) -> Any:
    """The container's client of one service, made on first use."""
    global _session
    with _lock:
        if service not in _clients:
            if _session is None:
                _session = botocore.session.Session()
                observe.watch(_session)
            _clients[service] = _session.create_client(service, config=CONFIG)
        return _clients[service]


def forget_clients() -> None:
    """Drop session and clients (local stack and tests, when endpoints or credentials change)."""
    global _session
    with _lock:
        _clients.clear()
        _session = None
