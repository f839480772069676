"""What is seen of a running function: logger, metrics, tracer, and a count of every metered AWS call.

Each AWS call is counted where botocore sends it, so that the cost of a comment is a number that tests hold down
(tests/unit, bench/cost.py) and the permissions a function needs can be compared with those it has (tests/infra).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics

logger = Logger(service="onair")
metrics = Metrics(namespace="Onair", service="onair")


class LateTracer:
    """Powertools' Tracer, made when a handler is first called: X-Ray's recorder makes two botocore clients as it is
    imported (about half of what `import boto3` costs), and a cold start should not wait for them."""

    def __init__(self) -> None:
        self._made: Any = None

    def made(self) -> Any:
        if self._made is None:
            from aws_lambda_powertools import Tracer

            self._made = Tracer(service="onair")
        return self._made

    def capture_lambda_handler(self, handler: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
        """As ``Tracer.capture_lambda_handler``; wraps on the first call."""
        if handler is None:

            def decorate(given: Callable[..., Any]) -> Callable[..., Any]:
                return self.capture_lambda_handler(given, **options)

            return decorate
        captured: list[Callable[..., Any]] = []

        @wraps(handler)
        def call(event: Any, context: Any, **rest: Any) -> Any:
            if not captured:
                captured.append(self.made().capture_lambda_handler(handler, **options))
            return captured[0](event, context, **rest)

        return call

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made(), name)


tracer = LateTracer()


# Where a request's context (botocore's, from parameters to answer) holds its call.
_CALL: Final = "onair_call"


@dataclass(frozen=True)
class Call:
    """One request to AWS: ``service`` as in endpoints (``dynamodb``), ``operation`` as in the API (``PutItem``).

    ``answer`` is filled when the answer comes; what is read is paid for by its size.
    """

    service: str
    operation: str
    parameters: dict[str, Any] = field(repr=False, hash=False, compare=False)
    answer: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, hash=False, compare=False)


_listener: ContextVar[Callable[[Call], None] | None] = ContextVar("listener", default=None)


@contextmanager
def counting() -> Generator[list[Call]]:
    """Collect the AWS calls made in this context (threads started with a copied context included)."""
    calls: list[Call] = []
    token = _listener.set(calls.append)
    try:
        yield calls
    finally:
        _listener.reset(token)


@contextmanager
def before_each(check: Callable[[], None]) -> Generator[None]:
    """Have ``check`` run before each AWS call made in this context; what it raises keeps the call from being made."""
    outer = _listener.get()

    def listen(call: Call) -> None:
        check()
        if outer is not None:
            outer(call)

    token = _listener.set(listen)
    try:
        yield
    finally:
        _listener.reset(token)


def watch(session: Any) -> None:
    """Count every call of clients made from this botocore session."""
    session.register("provide-client-params.*.*", _seen, unique_id="onair-observe")
    session.register("after-call.*.*", _answered, unique_id="onair-answered")


def count(service: str, operation: str, **parameters: Any) -> None:
    """Count a call that does not go through a botocore client (posts to sockets)."""
    listener = _listener.get()
    if listener is not None:
        listener(Call(service, operation, parameters))


def _seen(params: dict[str, Any], model: Any, context: dict[str, Any] | None = None, **_: Any) -> None:
    listener = _listener.get()
    if listener is not None:
        call = Call(model.service_model.service_name, model.name, params)
        listener(call)
        if context is not None:
            context[_CALL] = call


def _answered(parsed: dict[str, Any], context: dict[str, Any] | None = None, **_: Any) -> None:
    call = (context or {}).get(_CALL)
    if isinstance(call, Call):
        call.answer.update(parsed)
