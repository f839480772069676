"""The WebSocket API of the template."""

from __future__ import annotations

from typing import Any

from tests.infra.reading import Cloud, text

ACTIONS = ("join", "chat", "react", "gift", "ask", "upvote", "poll", "vote", "ping")
HANDLERS = {
    **{action: f"rooms.{action}" for action in ACTIONS},
    "answer": "rooms.answer_question",
    "$disconnect": "rooms.disconnect",
    "$default": "rooms.unknown",
}


def _routes(cloud: Cloud) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        each["Properties"]["RouteKey"]: (name, each["Properties"])
        for name, each in cloud.of("AWS::ApiGatewayV2::Route").items()
    }


def _integration(cloud: Cloud, route: dict[str, Any]) -> dict[str, Any]:
    reference = route["Target"]["Fn::Join"][1][1]["Ref"]
    return cloud.resources[reference]["Properties"]


def test_action_in_the_body_selects_the_route(cloud: Cloud) -> None:
    _, api = cloud.one("AWS::ApiGatewayV2::Api")
    assert api["ProtocolType"] == "WEBSOCKET"
    assert api["RouteSelectionExpression"] == "$request.body.action"
    assert set(_routes(cloud)) == {"$connect", *HANDLERS}


def test_each_route_runs_its_own_function(cloud: Cloud) -> None:
    for key, handler in HANDLERS.items():
        integration = _integration(cloud, _routes(cloud)[key][1])
        assert integration["IntegrationType"] == "AWS_PROXY", key
        assert f'"{cloud.functions[handler][0]}"' in text(integration["IntegrationUri"]), key


def test_every_route_but_disconnect_sends_its_answer(cloud: Cloud) -> None:
    answering = {each["Properties"]["RouteId"]["Ref"] for each in cloud.of("AWS::ApiGatewayV2::RouteResponse").values()}
    for key, (name, route) in _routes(cloud).items():
        assert (name in answering) == (key != "$disconnect"), key
        assert (route.get("RouteResponseSelectionExpression") == "$default") == (key != "$disconnect"), key


def test_connect_needs_a_ticket_and_runs_no_function_of_its_own(cloud: Cloud) -> None:
    _, route = _routes(cloud)["$connect"]
    assert route["AuthorizationType"] == "CUSTOM"
    _, authorizer = cloud.one("AWS::ApiGatewayV2::Authorizer")
    assert authorizer["AuthorizerType"] == "REQUEST"
    assert authorizer["IdentitySource"] == ["route.request.querystring.ticket"]
    assert f'"{cloud.functions["rooms.authorize"][0]}"' in text(authorizer["AuthorizerUri"])
    integration = _integration(cloud, route)
    assert integration["IntegrationType"] == "MOCK"
    # The template that is selected must be there, or the handshake ends in 500.
    assert integration["TemplateSelectionExpression"].removeprefix("\\") in integration["RequestTemplates"]
    _, answer = cloud.one("AWS::ApiGatewayV2::IntegrationResponse")
    assert answer["IntegrationResponseKey"] == "$default"


def test_stage_is_live_and_bounded_and_logs_without_tickets(cloud: Cloud) -> None:
    _, stage = cloud.one("AWS::ApiGatewayV2::Stage")
    assert stage["StageName"] == "live"
    assert stage["AutoDeploy"] is True
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 5000
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 5000
    assert "$context.connectionId" in text(stage["AccessLogSettings"]["Format"])
    assert "querystring" not in text(stage["AccessLogSettings"]["Format"])
