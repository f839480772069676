"""What clients may send and what they may not, to every route: no failure, no shape of its own, nobody else's secrets.

Requests come from docs/openapi.json by schemathesis, valid ones and broken ones, in an order that is always the same;
half of the path parameters are things that exist, most of them a bystander's (canary.py).
"""

from __future__ import annotations

from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from docs.generate import openapi
from tests.access.canary import APPEAL, BIRTH_DATE, CONTACT, DRAFT, Canary, leaks, planted
from tests.access.world import World

EXAMPLES: Final = 15
FUZZERS: Final = ("viewer", "host", "moderator", "suspended", "operator", "nobody")
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# What hypothesis would say of a slow machine.
HEALTH_CHECKS: Final[list[Any]] = list(HealthCheck)
BOUNDED: Final = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=HEALTH_CHECKS,
)


def _document() -> dict[str, Any]:
    """The document without who may call what: tokens are ours, and schemathesis would leave out every other one."""
    found = openapi()
    del found["components"]["securitySchemes"]
    for methods in found["paths"].values():
        for operation in methods.values():
            del operation["security"]
    return found


_schema: Any = schemathesis.openapi.from_dict(_document())
OPERATIONS: Final[dict[str, Any]] = {found.ok().label: found.ok() for found in _schema.get_all_operations()}


@pytest.fixture(scope="module")
def canary(world: World) -> Canary:
    found = planted(world)
    world.keep()
    return found


def test_the_planted_words_are_where_their_owner_reads_them(canary: Canary) -> None:
    read = [str(canary.client.call("GET", path)) for path in ("/me", "/me/standing", "/wallet/statement")]
    cursor: str | None = ""
    while cursor is not None:
        page = canary.client.call("GET", f"/me/export?limit=100{cursor}")
        read.append(str(page))
        cursor = f"&cursor={page['cursor']}" if "cursor" in page else None
    assert {BIRTH_DATE, CONTACT, DRAFT, APPEAL} <= set(leaks(" ".join(read), "viewer"))


@pytest.mark.parametrize("label", OPERATIONS)
def test_whatever_is_sent_the_answer_is_one_of_the_documents(world: World, canary: Canary, label: str) -> None:
    operation = OPERATIONS[label]
    cases = st.one_of(
        operation.as_strategy(schemathesis.GenerationMode.POSITIVE),
        operation.as_strategy(schemathesis.GenerationMode.NEGATIVE),
    )

    @BOUNDED
    @given(case=cases, role=st.sampled_from(FUZZERS), known=st.sampled_from(("generated", "world", "canary")))
    def holds(case: Any, role: str, known: str) -> None:
        if known != "generated":
            things = world.things if known == "world" else {**world.things, **canary.things}
            for name in case.path_parameters or {}:
                case.path_parameters[name] = things[name]
        # The gateway takes no longer address; the server behind the tests answers that in its own words.
        assume(len(str(case.query or "")) < 1_500)
        token = world.clients[role].access_token
        headers = {"Authorization": f"Bearer {token}"} if token is not None else None
        answer = case.call(base_url=world.onair.addresses.api_url, headers=headers, timeout=20)
        if answer.status_code < 400:
            world.restore()
        case.validate_response(answer, checks=CHECKS)
        assert not leaks(answer.text, role), (role, case.formatted_path, leaks(answer.text, role))

    try:
        holds()
    finally:
        world.restore()
    assert not world.stack.runtime.failures
