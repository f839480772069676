"""A bystander whose private words nobody else may ever be answered: planted once, looked for in every answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from local.client import Client
from local.testing import PASSWORD
from tests.access.world import DEVICES, World

BIRTH_DATE: Final = "1961-03-29"
CONTACT: Final = "canary-contact@example.org"
TAX_NUMBER: Final = "987-61-3290"
PROOF: Final = "canary-proof-of-purchase"
DRAFT: Final = "canary draft that nobody announced"
REPORT: Final = "canary report, for operators alone"
APPEAL: Final = "canary appeal, for operators alone"
HELD: Final = "canary waits at +49 170 7654321"
# Operators decide about these; everyone else must not read them.
FOR_OPERATORS: Final = (REPORT, APPEAL)
# The host and moderators of a room decide about this one.
FOR_MODERATORS: Final = (HELD,)
FOR_NOBODY: Final = (BIRTH_DATE, CONTACT, TAX_NUMBER, TAX_NUMBER.replace("-", ""), PROOF, DRAFT)


@dataclass(frozen=True)
class Canary:
    """The bystander's own client, and what of theirs can be asked for."""

    client: Client
    things: dict[str, str]


def planted(world: World) -> Canary:
    """The bystander, with something in every private place that a route writes."""
    onair, live = world.onair, world.things["stream_id"]
    client = onair.client()
    body: dict[str, Any] = {"handle": "the_canary", "password": PASSWORD, "display_name": "C", "market": "US"}
    made = client.call("POST", "/accounts", {**body, "birth_date": BIRTH_DATE, "contact": CONTACT})
    client.sign_in("the_canary", PASSWORD)
    client.account_id = made["id"]
    _may_go_live(world, client)
    client.call("POST", "/purchases", {"provider": "sandbox", "pack": "coins_7000", "proof": PROOF})
    client.call(
        "PUT", "/payouts/account", {"country": "US", "form": "W-9", "certified": True, "identifier": TAX_NUMBER}
    )
    draft = client.call("POST", "/streams", {"title": DRAFT, "topics": [], "devices": DEVICES})["id"]
    client.call("POST", "/accounts/someone_else/report", {"reason": "fraud", "text": REPORT})
    strike = {"rule": "spam", "reason": "the same line again and again"}
    entry = world.clients["operator"].call("POST", "/operator/accounts/the_canary/strikes", strike)["id"]
    client.call("POST", "/me/standing/appeals", {"entry_id": entry, "text": APPEAL})
    opened = onair.socket(client, live)
    opened.join()
    held = opened.chat(HELD)["event_id"]
    opened.gift("rose", 3)
    opened.close()
    things = {"handle": "the_canary", "stream_id": draft, "event_id": held, "account": str(made["id"])}
    return Canary(client, things)


def _may_go_live(world: World, client: Client) -> None:
    ahead = {"until": world.in_hours(48), "reason": "a bystander with a broadcast"}
    world.clients["operator"].call("PUT", f"/operator/accounts/{client.handle}/live-access", ahead)


def leaks(text: str, role: str) -> list[str]:
    """The planted words in ``text`` that ``role`` must not read."""
    hidden = list(FOR_NOBODY)
    if role != "operator":
        hidden += FOR_OPERATORS
    if role not in ("host", "moderator"):
        hidden += FOR_MODERATORS
    return [word for word in hidden if word in text]
