"""The table of rights is what the running stack answers: every route and action, every role."""

from __future__ import annotations

import pytest

from docs.generate import ACTIONS
from functions.api import app
from tests.access.reading import SOCKET, TABLE, answer, table
from tests.access.world import ROLES, World


def test_every_route_and_action_has_its_row_and_every_row_its_route() -> None:
    served = {f"{method} {path}" for path, methods in app.routes.items() for method in methods}
    served |= {f"{SOCKET} {action}" for action in ACTIONS}
    declared = {row.route for row in table().rows.values()}
    assert not served - declared, f"without a row in {TABLE.name}: {sorted(served - declared)}"
    assert not declared - served, f"rows of what is not served: {sorted(declared - served)}"


def test_nobody_gets_in_by_default() -> None:
    """Whatever the rows say: an expired or a foreign token is never better than none, an operator's route is theirs."""
    for row in table().rows.values():
        for role in ("expired", "foreign"):
            assert row.answers[role] in (row.answers["nobody"], "unauthenticated"), (row.name, role)
        if "/operator/" in row.name:
            others = {row.answers[role] for role in ROLES} - {row.answers["operator"]}
            assert others == {"unauthenticated", "forbidden"}, row.name


@pytest.mark.parametrize("name", table().rows)
def test_each_role_is_answered_as_the_table_says(world: World, name: str) -> None:
    row = table().rows[name]
    got: dict[str, str] = {}
    for role in ROLES:
        got[role] = answer(world, row, role)
        if got[role] not in ("unauthenticated", "forbidden"):
            # What one role did (or failed at: failures are counted) must not change what the next is answered.
            world.restore()
    wrong = {role: f"{got[role]}, declared {row.answers[role]}" for role in ROLES if got[role] != row.answers[role]}
    assert not wrong, f"{name}: {wrong}"
