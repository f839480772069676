"""One local stack: moto, functions, gateway, triggers, schedules and relay, started and stopped in order.

The event loop runs in a thread of its own, so that a stack can stand beside a test as well as alone. moto's state, the
functions' clients and the clock belong to the process: one process runs one stack at a time, further ones run in
processes of their own on other ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import sys
import threading
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import moto.cognitoidp.models
import uvloop
from moto.cognitoidp.models import cognitoidp_backends
from moto.core.models import MockAWS
from moto.dynamodb.models import dynamodb_backends
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.s3.models import s3_backends
from moto.ses.models import ses_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from functions import aws, clock, storage
from local import deployment, dynamodb_local, providers, queues, relay, resource_types, tables, tokens
from local.addresses import Addresses
from local.control import Actions, Control, Health
from local.declared import Declared
from local.edge import Edge
from local.faults import FaultOrders, Faults
from local.ports import LOOPBACK, Ports
from local.relay import Supervised
from local.rest import RestGateway
from local.runtime import Runtime, answer_invocations
from local.schedules import Schedules
from local.seed import Demo, Seed
from local.sockets import Limits, SocketGateway
from local.triggers import Triggers
from local.uploads import Uploads

START_TIMEOUT_S: Final = 90
STOP_TIMEOUT_S: Final = 8
# For functions at work when everything is to be forgotten: the longest that belong to a room end within their tick.
IDLE_TIMEOUT_S: Final = 10
IDLE_LOOK_S: Final = 0.01
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What a stack is made with."""

    ports: Ports
    template: Mapping[str, Any]
    with_relay: bool = True
    with_seed: bool = True
    with_schedules: bool = True
    public_host: str | None = None
    tls: ssl.SSLContext | None = None
    limits: Limits = field(default_factory=Limits)
    dynamodb: str = "moto"
    # Short sides of the lower renditions that the relay makes, separated by commas.
    ladder: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])


def _make_platform_applications() -> None:
    """What an operator makes by hand, since CloudFormation cannot: where pushes to phones go (named in template.py)."""
    sns: Any = aws.client("sns")
    for platform in ("APNS", "GCM"):
        attributes = {"PlatformPrincipal": "none", "PlatformCredential": "none"}
        sns.create_platform_application(Name="onair", Platform=platform, Attributes=attributes)


class StackTime:
    """The part of ``time`` that moto's Cognito takes for the dates of tokens: the stack's clock."""

    @staticmethod
    def time() -> float:
        """Seconds since the Unix epoch."""
        return clock.now_ms() / 1000


