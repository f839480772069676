"""S3's "Object Created" events as EventBridge hands them to functions: an upload calls those whose rule names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from moto.s3.models import S3Backend

from functions import clock, ids
from local.declared import ObjectRule
from local.deployment import ACCOUNT, REGION
from local.runtime import Runtime

# Called with bucket, key and size after each object that is put; must be quick.
on_object: Final[list[Callable[[str, str, int], None]]] = []
_installed = False


class Uploads:
    """Calls the functions of a stack's rules, asynchronously as EventBridge does."""

    def __init__(self, rules: tuple[ObjectRule, ...], runtime: Runtime) -> None:
        self._rules = rules
        self._runtime = runtime

    def start(self) -> None:
        """Begin to listen."""
        _install()
        on_object.append(self._put)

    def stop(self) -> None:
        """Listen no more."""
        if self._put in on_object:
            on_object.remove(self._put)

    def _put(self, bucket: str, key: str, size: int) -> None:
        for rule in self._rules:
            if rule.bucket == bucket and key.startswith(rule.prefix):
                self._runtime.call_later(rule.function, _event(bucket, key, size))


def _event(bucket: str, key: str, size: int) -> dict[str, Any]:
    return {
        "version": "0",
        "id": ids.new(),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": ACCOUNT,
        "time": clock.rfc3339(clock.now_ms())[:19] + "Z",
        "region": REGION,
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": size}},
    }


def _install() -> None:
    global _installed
    if _installed:
        return
    _installed = True
    any_backend: Any = S3Backend
    original = any_backend.put_object

    def put_object(self: Any, bucket_name: str, key_name: str, value: bytes, *rest: Any, **more: Any) -> Any:
        made = original(self, bucket_name, key_name, value, *rest, **more)
        for listener in on_object:
            listener(bucket_name, key_name, len(value))
        return made

    any_backend.put_object = put_object
