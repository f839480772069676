"""Who owns a stream: one item a stream in DynamoDB, fenced by a number that only rises.

A task claims a stream when someone with a valid key publishes it here, and never otherwise. From then on it tells the
item each second when media came last. A task stops being the owner only when it reads a higher fence: while DynamoDB
is away everybody keeps what they have. Times are the wall clock's: tasks of one region are within milliseconds of each
other, and a clock that is far off looks like a dead owner, whom a publisher may follow, never like a live one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media.relay.errors import RelayError
from media.relay.metrics import Metrics
from media.relay.settings import Settings

logger = logging.getLogger(__name__)

RENEW_S: Final = 1.0
# A renewal that takes longer is given up: the next one says more.
_CONFIG: Final = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "max_attempts": 1})
_THREADS: Final = 4
# Renewed one after the other by one thread, with one wake of the event loop for all. At 200 ms a call, forty times what
# DynamoDB takes, an owner still does not look dead.
_TOGETHER: Final = 8
_SORT_KEY: Final = "lease"
# Beyond the time after which an owner counts as dead: what its last renewal and our reading of it may take.
_WAIT_MARGIN_S: Final = 0.5
_WAIT_STEP_S: Final = 0.1
# Viewers ask often, owners change seldom; in trouble a caller asks for something fresher.
_LOOKUP_KEPT_S: Final = 1.0
_NOBODY_KEPT_S: Final = 0.25
_LOOKUPS_MAX: Final = 10_000
# The item outlives any break that a publisher returns from; it is small, and DynamoDB's TTL removes it.
_KEPT_S: Final = 86_400
_REFUSED: Final = "ConditionalCheckFailedException"


class Beat(msgspec.Struct, frozen=True):
    """What an owner tells with each renewal: enough for another task to continue the playlist's numbers."""

    media_ms: int = 0
    last_msn: int = 0
    breaks: int = 0


class Lease(msgspec.Struct, frozen=True):
    """The item as it was read or written."""

    stream_id: str
    fence: int
    task: str
    address: str
    generation: int
    beat: Beat

    def is_alive(self, now_ms: int, within_s: float) -> bool:
        """Whether its publisher is alive: media came within ``within_s`` of now."""
        return abs(now_ms - self.beat.media_ms) < within_s * 1000


