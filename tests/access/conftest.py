"""The world that the table is walked in, made once."""

from collections.abc import Iterator

import pytest

from tests.access.world import World, made


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    with made() as found:
        yield found
