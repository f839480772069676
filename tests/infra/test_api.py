"""The HTTPS API of the template, held to the Chalice app that answers it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.errors import CODES
from infra.api import REFUSALS, declared_routes
from tests.infra.reading import Cloud, text


def _paths(cloud: Cloud) -> dict[str, str]:
    resources = cloud.of("AWS::ApiGateway::Resource")

    def path(name: str) -> str:
        properties = resources[name]["Properties"]
        parent = properties["ParentId"].get("Ref")
        return f"{path(parent) if parent else ''}/{properties['PathPart']}"

    return {name: path(name) for name in resources}


def _methods(cloud: Cloud) -> dict[tuple[str, str], dict[str, Any]]:
    paths = _paths(cloud)
    return {
        (paths[each["Properties"]["ResourceId"]["Ref"]], each["Properties"]["HttpMethod"]): each["Properties"]
        for each in cloud.of("AWS::ApiGateway::Method").values()
    }


def test_every_route_of_the_app_is_deployed_and_no_other(cloud: Cloud) -> None:
    declared = {(route.path, route.method) for route in declared_routes()}
    assert len(declared) >= 20
    assert {key for key in _methods(cloud) if key[1] != "OPTIONS"} == declared


def test_routes_are_guarded_as_the_app_says(cloud: Cloud) -> None:
    methods = _methods(cloud)
    authorizer, properties = cloud.one("AWS::ApiGateway::Authorizer")
    pool, _ = cloud.one("AWS::Cognito::UserPool")
    assert properties["Type"] == "COGNITO_USER_POOLS"
    assert properties["ProviderARNs"] == [{"Fn::GetAtt": [pool, "Arn"]}]
    for route in declared_routes():
        method = methods[route.path, route.method]
        if route.scopes:
            assert method["AuthorizationType"] == "COGNITO_USER_POOLS", route
            assert method["AuthorizerId"] == {"Ref": authorizer}, route
            assert method["AuthorizationScopes"] == ["aws.cognito.signin.user.admin"], route
        else:
            assert method["AuthorizationType"] == "NONE", route


def test_open_routes_are_only_those_that_the_protocol_opens() -> None:
    opened = {(route.method, route.path) for route in declared_routes() if not route.scopes}
    assert opened <= {
        ("POST", "/accounts"),
        ("POST", "/sessions"),
        ("POST", "/streams/{stream_id}/ticket"),
        ("GET", "/streams/{stream_id}/frames"),  # a visitor who watches pages on after `joined` says `more`
        ("GET", "/streams/{stream_id}/questions"),
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
        answer = methods[path, "OPTIONS"]["Integration"]["IntegrationResponses"][0]["ResponseParameters"]
        headers = answer["method.response.header.Access-Control-Allow-Headers"]
        for header in ("Authorization", "Content-Type", "Idempotency-Key", "Accept-Language"):
            assert header in headers, path
        assert answer["method.response.header.Access-Control-Allow-Origin"] == "'*'", path


@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_refusal_of_the_gateway_has_our_shape_code_and_cors(cloud: Cloud, kind: str) -> None:
    found = [
        each["Properties"]
        for each in cloud.of("AWS::ApiGateway::GatewayResponse").values()
        if each["Properties"]["ResponseType"] == kind
    ]
    assert len(found) == 1
    body = json.loads(found[0]["ResponseTemplates"]["application/json"])
    status, sentence = CODES[REFUSALS[kind]]
    assert body == {"error": {"code": REFUSALS[kind], "message": sentence}}
    assert found[0]["StatusCode"] == str(status)
    assert found[0]["ResponseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"


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
