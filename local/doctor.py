"""`make doctor`: what this machine lacks for `make run` and `make test`, and the fix for each. Standard library only.

Runs as a module in the project's environment, and as a plain script by any Python before there is one.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON_MIN = (3, 11)
NODE_MIN = 20
JAVA_MIN = 17
DEFAULT_PORT = 8080
USES = ("page and API", "relay", "AWS endpoint (moto)", "RTMP", "DynamoDB Local")


@dataclass(frozen=True)
class Finding:
    """One part: whether it is well, and when not, the fix. ``needed`` says for which command."""

    part: str
    well: bool
    note: str
    needed: str = "make run"
    fix: str = ""


def examine() -> Iterator[Finding]:
    """Every part, in the order in which one would mend them."""
    version = ".".join(str(number) for number in sys.version_info[:3])
    yield Finding(
        "Python", sys.version_info >= PYTHON_MIN, version, fix="install Python 3.11 or newer (3.13 is Lambda's)"
    )
    yield _environment()
    yield _tool("node", NODE_MIN, "make run", "apt-get install nodejs npm (version 20 or newer)")
    yield _tool("npm", 0, "make run", "apt-get install npm")
    built = (ROOT / "web" / "dist" / "index.html").is_file()
    yield Finding("page", built, "web/dist", fix="npm ci --prefix web && npm run build --prefix web")
    yield from _ports()
    yield _tool("java", JAVA_MIN, "make test, ONAIR_DYNAMODB=local", "apt-get install default-jre-headless")
    jar = ROOT / "tests" / "node_modules" / "amplify-dynamodb-simulator" / "emulator" / "DynamoDBLocal.jar"
    note = "tests/node_modules"
    yield Finding("DynamoDB Local", jar.is_file(), note, "make test, ONAIR_DYNAMODB=local", "npm ci --prefix tests")
    chromium = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
    )
    yield Finding("Chromium", bool(chromium), chromium, "make test", "apt-get install chromium")
    ffprobe = shutil.which("ffprobe") or ""
    yield Finding("ffprobe", bool(ffprobe), ffprobe, "make test, make bench", "apt-get install ffmpeg")


def _environment() -> Finding:
    fix = "make prepare (makes .venv and installs requirements.txt)"
    wanted = dict(_pins(ROOT / "requirements.txt"))
    if Path(sys.prefix) != ROOT / ".venv":
        return Finding("packages", False, ".venv is not there, or is not what runs this", fix=fix)
    wrong: list[str] = []
    for name, version in wanted.items():
        try:
            if metadata.version(name) != version:
                wrong.append(f"{name} {metadata.version(name)} instead of {version}")
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
    note = "; ".join(wrong[:3]) + (" …" if len(wrong) > 3 else "") if wrong else f"{len(wanted)} pinned packages"
    return Finding("packages", not wrong, note, fix=fix)


def _pins(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].partition(";")[0].strip()
        if text.startswith("-r "):
            yield from _pins(path.parent / text[3:].strip())
        elif "==" in text:
            name, _, version = text.partition("==")
            yield name.partition("[")[0].strip(), version.strip()


def _tool(name: str, least: int, needed: str, fix: str) -> Finding:
    found = shutil.which(name)
    if found is None:
        return Finding(name, False, "not found", needed, fix)
    asked = [found, "-version"] if name == "java" else [found, "--version"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as failed:
        return Finding(name, False, str(failed), needed, fix)
    first = (done.stdout + done.stderr).strip().partition("\n")[0]
    digits = "".join(character if character.isdigit() else " " for character in first).split()
    return Finding(name, bool(digits) and int(digits[0]) >= least, first, needed, fix)


def _ports() -> Iterator[Finding]:
    text = os.environ.get("ONAIR_PORT", str(DEFAULT_PORT))
    if not text.isdigit():
        yield Finding("ports", False, f"ONAIR_PORT={text}", fix="ONAIR_PORT must be a number, such as 8180")
        return
    for offset, use in enumerate(USES):
        port = int(text) + offset
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                free = True
            except (OSError, OverflowError):
                free = False
        fix = f"stop what holds it (lsof -i :{port} names it), or move all ports: ONAIR_PORT={int(text) + 100} make run"
        yield Finding(f"port {port}", free, f"{use}: {'free' if free else 'taken'}", fix=fix)


def main() -> int:
    """Print every finding; 1 when something that `make run` needs is not well."""
    broken = False
    for finding in examine():
        mark = "✓" if finding.well else "✗"
        print(f"  {mark} {finding.part:<15} {finding.note}")
        if not finding.well:
            print(f"      for {finding.needed}: {finding.fix}")
            broken = broken or finding.needed.startswith("make run")
    print("\n  Something that `make run` needs is missing." if broken else "\n  `make run` has all it needs.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
