"""How long do a million simulated operations of the wallet take on this machine's cores, over a thousand seeds?"""

from __future__ import annotations

import os
import re
import subprocess
import sys

OPERATIONS = 1_000_000
SECONDS_MAX = 600


def main() -> int:
    command = [sys.executable, "-m", "tests.simulation.wallet.simulation", "--operations", str(OPERATIONS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX + 60)
    found = re.search(r"(\d+) operations over (\d+) seeds in (\d+) s, (\d+) a second on (\d+) processes", done.stdout)
    if done.returncode != 0 or found is None:
        print(done.stderr[-2000:], file=sys.stderr)
        return 1
    operations, seeds, seconds, rate, processes = (int(each) for each in found.groups())
    print("| operations | seeds | processes | seconds | limit | a second |")
    print("|---|---|---|---|---|---|")
    print(f"| {operations:,} | {seeds:,} | {processes} of {os.cpu_count()} | {seconds} | {SECONDS_MAX} | {rate:,} |")
    return 0 if seconds <= SECONDS_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
