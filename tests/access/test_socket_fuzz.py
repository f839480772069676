"""What a client may send over the socket and what it may not: always one answer of docs/asyncapi.json, and no failure.

Messages come from the document's own schemas, valid ones and broken ones. schemathesis makes them: to it, each action
is an operation whose body is the message.
"""

from __future__ import annotations

import json
from typing import Any, Final

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from docs.generate import ACTIONS, asyncapi
from functions.rooms import flood
from tests.access.canary import leaks
from tests.access.world import World

EXAMPLES: Final = 25
FUZZERS: Final = ("nobody", "viewer", "muted", "moderator", "host", "guest")
# What hypothesis would say of a slow machine.
HEALTH_CHECKS: Final[list[Any]] = list(HealthCheck)
ANSWERS: Final = {"ack": "Ack", "error": "Refusal", "joined": "Joined", "pong": "Pong"}
SCHEMAS: Final[dict[str, Any]] = asyncapi()["components"]["schemas"]


def described(name: str) -> dict[str, Any]:
    """A type of the document as a schema that stands alone."""
    return {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}


def operations() -> dict[str, Any]:
    """schemathesis' operation by action."""
    paths = {
        f"/{action}": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}},
                },
                "responses": {"200": {"description": "Answered"}},
            }
        }
        for action, (kind, _) in ACTIONS.items()
    }
    document = {"openapi": "3.1.0", "info": {"title": "Rooms", "version": "1"}, "paths": paths}
    schema: Any = schemathesis.openapi.from_dict({**document, "components": {"schemas": SCHEMAS}})
    return {found.ok().path.removeprefix("/"): found.ok() for found in schema.get_all_operations()}


OPERATIONS: Final = operations()


@pytest.mark.parametrize("action", ACTIONS)
def test_whatever_is_sent_one_answer_of_the_document_comes(world: World, action: str) -> None:
    cases = st.one_of(
        OPERATIONS[action].as_strategy(schemathesis.GenerationMode.POSITIVE),
        OPERATIONS[action].as_strategy(schemathesis.GenerationMode.NEGATIVE),
    )

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=HEALTH_CHECKS,
    )
    @given(case=cases, role=st.sampled_from(FUZZERS))
    def holds(case: Any, role: str) -> None:
        opened = world.sockets[role]
        # Each example as from a client that takes its time: who is refused this often is closed as a flood.
        flood.watch.cache_clear()
        # Escapes only: so halves of surrogate pairs, NUL and NaN reach the server as a careless client sends them.
        text = json.dumps(case.body, default=str)
        seen = len(opened.messages)
        opened.send(text)
        if action == "react":
            # Silent on success: what is asked next is answered next.
            opened.send({"action": "ping"})
        got = opened.wait_for(lambda one: one.get("type") in ANSWERS, f"an answer to {text}", after=seen)
        jsonschema.validate(got, described(ANSWERS[got["type"]]))
        assert got.get("code") != "unavailable", (role, text, got)
        assert not leaks(json.dumps(got, ensure_ascii=False), role), (role, text)
        world.restore()
        assert opened.is_open

    holds()
    assert not world.stack.runtime.failures
