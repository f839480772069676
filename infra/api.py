"""The HTTPS API: every route that the Chalice app declares, as a REST API in front of one function.

Nothing here lists routes: a blueprint that adds one has it deployed by the next synthesis.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_apigateway as gateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from functions.accounts.trail import PARTITION as TRAIL
from functions.errors import CODES
from infra import rules
from infra.account_work import AccountWork
from infra.accounts import Accounts
from infra.handler import Handler, House
from infra.interfaces import interface
from infra.relay import Relay
from infra.rooms import STAGE as SOCKET_STAGE
from infra.rooms import Rooms
from infra.storage import index_arn
from infra.streams import FEED_INDEX, HOST_INDEX, REPLAYS_INDEX, Streams
from infra.wallet import STATEMENT_INDEX, Wallet
from infra.web import Web

STAGE: Final = "v1"
SCOPE: Final = "aws.cognito.signin.user.admin"  # access tokens of password sign-in carry it, id tokens do not
ALLOWED_HEADERS: Final = ("Authorization", "Content-Type", "Idempotency-Key", "Accept-Language")
TIMEOUT_S: Final = 25  # API Gateway gives up after 29 s; our own answer should come first
PREFLIGHT_AGE_S: Final = 7200  # Chromium's longest
GUARD: Final = "Cognito"
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\+?\}")

# What the gateway itself refuses, in our codes. An unknown route is MISSING_AUTHENTICATION_TOKEN to API Gateway, and
# with a bearer token INVALID_SIGNATURE, since it looks for an IAM signature there: both mean that nothing is here.
REFUSALS: Final[dict[str, str]] = {
    "DEFAULT_4XX": "invalid_request",
    "DEFAULT_5XX": "unavailable",
    "UNAUTHORIZED": "unauthenticated",
    "EXPIRED_TOKEN": "unauthenticated",
    "ACCESS_DENIED": "forbidden",
    "WAF_FILTERED": "forbidden",
    "MISSING_AUTHENTICATION_TOKEN": "not_found",
    "INVALID_SIGNATURE": "not_found",
    "RESOURCE_NOT_FOUND": "not_found",
    "BAD_REQUEST_BODY": "invalid_request",
    "BAD_REQUEST_PARAMETERS": "invalid_request",
    "REQUEST_TOO_LARGE": "too_large",
    "THROTTLED": "rate_limited",
    "QUOTA_EXCEEDED": "rate_limited",
    "INTEGRATION_FAILURE": "unavailable",
    "INTEGRATION_TIMEOUT": "unavailable",
}


@dataclass(frozen=True)
class Route:
    """One method of one path, and the token scopes that open it (none: open to all)."""

    path: str
    method: str
    scopes: tuple[str, ...]


def declared_routes() -> Iterator[Route]:
    """The routes of the Chalice app, by path and method."""
    # Imported here: only this question needs the functions' code, and it must answer without AWS.
    from functions.api import app

    routes: dict[str, dict[str, Any]] = app.routes
    for path in sorted(routes):
        for method in sorted(routes[path]):
            authorizer = routes[path][method].authorizer
            yield Route(path, method, tuple(authorizer.scopes) if authorizer is not None else ())


class Api(Construct):
    """REST API, its function, and refusals in our shape."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        house: House,
        accounts: Accounts,
        work: AccountWork,
        streams: Streams,
        rooms: Rooms,
        wallet: Wallet,
        relay: Relay,
        web: Web,
        signing: secretsmanager.Secret,
        playback: secretsmanager.Secret,
    ) -> None:
        super().__init__(scope, name)
        self._house = house
        settings = house.settings
        socket = f"wss://{rooms.api.api_id}.execute-api.{cdk.Stack.of(self).region}.{cdk.Stack.of(self).url_suffix}"
        self.socket_url = f"{socket}/{SOCKET_STAGE}"
        self.handler = Handler(
            self,
            "Api",
            house=house,
            entry="api.app",
            timeout_s=TIMEOUT_S,
            memory_mib=1024,
            environment={
                **rooms.writer_environment(),
                "ACCOUNTS_TABLE": accounts.table.table_name,
                "STREAMS_TABLE": streams.table.table_name,
                "LEDGER_TABLE": wallet.table.table_name,
                "SOCKET_URL": self.socket_url,
                "SOCKET_CALLBACK_URL": rooms.stage.callback_url,
                "USER_POOL_ID": accounts.pool.user_pool_id,
                "USER_POOL_CLIENT_ID": accounts.client.user_pool_client_id,
                "JWKS_URL": accounts.keys_url,
                "TOKEN_ISSUER": accounts.issuer,
                "SIGNING_SECRET_ARN": signing.secret_arn,
                "PLAYBACK_SECRET_ARN": playback.secret_arn,
                "RELAY_URL": web.url,
                "PLAYBACK_URL": web.url,
                "RTMP_URL": relay.rtmp_url,
                "WEB_URL": web.url,
                "WORK_QUEUE_URL": work.queue.queue.queue_url,
                "PICTURES_BUCKET": work.bucket.bucket_name,
                "UPLOAD_URL": work.upload_url,
                "REPLAY_DAYS": str(settings.media_days),
                "SIGN_UPS_MAX": str(settings.sign_ups_an_hour),
                "SIGN_IN_FAILURES_MAX": str(settings.sign_in_failures),
                **({"MAIL_FROM": work.sender} if work.sender else {}),
                "SANDBOX_PURCHASES": "true" if settings.sandbox_purchases else "false",
                **settings.markets_environment(),
            },
        )
        self._let(accounts, streams, rooms, wallet, signing, playback)
        self._called = self.handler.called_by_clients()
        work.let_order(self.handler)
        work.let_upload(self.handler)
        self._make(accounts)
        web.lead_shared_links_to(self.api.rest_api_id, STAGE)

    @property
    def url(self) -> str:
        """The API's address, without a trailing slash."""
        stack = cdk.Stack.of(self)
        return f"https://{self.api.rest_api_id}.execute-api.{stack.region}.{stack.url_suffix}/{STAGE}"

    def _let(
        self,
        accounts: Accounts,
        streams: Streams,
        rooms: Rooms,
        wallet: Wallet,
        signing: secretsmanager.Secret,
        playback: secretsmanager.Secret,
    ) -> None:
        items = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
        may = self.handler.may
        may(
            [*items, *(f"dynamodb:{verb}" for verb in ("DeleteItem", "Query", "BatchGetItem", "ConditionCheckItem"))],
            on=[accounts.table.table_arn],
        )
        may([*items, "dynamodb:DeleteItem", "dynamodb:BatchGetItem"], on=[streams.table.table_arn])
        listed = (FEED_INDEX, HOST_INDEX, REPLAYS_INDEX)
        may(["dynamodb:Query"], on=[index_arn(streams.table, index) for index in listed])
        # DeleteItem: a ban takes the account's open sockets from it.
        # ConditionCheckItem: a comment is released only where its author's rights are as they were read.
        room_rights = ["DeleteItem", "Query", "BatchGetItem", "ConditionCheckItem"]
        may([*items, *(f"dynamodb:{action}" for action in room_rights)], on=[rooms.table.table_arn])
        rooms.let_post(self.handler)
        may([*items, "dynamodb:Query"], on=[wallet.table.table_arn])
        may(["dynamodb:Query"], on=[index_arn(wallet.table, STATEMENT_INDEX)])
        may(["secretsmanager:GetSecretValue"], on=[signing.secret_arn, playback.secret_arn])
        wallet.let_sell(self.handler)
        may(
            [
                # What carries its own proof (a token) needs no permission.
                "cognito-idp:AdminCreateUser",
                "cognito-idp:AdminInitiateAuth",
                "cognito-idp:AdminRespondToAuthChallenge",
                "cognito-idp:AdminSetUserPassword",
                "cognito-idp:AdminSetUserMFAPreference",
                "cognito-idp:AdminUserGlobalSignOut",
            ],
            on=[accounts.pool.user_pool_arn],
        )
        rooms.let_ring(self.handler)
        # The operators' trail is added to, and neither changed nor shortened.
        self.handler.add_to_role_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=["dynamodb:UpdateItem", "dynamodb:DeleteItem"],
                resources=[accounts.table.table_arn],
                conditions={"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": [TRAIL]}},
            )
        )

    def _make(self, accounts: Accounts) -> None:
        settings = self._house.settings
        access: logs.LogGroup = self._house.log_group(self, "AccessLogs")
        self.api = gateway.SpecRestApi(
            self,
            "Rest",
            api_definition=gateway.ApiDefinition.from_inline(self._definition(accounts)),
            description="Onair API",
            endpoint_types=[gateway.EndpointType.REGIONAL],
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.RETAIN,  # one per account: others may log through it
            deploy_options=gateway.StageOptions(
                stage_name=STAGE,
                variables={"function": self._called.function_name},
                throttling_rate_limit=settings.api_rate,
                throttling_burst_limit=settings.api_burst,
                tracing_enabled=True,
                metrics_enabled=True,
                logging_level=gateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,  # bodies hold passwords
                access_log_destination=gateway.LogGroupLogDestination(access),
                access_log_format=gateway.AccessLogFormat.json_with_standard_fields(
                    caller=False, http_method=True, ip=False, protocol=True, request_time=True,
                    resource_path=True, response_length=True, status=True, user=False,
                ),
            ),
        )  # fmt: skip
        self._called.add_permission(
            "Rest",
            principal=interface(iam.ServicePrincipal("apigateway.amazonaws.com")),
            # One permission for the API rather than one for each method: hundreds of resources fewer.
            source_arn=self.api.arn_for_execute_api("*", "/*", "*"),
        )
        rules.acknowledge(
            self.api,
            "APIG2",
            "Every body is parsed by the msgspec type of its route (functions/parse.py), which names the wrong field.",
        )
        rules.acknowledge(
            self.api,
            "APIG3",
            "No firewall by default: it is billed per request; throttling bounds what anyone can ask.",
        )
        rules.acknowledge(
            self.api,
            "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
            "API Gateway's account-wide log role: AWS's managed policy is the only one that the service documents.",
        )

    def _definition(self, accounts: Accounts) -> dict[str, Any]:
        """The API as an OpenAPI document with API Gateway's extensions: one resource for all routes."""
        stack = cdk.Stack.of(self)
        # The function's name is the stage's, not the API's: the function knows CloudFront's address, and CloudFront
        # leads shared links to the API; named here, each of the three would wait for the next.
        function = f"arn:{stack.partition}:lambda:{stack.region}:{stack.account}:function:${{stageVariables.function}}"
        uri = f"arn:{stack.partition}:apigateway:{stack.region}:lambda:path/2015-03-31/functions/{function}/invocations"
        paths: dict[str, dict[str, Any]] = {}
        for route in declared_routes():
            path = paths.setdefault(route.path, {"options": _preflight(route.path)})
            path[route.method.lower()] = _operation(route, uri)
        return {
            "openapi": "3.0.1",
            "info": {"title": "Onair", "version": STAGE},
            "paths": paths,
            "components": {
                "securitySchemes": {
                    GUARD: {
                        "type": "apiKey",
                        "name": "Authorization",
                        "in": "header",
                        "x-amazon-apigateway-authtype": "cognito_user_pools",
                        "x-amazon-apigateway-authorizer": {
                            "type": "cognito_user_pools",
                            "providerARNs": [accounts.pool.user_pool_arn],
                        },
                    }
                }
            },
            "x-amazon-apigateway-gateway-responses": {kind: _refusal(code) for kind, code in REFUSALS.items()},
        }


