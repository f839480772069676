"""Lambda in-process: the handler that the template names, in a bounded pool of threads, with only its own variables.

What a function sees is what it would see on AWS: an event that went through JSON, a context with the time that
remains, and `functions.settings.environment` holding exactly the variables that the template gives it. What cannot be
had from threads: a function past its timeout is answered as the service would, but runs on until it returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib
import secrets
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from moto.awslambda.models import LambdaBackend

from functions import observe, settings
from local.declared import Function
from local.deployment import function_name
from local.faults import FaultOrders

# Calls at once, over all functions: a room's sequencer holds a thread for as long as its tick.
CALLS_MAX: Final = 64
# Waits before the first and the second repetition of a failed asynchronous call (Lambda Developer Guide).
RETRY_WAITS_S: Final = (60.0, 120.0)
# The right that an item of a transaction needs (DynamoDB Developer Guide, "IAM for transactions").
_ITEM_OPERATIONS: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


@dataclass(frozen=True)
class Outcome:
    """What a call came to: ``payload`` when ``error`` is `None`, else the error's type with its message."""

    payload: Any = None
    error: str | None = None
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether the service would count this call as an error."""
        return self.error is not None

    def as_json(self) -> bytes:
        """The response body of the Invoke API."""
        if self.error is None:
            return msgspec.json.encode(self.payload)
        return msgspec.json.encode({"errorMessage": self.message, "errorType": self.error})


@dataclass(frozen=True)
class SeenCall:
    """What a function did on AWS, as a policy would name it: ``resource`` is a name, a URL or an ARN.

    A transaction is one for each of its items, since each needs the right of a single call (``PutItem``, …).
    """

    service: str
    operation: str
    resource: str


class StoppedError(BaseException):
    """The function's machine died. Not an `Exception`: no handler of the function's own may catch it and go on."""


def stop_after(calls: int) -> Callable[[], None]:
    """A check for the moment before each call to AWS: from the one after so many on it raises."""
    lock = threading.Lock()
    made = 0

    def check() -> None:
        nonlocal made
        with lock:
            made += 1
            if made > calls:
                raise StoppedError(f"ordered by /_local/faults after {calls} calls to AWS")

    return check


class LambdaContext:
    """The context object of one call (Lambda Developer Guide, "Using the Lambda context object")."""

    function_version = "$LATEST"
    identity = None
    client_context = None

    def __init__(self, function: Function) -> None:
        self.function_name = function.name
        self.invoked_function_arn = function.arn
        self.memory_limit_in_mb = str(function.memory_mib)
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{function.name}"
        self.log_stream_name = "local"
        self._until_s = time.monotonic() + function.timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the service would end this call."""
        return max(0, int((self._until_s - time.monotonic()) * 1000))


