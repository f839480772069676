"""Asks the relay of this container whether it is well: exit code 0 for 200 from ``/healthz``, 1 for anything else.

Standard library only, so that the image needs no curl.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from http import HTTPStatus

TIMEOUT_S = 3


def is_well(port: int, timeout_s: float = TIMEOUT_S) -> bool:
    """True when the relay on ``port`` of this machine answers 200 within ``timeout_s`` seconds."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=timeout_s) as answer:
            return answer.status == HTTPStatus.OK
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_well(int(os.environ.get("RELAY_PORT", "8081"))) else 1)