def _operation(route: Route, uri: str) -> dict[str, Any]:
    guarded = {"security": [{GUARD: list(route.scopes)}]} if route.scopes else {}
    return {
        **_parameters(route.path),
        **guarded,
        "responses": {"200": {"description": "As docs/openapi.json tells"}},
        "x-amazon-apigateway-integration": {
            "type": "aws_proxy",
            "httpMethod": "POST",  # how API Gateway calls Lambda, whatever the client's method is
            "uri": uri,
            "passthroughBehavior": "when_no_match",
        },
    }


def _preflight(path: str) -> dict[str, Any]:
    # A browser's preflight carries no token by the Fetch standard, and tells only what may be asked.
    headers = {
        "Access-Control-Allow-Origin": "'*'",
        "Access-Control-Allow-Headers": f"'{','.join(ALLOWED_HEADERS)}'",
        "Access-Control-Allow-Methods": f"'{','.join(gateway.Cors.ALL_METHODS)}'",
        "Access-Control-Max-Age": f"'{PREFLIGHT_AGE_S}'",
    }
    described = {name: {"schema": {"type": "string"}} for name in headers}
    return {
        **_parameters(path),
        "responses": {"204": {"description": "What a page may ask", "headers": described}},
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "requestTemplates": {"application/json": '{"statusCode": 204}'},
            "passthroughBehavior": "when_no_match",
            "responses": {
                "default": {
                    "statusCode": "204",
                    "responseParameters": {f"method.response.header.{name}": text for name, text in headers.items()},
                }
            },
        },
    }


def _parameters(path: str) -> dict[str, Any]:
    names = _PATH_PARAMETER.findall(path)
    given = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return {"parameters": given} if given else {}


def _refusal(code: str) -> dict[str, Any]:
    status, message = CODES[code]
    return {
        "statusCode": str(status),
        "responseParameters": {
            "gatewayresponse.header.Access-Control-Allow-Origin": "'*'",
            "gatewayresponse.header.Access-Control-Allow-Headers": f"'{','.join(ALLOWED_HEADERS)}'",
        },
        "responseTemplates": {"application/json": json.dumps({"error": {"code": code, "message": message}})},
    }
