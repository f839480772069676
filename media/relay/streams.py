"""The streams of this task: one program each, who publishes it, and what the control plane says of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Protocol

from media.relay.archive import Archive
from media.relay.cmaf import VideoFormat
from media.relay.composition import MATCH
from media.relay.control import Control, MediaState, StreamItem
from media.relay.errors import RelayError
from media.relay.ladders import Ladders
from media.relay.lease import Beat, Leases
from media.relay.metrics import Metrics
from media.relay.program import Program
from media.relay.rights import StreamKey
from media.relay.room import Rooms
from media.relay.settings import Settings
from media.relay.source import Program as Sink
from media.relay.stages import Stage, Stages
from media.relay.thumbnail import Thumbnailer

logger = logging.getLogger(__name__)

_TICK_S: Final = 0.25
# Flowing is told again this often: lost messages are made good, and the silence of a dead relay is heard.
_REANNOUNCE_S: Final = 30.0


class Feed(Protocol):
    """What makes a publisher's media plain (source.py, encoder_source.py), as the streams see it."""

    media_at_s: float
    frames_dropped: int
    on_key_frame: Callable[[VideoFormat, bytes], None] | None

    def lost(self) -> None:
        """Media stopped."""
        ...


class Publisher(Protocol):
    """Someone who sends media for a stream (a WHIP session, an RTMP connection)."""

    key: StreamKey

    @property
    def source(self) -> Feed:
        """Its media."""
        ...

    def request_key_frame(self) -> None:
        """Ask for a key frame; may be called often."""
        ...

    async def close(self) -> None:
        """Disconnect; safe to call again."""
        ...


