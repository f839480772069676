"""The services that contract tests run on: plain moto, moto as the local stack mends it, DynamoDB Local, and memory.

Each is a process of its own or a fake; each test gets tables of its own, so that nothing is shared but the process.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from functions import aws, storage
from functions.wallet.audit import AuditedLedger
from functions.wallet.table import StoredLedger
from tests import dynamodb_local
from tests.contract import moto_server, tables
from tests.simulation.wallet.memory_ledger import MemoryLedger

SERVICES = ["moto", "local", pytest.param("dynamodb_local", marks=pytest.mark.dynamodb_local)]


@dataclass(frozen=True)
class Service:
    """A running DynamoDB: which one, where, and a plain client of it."""

    name: str
    url: str
    client: Any


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto_server.running() as url:
        yield url


@pytest.fixture(scope="session")
def local_url() -> Iterator[str]:
    with moto_server.running(mended=True) as url:
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
    """The ledger over each service that keeps transactions apart, and the one in memory that the simulation trusts."""
    yield from _ledger(request, monkeypatch)


@pytest.fixture(params=["memory", SERVICES[-1]])
def proved_book(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditedLedger]:
    """The ledger in memory and on DynamoDB Local, for rules that ask nothing new of a service."""
    yield from _ledger(request, monkeypatch)


def _ledger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditedLedger]:
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
        "ACCOUNTS_TABLE": f"Accounts-{suffix}",
    }.items():
        monkeypatch.setenv(variable, value)
    aws.forget_clients()
    storage.forget_connections()
    client = aws.client("dynamodb")
    tables.create_ledger(client, f"Ledger-{suffix}")
    tables.create_plain(client, f"Rooms-{suffix}")
    tables.create_plain(client, f"Accounts-{suffix}")
    yield Service(name, url, client)
    aws.forget_clients()
    storage.forget_connections()