class Stack:
    """A running stack after `start`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.addresses = Addresses(options.ports, options.public_host)
        self.clock = clock.SystemClock()
        self.faults = FaultOrders()
        self.seconds: dict[str, float] = {}
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="stack", daemon=True)
        self._mock = MockAWS({"core": {"mock_credentials": False, "reset_boto3_session": True}})
        self._moto = ThreadedMotoServer(LOOPBACK, options.ports.aws, verbose=False)
        self._dynamodb = contextlib.ExitStack()
        self._relay: Supervised | None = None
        self._demo: Supervised | None = None
        self._seeded: Demo | None = None
        self._ready = False

    def start(self) -> None:
        """Start everything; raises what keeps it from starting, with all that had started stopped again."""
        self._thread.start()
        try:
            self._prepare_process()
            with self._timed("moto"):
                self._mock.start()
                tables.install()
                queues.install()
                any_cognito: Any = moto.cognitoidp.models
                any_cognito.time = StackTime
                self._moto.start()
                if self.options.dynamodb == "local":
                    endpoint = self._dynamodb.enter_context(dynamodb_local.running(self.options.ports.dynamodb))
                    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
            with self._timed("template"):
                providers.put(self.options.secrets)
                _make_platform_applications()
                self.declared: Declared = deployment.make(self.options.template, self.addresses)
                if self.options.dynamodb == "local":
                    dynamodb_local.create_tables(self.declared.tables)
                else:
                    for table in self.declared.tables:
                        deployment.switch_on(table)
            with self._timed("gateway"):
                self.runtime = Runtime(self.declared.functions, self.faults)
                answer_invocations(self.runtime)
                self._in_loop(self._start_parts())
            with self._timed("handlers"):
                self.runtime.import_handlers()
            if self.options.with_seed:
                with self._timed("seed"):
                    self._seeded = Seed(self.addresses, self.declared).run()
            if self.options.with_relay:
                with self._timed("relay"):
                    self._in_loop(self._start_demo())
            self._ready = True
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything; safe to repeat, and after a start that failed half-way."""
        self._ready = False
        if self._loop.is_running():
            with contextlib.suppress(Exception):  # whatever one part does, the others are to be stopped as well
                self._in_loop(self._stop_parts(), STOP_TIMEOUT_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_TIMEOUT_S)
        if hasattr(self, "runtime"):
            self.runtime.close()
            answer_invocations(None)
        if self._moto._thread is not None and self._moto._server is not None:
            self._moto.stop()
        self._dynamodb.close()
        os.environ.pop("AWS_ENDPOINT_URL_DYNAMODB", None)
        if MockAWS._mocks_active:
            self._mock.stop()
        forget_containers()
        clock.use(clock.SystemClock())

    def reset(self, seed: bool = True) -> None:
        """Forget all state (accounts, streams, rooms, ledger, messages, files, clock, faults), then seed again."""
        self._in_loop(self._reset_async(seed), START_TIMEOUT_S)

    def health(self) -> Health:
        """What is up."""
        parts = {
            "gateway": "ready",
            "functions": f"{len(self.declared.functions)}",
            "relay": "off" if self._relay is None else "running" if self._relay.pid else "starting",
            "demo": "off" if self._demo is None else "running" if self._demo.pid else "starting",
            "connections": str(self.sockets.open_count),
        }
        return Health("ready" if self._ready else "starting", parts, self.runtime.failures[-20:])

    def process_ids(self) -> dict[str, int]:
        """Processes of this stack beside our own, by name."""
        return {part.name: part.pid for part in (self._relay, self._demo) if part is not None and part.pid is not None}

    @property
    def resources(self) -> list[resource_types.Line]:
        """What became of each type of the template."""
        return resource_types.account_for(self.options.template)

    def _prepare_process(self) -> None:
        # Everything in this process talks to moto directly; an endpoint of the caller's shell would lead elsewhere.
        # moto checks codes of the second step only when it is told to.
        os.environ["MOTO_COGNITO_IDP_USER_POOL_ENABLE_TOTP"] = "true"
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB"):
            os.environ.pop(name, None)
        own = relay.credentials(self.addresses)
        os.environ.update({name: value for name, value in own.items() if name != "AWS_ENDPOINT_URL"})
        clock.use(self.clock)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        forget_containers()
        # Many Python threads share two cores with the event loop: shorter turns keep a frame from waiting behind them.
        sys.setswitchinterval(0.001)

    async def _start_parts(self) -> None:
        keys = await asyncio.to_thread(
            tokens.fetch_keys, self.addresses.aws_url, self.declared.user_pool, self.declared.user_pool_client
        )
        actions = Actions(self.health, self._reset_async, self._mail, self._push)
        self.sockets = SocketGateway(self.declared.socket, self.runtime, self.faults, self.options.limits)
        rest = RestGateway(self.declared.rest, self.runtime, keys)
        control = Control(actions, self.faults, self.clock)
        stages = (self.declared.rest.stage, self.declared.socket.stage)
        secret = self.declared.relay_environment["PLAYBACK_SECRET"]
        self._edge = Edge(self.addresses, rest, self.sockets, control, stages, secret)
        await self._edge.start(self.options.tls)
        self.triggers = Triggers(self.declared.sources, self.runtime, self.faults)
        self.triggers.start()
        self.uploads = Uploads(self.declared.object_rules, self.runtime)
        self.uploads.start()
        self.schedules = Schedules(self.declared.schedules if self.options.with_schedules else (), self.runtime)
        self.schedules.start()
        self._sweeper = asyncio.create_task(self._close_expired())
        if self.options.with_relay:
            self._relay = relay.relay(self.declared.relay_environment, self.addresses, self.options.ladder)
            self._relay.start()

    async def _start_demo(self) -> None:
        healthy = await relay.healthy(self.addresses)
        if not healthy:
            print("The relay does not answer; its lines above say why. Everything else works.", file=sys.stderr)
        elif self._seeded is not None:
            self._demo = relay.test_source(self._seeded.whip_url, self._seeded.stream_key)
            self._demo.start()

    async def _stop_parts(self) -> None:
        if self._demo is not None:
            await self._demo.stop()
        for name in ("triggers", "schedules"):
            if hasattr(self, name):
                await getattr(self, name).stop()
        if hasattr(self, "uploads"):
            self.uploads.stop()
        if hasattr(self, "_sweeper"):
            self._sweeper.cancel()
        if hasattr(self, "sockets"):
            await self.sockets.close_all()
        if hasattr(self, "_edge"):
            await self._edge.stop()
        if self._relay is not None:
            await self._relay.stop()

    async def _close_expired(self) -> None:
        while True:
            await asyncio.sleep(1)
            await self.sockets.close_expired()

    async def _reset_async(self, seed: bool) -> None:
        self._ready = False
        if self._demo is not None:
            await self._demo.stop()
            self._demo = None
        await self.sockets.close_all()
        self.faults.order(Faults())
        # Who computed by the moved clock how long to wait would wait for as long as it was moved.
        await asyncio.to_thread(self._forget_messages)
        await self._functions_end(IDLE_TIMEOUT_S)
        self.clock.offset_ms = 0
        await asyncio.to_thread(self._clear)
        if seed and self.options.with_seed:
            self._seeded = await asyncio.to_thread(Seed(self.addresses, self.declared).run)
            if self.options.with_relay:
                await self._start_demo()
        self._ready = True

    def _forget_messages(self) -> None:
        for queue in list(sqs_backends[deployment.ACCOUNT][deployment.REGION].queues.values()):
            queues.clear(queue)

    async def _functions_end(self, within_s: float) -> None:
        """Wait until no function is at work, or for so long."""
        until_s = time.monotonic() + within_s
        while not self.runtime.idle() and time.monotonic() < until_s:
            await asyncio.sleep(IDLE_LOOK_S)

    def _clear(self) -> None:
        account, region = deployment.ACCOUNT, deployment.REGION
        # Messages first: what is under way then finds nothing to ring for.
        self._forget_messages()
        if self.options.dynamodb == "local":
            dynamodb_local.create_tables(self.declared.tables)
        for table in list(dynamodb_backends[account][region].tables.values()):
            tables.clear(table)
        for pool in cognitoidp_backends[account][region].user_pools.values():
            for kept in (pool.users, pool.refresh_tokens, pool.access_tokens, pool.id_tokens):
                kept.clear()
        buckets: Any = s3_backends[account]["aws"].buckets
        for bucket in buckets.values():
            bucket.keys.clear()
        any_mail: Any = ses_backends[account][region]
        any_mail.sent_messages.clear()
        any_texts: Any = sns_backends[account][region]
        any_texts.sms_messages.clear()
        any_texts.platform_endpoints.clear()
        self.runtime.failures.clear()

    def _mail(self) -> list[dict[str, Any]]:
        backend: Any = ses_backends[deployment.ACCOUNT][deployment.REGION]
        sent = [dict(vars(message)) for message in backend.sent_messages]
        texts: Any = sns_backends[deployment.ACCOUNT][deployment.REGION]
        for number, text in texts.sms_messages.values():
            sent.append({"destinations": {"ToAddresses": [number]}, "body": text, "subject": None})
        return sent

    def _push(self) -> list[dict[str, Any]]:
        backend: Any = sns_backends[deployment.ACCOUNT][deployment.REGION]
        sent: list[dict[str, Any]] = []
        for arn, endpoint in backend.platform_endpoints.items():
            sent += [{"endpoint": arn, "message": message} for message in endpoint.messages.values()]
        return sent

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _in_loop(self, work: Coroutine[Any, Any, T], timeout_s: float = START_TIMEOUT_S) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    @contextlib.contextmanager
    def _timed(self, name: str) -> Any:
        started_s = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started_s, 2)


def forget_containers() -> None:
    """Empty what the functions keep for a container's life: clients, connections, and every cached answer."""
    aws.forget_clients()
    storage.forget_connections()
    for name, module in list(sys.modules.items()):
        if name.startswith("functions."):
            for value in list(vars(module).values()):
                if not isinstance(value, type) and callable(getattr(value, "cache_clear", None)):
                    value.cache_clear()
