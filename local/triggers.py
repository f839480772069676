"""Event source mappings as Lambda runs them: queues and table streams that call functions with batches.

Woken by each message or record rather than by a clock, so that a comment does not wait for a poll. For FIFO queues the
queue itself keeps order: a message group with a batch in flight gives no other, groups run beside each other. A failed
batch (or the items that it names) stays hidden until its visibility timeout ends, is received again, and moves to the
dead-letter queue after ``maxReceiveCount``. What a plan of local/faults.py asks for is done here: batches that come
twice, late, in other sizes or in another order, and functions that end midway.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import StreamRecord, Table
from moto.sqs.exceptions import ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, sqs_backends

from local import queues, tables
from local.declared import EventSource
from local.deployment import ACCOUNT, REGION
from local.faults import BatchFate, FaultOrders
from local.runtime import Outcome, Runtime

# Batches of one source in flight at once (the service starts with 5 pollers and scales to hundreds).
BATCHES_MAX: Final = 20
# Failed stream batches are repeated at once in the service, for as long as records live; here with a pause.
STREAM_RETRY_S: Final = 1.0
T = TypeVar("T")


class Triggers:
    """Runs every event source of a stack on the event loop."""

    def __init__(self, sources: tuple[EventSource, ...], runtime: Runtime, faults: FaultOrders) -> None:
        self._runtime = runtime
        self._faults = faults
        self._sources = [source for source in sources if source.enabled]
        self._wakes: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.busy = 0

    def start(self) -> None:
        """Start on the running event loop."""
        self._loop = asyncio.get_running_loop()
        for source in self._sources:
            name = source.queue or source.table
            if name is None:
                continue
            self._wakes[name] = asyncio.Event()
            self._spawn(self._run_queue(source, name) if source.queue else self._run_stream(source, name))
        queues.on_message.append(self._wake)
        tables.on_record.append(self._wake_by_table)

    async def stop(self) -> None:
        """Start no batch any more; those in functions end by themselves."""
        with contextlib.suppress(ValueError):
            queues.on_message.remove(self._wake)
            tables.on_record.remove(self._wake_by_table)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake(self, name: str) -> None:
        wake = self._wakes.get(name)
        if wake is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the stack has stopped
                self._loop.call_soon_threadsafe(wake.set)

    def _wake_by_table(self, table: Table) -> None:
        self._wake(table.name)

    async def _run_queue(self, source: EventSource, name: str) -> None:
        backend = sqs_backends[ACCOUNT][REGION]
        queue = backend.get_queue(name)
        any_queue: Any = queue
        slots = asyncio.Semaphore(source.concurrency_max or BATCHES_MAX)
        wake = self._wakes[name]
        while True:
            wake.clear()
            if source.window_s:
                await asyncio.sleep(source.window_s)
            await slots.acquire()
            fate = self._faults.for_batch() or BatchFate() if queues.waiting(queue) else BatchFate()
            size = max(1, int(source.batch_size * fate.size))
            batch = backend.receive_message(name, size, 0, int(any_queue.visibility_timeout))
            if batch:
                self._spawn(self._deliver(source, queue, batch, slots, fate))
                continue
            slots.release()
            wait_s = queues.next_visible_s(queue, time.time())
            with contextlib.suppress(TimeoutError):
                # A hidden message becomes visible at a known time; moto counts it visible only after that millisecond.
                await asyncio.wait_for(wake.wait(), None if wait_s is None else max(0.005, wait_s + 0.002))

    async def _deliver(
        self, source: EventSource, queue: Queue, batch: list[Message], slots: asyncio.Semaphore, fate: BatchFate
    ) -> None:
        backend = sqs_backends[ACCOUNT][REGION]
        self.busy += 1
        try:
            if fate.delay_ms:
                await asyncio.sleep(fate.delay_ms / 1000)
            if fate.order is not None:
                batch = reordered(batch, [message.group_id or message.id for message in batch], fate.order)
            event = {"Records": [_sqs_record(source, message) for message in batch]}
            outcome = await self._runtime.call(source.function, event, fate.stop_after)
            failed = failed_items(outcome, [message.id for message in batch], source.partial_failures)
            for message in batch:
                if message.id not in failed and message.receipt_handle is not None:
                    with contextlib.suppress(ReceiptHandleIsInvalid):  # a reset took the message meanwhile
                        if fate.again:
                            # As when the delete that follows a success is lost.
                            backend.change_message_visibility(queue.name, message.receipt_handle, 0)
                        else:
                            queue.delete_message(message.receipt_handle)
        finally:
            self.busy -= 1
            slots.release()
            # The group is free again, or has failed messages whose time is to be looked at.
            self._wakes[queue.name].set()

    async def _run_stream(self, source: EventSource, name: str) -> None:
        table = dynamodb_backends[ACCOUNT][REGION].get_table(name)
        shard = table.stream_shard
        if shard is None:
            return
        first = shard.starting_sequence_number
        position = first if source.from_start else first + len(shard.items)
        wake = self._wakes[name]
        while True:
            wake.clear()
            start = max(position, shard.starting_sequence_number) - shard.starting_sequence_number
            waiting = shard.items[start : start + source.batch_size]
            fate = self._faults.for_batch() or BatchFate() if waiting else BatchFate()
            records = waiting[: max(1, int(source.batch_size * fate.size))]
            if not records:
                await wake.wait()
                if source.window_s:
                    await asyncio.sleep(source.window_s)
                continue
            position = shard.starting_sequence_number + start + await self._stream_batch(source, records, fate)

    async def _stream_batch(self, source: EventSource, records: list[StreamRecord], fate: BatchFate) -> int:
        """Call the function until a batch is through; returns how many records are done with."""
        if fate.delay_ms:
            await asyncio.sleep(fate.delay_ms / 1000)
        wanted = [record.to_json() for record in records]
        wanted = [record for record in wanted if matches(source.filters, record)]
        if not wanted:
            return len(records)
        if fate.order is not None:
            wanted = reordered(wanted, [str(record["dynamodb"]["Keys"]) for record in wanted], fate.order)
        attempt, again = 0, fate.again
        while True:
            outcome = await self._runtime.call(
                source.function, {"Records": wanted}, None if attempt else fate.stop_after
            )
            numbers = [str(record["dynamodb"]["SequenceNumber"]) for record in wanted]
            failed = failed_items(outcome, numbers, source.partial_failures)
            if not failed and again:
                again = False
                continue
            if not failed:
                return len(records)
            # A stream is read on from the first failed record.
            first = min(numbers.index(number) for number in failed)
            wanted = wanted[first:]
            attempt += 1
            if 0 <= source.retries < attempt:
                return len(records)
            await asyncio.sleep(STREAM_RETRY_S)


def reordered(items: list[T], groups: list[str], seed: int) -> list[T]:
    """The items in another order, those of one group among each other in the same."""
    turns = groups.copy()
    random.Random(seed).shuffle(turns)
    queued: dict[str, list[T]] = {}
    for item, group in zip(items, groups, strict=True):
        queued.setdefault(group, []).append(item)
    return [queued[group].pop(0) for group in turns]


def failed_items(outcome: Outcome, identifiers: list[str], partial_failures: bool) -> set[str]:
    """Which items of a batch are to come again (Lambda Developer Guide, "Reporting batch item failures").

    A failed call fails all. With ``ReportBatchItemFailures`` an empty list fails none, and a list with an unknown or
    missing identifier fails all, as the service treats it.
    """
    if outcome.failed:
        return set(identifiers)
    payload: Any = outcome.payload
    if not partial_failures or not isinstance(payload, dict) or not payload.get("batchItemFailures"):
        return set()
    named = {str(entry.get("itemIdentifier")) for entry in payload["batchItemFailures"]}
    return named if named <= set(identifiers) else set(identifiers)


def matches(filters: tuple[Mapping[str, Any], ...], record: Mapping[str, Any]) -> bool:
    """Whether a record passes any of the filters (Lambda's equality, prefix, exists and anything-but)."""
    return not filters or any(_pattern_matches(one, record) for one in filters)


def _pattern_matches(pattern: Mapping[str, Any], value: Any) -> bool:
    for name, wanted in pattern.items():
        present = isinstance(value, dict) and name in value
        inner: Any = value[name] if present else None
        if isinstance(wanted, dict):
            if not _pattern_matches(wanted, inner):
                return False
        elif not any(_rule_matches(rule, inner, present) for rule in wanted):
            return False
    return True


def _rule_matches(rule: Any, value: Any, present: bool) -> bool:
    if not isinstance(rule, dict):
        return present and value == rule
    tests: dict[str, Callable[[Any], bool]] = {
        "prefix": lambda text: isinstance(value, str) and value.startswith(str(text)),
        "exists": lambda wanted: present is bool(wanted),
        "anything-but": lambda refused: present and value not in (refused if isinstance(refused, list) else [refused]),
    }
    return all(tests[name](operand) for name, operand in rule.items())


def _sqs_record(source: EventSource, message: Message) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
    }
    if message.group_id is not None:
        attributes["MessageGroupId"] = message.group_id
    if message.deduplication_id is not None:
        attributes["MessageDeduplicationId"] = message.deduplication_id
        attributes["SequenceNumber"] = str(message.sequence_number)
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": source.arn,
        "awsRegion": REGION,
    }
