"""What the template declares, with every reference resolved: functions, routes, triggers, the relay's variables.

Plain records, read once after the stack is made (local/deployment.py); nothing else of the local stack looks into
CloudFormation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Function:
    """A Lambda function. ``environment`` holds exactly what the template gives it, with local addresses."""

    logical: str
    name: str
    arn: str
    handler: str
    role: str
    timeout_s: int
    memory_mib: int
    environment: Mapping[str, str]
    # Asynchronous calls: the service's defaults where no EventInvokeConfig stands (2 retries, 6 hours).
    retries: int = 2
    event_age_s: int = 21_600


@dataclass(frozen=True)
class MockAnswer:
    """What a MOCK integration answers (OPTIONS of CORS): status and headers, already without their quotes."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Guard:
    """A Cognito authorizer on a method: the pool whose tokens it takes and the scopes of which one must be there."""

    pool: str
    header: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class RestMethod:
    """One method on one path of the REST API; exactly one of ``function`` and ``mock`` is given."""

    method: str
    path: str
    resource_id: str
    function: str | None
    mock: MockAnswer | None
    guard: Guard | None
    timeout_ms: int


@dataclass(frozen=True)
class GatewayAnswer:
    """What the REST API answers when it refuses a request itself."""

    kind: str
    status: int | None
    headers: Mapping[str, str]
    templates: Mapping[str, str]


@dataclass(frozen=True)
class RestApi:
    """The REST API: its one stage, its methods and its own answers by type (``UNAUTHORIZED``, ``DEFAULT_4XX``, …)."""

    api_id: str
    stage: str
    methods: tuple[RestMethod, ...]
    answers: Mapping[str, GatewayAnswer]
    binary_types: tuple[str, ...]


@dataclass(frozen=True)
class SocketAuthorizer:
    """The REQUEST authorizer of ``$connect``: its function and where it finds the identity."""

    function: str
    identity_sources: tuple[str, ...]


@dataclass(frozen=True)
class SocketRoute:
    """A route of the WebSocket API: its function (`None`: a mock that succeeds) and whether its answer is sent back."""

    key: str
    function: str | None
    answers: bool
    authorizer: SocketAuthorizer | None


@dataclass(frozen=True)
class SocketApi:
    """The WebSocket API with its one stage; ``selection`` is the path in the body that names the route.

    ``rate`` and ``burst`` throttle messages from clients and connects alike; 0 where the stage sets none.
    """

    api_id: str
    stage: str
    selection: tuple[str, ...]
    routes: Mapping[str, SocketRoute]
    rate: float = 0
    burst: int = 0


@dataclass(frozen=True)
class EventSource:
    """An SQS queue or a DynamoDB stream that calls a function with batches."""

    arn: str
    function: str
    batch_size: int
    window_s: float
    partial_failures: bool
    concurrency_max: int | None
    enabled: bool
    # Streams only.
    from_start: bool = False
    retries: int = -1
    filters: tuple[Mapping[str, Any], ...] = ()

    @property
    def queue(self) -> str | None:
        """The queue's name when the source is one."""
        return self.arn.rpartition(":")[2] if ":sqs:" in self.arn else None

    @property
    def table(self) -> str | None:
        """The table's name when the source is its stream."""
        return self.arn.partition(":table/")[2].partition("/")[0] if ":dynamodb:" in self.arn else None


@dataclass(frozen=True)
class Schedule:
    """A function called in turn: ``expression`` is ``rate(…)``, ``cron(…)`` or ``at(…)``; ``payload`` its event."""

    logical: str
    function: str
    expression: str
    payload: str | None
    enabled: bool


@dataclass(frozen=True)
class ObjectRule:
    """A function called for each object that is put into a bucket below a prefix."""

    bucket: str
    prefix: str
    function: str


@dataclass(frozen=True)
class Table:
    """A DynamoDB table with what moto's CloudFormation leaves off."""

    name: str
    ttl_attribute: str | None
    point_in_time_recovery: bool
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Declared:
    """The whole stack as the local parts need it."""

    functions: Mapping[str, Function]
    rest: RestApi
    socket: SocketApi
    sources: tuple[EventSource, ...]
    schedules: tuple[Schedule, ...]
    object_rules: tuple[ObjectRule, ...]
    tables: tuple[Table, ...]
    relay_environment: Mapping[str, str]
    user_pool: str
    user_pool_client: str
    outputs: Mapping[str, str]
