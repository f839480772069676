"""Reads table.txt, and asks the running stack what it answers for a row's cell."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from docs.operations import OPERATIONS
from functions.rooms import flood
from tests.access.world import ROLES, World

TABLE: Final = Path(__file__).with_name("table.txt")
SOCKET: Final = "socket"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Row:
    """One route or socket action: what each role is answered (``ok`` or an error's code), and what is sent."""

    name: str
    answers: dict[str, str]
    sends: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def route(self) -> str:
        """The route or action without what tells rows of the same one apart."""
        return self.name.partition("#")[0]


@dataclass(frozen=True)
class Table:
    """The words that stand for codes, and the rows."""

    words: dict[str, str]
    rows: dict[str, Row]


@cache
def table() -> Table:
    """The declared table; raises ``ValueError`` for a line that says nothing clear."""
    words: dict[str, str] = {}
    rows: dict[str, Row] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        cells, _, sends = line.partition(" | ")
        parts = cells.split()
        if parts[0] == "word":
            words[parts[1]] = parts[2]
            continue
        name, given = " ".join(parts[:2]), parts[2:]
        unknown = set(given) - {"ok", *words}
        if len(given) != len(ROLES) or name in rows or unknown:
            raise ValueError(f"no row of the table (twice, not {len(ROLES)} cells, or {unknown}): {line!r}")
        answers = {role: words.get(word, word) for role, word in zip(ROLES, given, strict=True)}
        rows[name] = Row(name, answers, json.loads(sends) if sends.strip() else {})
    return Table(words, rows)


def answer(world: World, row: Row, role: str) -> str:
    """What ``role`` is answered: ``ok``, an error's code, or what should never be seen (``status 500`` …)."""
    kind, _, target = row.route.partition(" ")
    if kind == SOCKET:
        return _socket_answer(world, target, row, role)
    sends = {name: _named(world, value) for name, value in row.sends.items() if name[0] not in "{?"}
    path = _PARAMETER.sub(lambda found: _parameter(world, row, found[1]), target)
    if "?" in row.sends:
        path += f"?{row.sends['?']}"
    got = world.clients[role].request(kind, path, sends if kind in ("POST", "PUT", "PATCH") else None)
    if got.error_code is not None:
        return got.error_code
    wanted = OPERATIONS[row.route].status
    return "ok" if got.status == wanted else f"status {got.status}"


def _parameter(world: World, row: Row, name: str) -> str:
    given = str(row.sends.get(f"{{{name}}}", world.things.get(name)))
    return world.things.get(given, given)


def _named(world: World, value: Any) -> Any:
    return world.things[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def _socket_answer(world: World, action: str, row: Row, role: str) -> str:
    opened = world.sockets.get(role)
    if opened is None:
        refused = world.clients[role].request("POST", f"/streams/{world.things['stream_id']}/ticket")
        return str(refused.error_code)
    message = {"action": action, **{name: _named(world, value) for name, value in row.sends.items()}}
    if action not in ("join", "react", "ping"):
        message["id"] = opened.new_id(action)
    # Each answer as to a client that takes its time: who is refused this often is closed as a flood.
    flood.watch.cache_clear()
    seen = len(opened.messages)
    opened.send(message)
    if action == "react":
        # Silent on success: what is asked next is answered next.
        opened.send({"action": "ping"})
    got = opened.wait_for(
        lambda one: one.get("type") in ("ack", "error", "joined", "pong"), f"an answer to {message}", after=seen
    )
    return str(got["code"]) if got["type"] == "error" else "ok"
