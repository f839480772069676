"""The HTTP side of every fake provider: one thread on loopback, and the errors that providers have, on request."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What may go wrong with a request: a status that is answered, an answer that is no JSON, none at all (silent), or none
# although all was done (lost).
Fault = int | str


class ProviderServer:
    """Answers over HTTP by `answer`; each of ``faults`` happens to one request first."""

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the block ends; `url` is its address meanwhile."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                fake.asked.append((self.command, self.path))
                fault = fake.faults.popleft() if fake.faults else None
                if fault == "silent":
                    # A provider that takes the request and never answers: the connection ends without a word.
                    self.close_connection = True
                    return
                if fault == "malformed":
                    self._send(200, b"<html>maintenance", "text/html")
                    return
                if isinstance(fault, int):
                    self._send(fault, json.dumps({"error": {"code": fault, "message": "fault"}}).encode())
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                lost = fault == "lost"
                is_json = "json" in headers.get("content-type", "")
                status, content = fake.answer(
                    self.command, self.path, headers, json.loads(raw) if raw and is_json else raw.decode()
                )
                if lost:
                    # The provider did what was asked, and its answer never arrives.
                    self.close_connection = True
                    return
                self._send(status, b"" if content is None else json.dumps(content).encode())

            def _send(self, status: int, content: bytes, kind: str = "application/json") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _serve

            def log_message(self, format: str, *arguments: Any) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)