class Runtime:
    """Calls functions; one a stack."""

    def __init__(self, functions: Mapping[str, Function], faults: FaultOrders) -> None:
        self.functions = functions
        self.seen: dict[str, set[SeenCall]] = {name: set() for name in functions}
        self.failures: list[str] = []
        # Told of each call when it is over: the function, what it asked of AWS, and its seconds by the clock and of
        # its thread's own work.
        self.on_call: list[Callable[[Function, list[observe.Call], float, float], None]] = []
        self._faults = faults
        self._handlers: dict[str, Any] = {}
        self._importing = threading.Lock()
        self._timers: set[threading.Timer] = set()
        self._pool = ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="lambda")
        self._closed = False
        self._counting = threading.Lock()
        self._under_way = 0

    def idle(self) -> bool:
        """Whether no function is at work."""
        return self._under_way == 0

    def close(self) -> None:
        """Take no more calls; those under way end by themselves."""
        self._closed = True
        for timer in list(self._timers):
            timer.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def import_handlers(self) -> None:
        """Import the handler of every function of ours, so that the first call of each is quick."""
        for function in self.functions.values():
            if function.handler.startswith("functions."):
                self._handler(function)

    async def call(self, name: str, event: Any, calls_max: int | None = None) -> Outcome:
        """Call a function from the event loop and wait for its answer; ``calls_max`` as in `run`."""
        function = self.functions[function_name(name)]
        try:
            future = self._pool.submit(self.run, function, event, calls_max)
        except RuntimeError:
            return Outcome(error="ServiceException", message="The local stack is stopping.")
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), function.timeout_s)
        except TimeoutError:
            return self._timed_out(function)
        except asyncio.CancelledError:
            if future.cancelled():
                return Outcome(error="ServiceException", message="The local stack is stopping.")
            raise

    def call_and_wait(self, name: str, event: Any) -> Outcome:
        """Call a function from a thread and wait for its answer."""
        function = self.functions[function_name(name)]
        future = self._pool.submit(self.run, function, event)
        try:
            return future.result(function.timeout_s)
        except FutureTimeoutError:
            return self._timed_out(function)

    def call_later(self, name: str, event: Any, attempt: int = 0) -> None:
        """Call a function asynchronously: at once, and again as configured when it fails."""
        function = self.functions[function_name(name)]

        def run() -> None:
            outcome = self.run(function, event)
            if outcome.failed and attempt < function.retries and not self._closed:
                wait_s = RETRY_WAITS_S[min(attempt, len(RETRY_WAITS_S) - 1)]
                timer = threading.Timer(wait_s, self.call_later, (name, event, attempt + 1))
                timer.daemon = True
                self._timers.add(timer)
                timer.start()

        if not self._closed:
            self._timers = {timer for timer in self._timers if timer.is_alive()}
            self._pool.submit(run)

    def run(self, function: Function, event: Any, calls_max: int | None = None) -> Outcome:
        """Call a function in this thread, whatever its time-out.

        With ``calls_max`` it ends before one more than so many calls to AWS, as if its machine had died: nothing that
        it does then reaches AWS any more.
        """
        fault = self._faults.for_function(function.logical)
        if fault is not None:
            if fault.delay_ms:
                time.sleep(fault.delay_ms / 1000)
            if fault.errors:
                return Outcome(error="OrderedFault", message="/_local/faults ordered this call to fail")
        with self._counting:
            self._under_way += 1
        try:
            # A fresh context: variables that one call sets are not seen by the next call in the same thread.
            return contextvars.Context().run(self._run, function, event, calls_max)
        finally:
            with self._counting:
                self._under_way -= 1

    def _run(self, function: Function, event: Any, calls_max: int | None) -> Outcome:
        settings.environment.set(function.environment)
        stop = contextlib.nullcontext() if calls_max is None else observe.before_each(stop_after(calls_max))
        started_s, worked_s = time.perf_counter(), time.thread_time()
        with observe.counting() as calls, stop:
            try:
                handler = self._handler(function)
                answer = handler(msgspec.json.decode(msgspec.json.encode(event)), LambdaContext(function))
                outcome = Outcome(msgspec.json.decode(msgspec.json.encode(answer)))
            except StoppedError as stopped:
                outcome = Outcome(error="Runtime.ExitError", message=str(stopped))
            except Exception as error:  # noqa: BLE001 -- whatever a handler raises is the outcome, as in the service
                outcome = Outcome(error=type(error).__name__, message=str(error))
                self._tell(function, traceback.format_exc())
        for told in self.on_call:
            told(function, calls, time.perf_counter() - started_s, time.thread_time() - worked_s)
        for call in calls:
            self.seen[function.name] |= seen_calls(call)
        return outcome

    def _handler(self, function: Function) -> Any:
        found = self._handlers.get(function.name)
        if found is None:
            with self._importing:
                module, _, name = function.handler.rpartition(".")
                context = contextvars.copy_context()
                context.run(settings.environment.set, function.environment)
                found = getattr(context.run(importlib.import_module, module), name)
                self._handlers[function.name] = found
        return found

    def _timed_out(self, function: Function) -> Outcome:
        message = f"{uuid.uuid4()} Task timed out after {function.timeout_s}.00 seconds"
        self._tell(function, message)
        return Outcome(error="Sandbox.Timedout", message=message)

    def _tell(self, function: Function, what: str) -> None:
        self.failures.append(f"{function.logical}: {what.strip().splitlines()[-1]}")
        del self.failures[:-200]
        print(f"[{function.logical}] {what.strip()}", file=sys.stderr, flush=True)


def seen_calls(call: observe.Call) -> set[SeenCall]:
    """What one request to AWS did, item by item where it is a transaction and table by table where it is a batch."""
    parameters = call.parameters
    if "TransactItems" in parameters:
        items = [next(iter(entry.items())) for entry in parameters["TransactItems"]]
        return {SeenCall(call.service, _ITEM_OPERATIONS[kind], str(item["TableName"])) for kind, item in items}
    if "RequestItems" in parameters:
        return {SeenCall(call.service, call.operation, str(table)) for table in parameters["RequestItems"]}
    names = ("TableName", "QueueUrl", "SecretId", "FunctionName", "UserPoolId", "Bucket", "ConnectionId", "KeyId")
    names += ("TargetArn", "EndpointArn", "PlatformApplicationArn")
    resource = next((str(parameters[name]) for name in names if name in parameters), "")
    if "Bucket" in parameters and "Key" in parameters:
        resource = f"{resource}/{parameters['Key']}"
    if "IndexName" in parameters:
        resource = f"{resource}/index/{parameters['IndexName']}"
    return {SeenCall(call.service, call.operation, resource)}


_current: Runtime | None = None


def answer_invocations(runtime: Runtime | None) -> None:
    """Let moto's Lambda Invoke API call this runtime's functions (moto itself would start Docker)."""
    global _current
    _current = runtime
    any_backend: Any = LambdaBackend
    any_backend.invoke = _invoke


def _invoke(
    self: LambdaBackend, name: str, _qualifier: str | None, body: Any, headers: Any, response_headers: dict[str, Any]
) -> bytes:
    self.get_function(function_name(name))  # raises the service's error for a function that is not there
    if _current is None:
        raise RuntimeError("no local stack runs in this process")
    event = msgspec.json.decode(body) if body else {}
    kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
    response_headers["x-amzn-RequestId"] = secrets.token_hex(16)
    if kind == "Event":
        _current.call_later(name, event)
        return b""
    outcome = _current.run(_current.functions[function_name(name)], event)
    if outcome.failed:
        response_headers["x-amz-function-error"] = "Unhandled"
    answer = outcome.as_json()
    response_headers["Content-Length"] = str(len(answer))
    return answer
