"""`make run` as a process: up with its demo, a busy port told in one sentence, and nothing left behind when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import urllib3

from local import ports
from local.run import EXIT_BUSY_PORT, EXIT_USAGE
from local.template import ROOT
from local.testing import wait_until

HTTP = urllib3.PoolManager(retries=False, timeout=5.0)
START_S = 90
STOP_S = 5


@contextmanager
def _running(base: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.run"],
            cwd=ROOT,
            env={**os.environ, "ONAIR_PORT": str(base)},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)


def _ready(base: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the stack ended while starting"
    try:
        return HTTP.request("GET", f"http://127.0.0.1:{base}/_local/health").status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_says_a_busy_port_and_ends_with_everything_it_started(tmp_path: Path, ending: signal.Signals) -> None:
    base = ports.free().base
    log = tmp_path / "run.log"
    with _running(base, log) as process:
        wait_until(lambda: _ready(base, process), f"ready; {log}", START_S)
        wait_until(lambda: f"AWS_ENDPOINT_URL=http://127.0.0.1:{base + 2}" in log.read_text(), "the printed addresses")

        second = subprocess.run(
            [sys.executable, "-m", "local.run"],
            cwd=ROOT,
            env={**os.environ, "ONAIR_PORT": str(base)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == EXIT_BUSY_PORT
        assert f"Port {base}" in second.stderr
        assert "ONAIR_PORT=" in second.stderr

        children = psutil.Process(process.pid).children(recursive=True)
        assert [child for child in children if "media.relay" in " ".join(child.cmdline())]
        started_s = time.monotonic()
        process.send_signal(ending)
        assert process.wait(STOP_S * 3) == 0
        took_s = time.monotonic() - started_s
        wait_until(lambda: not any(child.is_running() for child in children), "no process left")
        # Measured on an idle machine it is under 2 s; the bound leaves room for a busy one.
        assert took_s < STOP_S
    assert all(ports.is_free(port) for port, _ in ports.Ports(base).named())


def test_a_port_that_is_none_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.run"],
        cwd=ROOT,
        env={**os.environ, "ONAIR_PORT": "80"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == EXIT_USAGE
    assert "ONAIR_PORT=80" in done.stderr


def test_killed_outright_it_leaves_no_process(tmp_path: Path) -> None:
    base = ports.free().base
    with _running(base, tmp_path / "run.log") as process:
        wait_until(lambda: _ready(base, process), "ready", START_S)
        # The page answers a moment before the relay's process is there.
        children = wait_until(lambda: psutil.Process(process.pid).children(recursive=True), "the relay's process")
        process.kill()
        process.wait(10)
        wait_until(lambda: not any(child.is_running() for child in children), "no process left")
