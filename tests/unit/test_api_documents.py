"""docs/openapi.json and docs/asyncapi.json say what the code does, and are up to date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from docs import generate
from docs.operations import OPERATIONS
from functions.api import app
from functions.errors import CODES


@pytest.mark.parametrize(("name", "make"), [("openapi", generate.openapi), ("asyncapi", generate.asyncapi)])
def test_the_document_is_up_to_date(name: str, make: Any) -> None:
    written = (generate.FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert written == generate.text(make()), "run `make docs`"


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    routes = {f"{method} {path}" for path, methods in app.routes.items() for method in methods}
    assert set(OPERATIONS) == routes
    for row in OPERATIONS.values():
        assert set(row.refusals) <= set(CODES)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize("make", [generate.openapi, generate.asyncapi])
def test_every_reference_leads_somewhere(make: Any) -> None:
    document = make()
    found = set(references(document))
    assert found
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_what_the_protocol_fixes_is_in_the_types() -> None:
    schemas = generate.openapi()["components"]["schemas"]
    fixed = {
        "StreamView": "id title topics state host audience media viewers preview_url end_reason scheduled_for "
        "started_at ended_at paid_partnership why publish",
        "Profile": "id handle display_name followers following avatar_url live_stream",
        "Publish": "whip_url rtmp_url stream_key",
        "Ticket": "socket_url role expires_at playback_url playback_expires_at",
        "Session": "access_token refresh_token expires_in",
        "Summary": "duration_s viewers_peak viewers_unique comments reactions gifts diamonds new_followers",
        "RequirementView": "code met needed actual fix",
        "Gift": "id name coins emoji tier",
        "CoinPack": "id coins usd_cents",
    }
    for name, fields in fixed.items():
        assert set(fields.split()) <= set(schemas[name]["properties"]), name
