"""The page's sources served as they are, with one empty page: for tests of single modules without the whole stack."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.relay.stack import ROOT


@contextmanager
def sources_served() -> Iterator[str]:
    """The origin of `web/`; its empty page is `/stage`."""
    handler = functools.partial(_Quiet, directory=str(ROOT / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


class _Quiet(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        # A page of the server's own, since Chromium lets no page of unknown origin ask loopback.
        if self.path != "/stage":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><body>")

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
