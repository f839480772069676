"""A client of the Chalice app: REST proxy events as API Gateway sends them, on tables, pool, queue, secrets in moto."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from moto import mock_aws
from moto.utilities.utils import load_resource

from functions import aws, clock, tokens
from functions.accounts.table import PROFILE, AccountsItem, ProfileItem, account_key
from functions.rooms.items import RoomsItem
from functions.streams.table import StreamItem

REGION = "us-east-1"
PASSWORD = "Onair-demo-1"
ADULT = "1990-05-17"
BOTH = {"camera": True, "microphone": True}


class MovableClock:
    """The host's clock, moved ahead at will; waiting moves it and takes no time."""

    def __init__(self) -> None:
        self.offset_ms = 0.0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + int(self.offset_ms)

    def sleep_ms(self, duration_ms: float) -> None:
        self.offset_ms += max(0.0, duration_ms)


@dataclass(frozen=True)
class Answer:
    """What a client sees."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.body["error"]["code"])

    @property
    def field(self) -> str:
        """The field that the error names."""
        return str(self.body["error"]["details"]["field"])


@dataclass(frozen=True)
class Person:
    """Someone with an account and an access token."""

    id: str
    handle: str
    token: str
    groups: tuple[str, ...] = ()


@dataclass
class Client:
    """Calls routes as the gateway does: it finds the route, verifies nothing and passes on the claims it is given."""

    clock: MovableClock
    pool_id: str
    client_id: str
    people: dict[str, Person] = field(default_factory=dict)

    def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        who: Person | None = None,
        raw: str | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = None,
        resource: str | None = None,
    ) -> Answer:
        """Call ``method target``; ``raw`` is sent as it is, ``who`` is signed in."""
        from functions.api import app

        event = rest_event(method, target, body, who=who, raw=raw, headers=headers, key=key, resource=resource)
        answer = app(event, None)
        text = answer["body"]
        shown = {**answer["headers"]}
        return Answer(answer["statusCode"], json.loads(text) if text else None, shown)

    def sign_up(self, handle: str, **changes: Any) -> Person:
        """A new account, signed in; followers as given are set in the table."""
        followers = changes.pop("followers", 0)
        content = {
            "handle": handle,
            "password": PASSWORD,
            "display_name": handle.title(),
            "birth_date": ADULT,
            "market": "US",
            **changes,
        }
        made = self.call("POST", "/accounts", content)
        assert made.status == 201, made.body
        session = self.call("POST", "/sessions", {"handle": handle, "password": content["password"]})
        person = Person(made.body["id"], handle, session.body["access_token"])
        self.people[handle] = person
        if followers:
            ProfileItem(account_key(person.id), PROFILE).update(
                [ProfileItem.followers.set(followers), ProfileItem.followers_counted.set(followers)]
            )
        return person

    def operator(self, handle: str = "olga") -> Person:
        """Someone whose token names the group of operators."""
        person = replace(self.sign_up(handle), groups=("testers", "operators"))
        self.people[handle] = person
        return person

    def host(self, handle: str = "host_one", **changes: Any) -> Person:
        """An account that may go live."""
        return self.sign_up(handle, followers=1000, **changes)

    def ready(self, host: Person, **changes: Any) -> str:
        """A new stream's id."""
        made = self.call("POST", "/streams", {"title": "Morning", "devices": BOTH, **changes}, who=host)
        assert made.status == 201, made.body
        return str(made.body["id"])

    def live(self, host: Person, **changes: Any) -> str:
        """A live stream's id."""
        stream_id = self.ready(host, **changes)
        started = self.call("POST", f"/streams/{stream_id}/start", {"devices": BOTH}, who=host)
        assert started.status == 200, started.body
        return stream_id


