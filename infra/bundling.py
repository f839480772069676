"""The one Lambda bundle: functions/ and its pinned requirements for Lambda's platform, made by uv, without Docker.

What Lambda never loads is left out: Chalice's command line and what only that needs, installers, data of AWS services
that no function calls, compiled caches. The result is kept under .cache/ by a hash of its inputs, so that a second
synthesis installs nothing.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import jsii
import uv
from aws_cdk import aws_lambda as lambda_

from infra.settings import ROOT

SOURCE: Final = ROOT / "functions"
CACHE: Final = ROOT / ".cache" / "bundles"
SOURCE_SUFFIXES: Final = frozenset({".py", ".json", ".txt"})

# Chalice is a framework and a command line in one distribution; only chalice.app and what it imports runs on Lambda.
# These are needed by the command line alone (tests/infra imports every handler from a bundle without them).
COMMAND_LINE_ONLY: Final = (
    "pip",
    "setuptools",
    "wheel",
    "click",
    "inquirer",
    "blessed",
    "wcwidth",
    "jinxed",
    "readchar",
    "editor",
    "runs",
    "xmod",
    "pyyaml",
)
CHALICE_UNUSED: Final = (
    "cli",
    "deploy",
    "package.py",
    "templates",
    "pipeline.py",
    "awsclient.py",
    "cdk",
    "vendored",
    "policies.json",
)
# Routers of Powertools, which Chalice is in place of.
POWERTOOLS_UNUSED: Final = ("event_handler",)
BUNDLES_KEPT: Final = 4


@dataclass(frozen=True)
class Platform:
    """Where the bundle runs, in uv's words."""

    python_version: str
    python_platform: str


LAMBDA: Final = Platform("3.13", "aarch64-manylinux_2_28")  # Amazon Linux 2023 has glibc 2.34


def sources() -> Iterator[Path]:
    """The files of functions/ that go into the bundle, in a fixed order."""
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and path.suffix in SOURCE_SUFFIXES and "__pycache__" not in path.parts:
            yield path


def fingerprint(platform: Platform = LAMBDA) -> str:
    """A hash of everything that the bundle is made from: sources, requirements, platform and this file."""
    digest = hashlib.sha256(repr(platform).encode())
    for path in (*sources(), Path(__file__)):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def bundle(platform: Platform = LAMBDA) -> Path:
    """The directory that holds the bundle for ``platform``; made when its inputs changed, else found.

    Raises
    ------
    subprocess.CalledProcessError
        When uv cannot install the requirements (its own message stands on the console).
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    target = CACHE / fingerprint(platform)
    # Two syntheses at once (a test and a developer) must not build into each other's directory.
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            building = Path(tempfile.mkdtemp(prefix="building-", dir=CACHE))
            try:
                _build(building, platform)
                building.chmod(0o755)
                building.rename(target)
            finally:
                shutil.rmtree(building, ignore_errors=True)
        os.utime(target)
        _forget_old()
    return target


def _build(into: Path, platform: Platform) -> None:
    excluded = into / "excluded.txt"
    excluded.write_text("\n".join(COMMAND_LINE_ONLY))
    _install(into, platform, SOURCE / "requirements.txt", "--excludes", str(excluded))
    excluded.unlink()
    for path in sources():
        copy = into / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    _trim(into)


def _trim(root: Path) -> None:
    for name in CHALICE_UNUSED:
        _remove(root / "chalice" / name)
    for name in POWERTOOLS_UNUSED:
        _remove(root / "aws_lambda_powertools" / name)
    # More than half of Stripe's library: types of parameters and of thin events, imported for type checkers, and by the
    # parser of thin events, which nothing here uses.
    for name in ("params", "events"):
        _remove(root / "stripe" / name)
    services = called_services(root / "botocore" / "data")
    for entry in (root / "botocore" / "data").iterdir():
        if entry.is_dir() and entry.name not in services:
            _remove(entry)
    for pattern in ("**/__pycache__", "**/tests", "**/*.pyi", "bin", ".lock", "*.dist-info/RECORD", "wrapt-stubs"):
        for path in list(root.glob(pattern)):
            _remove(path)
    for path in root.rglob("*.json"):
        # Tables that are indented for people (endpoints, look-alike letters) are parsed in a cold start.
        path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False, separators=(",", ":")))


def called_services(data: Path) -> frozenset[str]:
    """Services of ``data`` (botocore's) that any string in functions/ names, with DynamoDB, which PynamoDB names.

    Every string counts, not only arguments of ``aws.client``: one service too many costs a few kilobytes, one too few
    a failing function.
    """
    strings = {"dynamodb"}
    for path in sources():
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    strings.add(node.value)
    return frozenset(entry.name for entry in data.iterdir() if entry.is_dir() and entry.name in strings)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _forget_old() -> None:
    made = sorted((path for path in CACHE.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in made[:-BUNDLES_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


@jsii.implements(cdk.ILocalBundling)
class _WithoutDocker:
    """Hands the bundle to CDK where it would otherwise start a container."""

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        shutil.copytree(bundle(), output_dir, dirs_exist_ok=True)
        return True


def layer(name: str) -> lambda_.Code:
    """A layer of what ``functions/requirements-{name}.txt`` names, for one function that needs more than the bundle."""
    requirements = SOURCE / f"requirements-{name}.txt"
    digest = hashlib.sha256(repr(LAMBDA).encode() + requirements.read_bytes()).hexdigest()
    CACHE.mkdir(parents=True, exist_ok=True)
    target = CACHE.parent / "layers" / digest
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            target.parent.mkdir(exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix="building-", dir=target.parent))
            try:
                _install(building / "python", LAMBDA, requirements)
                building.chmod(0o755)
                building.rename(target)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return lambda_.Code.from_asset(str(target), asset_hash=digest, asset_hash_type=cdk.AssetHashType.CUSTOM)


def _install(into: Path, platform: Platform, requirements: Path, *more: str) -> None:
    subprocess.run(
        [
            uv.find_uv_bin(),
            *("pip", "install", "--quiet", "--target", str(into)),
            *("--python-version", platform.python_version, "--python-platform", platform.python_platform),
            *("--only-binary", ":all:", "--link-mode", "copy"),
            *(*more, "--requirements", str(requirements)),
        ],
        check=True,
    )


def code() -> lambda_.Code:
    """The asset that all functions share; its hash is that of its inputs, so CDK need not read 30 MB to compare."""
    return lambda_.Code.from_asset(
        str(SOURCE),
        asset_hash=fingerprint(),
        asset_hash_type=cdk.AssetHashType.CUSTOM,
        bundling=cdk.BundlingOptions(
            # Named because the type asks for an image; never pulled, since the local bundling always answers.
            image=cdk.DockerImage.from_registry("public.ecr.aws/sam/build-python3.13"),
            local=_WithoutDocker(),
        ),
    )
