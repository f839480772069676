"""`make bench`: runs every question in turn and rewrites docs/performance.md with what they print.

``python -m bench.all [name …]`` runs some and keeps the other sections as they are. A limit that was missed is written
down like one that was kept; only a bench that broke off leaves its section as it was.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
TIMEOUT_S = 900
HEAD = """# Performance

Measured by `make bench` on the machine that wrote this page; times mean something only beside the peer or the limit of
the same run, so read the ratios. Each section is the output of the command under its title.
"""


def questions() -> dict[str, str]:
    """Name → first docstring line of each bench file, in the order of their names."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "bench").glob("*.py")):
        if path.stem in ("__init__", "all"):
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text())) or path.stem
        if "Not a question" not in docstring:
            found[path.stem] = docstring.splitlines()[0]
    return found


def sections() -> dict[str, str]:
    """What the page holds now, by bench name."""
    if not PAGE.exists():
        return {}
    parts = re.split(r"^## .*?$\n\n`python -m bench\.(\w+)`\n", PAGE.read_text(), flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def main(wanted: list[str]) -> int:
    asked, failed = questions(), 0
    for name in wanted or asked:
        print(f"── bench.{name}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{name}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        print(done.stdout)
        failed += done.returncode != 0
        if done.returncode != 0:
            print(done.stderr[-2000:])
        if done.stdout.strip() and "Traceback" not in done.stderr:
            _write(asked, name, done.stdout.strip())
    return 1 if failed else 0


def _write(asked: dict[str, str], name: str, said: str) -> None:
    """Put one section into the page as it is now: others may have written theirs since."""
    kept = {**sections(), name: said}
    page = HEAD
    for other, title in asked.items():
        if other in kept:
            page += f"\n## {title}\n\n`python -m bench.{other}`\n\n{kept[other]}\n"
    PAGE.write_text(page)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