def find_route(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The app's resource for a path and its parameters, as API Gateway finds it; literal parts win."""
    from functions.api import app

    parts = path.split("/")
    found: list[tuple[int, str, dict[str, str]]] = []
    for resource in app.routes:
        wanted = resource.split("/")
        if len(wanted) == len(parts) and all(w.startswith("{") or w == p for w, p in zip(wanted, parts, strict=True)):
            given = {w[1:-1]: unquote(p) for w, p in zip(wanted, parts, strict=True) if w.startswith("{")}
            found.append((len(given), resource, given))
    if not found:
        return path, {}
    _, resource, given = min(found)
    return resource, given


def rest_event(
    method: str,
    target: str,
    body: Any = None,
    *,
    who: Person | None = None,
    raw: str | None = None,
    headers: dict[str, str] | None = None,
    key: str | None = None,
    resource: str | None = None,
) -> dict[str, Any]:
    """A REST API proxy event (payload format 1.0)."""
    address = urlsplit(target)
    route, parameters = (resource, {}) if resource is not None else find_route(method, address.path)
    pairs = parse_qsl(address.query, keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    sent = {"Host": "api.example", **(headers or {})}
    text = raw if raw is not None else (None if body is None else json.dumps(body))
    if text is not None:
        sent.setdefault("Content-Type", "application/json")
    if key is not None:
        sent["Idempotency-Key"] = key
    context: dict[str, Any] = {
        "resourcePath": route,
        "httpMethod": method,
        "path": f"/v1{address.path}",
        "stage": "v1",
        "requestId": "request-1",
        "identity": {"sourceIp": "192.0.2.7"},
    }
    if who is not None:
        sent["Authorization"] = f"Bearer {who.token}"
        claims = {"sub": who.id, "username": who.handle, "token_use": "access"}
        if who.groups:
            claims["cognito:groups"] = ",".join(who.groups)
        context["authorizer"] = {"claims": claims}
    return {
        "resource": route,
        "path": address.path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": many or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": context,
        "body": text,
        "isBase64Encoded": False,
    }


@contextmanager
def key_set() -> Iterator[str]:
    """The pool's public keys, served on loopback as Cognito serves them; gives the address."""
    keys = json.dumps(load_resource("cognitoidp/resources/jwks-public.json")).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(keys)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def platform_applications() -> dict[str, str]:
    """Where pushes to phones go, as settings."""
    sns, found = aws.client("sns"), dict[str, str]()
    for name, platform in (("PUSH_APNS_ARN", "APNS"), ("PUSH_FCM_ARN", "GCM")):
        attributes = {"PlatformPrincipal": "none", "PlatformCredential": "none"}
        made = sns.create_platform_application(Name="onair", Platform=platform, Attributes=attributes)
        found[name] = made["PlatformApplicationArn"]
    return found


@contextmanager
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Everything the API needs, in moto, and a client of it."""
    from functions import security

    movable, before = MovableClock(), clock.clock
    for name, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "ACCOUNTS_TABLE": "accounts",
        "STREAMS_TABLE": "streams",
        "ROOMS_TABLE": "rooms",
        "SOCKET_URL": "wss://socket.example/live",
        "RELAY_URL": "https://relay.example",
        "PLAYBACK_URL": "https://play.example",
        "RTMP_URL": "rtmp://relay.example:1935/live",
        "POWERTOOLS_METRICS_NAMESPACE": "Onair",
        "MOTO_COGNITO_IDP_USER_POOL_ENABLE_TOTP": "true",
        "MAIL_FROM": "onair@example.org",
        "PICTURES_BUCKET": "pictures",
        "REPLAY_DAYS": "90",
        "UPLOAD_URL": "https://pictures.s3.us-east-1.amazonaws.com",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MARKETS", raising=False)
    with mock_aws(), key_set() as keys_url:
        tokens.forget_secrets()
        security.forget_keys()
        clock.use(movable)
        for model in (AccountsItem, StreamItem, RoomsItem):
            model.create_table(wait=True, billing_mode="PAY_PER_REQUEST")
        cognito, secrets = aws.client("cognito-idp"), aws.client("secretsmanager")
        pool_id = cognito.create_user_pool(PoolName="onair")["UserPool"]["Id"]
        client_id = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="web")["UserPoolClient"]["ClientId"]
        cognito.create_group(UserPoolId=pool_id, GroupName="operators")
        queue, work, told, downloads = (
            aws.client("sqs").create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})
            for name in ("Ring", "Work", "Media", "Download")
        )
        notices, pushes = (aws.client("sqs").create_queue(QueueName=name) for name in ("Notices", "Push"))
        for name, value in {
            "USER_POOL_ID": pool_id,
            "USER_POOL_CLIENT_ID": client_id,
            "TOKEN_ISSUER": f"https://cognito-idp.{REGION}.amazonaws.com/{pool_id}",
            "JWKS_URL": keys_url,
            "RING_QUEUE_URL": queue["QueueUrl"],
            "WEB_URL": "https://onair.example",
            "WORK_QUEUE_URL": work["QueueUrl"],
            "NOTICES_QUEUE_URL": notices["QueueUrl"],
            "PUSH_QUEUE_URL": pushes["QueueUrl"],
            "PUSH_SECRET_ARN": secrets.create_secret(Name="push", SecretString="u" * 64)["ARN"],
            **platform_applications(),
            "PUSH_HOSTS": "fcm.googleapis.com,push.apple.com,http://127.0.0.1",
            "MEDIA_QUEUE_URL": told["QueueUrl"],
            "DOWNLOAD_QUEUE_URL": downloads["QueueUrl"],
            "SIGNING_SECRET_ARN": secrets.create_secret(Name="signing", SecretString="s" * 64)["ARN"],
            "PLAYBACK_SECRET_ARN": secrets.create_secret(Name="playback", SecretString="p" * 64)["ARN"],
        }.items():
            monkeypatch.setenv(name, value)
        try:
            yield Client(movable, pool_id, client_id)
        finally:
            clock.use(before)
            tokens.forget_secrets()
            security.forget_keys()