class Leases:
    """The leases of this task, and who owns the other streams.

    Parameters
    ----------
    settings : Settings
        ``task`` and ``address`` say who we are; ``lost_after_s`` how long a silent publisher counts as alive.
    metrics : Metrics
        Counts failed calls and takeovers.
    dynamodb : Any
        A DynamoDB client; by default one that gives up within a second.
    """

    def __init__(self, settings: Settings, metrics: Metrics, dynamodb: Any = None) -> None:
        self.held: dict[str, Lease] = {}
        # Told what this task plays, and when it plays no longer; set by whoever holds the programs.
        self.beat_of: Callable[[str], Beat] = _no_beat
        self.on_lost: Callable[[str], None] = _nobody
        self.task = settings.task
        self._settings = settings
        self._metrics = metrics
        self._dynamodb: Any = dynamodb or boto3.client("dynamodb", config=_CONFIG)
        self._executor = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="lease")
        self._looked: OrderedDict[str, tuple[float, Lease | None]] = OrderedDict()
        self._looking: dict[str, asyncio.Task[Lease | None]] = {}

    # ---- owning ----

    async def claim(self, stream_id: str, generation: int) -> Beat | None:
        """Become the owner, for a publisher whose key of ``generation`` was checked.

        Another owner whose publisher is alive keeps the stream, unless the key is newer than its. Since an owner that
        died looks alive for a moment, this waits as long as one may.

        Returns
        -------
        Beat | None
            What the owner before told last; None when there was none, or it was this task.

        Raises
        ------
        RelayError
            ``conflict`` (a publisher is alive elsewhere), ``unavailable`` (DynamoDB does not answer).
        """
        until_s = time.monotonic() + self._settings.lost_after_s + _WAIT_MARGIN_S
        while True:
            found = await self._read_now(stream_id)
            ours = found is not None and found.task == self._settings.task
            if found is not None and not ours and self._keeps(found, generation):
                if time.monotonic() >= until_s:
                    raise RelayError(
                        "conflict", "Someone publishes this broadcast already. Take over with a new stream key."
                    )
                await asyncio.sleep(_WAIT_STEP_S)
                continue
            taken = Lease(
                stream_id=stream_id,
                fence=1 if found is None else found.fence + (0 if ours else 1),
                task=self._settings.task,
                address=self._settings.address,
                generation=generation,
                beat=Beat() if found is None else found.beat,
            )
            if await self._write(taken, None if found is None else found.fence):
                self.held[stream_id] = taken
                self._remember(stream_id, taken)
                if found is None or ours:
                    return None
                self._metrics.takeovers.inc()
                logger.info("took over %s from task %s with fence %d", stream_id, found.task, taken.fence)
                return found.beat
            if time.monotonic() >= until_s:
                raise RelayError("conflict", "Someone else publishes this broadcast at the same time. Try again.")

    def holds(self, stream_id: str) -> bool:
        """Whether this task owns the stream, as far as it knows."""
        return stream_id in self.held

    async def release(self, stream_id: str) -> None:
        """Give a stream up, so that the next publisher need not wait; the numbers stay for who continues it."""
        lease = self.held.pop(stream_id, None)
        if lease is None:
            return
        beat = self.beat_of(stream_id)
        given_up = Beat(media_ms=0, last_msn=beat.last_msn, breaks=beat.breaks)
        try:
            await self._in_thread(self._renew, lease, given_up)
        except (BotoCoreError, ClientError) as error:
            # The next publisher waits two seconds instead.
            self._metrics.control_errors.inc()
            logger.warning("cannot give up the lease of %s: %s", stream_id, error)
        self._looked.pop(stream_id, None)

    async def run(self) -> None:
        """Renew each lease every second, for ever; all over the second, so that they never hold up media together."""
        while True:
            started_s = time.monotonic()
            held = list(self.held.values())
            groups = [held[at : at + _TOGETHER] for at in range(0, len(held), _TOGETHER)]
            pause_s = RENEW_S / max(1, len(groups))
            await asyncio.gather(*(self._keep_later(number * pause_s, group) for number, group in enumerate(groups)))
            await asyncio.sleep(max(0.0, RENEW_S - (time.monotonic() - started_s)))

    # ---- others' streams ----

    async def owner(self, stream_id: str, kept_s: float = _LOOKUP_KEPT_S) -> Lease | None:
        """The lease of a stream, as of ``kept_s`` seconds ago or later; what was known last if DynamoDB is away."""
        held = self.held.get(stream_id)
        if held is not None:
            return held
        known = self._looked.get(stream_id)
        if known is not None:
            kept_s = kept_s if known[1] is not None else min(kept_s, _NOBODY_KEPT_S)
            if time.monotonic() - known[0] < kept_s:
                return known[1]
        task = self._looking.get(stream_id)
        if task is None:
            # One question at a time however many viewers ask.
            task = self._looking[stream_id] = asyncio.create_task(self._look(stream_id))
            task.add_done_callback(lambda _: self._looking.pop(stream_id, None))
        return await asyncio.shield(task)

    async def _look(self, stream_id: str) -> Lease | None:
        try:
            found = await self._in_thread(self._get, stream_id)
        except (BotoCoreError, ClientError) as error:
            self._metrics.control_errors.inc()
            logger.warning("cannot look up the owner of %s: %s", stream_id, error)
            known = self._looked.get(stream_id)
            found = None if known is None else known[1]
        if found is not None and found.task != self._settings.task and found.address == self._settings.address:
            # A relay that was started again where another died: asking that one would be asking ourselves.
            found = None
        self._remember(stream_id, found)
        return found

    def _remember(self, stream_id: str, lease: Lease | None) -> None:
        self._looked[stream_id] = (time.monotonic(), lease)
        self._looked.move_to_end(stream_id)
        if len(self._looked) > _LOOKUPS_MAX:
            self._looked.popitem(last=False)

    # ---- the item ----

    def _keeps(self, found: Lease, generation: int) -> bool:
        if found.address == self._settings.address:
            # Whoever had our address before us is gone.
            return False
        alive = found.is_alive(time.time_ns() // 1_000_000, self._settings.lost_after_s)
        return alive and generation <= found.generation

    async def _keep_later(self, pause_s: float, leases: list[Lease]) -> None:
        await asyncio.sleep(pause_s)
        await self._keep(*[lease for lease in leases if self.held.get(lease.stream_id) is lease])

    async def _keep(self, *leases: Lease) -> None:
        told = [(lease, self.beat_of(lease.stream_id)) for lease in leases]
        for lease, done in zip(leases, await self._in_thread(self._renew_all, told), strict=True):
            if done is not True:
                await self._not_renewed(lease, done)

    def _renew_all(self, told: list[tuple[Lease, Beat]]) -> list[bool | Exception]:
        """Whether each was renewed, or what kept it from that; when nothing is reached, the rest is not tried."""
        done: list[bool | Exception] = []
        for lease, beat in told:
            try:
                done.append(self._renew(lease, beat))
            except ClientError as error:
                done.append(error)
            except BotoCoreError as error:
                done += [error] * (len(told) - len(done))
                break
        return done

    async def _not_renewed(self, lease: Lease, error: bool | Exception) -> None:
        try:
            if isinstance(error, Exception):
                raise error
            found = await self._in_thread(self._get, lease.stream_id)
        except (BotoCoreError, ClientError) as error:
            self._metrics.control_errors.inc()
            logger.warning("cannot renew the lease of %s, keeping it: %s", lease.stream_id, error)
            return
        if self.held.get(lease.stream_id) is not lease:
            return
        if found is None:
            # Someone removed the item (a table restored, a stack reset): nobody else owns the stream.
            await self._put_again(lease)
        elif found.fence > lease.fence or found.task != lease.task:
            del self.held[lease.stream_id]
            self._remember(lease.stream_id, found)
            self._metrics.leases_lost.inc()
            logger.info("%s is owned by task %s now, fence %d", lease.stream_id, found.task, found.fence)
            self.on_lost(lease.stream_id)

    async def _put_again(self, lease: Lease) -> None:
        try:
            await self._write(lease, None)
        except RelayError:
            logger.warning("cannot write the lease of %s again, keeping it", lease.stream_id)

    async def _read_now(self, stream_id: str) -> Lease | None:
        try:
            return await self._in_thread(self._get, stream_id)
        except (BotoCoreError, ClientError) as error:
            raise self._away(stream_id, error) from None

    async def _write(self, lease: Lease, seen_fence: int | None) -> bool:
        """Store ``lease`` if the item still has ``seen_fence`` (None: if there is none); False when it has not."""
        try:
            return await self._in_thread(self._put, lease, seen_fence)
        except (BotoCoreError, ClientError) as error:
            raise self._away(lease.stream_id, error) from None

    def _away(self, stream_id: str, error: Exception) -> RelayError:
        self._metrics.control_errors.inc()
        logger.warning("cannot claim %s: %s", stream_id, error)
        return RelayError("unavailable", "The broadcast cannot be checked now. Try again in a moment.")

    def _get(self, stream_id: str) -> Lease | None:
        answer: dict[str, Any] = self._dynamodb.get_item(
            TableName=self._settings.streams_table, Key=_key(stream_id), ConsistentRead=True
        )
        item: dict[str, Any] | None = answer.get("Item")
        return None if item is None else _lease(stream_id, item)

    def _put(self, lease: Lease, seen_fence: int | None) -> bool:
        values: dict[str, Any] = {
            ":fence": {"N": str(lease.fence)},
            ":task": {"S": lease.task},
            ":address": {"S": lease.address},
            ":generation": {"N": str(lease.generation)},
            # As if media had come: negotiation takes a moment in which nobody else shall claim.
            ":media": {"N": str(time.time_ns() // 1_000_000)},
            ":msn": {"N": str(lease.beat.last_msn)},
            ":breaks": {"N": str(lease.beat.breaks)},
            ":expires": {"N": str(int(time.time()) + _KEPT_S)},
        }
        condition = "attribute_not_exists(fence)"
        if seen_fence is not None:
            condition = "fence = :seen"
            values[":seen"] = {"N": str(seen_fence)}
        return self._update(
            lease.stream_id,
            "SET fence = :fence, task = :task, address = :address, generation = :generation, media_ms = :media, "
            "last_msn = :msn, breaks = :breaks, expires_at = :expires",
            condition,
            values,
        )

    def _renew(self, lease: Lease, beat: Beat) -> bool:
        values = {
            ":fence": {"N": str(lease.fence)},
            ":task": {"S": lease.task},
            ":media": {"N": str(beat.media_ms)},
            ":msn": {"N": str(beat.last_msn)},
            ":breaks": {"N": str(beat.breaks)},
            ":expires": {"N": str(int(time.time()) + _KEPT_S)},
        }
        update = "SET media_ms = :media, last_msn = :msn, breaks = :breaks, expires_at = :expires"
        return self._update(lease.stream_id, update, "fence = :fence AND task = :task", values)

    def _update(self, stream_id: str, update: str, condition: str, values: dict[str, Any]) -> bool:
        try:
            self._dynamodb.update_item(
                TableName=self._settings.streams_table,
                Key=_key(stream_id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == _REFUSED:
                return False
            raise
        return True

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        # Threads of our own: calls that wait for AWS must not keep the default ones from resolving names.
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


def _lease(stream_id: str, item: dict[str, Any]) -> Lease:
    def number(name: str) -> int:
        return int(item.get(name, {}).get("N", "0"))

    return Lease(
        stream_id=stream_id,
        fence=number("fence"),
        task=str(item.get("task", {}).get("S", "")),
        address=str(item.get("address", {}).get("S", "")),
        generation=number("generation"),
        beat=Beat(media_ms=number("media_ms"), last_msn=number("last_msn"), breaks=number("breaks")),
    )


def _key(stream_id: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"stream#{stream_id}"}, "sk": {"S": _SORT_KEY}}


def _no_beat(_stream_id: str) -> Beat:
    return Beat()


def _nobody(_stream_id: str) -> None:
    """Nobody plays here yet."""
