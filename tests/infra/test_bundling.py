"""The Lambda bundle: every handler of the template imports from it alone, and it holds no more than it must."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra import bundling
from tests.infra.reading import Cloud

# Lambda takes 250 MB unzipped; what is read at each cold start is what counts, and a jump means something crept in.
SIZE_MAX = 40_000_000

IMPORTING = """
import importlib, os, sys
root = sys.argv[1]
sys.path.insert(0, root)
for handler in sys.argv[2:]:
    module, name = handler.rsplit(".", 1)
    found = getattr(importlib.import_module(module), name)
    assert callable(found), handler
outside = sorted(
    name for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and "site-packages" in module.__file__ and not module.__file__.startswith(root)
)
assert not outside, outside
"""


@pytest.fixture(scope="module")
def here() -> Path:
    """The bundle for the interpreter that runs this test."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return bundling.bundle(bundling.Platform(version, "x86_64-manylinux_2_28"))


def test_every_handler_imports_from_the_bundle_alone(cloud: Cloud, here: Path) -> None:
    handlers = [properties["Handler"] for _, properties in cloud.functions.values()]
    done = subprocess.run(
        # -S and -I: neither this environment's packages nor the repository are on the path.
        [sys.executable, "-I", "-S", "-B", "-c", IMPORTING, str(here), *handlers],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
    )
    assert done.returncode == 0, done.stderr


def test_every_service_that_is_called_has_its_data(here: Path) -> None:
    kept = {entry.name for entry in (here / "botocore" / "data").iterdir() if entry.is_dir()}
    assert {"dynamodb", "sqs", "secretsmanager", "cognito-idp", "lambda"} <= kept
    assert len(kept) < 30


def test_what_lambda_never_loads_is_left_out(here: Path) -> None:
    names = {entry.name for entry in here.iterdir()}
    assert not names & {"pip", "setuptools", "wheel", "inquirer", "click", "yaml", "bin"}
    assert not (here / "chalice" / "cli").exists()
    assert not (here / "stripe" / "params").exists()
    assert not (here / "stripe" / "events").exists()
    assert not list(here.rglob("__pycache__"))


def test_words_and_phone_numbers_are_known_in_the_bundle(here: Path) -> None:
    code = (
        "from functions.rooms import disclosure, words; "
        "assert words.holds('frее coins', ('free coins',)); assert words.holds('a$$hole', (), profanity=True); "
        "assert disclosure.disclosed('call +49 170 1234567', '') == {'phone'}"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", f"import sys; sys.path.insert(0, {str(here)!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_stripe_works_without_the_types_that_are_left_out(here: Path) -> None:
    code = (
        "import stripe; client = stripe.StripeClient('sk_test'); "
        "print(client.v1.checkout.sessions.create, client.v1.transfers.create, stripe.WebhookSignature)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", f"import sys; sys.path.insert(0, {str(here)!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_bundle_of_the_stack_is_for_lambdas_processor_and_small(cloud: Cloud) -> None:
    bundle = bundling.bundle()
    key = cloud.functions["api.app"][1]["Code"]["S3Key"].removesuffix(".zip")
    packed = cloud.path.parent / f"asset.{key}"
    assert {path.name for path in packed.iterdir()} == {path.name for path in bundle.iterdir()}
    libraries = [path.name for path in bundle.rglob("*.so")]
    assert libraries
    assert not [name for name in libraries if "x86_64" in name]
    size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    assert size < SIZE_MAX, f"{size / 1e6:.1f} MB"


def test_fingerprint_follows_sources_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    before = bundling.fingerprint()
    assert bundling.fingerprint() == before
    assert bundling.fingerprint(bundling.Platform("3.11", "x86_64-manylinux_2_28")) != before
    paths = list(bundling.sources())
    assert not [path for path in paths if "__pycache__" in path.parts]
    monkeypatch.setattr(bundling, "sources", lambda: iter(paths[:-1]))
    assert bundling.fingerprint() != before


def test_second_bundle_is_found_and_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    bundling.bundle()

    def never(*_: object) -> None:
        raise AssertionError("the bundle was made again")

    monkeypatch.setattr(bundling, "_build", never)
    assert bundling.bundle().is_dir()
