"""`make test`: each step once, cheapest failure first, with its time; stops at the first red one.

``python -m tests.run [step …]`` runs only the named steps.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"

PYTEST = [str(BIN / "python"), "-m", "pytest"]
STEPS: dict[str, list[list[str]]] = {
    "lint": [
        [str(BIN / "ruff"), "format", "--check", "."],
        [str(BIN / "ruff"), "check", "."],
        [str(BIN / "pyright")],
        [str(BIN / "lint-imports")],
    ],
    "unit": [[*PYTEST, "tests/unit"]],
    "web": [["npm", "test", "--silent", "--prefix", "web"]],
    "simulation": [[*PYTEST, "tests/simulation"]],
    "infra": [[*PYTEST, "tests/infra"]],
    "contract": [[*PYTEST, "tests/contract"]],
    "access": [[*PYTEST, "tests/access"]],
    "integration": [[*PYTEST, "tests/integration"]],
    "relay": [[*PYTEST, "tests/relay"]],
    "browser": [[*PYTEST, "tests/browser"]],
}


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in STEPS]
    if unknown:
        print(f"no such step: {', '.join(unknown)}; there are {', '.join(STEPS)}")
        return 2
    times: list[tuple[str, float]] = []
    for name in wanted or STEPS:
        print(f"\n── {name} " + "─" * (60 - len(name)), flush=True)
        started = time.monotonic()
        for command in STEPS[name]:
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
            if code != 0:
                print(f"\n✗ {name}: {' '.join(command)} ended with {code}")
                return 1
        times.append((name, time.monotonic() - started))
    print("\n" + "\n".join(f"✓ {name:<12} {seconds:6.1f} s" for name, seconds in times))
    print(f"{len(times)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
