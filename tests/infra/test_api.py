"""The HTTPS API of the template, held to the Chalice app that answers it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.errors import CODES
from infra.api import REFUSALS, declared_routes
from tests.infra.reading import Cloud, text


def _body(cloud: Cloud) -> dict[str, Any]:
    _, properties = cloud.one("AWS::ApiGateway::RestApi")
    body: dict[str, Any] = properties["Body"]
    return body


def _methods(cloud: Cloud) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method.upper()): found
        for path, methods in _body(cloud)["paths"].items()
        for method, found in methods.items()
    }


def test_every_route_of_the_app_is_deployed_and_no_other(cloud: Cloud) -> None:
    declared = {(route.path, route.method) for route in declared_routes()}
    assert len(declared) >= 20
    assert {key for key in _methods(cloud) if key[1] != "OPTIONS"} == declared


def test_routes_are_guarded_as_the_app_says(cloud: Cloud) -> None:
    methods = _methods(cloud)
    ((name, guard),) = _body(cloud)["components"]["securitySchemes"].items()
    pool, _ = cloud.one("AWS::Cognito::UserPool")
    assert guard["x-amazon-apigateway-authtype"] == "cognito_user_pools"
    assert guard["x-amazon-apigateway-authorizer"] == {
        "type": "cognito_user_pools",
        "providerARNs": [{"Fn::GetAtt": [pool, "Arn"]}],
    }
    for route in declared_routes():
        method = methods[route.path, route.method]
        if route.scopes:
            assert method["security"] == [{name: ["aws.cognito.signin.user.admin"]}], route
        else:
            assert "security" not in method, route


def test_every_route_calls_the_one_function(cloud: Cloud) -> None:
    function, _ = cloud.functions["api.app"]
    for (path, method), found in _methods(cloud).items():
        if method == "OPTIONS":
            continue
        integration = found["x-amazon-apigateway-integration"]
        assert integration["type"] == "aws_proxy"
        assert integration["uri"]["Fn::Join"][1][-1] == ":function:${stageVariables.function}/invocations", path
    _, stage = cloud.one("AWS::ApiGateway::Stage")
    assert stage["Variables"] == {"function": {"Ref": function}}


def test_every_part_of_a_path_is_declared(cloud: Cloud) -> None:
    for (path, _), found in _methods(cloud).items():
        named = [each["name"] for each in found.get("parameters", ())]
        assert named == [part.strip("{}+") for part in path.split("/") if part.startswith("{")], path


def test_paths_are_such_as_api_gateway_takes(cloud: Cloud) -> None:
    nodes: dict[str, set[str]] = {}
    for path in _body(cloud)["paths"]:
        parts = path.strip("/").split("/")
        for at, part in enumerate(parts):
            nodes.setdefault("/".join(parts[:at]), set()).add(part)
    # One variable part below a resource: "A sibling of this resource already has a variable path part".
    assert {parent: parts for parent, parts in nodes.items() if sum(part.startswith("{") for part in parts) > 1} == {}
    assert sum(map(len, nodes.values())) <= 300  # API Gateway's quota of resources per API


def test_open_routes_are_only_those_that_the_protocol_opens() -> None:
    opened = {(route.method, route.path) for route in declared_routes() if not route.scopes}
    assert opened <= {
        ("POST", "/accounts"),
        ("POST", "/sessions"),
        ("POST", "/password-resets"),
        ("POST", "/password-resets/confirm"),
        ("POST", "/streams/{stream_id}/ticket"),
        ("GET", "/streams/{stream_id}/frames"),  # a visitor who watches pages on after `joined` says `more`
        ("GET", "/streams/{stream_id}/questions"),
        ("GET", "/streams/{stream_id}/replay"),  # for a visitor where the broadcast was for everyone
        ("GET", "/s/{code}"),  # whoever is sent a link opens it
        ("GET", "/gifts"),
        ("GET", "/coin-packs"),
        ("GET", "/accounts/{handle}/gifts"),
        ("GET", "/accounts/{handle}/leaderboard"),
        ("GET", "/streams/{stream_id}/goals"),
        ("GET", "/streams/{stream_id}/leaderboard"),
        ("POST", "/webhooks/{provider}"),  # believed only as far as it is signed
    }


def test_every_path_answers_a_preflight_with_the_headers_that_clients_send(cloud: Cloud) -> None:
    methods = _methods(cloud)
    for path in {route.path for route in declared_routes()}:
        preflight = methods[path, "OPTIONS"]
        answer = preflight["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"]
        # API Gateway refuses an integration that sets a header which its method response does not declare.
        declared = preflight["responses"]["204"]["headers"]
        assert {name.removeprefix("method.response.header.") for name in answer} == set(declared), path
        headers = answer["method.response.header.Access-Control-Allow-Headers"]
        for header in ("Authorization", "Content-Type", "Idempotency-Key", "Accept-Language"):
            assert header in headers, path
        assert answer["method.response.header.Access-Control-Allow-Origin"] == "'*'", path


@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_refusal_of_the_gateway_has_our_shape_code_and_cors(cloud: Cloud, kind: str) -> None:
    found = _body(cloud)["x-amazon-apigateway-gateway-responses"][kind]
    body = json.loads(found["responseTemplates"]["application/json"])
    status, sentence = CODES[REFUSALS[kind]]
    assert body == {"error": {"code": REFUSALS[kind], "message": sentence}}
    assert found["statusCode"] == str(status)
    assert found["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"


def test_one_permission_lets_the_api_call_its_function(cloud: Cloud) -> None:
    function, _ = cloud.functions["api.app"]
    permissions = [
        each["Properties"]
        for each in cloud.of("AWS::Lambda::Permission").values()
        if each["Properties"]["FunctionName"] == {"Fn::GetAtt": [function, "Arn"]}
    ]
    assert len(permissions) == 1
    assert permissions[0]["Principal"] == "apigateway.amazonaws.com"
    api, _ = cloud.one("AWS::ApiGateway::RestApi")
    assert f'"{api}"' in text(permissions[0]["SourceArn"])


def test_stage_is_v1_bounded_and_logs_no_bodies(cloud: Cloud) -> None:
    _, stage = cloud.one("AWS::ApiGateway::Stage")
    assert stage["StageName"] == "v1"
    (settings,) = stage["MethodSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (1000, 2000)
    assert settings["DataTraceEnabled"] is False
    assert "AccessLogSetting" in stage
