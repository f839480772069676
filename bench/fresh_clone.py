"""How long from a fresh clone to a usable page, and how long the second time?

Clones what is committed into a temporary folder with empty pip, uv and npm caches, runs `make run`, waits until the
health route says that everything (page, API, relay, demo broadcast) answers, ends it, and does so again. Limit: warm
≤ 15 s.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.stack import ROOT, free_base_port, usable

LIMIT_WARM_S = 15
LIMIT_COLD_S = 600


def start(clone: Path, environment: dict[str, str]) -> tuple[float, str]:
    """Seconds until usable, and what was printed."""
    port = free_base_port()
    log = clone / "run.log"
    started = time.monotonic()
    with log.open("w") as sink:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=clone,
            env={**environment, "ONAIR_PORT": str(port)},
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            usable(f"http://127.0.0.1:{port}/_local/health", process, log, LIMIT_COLD_S)
            seconds = time.monotonic() - started
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(20)
    return seconds, log.read_text()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "onair"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("VIRTUAL_ENV", "PYTHON", "MAKE"))},
            "PIP_NO_CACHE_DIR": "1",
            "UV_NO_CACHE": "1",
            "npm_config_cache": str(Path(folder) / "npm"),
        }
        cold, printed = start(clone, environment)
        warm, _ = start(clone, environment)
    installed = [line for line in printed.splitlines() if "installing" in line or "building" in line]
    print("| `make run` until everything answers | seconds | limit |\n|---|---|---|")
    print(f"| fresh clone, empty caches | {cold:.0f} | |\n| second time | {warm:.1f} | {LIMIT_WARM_S} |\n")
    print("What the first run said it did:\n\n```\n" + "\n".join(installed) + "\n```")
    return 0 if warm <= LIMIT_WARM_S else 1


if __name__ == "__main__":
    sys.exit(main())