class Streams:
    """Programs by stream id, their publishers, and the loop that watches over both."""

    def __init__(self, settings: Settings, control: Control, metrics: Metrics, leases: Leases | None = None) -> None:
        self.programs: dict[str, Program] = {}
        self.publishers: dict[str, Publisher] = {}
        self.stages = Stages(settings, metrics)
        self.stages.on_refused = self._retell
        self.ladders = Ladders(settings, metrics, self.stages.composing)
        self.draining = False
        self._settings = settings
        self._control = control
        self._metrics = metrics
        self._leases = leases
        # Where another task's run of a stream ended that is published here now.
        self._after: dict[str, Beat] = {}
        # Called at each tick, once the stages know who is in a match.
        self.on_tick: Callable[[], None] = _nothing
        # Told when a stream begins here, so that nobody looks for it elsewhere.
        self.on_begin: Callable[[str], None] = _nowhere
        self._rooms = Rooms(settings, metrics)
        self._arriving: set[str] = set()
        self._generations: dict[str, int] = {}
        self._for_everyone: dict[str, bool] = {}
        # None records nothing.
        self._archive = Archive(settings, metrics, self._archived) if settings.media_bucket else None
        self._recorded: set[str] = set()
        self._announced_s: dict[str, float] = {}
        self._parts_seen: dict[str, int] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="thumbnail")

    # ---- publishers ----

    async def admit(self, key: StreamKey) -> None:
        """Whether this key may publish now; reserves the place until `arrived` or `gave_up`.

        Raises
        ------
        RelayError
            ``not_found`` (no such stream, or not live), ``forbidden`` (revoked key), ``conflict`` (someone publishes),
            ``unavailable`` (draining, full, or the control plane does not answer).
        """
        if self.draining:
            raise RelayError("unavailable", "This relay is being replaced. Connect again in a moment.")
        item = await self._control.read(key.stream_id)
        item = _checked(item, key)
        present = self.publishers.get(key.stream_id)
        if key.stream_id in self._arriving or (present is not None and self._holds_place(present, key)):
            raise RelayError("conflict", "Someone publishes this broadcast already. Take over with a new stream key.")
        if present is None and len(self.publishers) + len(self._arriving) >= self._settings.publishers_max:
            raise RelayError("unavailable", "This relay is full. Try again in a moment.")
        self._arriving.add(key.stream_id)
        try:
            after = None if self._leases is None else await self._leases.claim(key.stream_id, key.generation)
        except BaseException:
            self._arriving.discard(key.stream_id)
            raise
        if after is not None:
            self._after[key.stream_id] = after
        self._for_everyone[key.stream_id] = item.for_everyone
        (self._recorded.add if item.recorded else self._recorded.discard)(key.stream_id)

    async def stage(self, key: StreamKey) -> Stage:
        """The stage on which a guest may publish with this key, by the stream's item as it is now.

        Raises
        ------
        RelayError
            ``not_found`` (the host is not on air here), ``forbidden`` (the seat was taken away), ``unavailable``.
        """
        if self.draining:
            raise RelayError("unavailable", "This relay is being replaced. Connect again in a moment.")
        await self._look(key.stream_id)
        return self.stages.admit(key)

    async def watched(self, key: StreamKey, seat: str) -> Stage:
        """The stage on which ``seat`` may be watched with this key, by the stream's item as it is now.

        Raises
        ------
        RelayError
            As `stage`, and ``not_found`` where nobody holds the seat, or the broadcast is in no match.
        """
        if self.draining:
            raise RelayError("unavailable", "This relay is being replaced. Connect again in a moment.")
        item = await self._look(key.stream_id)
        if not key.seat and key.generation != item.key_generation:
            raise RelayError("forbidden", "This stream key was replaced by a newer one.")
        if seat == MATCH and item.match.stream:
            # Whoever was just accepted does not wait until both items are read again.
            self.stages.meet({item.match.stream: await self._control.read(item.match.stream)})
        return self.stages.admit_watcher(key, seat)

    async def _look(self, stream_id: str) -> StreamItem:
        """The item of a stream that is on air here, obeyed."""
        program = self.programs.get(stream_id)
        item = await self._control.read(stream_id)
        if program is None or program.ended or item is None or item.state != "live":
            raise RelayError("not_found", "The host is not on air. Try again in a moment.")
        self._obey(stream_id, item)
        return item

    def gave_up(self, key: StreamKey) -> None:
        """The publisher that was admitted did not come."""
        self._arriving.discard(key.stream_id)
        if key.stream_id not in self.programs:
            self._recorded.discard(key.stream_id)
            self._for_everyone.pop(key.stream_id, None)
            self._release(key.stream_id)

    def program(self, stream_id: str) -> Program:
        """The stream's program, made if there is none or the last one is over."""
        present = self.programs.get(stream_id)
        if present is None or present.ended:
            after = self._after.pop(stream_id, None)
            present = self.programs[stream_id] = Program(stream_id, self._settings, self._announce, after)
            self.ladders.follow(present)
            if self._archive is not None and stream_id in self._recorded:
                present.keep = partial(self._archive.segment, stream_id)
            self.on_begin(stream_id)
        present.preview_open = self._for_everyone.get(stream_id, False)
        return present

    def sink(self, stream_id: str) -> Sink:
        """What the stream's publisher feeds: the program, or its place in what is composed."""
        return self.stages.composition(self.program(stream_id)).host

    async def arrived(self, publisher: Publisher) -> None:
        """The admitted publisher is connected: it replaces the one before, and its media feeds the program.

        Raises
        ------
        RelayError
            ``conflict``: another task took the stream over meanwhile.
        """
        stream_id = publisher.key.stream_id
        self._arriving.discard(stream_id)
        if self._leases is not None and not self._leases.holds(stream_id):
            raise RelayError("conflict", "Someone else publishes this broadcast at the same time. Try again.")
        before = self.publishers.pop(stream_id, None)
        self.publishers[stream_id] = publisher
        self._generations[stream_id] = publisher.key.generation
        program = self.program(stream_id)
        thumbnailer = Thumbnailer(
            self._executor, self._settings.thumbnail_s, self._settings.thumbnail_width_px, program.show_preview
        )
        publisher.source.on_key_frame = thumbnailer.offer
        # Nothing of the one before reaches the program from here on: closing silences its inlets at once.
        closing = None if before is None else asyncio.ensure_future(before.close())
        await asyncio.sleep(0)
        self.stages.composition(program).host.begin(publisher.request_key_frame)
        if closing is not None:
            await closing

    async def left(self, publisher: Publisher) -> None:
        """The publisher is gone; the program stays and says so."""
        stream_id = publisher.key.stream_id
        self._metrics.frames_dropped.inc(publisher.source.frames_dropped)
        if self.publishers.get(stream_id) is publisher:
            del self.publishers[stream_id]
            self.stages.host_left(stream_id)
            program = self.programs.get(stream_id)
            if program is not None:
                program.lose()
        await publisher.close()

    def _holds_place(self, present: Publisher, key: StreamKey) -> bool:
        alive = time.monotonic() - present.source.media_at_s < self._settings.lost_after_s
        return alive and key.generation <= present.key.generation

    # ---- watching ----

    async def run(self) -> None:
        """Look after every stream, for ever: lost media, silent publishers, ended streams, revoked keys, gauges."""
        polled_s = 0.0
        while True:
            before = time.monotonic()
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            late_s = max(0.0, now - before - _TICK_S)
            self._metrics.loop_lateness_s.set(late_s)
            for program in list(self.programs.values()):
                self._watch(program, now)
            self.stages.watch(now)
            self.on_tick()
            self.ladders.watch(now, late_s)
            self._measure()
            if now - polled_s >= self._settings.poll_s and self.programs:
                polled_s = now
                on_air = {stream_id for stream_id, program in self.programs.items() if not program.ended}
                items = await self._control.read_many(on_air | self.stages.named()) or {}
                for stream_id, item in items.items():
                    self._obey(stream_id, item)
                self.stages.meet(items)

    def _watch(self, program: Program, now: float) -> None:
        stream_id = program.stream_id
        publisher = self.publishers.get(stream_id)
        if program.ended:
            if now - program.ended_at_s > self._settings.ended_kept_s:
                self._forget(stream_id)
            return
        if program.state == "flowing" and now - program.media_at_s > self._settings.lost_after_s:
            program.lose()
            if publisher is not None:
                publisher.source.lost()
        if publisher is not None and now - publisher.source.media_at_s > self._settings.silent_publisher_s:
            logger.info("publisher of %s is silent: disconnecting", stream_id)
            self._later(self.left(publisher))
        if program.state == "flowing" and now - self._announced_s.get(stream_id, 0.0) > _REANNOUNCE_S:
            self._announce(program)

    def _obey(self, stream_id: str, item: StreamItem | None) -> None:
        program = self.programs.get(stream_id)
        if program is None or program.ended:
            return
        publisher = self.publishers.get(stream_id)
        program.preview_open = item is not None and item.for_everyone
        wanted = item is not None and item.state == "live" and item.stadium
        program.stadium = wanted
        self._rooms.keep(stream_id, wanted, lambda frame: self._hand_on(stream_id, frame))
        if item is None or item.state != "live":
            program.end()
            self._close_recording(stream_id, item)
            self.stages.forget(stream_id)
            if publisher is not None:
                self._later(self.left(publisher))
            return
        self.stages.obey(stream_id, item.stage, item.match.stream)
        self.stages.host_changed(stream_id, item.key_generation)
        if publisher is not None and item.key_generation > publisher.key.generation:
            logger.info("stream key of %s was revoked: disconnecting its publisher", stream_id)
            self._later(self.left(publisher))

    def _close_recording(self, stream_id: str, item: StreamItem | None) -> None:
        if self._archive is None or stream_id not in self._recorded:
            return
        if item is None:
            self._archive.forget(stream_id)
        else:
            self._archive.finish(stream_id)

    def _archived(self, stream_id: str) -> None:
        """All of an ended stream is stored: its playlist can be written (functions/streams/recording.py)."""
        now_ms = time.time_ns() // 1_000_000
        generation = self._generations.get(stream_id, 0)
        self._control.announce(MediaState(stream_id, generation, "archived", now_ms, preview=False, seen_ms=now_ms))

    def _hand_on(self, stream_id: str, frame: bytes) -> None:
        # The program of now: another one may have taken the place of that for which the room was entered.
        program = self.programs.get(stream_id)
        if program is not None:
            program.room_frame(frame)

    def _announce(self, program: Program) -> None:
        self._announced_s[program.stream_id] = time.monotonic()
        stage = self.stages.find(program.stream_id)
        self._control.announce(
            MediaState(
                stream=program.stream_id,
                generation=self._generations.get(program.stream_id, 0),
                state=program.state,
                at_ms=program.state_at_ms,
                preview=program.preview is not None,
                seen_ms=time.time_ns() // 1_000_000,
                ladder=program.ladder,
                stage_refused=None if stage is None else stage.refused,
            )
        )

    def _retell(self, stream_id: str) -> None:
        """Something besides the media changed: it is told now, or with the first media."""
        program = self.programs.get(stream_id)
        if program is not None and program.state == "flowing":
            self._announce(program)

    def _measure(self) -> None:
        programs = self.programs.values()
        if self._archive is not None:
            self._metrics.archive_waiting_bytes.set(self._archive.waiting_bytes)
        self._metrics.publishers.set(len(self.publishers))
        self._metrics.streams.set(len(self.programs))
        self._metrics.streams_flowing.set(sum(program.state == "flowing" for program in programs))
        self._metrics.requests_blocked.set(sum(program.waiting for program in programs))
        self._metrics.media_held_bytes.set(sum(program.held_bytes() for program in programs))
        self._metrics.room_frames_dropped.set(sum(program.room_frames_dropped for program in programs))
        for program in programs:
            seen = self._parts_seen.get(program.stream_id, 0)
            self._metrics.parts.inc(max(0, program.parts_cut - seen))
            self._parts_seen[program.stream_id] = program.parts_cut

    # ---- other tasks ----

    def beat(self, stream_id: str) -> Beat:
        """What the lease of a stream says of it."""
        program, publisher = self.programs.get(stream_id), self.publishers.get(stream_id)
        media_at_s = program.media_at_s if program is not None else 0.0
        if publisher is not None:
            media_at_s = max(media_at_s, publisher.source.media_at_s)
        if stream_id in self._arriving:
            media_at_s = time.monotonic()
        age_s = time.monotonic() - media_at_s
        return Beat(
            # Never 0, which means that the stream was given up.
            media_ms=max(1, int((time.time() - age_s) * 1000)),
            last_msn=max(0, program.last[0]) if program is not None else 0,
            breaks=program.breaks if program is not None else 0,
        )

    def dispossess(self, stream_id: str) -> None:
        """Another task owns the stream now: its publisher here is a ghost, its viewers are sent on."""
        program, publisher = self.programs.get(stream_id), self.publishers.pop(stream_id, None)
        self._forget(stream_id)
        if program is not None:
            program.move()
        if publisher is not None:
            self._later(publisher.close())

    def _release(self, stream_id: str) -> None:
        self._after.pop(stream_id, None)
        if self._leases is not None and self._leases.holds(stream_id):
            self._later(self._leases.release(stream_id))

    def _forget(self, stream_id: str) -> None:
        self._release(stream_id)
        self._recorded.discard(stream_id)
        self._rooms.leave(stream_id)
        self.stages.forget(stream_id)
        if self._archive is not None:
            self._archive.moved(stream_id)
        self.ladders.forget(stream_id)
        for kept in (self.programs, self._generations, self._for_everyone, self._announced_s, self._parts_seen):
            kept.pop(stream_id, None)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # ---- the end ----

    async def store(self) -> None:
        """Bring recordings to S3, for ever."""
        if self._archive is not None:
            await self._archive.run()
        else:
            await asyncio.Event().wait()

    async def store_rest(self, deadline_s: float) -> None:
        """Store what is left of recordings before the process ends."""
        if self._archive is not None:
            await self._archive.drain(deadline_s)

    async def drain(self, deadline_s: float) -> None:
        """Take no more publishers, end every playlist, disconnect everyone; returns within ``deadline_s``."""
        self.draining = True
        if not self._settings.drain_s:
            # Nobody continues what plays here.
            for program in self.programs.values():
                program.end()
        closing = [asyncio.ensure_future(publisher.close()) for publisher in self.publishers.values()]
        workers = [asyncio.ensure_future(each.close(deadline_s)) for each in (self.stages, self.ladders)]
        await asyncio.wait([*closing, *workers], timeout=deadline_s)
        self.publishers.clear()
        self._rooms.leave_all()
        self._executor.shutdown(wait=False, cancel_futures=True)


def _nothing() -> None:
    """Nobody wants to know."""


def _nowhere(_stream_id: str) -> None:
    """Nobody looks elsewhere."""


def _checked(item: StreamItem | None, key: StreamKey) -> StreamItem:
    """The item; raises `RelayError` when this key may not publish."""
    if item is None:
        raise RelayError("not_found", "There is no such broadcast.")
    if item.state != "live":
        raise RelayError("not_found", "This broadcast is not live. Start it, then publish.")
    if key.generation != item.key_generation:
        raise RelayError("forbidden", "This stream key was replaced by a newer one.")
    return item
