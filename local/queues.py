"""moto's SQS made fit for many threads, with the service's five minutes of deduplication, and a wake-up on each
message.

Differences of moto that are closed here: a message that was deleted is forgotten, so that its deduplication id could be
sent again at once; the scope of deduplication (queue or message group) is ignored; a delete builds a new list while a
send appends to the old one, which loses the message. And it asks for the time through two date objects for each message
that waits, several times for each that comes: here it reads the clock.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from moto.core.utils import unix_time_millis
from moto.sqs import models
from moto.sqs.models import Message, Queue, SQSBackend

# The service's deduplication interval (SQS Developer Guide, "Using the message deduplication ID").
DEDUPLICATION_S: Final = 300
# Called with the queue's name after each message, in the sending thread: must be quick.
on_message: Final[list[Callable[[str], None]]] = []

_installed = False


def install() -> None:
    """Replace the parts of moto's SQS named above; safe to repeat."""
    global _installed
    if _installed:
        return
    _installed = True
    any_models: Any = models
    any_models.unix_time_millis = _now_ms
    any_models.camelcase_to_underscores = functools.cache(any_models.camelcase_to_underscores)
    any_queue: Any = Queue
    any_queue.add_message = _add_message
    any_queue.delete_message = _locked(Queue.delete_message)
    any_backend: Any = SQSBackend
    any_backend.receive_message = _locked_by_name(SQSBackend.receive_message)
    any_backend.change_message_visibility = _locked_by_name(SQSBackend.change_message_visibility)


def clear(queue: Queue) -> None:
    """Forget every message and every deduplication id."""
    with queue._messages_lock:
        queue._messages.clear()
        queue._pending_messages.clear()
        queue.deleted_messages.clear()
        _seen(queue).clear()


def next_visible_s(queue: Queue, now_s: float) -> float | None:
    """Seconds until the first hidden or delayed message may be received; `None` when there is none."""
    with queue._messages_lock:
        waits = [max(message.visible_at, message.delayed_until) / 1000 - now_s for message in queue._messages]
    return max(0.0, min(waits)) if waits else None


def waiting(queue: Queue) -> bool:
    """Whether any message is in the queue, visible or not."""
    return bool(queue._messages)


def _now_ms(at: datetime | None = None) -> float:
    return time.time() * 1000 if at is None else unix_time_millis(at)


def _add_message(self: Queue, message: Message) -> None:
    with self._messages_lock:
        if self.fifo_queue and message.deduplication_id and _is_repeated(self, message):
            return
        self._messages.append(message)
        self._messages_lock.notify_all()
    for told in on_message:
        told(self.name)


def _is_repeated(queue: Queue, message: Message) -> bool:
    seen, now_s = _seen(queue), time.monotonic()
    for key in [key for key, at_s in list(seen.items())[:50] if now_s - at_s >= DEDUPLICATION_S]:
        del seen[key]  # oldest first: a few a message are enough to keep the table small
    any_queue: Any = queue
    group = message.group_id if any_queue.deduplication_scope == "messageGroup" else None
    key = (group, message.deduplication_id)
    at_s = seen.get(key)
    if at_s is not None and now_s - at_s < DEDUPLICATION_S:
        return True
    seen.pop(key, None)
    seen[key] = now_s
    return False


def _seen(queue: Queue) -> dict[tuple[str | None, str | None], float]:
    any_queue: Any = queue
    if not hasattr(any_queue, "deduplication_ids"):
        any_queue.deduplication_ids = {}
    return any_queue.deduplication_ids


def _locked(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def locked(self: Queue, *args: Any, **kwargs: Any) -> Any:
        with self._messages_lock:
            return original(self, *args, **kwargs)

    return locked


def _locked_by_name(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def locked(self: SQSBackend, queue_name: str, *args: Any, **kwargs: Any) -> Any:
        with self.get_queue(queue_name)._messages_lock:
            return original(self, queue_name, *args, **kwargs)

    return locked
