"""The services that contract tests run on: plain moto, moto as the local stack mends it, DynamoDB Local, and memory.

Each is a process of its own or a fake; each test gets tables of its own, so that nothing is shared but the process.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import BotoCoreError

from functions import aws, storage
from functions.wallet.audit import AuditedLedger
from functions.wallet.table import StoredLedger
from tests import dynamodb_local
from tests.contract import tables
from tests.simulation.wallet.memory_ledger import MemoryLedger

ROOT = Path(__file__).parents[2]
START_S_MAX = 60.0
SERVICES = ["moto", "local", pytest.param("dynamodb_local", marks=pytest.mark.dynamodb_local)]
# What the local stack's moto is: moto's server after local/tables.py has mended its DynamoDB.
MENDED = "from local import tables; tables.install(); from moto.server import main; import sys; main(sys.argv[1:])"
PLAIN = "from moto.server import main; import sys; main(sys.argv[1:])"


@dataclass(frozen=True)
class Service:
    """A running DynamoDB: which one, where, and a plain client of it."""

    name: str
    url: str
    client: Any


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with _moto(PLAIN) as url:
        yield url


@pytest.fixture(scope="session")
def local_url() -> Iterator[str]:
    with _moto(MENDED) as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_local_url() -> Iterator[str]:
    with dynamodb_local.running() as url:
        yield url


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Each service in turn, with empty tables, named in the environment as the template would."""
    yield from _prepared(request.param, request, monkeypatch)


@pytest.fixture(params=SERVICES[1:])
def isolated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The services that keep concurrent transactions apart; plain moto does not, and nothing is proved on it."""
    yield from _prepared(request.param, request, monkeypatch)


@pytest.fixture
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """DynamoDB Local, for what only a service with real transactions can show."""
    yield from _prepared("dynamodb_local", request, monkeypatch)


@pytest.fixture(params=["memory", *SERVICES[1:]])
def book(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditedLedger]:
    """The ledger over each service, and the one in memory that the simulation trusts."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    for _ in _prepared(request.param, request, monkeypatch):
        yield StoredLedger()


def _prepared(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    url: str = request.getfixturevalue(f"{name}_url")
    suffix = secrets.token_hex(6)
    for variable, value in {
        "AWS_ACCESS_KEY_ID": "contract",
        "AWS_SECRET_ACCESS_KEY": "contract",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "LEDGER_TABLE": f"Ledger-{suffix}",
        "ROOMS_TABLE": f"Rooms-{suffix}",
    }.items():
        monkeypatch.setenv(variable, value)
    aws.forget_clients()
    storage.forget_connections()
    client = aws.client("dynamodb")
    tables.create_ledger(client, f"Ledger-{suffix}")
    tables.create_rooms(client, f"Rooms-{suffix}")
    yield Service(name, url, client)
    aws.forget_clients()
    storage.forget_connections()


@contextmanager
def _moto(program: str) -> Iterator[str]:
    port = dynamodb_local.free_port()
    command = [sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process)
            yield url
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    client = botocore.session.Session().create_client(
        "dynamodb", "us-east-1", endpoint_url=url, aws_access_key_id="contract", aws_secret_access_key="contract"
    )
    until_s = time.monotonic() + START_S_MAX
    while time.monotonic() < until_s and process.poll() is None:
        try:
            client.list_tables()
        except BotoCoreError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"moto did not answer at {url} within {START_S_MAX} s")
