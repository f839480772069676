"""`sudo python3 media/verify_container.py`: takes the Dockerfile's steps without Docker, and starts what they made.

Debian's base system is made with mmdebstrap where Docker would pull it. RUN, COPY, ENV, USER, HEALTHCHECK and
ENTRYPOINT are read from the Dockerfile, so that this cannot drift from it. At the end the relay runs as the image's
user on a read-only root, and its own health check asks it. Needs root, mmdebstrap and Debian's registry; standard
library only.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MEDIA = Path(__file__).resolve().parent
SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
# Documentation, translations and the like, which the -slim images leave out too.
SLIM = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
HEALTHY_S = 30.0
PORT = 18_081


@dataclass
class Image:
    """What the steps of one stage have made so far."""

    root: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"}
    )
    folder: str = "/"
    user: str = "0"
    health: list[str] = field(default_factory=list[str])
    entry: list[str] = field(default_factory=list[str])


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and its argument, continued lines joined; raises ValueError for what this does not know."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    known = {
        "ARG",
        "FROM",
        "RUN",
        "COPY",
        "WORKDIR",
        "ENV",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
    }
    found: list[tuple[str, str]] = []
    for line in filter(str.strip, joined.splitlines()):
        name, _, argument = line.strip().partition(" ")
        if name not in known:
            raise ValueError(f"the Dockerfile has an instruction that is not verified here: {name}")
        found.append((name, argument.strip()))
    return found


class Build:
    """Takes the steps below ``work``."""

    def __init__(self, work: Path, certificates: str) -> None:
        self._work = work
        self._certificates = certificates
        self._ignored = [line for line in (MEDIA / ".dockerignore").read_text().splitlines() if line.strip()]
        self.stages: dict[str, Image] = {}

    def base(self) -> Path:
        """The base system, made once."""
        base = self._work / "base"
        if not base.exists():
            print(f"── base: Debian {SUITE}", flush=True)
            left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in SLIM]
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", *left_out, SUITE, str(base), MIRROR], check=True
            )
        return base

    def take(self, steps: list[tuple[str, str]]) -> Image:
        """All steps; returns the last stage."""
        image = Image(self._work)
        for name, argument in steps:
            if name == "FROM":
                words = argument.split()
                stage = words[2] if len(words) == 3 else "final"
                image = self.stages[stage] = Image(self._work / stage)
                subprocess.run(["cp", "--archive", "--reflink=auto", str(self.base()), str(image.root)], check=True)
            elif name == "RUN":
                self._run(image, argument)
            elif name == "COPY":
                self._copy(image, argument.split())
            elif name == "ENV":
                for word in shlex.split(argument):
                    key, _, value = word.partition("=")
                    image.environment[key] = value
            elif name == "WORKDIR":
                image.folder = argument
            elif name == "USER":
                image.user = argument
            elif name == "HEALTHCHECK":
                image.health = json.loads(argument[argument.index("CMD") + 3 :])
            elif name == "ENTRYPOINT":
                image.entry = json.loads(argument)
        return image

    def _run(self, image: Image, command: str) -> None:
        print(f"── RUN {command}", flush=True)
        began = time.monotonic()
        environment = {**image.environment, "DEBIAN_FRONTEND": "noninteractive"}
        passing = [self._lend(image, "/etc/resolv.conf", "/etc/resolv.conf")]
        if self._certificates:
            # A network that looks into TLS has its own authority; the image does not keep it.
            lent = "/tmp/lent-certificates.pem"
            passing.append(self._lend(image, self._certificates, lent))
            environment |= {"PIP_CERT": lent, "SSL_CERT_FILE": lent}
        try:
            subprocess.run(
                ["chroot", str(image.root), "/bin/sh", "-c", command],
                check=True,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
        finally:
            for path, before in passing:
                path.unlink() if before is None else path.write_bytes(before)
        print(f"   {time.monotonic() - began:.1f} s", flush=True)

    @staticmethod
    def _lend(image: Image, source: str, target: str) -> tuple[Path, bytes | None]:
        path = image.root / target.lstrip("/")
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(Path(source).read_bytes())
        return path, before

    def _copy(self, image: Image, words: list[str]) -> None:
        origin, sources = MEDIA, words
        if words[0].startswith("--from="):
            origin, sources = self.stages[words[0].removeprefix("--from=")].root, words[1:]
        source, target = origin / sources[0].lstrip("/"), image.root / sources[1].lstrip("/")
        if source.is_dir():
            ignore = self._ignore if origin == MEDIA else None
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore, symlinks=True)
        else:
            shutil.copy(source, target)

    def _ignore(self, _folder: str, names: list[str]) -> set[str]:
        patterns = [pattern.removeprefix("**/") for pattern in self._ignored]
        return {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)}


def start(image: Image) -> None:
    """Run the entry point as the image's user on a read-only root until its health check is content; then end it."""
    print(f"── {' '.join(image.entry)} as user {image.user}, root read-only", flush=True)
    environment = {
        **image.environment,
        "RELAY_HOST": "127.0.0.1",
        "RELAY_PORT": str(PORT),
        "STREAMS_TABLE": "Streams",
        "SIGNING_SECRET": "s" * 64,
        "PLAYBACK_SECRET": "p" * 64,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    root = str(image.root)
    inside = ["chroot", f"--userspec={image.user}:{image.user}", root, "/bin/sh", "-c"]
    # A mount namespace of its own: the root is read-only, /tmp a memory file system, as ECS's task has them.
    script = (
        f"mount --bind {root} {root} && mount -o remount,ro,bind {root} && mount -t tmpfs tmpfs {root}/tmp && exec "
    )
    isolated = ["unshare", "--mount", "/bin/sh", "-c"]

    def command(words: list[str]) -> list[str]:
        return [*isolated, script + shlex.join([*inside, f"cd {image.folder} && exec {shlex.join(words)}"])]

    began = time.monotonic()
    process = subprocess.Popen(command(image.entry), env=environment)
    try:
        while subprocess.run(command(image.health), env=environment, check=False).returncode:
            if process.poll() is not None:
                raise SystemExit(f"the relay ended with {process.returncode}")
            if time.monotonic() - began > HEALTHY_S:
                raise SystemExit("the relay does not get well")
            time.sleep(0.2)
        print(f"   well after {time.monotonic() - began:.1f} s", flush=True)
        written = subprocess.run(
            command(["touch", "/app/written"]), env=environment, check=False, stderr=subprocess.DEVNULL
        )
        if written.returncode == 0:
            raise SystemExit("the root file system could be written")
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)
        print(f"   SIGTERM: ended with {code}", flush=True)
        if code:
            raise SystemExit("the relay does not end in order")
    finally:
        if process.poll() is None:
            process.kill()


def megabytes(root: Path) -> float:
    """What a file system tree holds, in MB."""
    answer = subprocess.run(["du", "-sxb", str(root)], check=True, capture_output=True, text=True)
    return int(answer.stdout.split()[0]) / 1e6


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Verify media/Dockerfile without Docker.")
    parser.add_argument("--work", type=Path, help="a folder to work in and keep (default: a temporary one)")
    parser.add_argument(
        "--certificates", default=os.environ.get("SSL_CERT_FILE", ""), help="CA file for pip, if not the usual"
    )
    arguments = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        print("This needs root, for chroot, and mmdebstrap (apt-get install mmdebstrap).", file=sys.stderr)
        return 2
    work = arguments.work or Path(tempfile.mkdtemp(prefix="onair-container-"))
    work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        build = Build(work, arguments.certificates)
        image = build.take(instructions((MEDIA / "Dockerfile").read_text()))
        start(image)
        base, whole, packages = megabytes(build.base()), megabytes(image.root), megabytes(image.root / "app")
        print(f"base {base:.0f} MB, image {whole:.0f} MB, of it the relay and its packages {packages:.0f} MB")
        print(f"verified in {time.monotonic() - began:.0f} s")
    finally:
        if arguments.work is None:
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
