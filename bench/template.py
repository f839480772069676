"""How long does `cdk synth` take, what is in the template, and what of it does the local stack make?

Synthesizes anew in a process of its own (the bundle is cached by hash, as for anyone's second synth), then accounts for
every resource as the local stack does when it starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.stack import ROOT
from local import resource_types

RUNS = 2


def main() -> int:
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Onair.template.json"
        for _ in range(RUNS):
            started = time.monotonic()
            subprocess.run([sys.executable, "-m", "infra.stack", folder], cwd=ROOT, check=True, capture_output=True)
            seconds.append(time.monotonic() - started)
        template = json.loads(path.read_text())
        size = path.stat().st_size
    lines = resource_types.account_for(template)
    print(
        f"Synthesis {min(seconds):.1f} s (smaller of {RUNS}); {resource_types.summary(lines)}; {size / 1e3:.0f} KB.\n"
    )
    print("| type | count | locally | how, or why not |\n|---|---|---|---|")
    for line in sorted(lines, key=lambda one: (one.fate, one.type)):
        print(f"| {line.type.removeprefix('AWS::')} | {line.count} | {line.fate} | {line.reason} |")
    unlisted = resource_types.unlisted(lines)
    print(f"\nTypes that nobody has decided on: {', '.join(unlisted) or 'none'}.")
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
