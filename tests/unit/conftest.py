"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions import aws, storage
from functions.rooms import flood
from functions.wallet.gift_transfer import heads
from tests.unit import https


@pytest.fixture(scope="module")
def fresh_clients() -> Iterator[None]:
    """AWS clients of this module's own: making one takes longer than most tests, so its tests share them."""
    aws.forget_clients()
    storage.forget_connections()
    heads.cache_clear()
    yield
    aws.forget_clients()
    storage.forget_connections()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, fresh_clients: None) -> Iterator[https.Client]:
    """A client of the HTTPS API, on tables of its own."""
    heads.cache_clear()
    flood.watch.cache_clear()
    with https.made(monkeypatch) as made:
        yield made
