"""One relay with a control plane for all process tests of a module, and a stream that is on air in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.relay.stack import Stack, fetch, until


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with Stack() as running:
        yield running


@pytest.fixture(scope="module")
def show(stack: Stack) -> str:
    """A stream with a publisher, flowing; returns its id."""
    stack.put_stream("show")
    stack.start_source("show")
    until(lambda: fetch(stack.live_url("show")).status == 200, 20, "the test picture is on air")
    return "show"
