"""Not a question: a local stack for the questions, either one that runs or one of its own on free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_S = 120


def free_base_port() -> int:
    """A port whose next five are free as well."""
    for base in range(18000, 30000, 20):
        if all(_is_free(base + offset) for offset in range(6)):
            return base
    raise RuntimeError("no free ports between 18000 and 30000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def local_stack(origin: str | None = None) -> Iterator[str]:
    """The origin of a usable stack; one that is started here is ended here."""
    if origin:
        yield origin.rstrip("/")
        return
    port = free_base_port()
    log = ROOT / ".cache" / "bench-stack.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.run"],
            cwd=ROOT,
            env={**os.environ, "ONAIR_PORT": str(port)},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            usable(f"http://127.0.0.1:{port}/_local/health", process, log, START_S)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(15)


def usable(url: str, process: subprocess.Popen[bytes], log: Path, within_s: float) -> None:
    """Until the address answers 200; raises with the log's end when the process ends or time runs out."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the local stack did not start:\n{log.read_text()[-3000:]}")
