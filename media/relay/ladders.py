"""The ladders of this task: for each stream a worker that makes its lower renditions, where the task has room for it.

A ladder follows a program (program.py) and holds up nothing of it: pictures go down a pipe that never waits, and what a
worker does not make in time is a gap in its renditions. Where none can be made, the reason is told to the host.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Final, Literal

from media.relay import rungs
from media.relay.access_unit import AccessUnit
from media.relay.as_sent import Formats
from media.relay.control import LadderState
from media.relay.held_segment import HeldSegment
from media.relay.lower import LowerRendition
from media.relay.metrics import Metrics
from media.relay.program import Program
from media.relay.segmenter import CutPart
from media.relay.settings import Settings
from media.relay.wire import Configure, Gone, KeyFrame, Make, Message, Picture
from media.relay.worker import Worker

logger = logging.getLogger(__name__)

# Why there is no ladder.
Refusal = Literal["off", "one_processor", "task_full", "too_slow", "worker_died", "source_too_small"]
REASONS: Final[tuple[Refusal, ...]] = (
    "off", "one_processor", "task_full", "too_slow", "worker_died", "source_too_small",
)  # fmt: skip

SOURCE: Final = "source"
_MODULE: Final = "media.relay.ladder"
# After a worker died, the next one is tried later each time, as with compositions.
_AGAIN_FIRST_S: Final = 1.0
_AGAIN_MAX_S: Final = 60.0
# One that was too slow is tried again when the task may be less busy; one that made way, as soon as there is room.
_SLOW_AGAIN_S: Final = 60.0
_ROOM_AGAIN_S: Final = 5.0
# Parts given up over what two made ones each make good: ten seconds of each rendition.
_LATE_PARTS_MAX: Final = 30
# A loop that is this late on the average has nothing to give away.
_LATENESS_MAX_S: Final = 0.1
_LATENESS_SHARE: Final = 0.1


class Ladder:
    """One program's lower renditions; its `Follower`.

    Parameters
    ----------
    program : Program
        What is followed.
    settings : Settings
        Which rungs.
    admit : Callable[[], Refusal | None]
        Why the task has no room for a worker now, if it has none.
    """

    def __init__(self, program: Program, settings: Settings, admit: Callable[[], Refusal | None]) -> None:
        self.program = program
        self.refused: Refusal | None = None
        self.began_s = 0.0
        self.crashes = 0
        self._settings = settings
        self._admit = admit
        self._renditions: dict[str, LowerRendition] = {}
        self._formats: Formats | None = None
        self._worker: Worker | None = None
        # Whether the worker has what comes before the next picture.
        self._is_fed = False
        self._over = False
        self._again_s = _AGAIN_FIRST_S
        self._not_before_s = 0.0
        self._held_back: Refusal = "worker_died"
        self._late = 0.0
        self._counted = (0, 0)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_running(self) -> bool:
        """Whether a worker runs."""
        return self._worker is not None

    @property
    def worker_pid(self) -> int | None:
        """The worker's process, if one runs."""
        return self._worker.pid if self._worker is not None else None

    def behind_s(self, now: float) -> float:
        """How far the slowest rendition is behind the source."""
        return max((each.behind_s(now) for each in self._renditions.values()), default=0.0)

    @property
    def behind_parts(self) -> int:
        """Parts of the source that the slowest rendition lacks."""
        return max((each.behind_parts for each in self._renditions.values()), default=0)

    # ---- the program's follower ----

    def configured(self, formats: Formats) -> None:
        self._formats = formats
        self._is_fed = False
        if self._worker is not None or not self._try(time.monotonic()):
            self._make()

    def interrupted(self) -> None:
        self._is_fed = False
        self._tell(Gone(SOURCE))
        for rendition in self._renditions.values():
            rendition.advance(time.monotonic())

    def placed(self, unit: AccessUnit, begins: bool) -> None:
        if self._worker is None:
            return
        if not self._is_fed:
            # Nothing can be decoded before a key frame, nor a part be made before its segment begins.
            if not (begins and unit.key):
                return
            self._is_fed = True
        if begins:
            self._tell(KeyFrame())
        self._tell(Picture(SOURCE, unit))

    def cut(self, segment: HeldSegment, part: CutPart) -> None:
        now = time.monotonic()
        for rendition in self._renditions.values():
            rendition.cut(segment, part, self._is_fed, now)

    def ended(self) -> None:
        self._over = True
        self._finish()

    # ---- the task's loop ----

    def watch(self, now: float) -> None:
        """Give up what is late, end what is too slow, begin what may begin; called a few times a second."""
        for rendition in self._renditions.values():
            rendition.advance(now)
        if self._over:
            self._finish()
        elif self._worker is None:
            if now >= self._not_before_s:
                self._try(now)
        elif self._is_slow():
            logger.warning("the ladder of %s is too slow: it ends", self.program.stream_id)
            self.give_way("too_slow", now + _SLOW_AGAIN_S)

    def give_way(self, reason: Refusal, until_s: float) -> None:
        """End the worker; what it has not made is told as gaps, to whoever holds such a rendition."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._later(worker.close())
        self._held_back, self._not_before_s = reason, until_s
        self._abandon()
        self._refuse(reason)

    async def close(self) -> None:
        """End the worker for good."""
        self._over = True
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # ---- the worker ----

    def _try(self, now: float) -> bool:
        """Begin, or say why not; True if it began."""
        video = None if self._formats is None else self._formats.video
        if video is None or self._over:
            # Over: formats may still come of a publisher that is on its way out, and nobody would end the worker.
            return False
        wanted = rungs.below(self._settings, video.parsed.width, video.parsed.height)
        if not wanted and not self._renditions:
            self._refuse("source_too_small")
        elif now < self._not_before_s:
            self._refuse(self._held_back)
        elif (reason := self._admit()) is not None:
            self._not_before_s, self._held_back = now + _ROOM_AGAIN_S, reason
            self._refuse(reason)
        else:
            self._begin(now)
            return True
        return False

    def _begin(self, now: float) -> None:
        def made(message: Message) -> None:
            self._made(worker, message)

        # A browser sends no key frame by itself: what was dropped would be gaps for as long.
        worker = self._worker = Worker(_MODULE, (), made, lambda: self._died(worker), self._ask)
        self.began_s = now
        self._late = 0.0
        self._make()
        self._later(self._start(worker))
        self.refused = None
        self._changed()

    def _ask(self, _track: str) -> None:
        self.program.request_key_frame()

    async def _start(self, worker: Worker) -> None:
        try:
            await worker.start()
        except OSError:
            logger.exception("a ladder cannot be started")
            self._died(worker)

    def _make(self) -> None:
        """Have the rungs made that the source has now, and those that viewers may hold already."""
        formats, program = self._formats, self.program
        if formats is None:
            return
        if formats.video is not None and self._worker is not None:
            parsed = formats.video.parsed
            for short in rungs.below(self._settings, parsed.width, parsed.height):
                if f"{short}p" not in self._renditions:
                    self._add(short)
        made = [rendition.configure(formats, program.frame_rate) for rendition in self._renditions.values()]
        if formats.video is not None:
            self._tell(Make(tuple(rung for rung in made if rung is not None)))
            self._tell(Configure(SOURCE, formats.video, None))
        self._changed()

    def _add(self, short: int) -> None:
        added = self.program.lower_rendition(short)
        self._renditions[added.name] = added
        self._renditions = dict(sorted(self._renditions.items(), key=lambda item: -item[1].short))

    def _made(self, worker: Worker, message: Message) -> None:
        if worker is not self._worker or not isinstance(message, Configure | Picture):
            return
        rendition = self._renditions.get(message.track.partition("_")[0])
        if rendition is None:
            return
        if isinstance(message, Picture):
            rendition.picture(message.unit, time.monotonic())
        elif not rendition.describe(message):
            logger.error("a ladder makes %s in another way than before", message.track)
            self._later(worker.close())
            self._died(worker)

    def _died(self, worker: Worker) -> None:
        if worker is not self._worker:
            return
        now = time.monotonic()
        self.crashes += 1
        if now - self.began_s > _AGAIN_MAX_S:
            self._again_s = _AGAIN_FIRST_S
        self._worker = None
        self._held_back, self._not_before_s = "worker_died", now + self._again_s
        logger.error("a ladder died: the source alone goes on, again in %.0f s", self._again_s)
        self._again_s = min(_AGAIN_MAX_S, self._again_s * 2)
        self._abandon()
        self._refuse("worker_died")

    def _abandon(self) -> None:
        self._is_fed = False
        for rendition in self._renditions.values():
            rendition.abandon(time.monotonic())

    def _finish(self) -> None:
        """The program is over: so are renditions that have all of it, and the worker that made them."""
        for rendition in self._renditions.values():
            if not rendition.behind_parts and not rendition.ended:
                rendition.ended = True
                rendition.notify()
        if self._worker is not None and all(each.ended for each in self._renditions.values()):
            worker, self._worker = self._worker, None
            self._later(worker.close())

    def _is_slow(self) -> bool:
        made = sum(rendition.made for rendition in self._renditions.values())
        late = sum(rendition.late for rendition in self._renditions.values())
        self._late = max(0.0, self._late + late - self._counted[1] - (made - self._counted[0]) / 2)
        self._counted = (made, late)
        return self._late > _LATE_PARTS_MAX * len(self._renditions)

    def _tell(self, message: Message) -> None:
        if self._worker is not None:
            self._worker.send(message)

    def _refuse(self, reason: Refusal) -> None:
        if reason != self.refused:
            self.refused = reason
            self._changed()

    def _changed(self) -> None:
        """What the multivariant playlist and the host are told."""
        formats = self._formats
        video = None if formats is None else formats.video
        shorts = () if video is None else rungs.below(self._settings, video.parsed.width, video.parsed.height)
        told = tuple(each.short for each in self._renditions.values() if each.short in shorts)
        self.program.tell_ladder(LadderState(told if self._worker is not None else (), self.refused))

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Ladders:
    """Ladders by stream id.

    Parameters
    ----------
    settings : Settings
        Bounds.
    metrics : Metrics
        Counts ladders and refusals.
    composing : Callable[[], int]
        Workers that compose now: those come first.
    """

    def __init__(self, settings: Settings, metrics: Metrics, composing: Callable[[], int]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._composing = composing
        self._ladders: dict[str, Ladder] = {}
        self._lateness_s = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    def follow(self, program: Program) -> None:
        """Give a new program its ladder; nothing where there is to be none."""
        if not self._settings.ladder:
            program.ladder = LadderState((), "off")
            return
        self.forget(program.stream_id)
        program.follower = self._ladders[program.stream_id] = Ladder(program, self._settings, self.refusal)

    def find(self, stream_id: str) -> Ladder | None:
        """A stream's ladder."""
        return self._ladders.get(stream_id)

    def refusal(self) -> Refusal | None:
        """Why no worker may begin now; None if one may."""
        running = self._running()
        if self._settings.processors < 2:
            return "one_processor"
        if running >= self._settings.ladder_max or self._lateness_s > _LATENESS_MAX_S:
            return "task_full"
        return "task_full" if running + self._composing() >= self._settings.processors - 1 else None

    def watch(self, now: float, late_s: float) -> None:
        """Look after each; ``late_s`` is how late the task's loop is."""
        self._lateness_s += _LATENESS_SHARE * (late_s - self._lateness_s)
        over = self._running() + self._composing() - max(1, self._settings.processors - 1)
        # Who is on screen together has no other picture; a ladder's viewers have the one as sent.
        newest = sorted((each for each in self._ladders.values() if each.is_running), key=lambda each: -each.began_s)
        for ladder in newest[: max(0, over)]:
            ladder.give_way("task_full", now + _ROOM_AGAIN_S)
        for ladder in list(self._ladders.values()):
            try:
                ladder.watch(now)
            except Exception:
                # The task's loop, which looks after every stream, must not end with one stream's ladder.
                logger.exception("the ladder of %s cannot be looked after: it ends", ladder.program.stream_id)
                self._give_up(ladder)
        self._metrics.ladders.set(self._running())
        self._metrics.ladder_behind_s.set(max((each.behind_s(now) for each in self._ladders.values()), default=0.0))
        refused = [each.refused for each in self._ladders.values()]
        for reason in REASONS:
            self._metrics.ladders_refused.labels(reason).set(refused.count(reason))

    def forget(self, stream_id: str) -> None:
        """The stream is over, or another task's."""
        ladder = self._ladders.pop(stream_id, None)
        if ladder is not None:
            task = asyncio.create_task(ladder.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _give_up(self, ladder: Ladder) -> None:
        program = ladder.program
        program.follower = None
        program.tell_ladder(LadderState((), "worker_died"))
        self.forget(program.stream_id)

    async def close(self, deadline_s: float) -> None:
        """End every worker; returns within ``deadline_s``."""
        for stream_id in list(self._ladders):
            self.forget(stream_id)
        if self._closing:
            await asyncio.wait(self._closing, timeout=deadline_s)

    def _running(self) -> int:
        return sum(ladder.is_running for ladder in self._ladders.values())
