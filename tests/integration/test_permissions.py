"""Rights of each function: the AWS calls that it made, held against its policies in the template. Too little fails."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Any

from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json

from local.deployment import ACCOUNT, REGION, STACK
from local.runtime import SeenCall
from local.testing import Onair, wait_until

# Calls that carry their own proof (a password, a token) and take no permission of the caller.
UNSIGNED = {
    ("cognito-idp", "SignUp"),
    ("cognito-idp", "InitiateAuth"),
    ("cognito-idp", "GlobalSignOut"),
    ("cognito-idp", "RespondToAuthChallenge"),
}
TRANSACTION_ACTIONS = {"PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "GetItem"}


def _policies(onair: Onair) -> dict[str, list[dict[str, Any]]]:
    """Statements of every role, by the role's physical name."""
    stack: Any = cloudformation_backends[ACCOUNT][REGION].get_stack(STACK)
    found: dict[str, list[dict[str, Any]]] = {}
    for resource in onair.stack.options.template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy":
            properties: dict[str, Any] = clean_json(resource["Properties"], stack.resource_map)
            for role in properties["Roles"]:
                found.setdefault(str(role), []).extend(properties["PolicyDocument"]["Statement"])
    return found


def _allowed(statements: list[dict[str, Any]], action: str, resource: str) -> bool:
    def listed(value: Any) -> list[str]:
        return [value] if isinstance(value, str) else list(value)

    return any(
        statement["Effect"] == "Allow"
        and any(fnmatch.fnmatchcase(action.lower(), one.lower()) for one in listed(statement["Action"]))
        and any(fnmatch.fnmatchcase(resource, one) for one in listed(statement["Resource"]))
        for statement in statements
    )


def _needs(call: SeenCall) -> Iterator[tuple[str, list[str]]]:
    """Resource ARN and the actions of which one is needed on it, for one call."""
    base = f"{REGION}:{ACCOUNT}"
    if call.service == "dynamodb":
        actions = [f"dynamodb:{call.operation}"]
        if call.operation in ("TransactWriteItems", "TransactGetItems"):
            actions = [f"dynamodb:{name}" for name in TRANSACTION_ACTIONS]
        for table in call.resource.split(","):
            yield f"arn:aws:dynamodb:{base}:table/{table}", actions
    elif call.service == "sqs":
        action = call.operation.removesuffix("Batch")
        yield f"arn:aws:sqs:{base}:{call.resource.rpartition('/')[2]}", [f"sqs:{action}"]
    elif call.service == "secretsmanager":
        yield call.resource, [f"secretsmanager:{call.operation}"]
    elif call.service == "lambda":
        name = call.resource.rpartition(":function:")[2] or call.resource
        yield f"arn:aws:lambda:{base}:function:{name}", ["lambda:InvokeFunction"]
    elif call.service == "cognito-idp":
        yield f"arn:aws:cognito-idp:{base}:userpool/{call.resource}", [f"cognito-idp:{call.operation}"]
    elif call.service == "execute-api":
        # Posting to connections: the policy names the API, its stage and the path below it.
        yield f"arn:aws:execute-api:{base}:{{api}}/live/POST/@connections/*", ["execute-api:ManageConnections"]
    else:
        raise AssertionError(f"teach this test what {call.service}:{call.operation} needs")


def _exercise(onair: Onair) -> None:
    """Everything that a broadcast does, so that each function makes its calls."""
    host, viewer = onair.account("right_host", followers=1_200), onair.account("right_viewer", coins=7_000)
    viewer.call("PUT", "/accounts/right_host/follow")
    viewer.call("GET", "/accounts/right_host/followers")
    stream = onair.broadcast(host)
    opened = onair.socket(viewer, stream["id"])
    opened.join()
    opened.chat("hello")
    opened.react({"❤️": 3})
    opened.gift("rose", 10)
    opened.send({"action": "ping"})
    opened.send({"action": "nothing-of-ours"})
    opened.wait_for(lambda message: message.get("type") == "pong", "pong")
    opened.wait_for_event("gift", gift_id="rose")
    wait_until(lambda: host.call("GET", "/wallet")["diamonds"] == 5, "settlement")
    for path in ("/feed/for-you", "/feed/following", "/feed/upcoming", "/wallet/statement", "/me"):
        viewer.call("GET", path)
    opened.close()
    onair.advance(61)  # the minute's schedules
    schedules = {schedule.function for schedule in onair.stack.declared.schedules}
    wait_until(lambda: all(onair.stack.runtime.seen[name] for name in schedules), "the minute's schedules", 20)
    host.call("POST", f"/streams/{stream['id']}/publish")
    host.call("POST", f"/streams/{stream['id']}/end")


def test_no_function_calls_what_its_policy_does_not_allow(onair: Onair) -> None:
    _exercise(onair)
    policies = _policies(onair)
    missing: list[str] = []
    for name, calls in onair.stack.runtime.seen.items():
        function = onair.stack.declared.functions[name]
        statements = policies.get(function.role.rpartition("/")[2], [])
        for call in calls:
            if (call.service, call.operation) in UNSIGNED:
                continue
            for named, actions in _needs(call):
                resource = named.replace("{api}", onair.stack.declared.socket.api_id)
                if not any(_allowed(statements, action, resource) for action in actions):
                    missing.append(f"{function.logical} may not {call.service}:{call.operation} on {resource}")
    assert not missing, "\n".join(sorted(missing))


def test_every_function_of_the_path_was_seen(onair: Onair) -> None:
    _exercise(onair)
    silent = [
        onair.stack.declared.functions[name].handler
        for name, calls in onair.stack.runtime.seen.items()
        if not calls and onair.stack.declared.functions[name].handler.startswith("functions.")
    ]
    # deliver posts only in rooms of more than one shard, media waits for a relay, unknown and authorize store nothing.
    quiet = {"deliver", "media", "unknown", "authorize"}
    assert [handler for handler in silent if handler.split(".")[-2] not in quiet] == []
