"""Writes docs/openapi.json (3.1) and docs/asyncapi.json (3.0) from the types that parse what clients send.

``python -m docs.generate`` writes both; tests/unit/test_api_documents.py fails when they are not up to date.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import msgspec

from docs.operations import OPERATIONS, Operation, types
from functions.accounts import shut_out
from functions.api import ErrorAnswer, app
from functions.errors import CODES
from functions.rooms import messages

FOLDER: Final = Path(__file__).resolve().parent
VERSION: Final = "1"
REFERENCE: Final = "#/components/schemas/{name}"
_PAGE: Final = {"text/html": {"schema": {"type": "string"}}}
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


def openapi() -> dict[str, Any]:
    """The HTTPS side: every route of the Chalice app."""
    _, schemas = msgspec.json.schema_components([*types(), ErrorAnswer], ref_template=REFERENCE)
    schemas["Refusal"]["properties"]["code"] = {"type": "string", "enum": list(CODES)}
    if "FramesPage" in schemas:
        # Frames are stored and handed on as they are, so their type says only "JSON".
        frame_schemas = msgspec.json.schema_components([messages.Frame], ref_template=REFERENCE)[1]
        schemas = {**frame_schemas, **schemas}
        schemas["FramesPage"]["properties"]["frames"]["items"] = {"$ref": REFERENCE.format(name="Frame")}
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for path, methods in sorted(app.routes.items()):
        for method, entry in sorted(methods.items()):
            row = OPERATIONS[f"{method} {path}"]
            paths[path][method.lower()] = _operation(path, entry, row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Onair",
            "version": VERSION,
            "description": "Live broadcasting over HTTPS. Unknown fields are ignored; a wrong one is named in "
            "`error.details.field`. `Accept-Language` picks the language of `message` and `fix`.",
        },
        "servers": [
            {"url": "{api_url}", "variables": {"api_url": {"default": "http://127.0.0.1:8080/v1"}}},
        ],
        "paths": dict(paths),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "access_token": {"type": "http", "scheme": "bearer", "description": "Cognito access token"}
            },
        },
    }


def _operation(path: str, entry: Any, row: Operation) -> dict[str, Any]:
    summary, _, rest = (entry.view_function.__doc__ or "").strip().partition("\n")
    made: dict[str, Any] = {"operationId": entry.view_name, "summary": summary, "parameters": _parameters(path, row)}
    if rest.strip():
        made["description"] = " ".join(rest.split())
    if row.body is not None:
        made["requestBody"] = {"required": True, "content": _json(row.body)}
    answer: dict[str, Any] = {"description": "Done" if row.answer is None else row.answer.__name__}
    if row.answer is not None:
        answer["content"] = _json(row.answer)
    if row.csv:
        answer["content"] = {**answer["content"], "text/csv": {"schema": {"type": "string"}}}
    if row.page:
        answer = {"description": "A page", "content": _PAGE}
    refused = _refusals(path, entry, row)
    if row.page:
        # Whoever follows a link reads a page, also when it leads nowhere; only what is not ours to show stays JSON.
        refused = {status: {**one, "content": {**_PAGE, **one["content"]}} for status, one in refused.items()}
    made["responses"] = {str(row.status): answer, **refused}
    if entry.authorizer is not None:
        made["security"] = [{"access_token": []}]
    else:
        made["security"] = [{}, {"access_token": []}] if row.optional_token else []
    return made


def _parameters(path: str, row: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]
    if row.query is not None:
        schema = msgspec.json.schema_components([row.query], ref_template=REFERENCE)[1][row.query.__name__]
        for name, given in schema["properties"].items():
            found.append({"name": name, "in": "query", "required": False, "schema": given})
    if row.repeatable:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "minLength": 1, "maxLength": 128},
                "description": "The same key with the same content answers the first request's result again.",
            }
        )
    return found


def _refusals(path: str, entry: Any, row: Operation) -> dict[str, Any]:
    codes = {*row.refusals, "unavailable"}
    if entry.authorizer is not None:
        codes.add("unauthenticated")
        if shut_out.is_closed(f"{entry.method} {path}"):
            codes |= {"suspended", "banned"}
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in CODES:
        if code in codes:
            by_status[CODES[code][0]].append(code)
    return {
        str(status): {"description": " · ".join(f"`{code}`" for code in found), "content": _json(ErrorAnswer)}
        for status, found in sorted(by_status.items())
    }


def _json(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}}


# Socket: action → the type that parses it and the types that answer it.
ACTIONS: Final[dict[str, tuple[type, tuple[type, ...]]]] = {
    "join": (messages.JoinMessage, (messages.Joined, messages.Refusal)),
    "chat": (messages.ChatMessage, (messages.Ack, messages.Refusal)),
    "react": (messages.ReactMessage, (messages.Refusal,)),
    "gift": (messages.GiftMessage, (messages.Ack, messages.Refusal)),
    "ask": (messages.AskMessage, (messages.Ack, messages.Refusal)),
    "upvote": (messages.UpvoteMessage, (messages.Ack, messages.Refusal)),
    "answer": (messages.AnswerMessage, (messages.Ack, messages.Refusal)),
    "poll": (messages.PollMessage, (messages.Ack, messages.Refusal)),
    "vote": (messages.VoteMessage, (messages.Ack, messages.Refusal)),
    "ping": (messages.PingMessage, (messages.Pong, messages.Refusal)),
}
PUSHED: Final[tuple[type, ...]] = (messages.Frame, messages.MeChanged, messages.Pulse, messages.HeldTold, messages.Bye)


def asyncapi() -> dict[str, Any]:
    """The socket side: every action, its answers, and what the server sends by itself."""
    sent = [kind for kind, _ in ACTIONS.values()]
    told = list(dict.fromkeys([answer for _, answers in ACTIONS.values() for answer in answers] + list(PUSHED)))
    _, schemas = msgspec.json.schema_components([*sent, *told], ref_template=REFERENCE)
    schemas["Joined"]["properties"]["frames"]["items"] = {"$ref": REFERENCE.format(name="Frame")}
    schemas["Refusal"]["properties"]["code"] = {"type": "string", "enum": list(CODES)}
    for action, (kind, _) in ACTIONS.items():
        schema = schemas[kind.__name__]
        schema["properties"] = {"action": {"const": action}, **schema["properties"]}
        schema["required"] = ["action", *schema.get("required", [])]
    operations: dict[str, Any] = {}
    for action, (kind, answers) in ACTIONS.items():
        operations[action] = {
            "action": "receive",
            "channel": {"$ref": "#/channels/room"},
            "messages": [{"$ref": f"#/channels/room/messages/{kind.__name__}"}],
            "reply": {
                "channel": {"$ref": "#/channels/room"},
                "messages": [{"$ref": f"#/channels/room/messages/{answer.__name__}"} for answer in answers],
            },
        }
    for kind in PUSHED:
        operations[f"push{kind.__name__}"] = {
            "action": "send",
            "channel": {"$ref": "#/channels/room"},
            "messages": [{"$ref": f"#/channels/room/messages/{kind.__name__}"}],
        }
    described = {kind.__name__: _message(kind) for kind in [*sent, *told]}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Onair rooms",
            "version": VERSION,
            "description": "JSON text frames; `action` selects the route. The address, with its ticket, comes from "
            "`POST /streams/{id}/ticket`.",
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:8080", "pathname": "/live", "protocol": "ws"}},
        "channels": {
            "room": {
                "address": "/",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in described},
                "bindings": {
                    "ws": {
                        "query": {
                            "type": "object",
                            "required": ["ticket"],
                            "properties": {"ticket": {"type": "string"}},
                        }
                    }
                },
            }
        },
        "operations": operations,
        "components": {"messages": described, "schemas": dict(sorted(schemas.items()))},
    }


def _message(kind: type) -> dict[str, Any]:
    return {
        "summary": " ".join((kind.__doc__ or "").split()),
        "payload": {"$ref": REFERENCE.format(name=kind.__name__)},
    }


def text(document: dict[str, Any]) -> str:
    """The document as it is committed."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Write both documents."""
    (FOLDER / "openapi.json").write_text(text(openapi()), encoding="utf-8")
    (FOLDER / "asyncapi.json").write_text(text(asyncapi()), encoding="utf-8")


if __name__ == "__main__":
    main()
