"""The REST API as API Gateway serves it: match, authorize, build the proxy event, call the function, answer.

Events are payload format 1.0 (API Gateway Developer Guide, "Input format of a Lambda function for proxy integration").
What the gateway refuses itself is answered with the template's gateway responses, so that a client sees the same
shape and CORS headers here and there.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDict

from functions import clock
from local import tokens
from local.declared import GatewayAnswer, RestApi, RestMethod
from local.deployment import ACCOUNT
from local.runtime import Runtime

# Quotas of API Gateway: payload of a request, and of what a function may answer.
BODY_BYTES_MAX: Final = 10 * 1024 * 1024
ANSWER_BYTES_MAX: Final = 6 * 1024 * 1024
TIMEOUT_MS_MAX: Final = 29_000

# Type of gateway response → default status and message (API Gateway Developer Guide, "Gateway response types").
_DEFAULTS: Final[Mapping[str, tuple[int, str]]] = {
    "ACCESS_DENIED": (403, "User is not authorized to access this resource"),
    "EXPIRED_TOKEN": (401, "The incoming token has expired"),
    "INTEGRATION_FAILURE": (504, "Internal server error"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "HTTP content length exceeded 10485760 bytes."),
    "UNAUTHORIZED": (401, "Unauthorized"),
    "API_CONFIGURATION_ERROR": (500, "Internal server error"),
    "DEFAULT_5XX": (502, "Internal server error"),
}
_CONTEXT: Final = re.compile(r"\$\{?context\.([\w.]+)\}?")


@dataclass
class _Node:
    """One part of the path: fixed parts first, then ``{name}``, then ``{name+}``, as the service prefers them."""

    methods: dict[str, RestMethod] = field(default_factory=dict[str, RestMethod])
    fixed: dict[str, _Node] = field(default_factory=dict[str, "_Node"])
    variable: tuple[str, _Node] | None = None
    rest: tuple[str, _Node] | None = None


class RestGateway:
    """Serves one REST API under ``/{stage}``."""

    def __init__(self, api: RestApi, runtime: Runtime, keys: tokens.KeySet) -> None:
        self._api = api
        self._runtime = runtime
        self._keys = keys
        self._root = _Node()
        for method in api.methods:
            self._node_of(method.path).methods[method.method] = method

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request below the stage."""
        raw_path = request.raw_path.partition("?")[0][len(self._api.stage) + 1 :] or "/"
        node, variables = self._match(raw_path)
        method = node.methods.get(request.method) or node.methods.get("ANY") if node else None
        if method is None:
            return self._refuse("MISSING_AUTHENTICATION_TOKEN", request)
        if request.content_length is not None and request.content_length > BODY_BYTES_MAX:
            return self._refuse("REQUEST_TOO_LARGE", request)
        if method.mock is not None:
            mock = method.mock
            return web.Response(status=mock.status, headers=dict(mock.headers), text=mock.body or None)
        claims: dict[str, str] | None = None
        if method.guard is not None:
            try:
                claims = tokens.verify(request.headers.get(method.guard.header), method.guard, self._keys)
            except tokens.RefusedTokenError:
                return self._refuse("UNAUTHORIZED", request)
            except tokens.ExpiredTokenError:
                return self._refuse("EXPIRED_TOKEN", request)
            except tokens.MissingScopeError:
                return self._refuse("ACCESS_DENIED", request)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._refuse("REQUEST_TOO_LARGE", request)
        event = self._event(request, method, raw_path, variables, claims, body)
        if event is None or method.function is None:
            return self._refuse("DEFAULT_5XX", request)
        limit_s = min(method.timeout_ms, TIMEOUT_MS_MAX) / 1000
        try:
            outcome = await asyncio.wait_for(self._runtime.call(method.function, event), limit_s)
        except TimeoutError:
            return self._refuse("INTEGRATION_TIMEOUT", request)
        if outcome.failed:
            return self._refuse("DEFAULT_5XX", request)
        return self._answer(outcome.payload, request)

    def _node_of(self, path: str) -> _Node:
        node = self._root
        for part in path.split("/")[1:]:
            if not part:
                continue
            if part.startswith("{") and part.endswith("+}"):
                node.rest = node.rest or (part[1:-2], _Node())
                node = node.rest[1]
            elif part.startswith("{"):
                node.variable = node.variable or (part[1:-1], _Node())
                node = node.variable[1]
            else:
                node = node.fixed.setdefault(part, _Node())
        return node

    def _match(self, raw_path: str) -> tuple[_Node | None, dict[str, str]]:
        node, variables = self._root, dict[str, str]()
        parts = [part for part in raw_path.split("/")[1:] if part]
        for position, part in enumerate(parts):
            if part in node.fixed:
                node = node.fixed[part]
            elif node.variable is not None:
                variables[node.variable[0]] = unquote(part)
                node = node.variable[1]
            elif node.rest is not None:
                variables[node.rest[0]] = unquote("/".join(parts[position:]))
                return node.rest[1], variables
            else:
                return None, {}
        return node, variables

    def _event(
        self,
        request: web.Request,
        method: RestMethod,
        raw_path: str,
        variables: dict[str, str],
        claims: dict[str, str] | None,
        body: bytes,
    ) -> dict[str, Any] | None:
        encoded = self._is_binary(request.headers.get("Content-Type", ""))
        try:
            text = base64.b64encode(body).decode() if encoded else body.decode()
        except UnicodeDecodeError:
            # The service passes such a body on with replacement characters; a parser then refuses it.
            text = body.decode(errors="replace")
        now_ms = clock.now_ms()
        headers = {name: request.headers.getall(name) for name in request.headers}
        query = {name: request.query.getall(name) for name in request.query}
        context: dict[str, Any] = {
            "accountId": ACCOUNT,
            "apiId": self._api.api_id,
            "domainName": request.host,
            "domainPrefix": self._api.api_id,
            "extendedRequestId": secrets.token_urlsafe(11) + "=",
            "httpMethod": request.method,
            "identity": {
                "sourceIp": request.remote or "127.0.0.1",
                "userAgent": request.headers.get("User-Agent"),
            },
            "path": f"/{self._api.stage}{raw_path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now_ms / 1000)),
            "requestTimeEpoch": now_ms,
            "resourceId": method.resource_id,
            "resourcePath": method.path,
            "stage": self._api.stage,
        }
        if claims is not None:
            context["authorizer"] = {"claims": claims}
        return {
            "resource": method.path,
            "path": unquote(raw_path),
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in headers.items()},
            "multiValueHeaders": headers,
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": variables or None,
            "stageVariables": None,
            "requestContext": context,
            "body": text or None,
            "isBase64Encoded": encoded and bool(body),
        }

    def _is_binary(self, content_type: str) -> bool:
        kind = content_type.partition(";")[0].strip()
        return "*/*" in self._api.binary_types or kind in self._api.binary_types

    def _answer(self, payload: Any, request: web.Request) -> web.StreamResponse:
        # A function's answer of another shape is a "malformed Lambda proxy response" there: 502.
        if not isinstance(payload, dict) or not isinstance(payload.get("statusCode"), int):
            return self._refuse("DEFAULT_5XX", request)
        body: Any = payload.get("body") or ""
        if not isinstance(body, str) or len(body) > ANSWER_BYTES_MAX:
            return self._refuse("DEFAULT_5XX", request)
        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in (payload.get("headers") or {}).items():
            headers[name] = str(value)
        for name, values in (payload.get("multiValueHeaders") or {}).items():
            headers.popall(name, None)
            for value in values:
                headers.add(name, str(value))
        headers.setdefault("Content-Type", "application/json")
        content = base64.b64decode(body) if payload.get("isBase64Encoded") else body.encode()
        return web.Response(status=payload["statusCode"], headers=headers, body=content)

    def _refuse(self, kind: str, request: web.Request) -> web.Response:
        status, message = _DEFAULTS[kind]
        fallback = "DEFAULT_4XX" if status < 500 else "DEFAULT_5XX"
        answer = self._api.answers.get(kind) or self._api.answers.get(fallback) or GatewayAnswer(kind, None, {}, {})
        values = {
            "error.message": message,
            "error.messageString": json.dumps(message),
            "error.responseType": kind,
            "requestId": str(uuid.uuid4()),
            "identity.sourceIp": request.remote or "",
        }
        template = answer.templates.get("application/json", '{"message":$context.error.messageString}')
        text = _CONTEXT.sub(lambda found: values.get(found[1], ""), template)
        # A response of a type of its own may set the status; the defaults keep each refusal's own.
        used = answer.status if answer.status is not None and answer.kind == kind else status
        return web.Response(status=used, text=text, headers={"Content-Type": "application/json", **answer.headers})
