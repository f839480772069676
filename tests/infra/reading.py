"""How the tests read a template: resources by type and by the construct id they came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cloud:
    """A synthesized template and where it stands."""

    path: Path
    template: dict[str, Any]

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        return self.template["Resources"]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Resources of one type by logical id."""
        return {name: found for name, found in self.resources.items() if found["Type"] == kind}

    def one(self, kind: str, prefix: str = "") -> tuple[str, dict[str, Any]]:
        """The only resource of a type whose logical id starts so; its id and its properties."""
        found = {name: each for name, each in self.of(kind).items() if name.startswith(prefix)}
        assert len(found) == 1, f"{kind} {prefix}*: {sorted(found)}"
        ((name, each),) = found.items()
        return name, each.get("Properties", {})

    @cached_property
    def functions(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Our own functions by construct id: logical id and properties."""
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for name, each in self.of("AWS::Lambda::Function").items():
            handler = str(each["Properties"]["Handler"])
            if handler.startswith("functions."):
                found[handler.removeprefix("functions.").removesuffix(".handle")] = (name, each["Properties"])
        return found

    def statements(self, function: str) -> list[dict[str, Any]]:
        """The policy statements of a function's role."""
        role = self.functions[function][1]["Role"]["Fn::GetAtt"][0]
        return [
            statement
            for policy in self.of("AWS::IAM::Policy").values()
            if {"Ref": role} in policy["Properties"]["Roles"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]

    def rights(self, function: str) -> set[tuple[str, str]]:
        """(action, logical id of the resource, with the index where one is named) of what a function's code may do.

        What the service does for it (logs, traces, receiving from its queue) is left out.
        """
        rights: set[tuple[str, str]] = set()
        for statement in self.statements(function):
            for action in listed(statement["Action"]):
                if action.split(":")[0] in ("logs", "xray") or action in RECEIVING:
                    continue
                for resource in listed(statement["Resource"]):
                    rights.add((action, place(resource)))
        return rights


RECEIVING = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
}


def listed(value: Any) -> list[Any]:
    """CloudFormation writes a list of one as the one."""
    return value if isinstance(value, list) else [value]


def place(resource: Any) -> str:
    """Short name of an ARN expression: the logical id without its hash, and ``/index/…``."""
    if resource == "*":
        return "*"
    if "Ref" in resource:
        return resource["Ref"][:-8]
    if "Fn::GetAtt" in resource:
        return resource["Fn::GetAtt"][0][:-8]
    parts = resource["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else place(part) for part in parts if not _pseudo(part))


def _pseudo(part: Any) -> bool:
    return isinstance(part, dict) and str(part.get("Ref", "")).startswith("AWS::")


def text(value: Any) -> str:
    """An expression as one searchable line."""
    return json.dumps(value, sort_keys=True)
