"""Who owns a stream: one item a stream in DynamoDB, fenced by a number that only rises, and one a task that is alive.

A task claims a stream when someone with a valid key publishes it here, and never otherwise. The stream's item is
written when it is claimed, taken over or given up. From then on the task tells in an item of its own, each second and
for all its streams together, when media came last. It stops being the owner only when it reads a higher fence: while
DynamoDB is away everybody keeps what they have. Times are the wall clock's: tasks of one region are within
milliseconds of each other, and a clock that is far off looks like a dead owner, whom a publisher may follow, never
like a live one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import structs

from media.relay.errors import RelayError
from media.relay.lease_table import KEPT_LEAST_S, Beat, Lease, LeaseTable, furthest, wall_ms
from media.relay.metrics import Metrics
from media.relay.settings import Settings

logger = logging.getLogger(__name__)

RENEW_S: Final = 1.0
_THREADS: Final = 4
# Twice as many as a task may be set to have publishers: streams that lost theirs are told of too. 120 kB of the 400 kB
# that an item may have.
_BEATS_MAX: Final = 2_000
# Beyond the time after which an owner counts as dead: what its last renewal and our reading of it may take.
_WAIT_MARGIN_S: Final = 0.5
_WAIT_STEP_S: Final = 0.1
# Viewers ask often, owners change seldom; in trouble a caller asks for something fresher.
_LOOKUP_KEPT_S: Final = 1.0
_NOBODY_KEPT_S: Final = 0.25
_LOOKUPS_MAX: Final = 10_000


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
        # Given up, which their items do not say yet; told of meanwhile, since their numbers are nowhere else.
        self._leaving: dict[str, tuple[Lease, Beat]] = {}
        self._told: dict[str, Beat] = {}
        # Told what this task plays, and when it plays no longer; set by whoever holds the programs.
        self.beat_of: Callable[[str], Beat] = _no_beat
        self.on_lost: Callable[[str], None] = _nobody
        self.task = settings.task
        self._settings = settings
        self._metrics = metrics
        self._table = LeaseTable(settings.streams_table, dynamodb)
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
                self._leaving.pop(stream_id, None)
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
        now = self.beat_of(stream_id)
        # Its program may be forgotten by now, or never have come: then what was told before counts.
        last = furthest(now.media_ms, now, self._told.get(stream_id, now), lease.beat)
        if len(self._leaving) >= _BEATS_MAX:
            self._leaving.pop(next(iter(self._leaving)))
        self._leaving[stream_id] = (lease, last)
        # Where it fails, the next publisher waits two seconds instead.
        await self._give_up(stream_id)
        self._looked.pop(stream_id, None)

    async def run(self) -> None:
        """Tell and check each second, for ever; half a second apart, so that they never hold up media together."""
        await asyncio.gather(_each_second(self.tell, 0.0), _each_second(self.check, RENEW_S / 2))

    async def tell(self) -> None:
        """Say what plays here: one item for all streams, those with the newest media if they are too many."""
        beats = {stream_id: beat for stream_id, (_, beat) in self._leaving.items()}
        for stream_id in self.held:
            beat = self.beat_of(stream_id)
            # What was told stays told while there is no program.
            beats[stream_id] = furthest(beat.media_ms, beat, self._told.get(stream_id, beat))
        if len(beats) > _BEATS_MAX:
            beats = dict(sorted(beats.items(), key=lambda told: told[1].media_ms)[-_BEATS_MAX:])
        self._told = beats
        if beats:
            try:
                await self._in_thread(self._table.tell, self.task, beats)
            except (BotoCoreError, ClientError) as error:
                self._failed("cannot tell what plays here, keeping it", error)

    async def check(self) -> None:
        """Read the leases of this task's streams: give way to a higher fence, and mend what the items lack."""
        held = list(self.held.values())
        try:
            found = await self._in_thread(self._table.read_many, [lease.stream_id for lease in held]) if held else {}
        except (BotoCoreError, ClientError) as error:
            self._failed("cannot read the leases of this task, keeping them", error)
            return
        for lease in held:
            # Whatever was not read (throttled) is looked at the next time.
            if lease.stream_id in found and self.held.get(lease.stream_id) is lease:
                await self._compare(lease, found[lease.stream_id])
        for stream_id in list(self._leaving):
            if not await self._give_up(stream_id):
                break

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

    async def is_alive(self, lease: Lease) -> bool:
        """Whether the stream's publisher is alive, as its owner told last; by the lease alone if DynamoDB is away."""
        try:
            lease = await self._in_thread(self._table.with_beat, lease)
        except (BotoCoreError, ClientError) as error:
            self._failed(f"cannot look up whether {lease.stream_id} is alive", error)
        return lease.is_alive(wall_ms(), self._settings.lost_after_s)

    async def _look(self, stream_id: str) -> Lease | None:
        try:
            found = await self._in_thread(self._table.read, stream_id)
        except (BotoCoreError, ClientError) as error:
            self._failed(f"cannot look up the owner of {stream_id}", error)
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

    # ---- one lease ----

    def _keeps(self, found: Lease, generation: int) -> bool:
        if found.address == self._settings.address:
            # Whoever had our address before us is gone.
            return False
        return found.is_alive(wall_ms(), self._settings.lost_after_s) and generation <= found.generation

    async def _compare(self, lease: Lease, found: Lease | None) -> None:
        if found is None:
            # Someone removed the item (a table restored, a stack reset): nobody else owns the stream.
            await self._put_again(lease)
        elif found.fence > lease.fence or found.task != lease.task:
            del self.held[lease.stream_id]
            self._remember(lease.stream_id, found)
            self._metrics.leases_lost.inc()
            logger.info("%s is owned by task %s now, fence %d", lease.stream_id, found.task, found.fence)
            self.on_lost(lease.stream_id)
        elif found.beat.media_ms == 0 or found.expires_s - time.time() < KEPT_LEAST_S:
            # Giving it up was answered late, after it was claimed here again; or it would expire on air.
            now = self.beat_of(lease.stream_id)
            try:
                await self._in_thread(self._table.renew, lease, furthest(now.media_ms, found.beat, now))
            except (BotoCoreError, ClientError) as error:
                self._failed(f"cannot renew the lease of {lease.stream_id}, keeping it", error)

    async def _give_up(self, stream_id: str) -> bool:
        """Say in the stream's item that it was given up; False if DynamoDB does not answer, and it is to be told."""
        leaving = self._leaving.get(stream_id)
        if leaving is None:
            return True
        lease, last = leaving
        try:
            # Refused, another task owns it already.
            await self._in_thread(self._table.renew, lease, structs.replace(last, media_ms=0))
        except (BotoCoreError, ClientError) as error:
            self._failed(f"cannot give up the lease of {stream_id}", error)
            return False
        if self._leaving.get(stream_id) is leaving:
            del self._leaving[stream_id]
        return True

    async def _put_again(self, lease: Lease) -> None:
        try:
            await self._write(lease, None)
        except RelayError:
            logger.warning("cannot write the lease of %s again, keeping it", lease.stream_id)

    async def _read_now(self, stream_id: str) -> Lease | None:
        try:
            return await self._in_thread(self._table.read_with_beat, stream_id)
        except (BotoCoreError, ClientError) as error:
            raise self._away(stream_id, error) from None

    async def _write(self, lease: Lease, seen_fence: int | None) -> bool:
        """Store ``lease`` if the item still has ``seen_fence`` (None: if there is none); False when it has not."""
        try:
            return await self._in_thread(self._table.claim, lease, seen_fence)
        except (BotoCoreError, ClientError) as error:
            raise self._away(lease.stream_id, error) from None

    def _away(self, stream_id: str, error: Exception) -> RelayError:
        self._failed(f"cannot claim {stream_id}", error)
        return RelayError("unavailable", "The broadcast cannot be checked now. Try again in a moment.")

    def _failed(self, what: str, error: Exception) -> None:
        self._metrics.control_errors.inc()
        logger.warning("%s: %s", what, error)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        # Threads of our own: calls that wait for AWS must not keep the default ones from resolving names.
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


async def _each_second(work: Callable[[], Awaitable[None]], first_s: float) -> None:
    await asyncio.sleep(first_s)
    while True:
        started_s = time.monotonic()
        await work()
        await asyncio.sleep(max(0.0, RENEW_S - (time.monotonic() - started_s)))


def _no_beat(_stream_id: str) -> Beat:
    return Beat()


def _nobody(_stream_id: str) -> None:
    """Nobody plays here yet."""
