"""The stages of this task's streams: who is on screen with a host, the guests' publishers, who watches whom.

A stage is what the stream's item says (`StageItem`): a seat that is not listed there publishes and watches nothing, and
one that is taken away is closed at the next look at the item. So it is with a match: a host's media is given only to
the stream that the host's item names, and shown is only whose item names this stream too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Literal, Protocol

from media.relay.composition import HOST, MATCH, Composition, Track
from media.relay.control import StageItem, StreamItem
from media.relay.errors import RelayError
from media.relay.feed import Feed, OpusTap
from media.relay.metrics import Metrics
from media.relay.outlet import Outlet
from media.relay.program import Program
from media.relay.rights import StreamKey
from media.relay.settings import Settings

logger = logging.getLogger(__name__)

# Why those who are to be on screen are not shown.
Refusal = Literal["no_processor", "worker_died"]


class Guest(Protocol):
    """Someone who publishes into a seat (a WHIP session)."""

    key: StreamKey
    muted: bool

    @property
    def media_at_s(self) -> float:
        """When its media came last, by the monotonic clock."""
        ...

    async def close(self) -> None:
        """Disconnect; safe to call again."""
        ...


class Watcher(Protocol):
    """Someone who watches a seat (a WHEP session)."""

    id: str
    key: StreamKey
    watched: str

    async def close(self) -> None:
        """Disconnect; safe to call again."""
        ...


class Stage:
    """One stream's seats on this task."""

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self.told = StageItem()
        self.guests: dict[str, Guest] = {}
        self.watchers: dict[str, Watcher] = {}
        self.composition: Composition | None = None
        # Whom the stream's item names for a match, and the same once that one's item names this stream.
        self.named = ""
        self.rival = ""
        # Why viewers see the host alone, though others are to be on screen.
        self.refused: Refusal | None = None
        self.feed: Feed | None = None
        self._outlets: dict[str, Outlet] = {}

    def outlet(self, seat: str) -> Outlet:
        """The outlet of a seat, made on first use."""
        return self._outlets.setdefault(seat, Outlet())

    def lists(self, seat: str) -> bool:
        """Whether a guest holds this seat."""
        return any(one.seat == seat for one in self.told.seats)

    def shows(self, seat: str) -> bool:
        """Whether there is somebody to watch: the host, a guest, or the other host of a match."""
        return bool(self.rival) if seat == MATCH else seat == HOST or self.lists(seat)

    def is_muted(self, seat: str) -> bool:
        """Whether the host muted this seat."""
        return any(one.seat == seat and one.muted for one in self.told.seats)


class Stages:
    """Stages by stream id.

    Parameters
    ----------
    settings : Settings
        Bounds.
    metrics : Metrics
        Counts guests and watchers.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._stages: dict[str, Stage] = {}
        # Called with a stream whose `Stage.refused` changed.
        self.on_refused: Callable[[str], None] = _nobody
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, stream_id: str) -> Stage:
        """The stage of a stream that is on air here, made on first use."""
        return self._stages.setdefault(stream_id, Stage(stream_id))

    def find(self, stream_id: str) -> Stage | None:
        """The stage of a stream, if anybody asked for it here."""
        return self._stages.get(stream_id)

    def __iter__(self) -> Iterator[Stage]:
        return iter(list(self._stages.values()))

    # ---- the program ----

    def composition(self, program: Program) -> Composition:
        """What feeds a stream's program, made for each run of it."""
        stage = self.of(program.stream_id)
        before = stage.composition
        if before is not None and before.program is program:
            return before
        made = stage.composition = Composition(program, self._settings, self._may_compose)
        if before is not None:
            self._later(before.close())
        return made

    def host_left(self, stream_id: str) -> None:
        """The host's publisher is gone: guests alone are no program."""
        stage = self._stages.get(stream_id)
        if stage is not None and stage.composition is not None:
            stage.composition.host.leave()
            stage.composition.stop()

    def _may_compose(self) -> bool:
        return self.composing() < self._settings.compose_max

    def _refusal(self, stage: Stage, now: float) -> Refusal | None:
        composition = stage.composition
        if composition is None or composition.composing or not (stage.told.seats or stage.rival):
            return None
        # Asked before anybody's media comes: a guest who would not be shown is not let in to send it.
        return "no_processor" if not self._may_compose() else "worker_died" if composition.rests(now) else None

    def composing(self) -> int:
        """Workers that compose now."""
        return sum(one.composition is not None and one.composition.composing for one in self._stages.values())

    # ---- guests ----

    def track(self, stage: Stage, seat: str) -> Track:
        """Where a guest's media goes to be composed."""
        if stage.composition is None:
            raise RelayError("not_found", "The host is not on air. Try again in a moment.")
        return stage.composition.track(seat)

    def admit(self, key: StreamKey) -> Stage:
        """The stage on which this guest may publish; raises ``forbidden`` or ``unavailable``."""
        stage = self.of(key.stream_id)
        if not stage.lists(key.seat):
            raise RelayError("forbidden", "This seat is not yours any longer. Ask the host for a new one.")
        mine = stage.composition is not None and stage.composition.composing
        if not mine and not self._may_compose():
            raise RelayError(
                "unavailable", "This relay has no processor to spare for guests on screen. Try again in a moment."
            )
        others = sum(len(one.guests) for one in self._stages.values()) - (key.seat in stage.guests)
        if others >= self._settings.guests_max:
            raise RelayError("unavailable", "This relay has no room for another guest. Try again in a moment.")
        return stage

    async def arrived(self, stage: Stage, guest: Guest) -> None:
        """The guest is connected; the same person's connection before makes way."""
        seat = guest.key.seat
        if self._stages.get(stage.stream_id) is not stage:
            # It ended, or went to another task, while the guest connected: nobody looks after it any longer.
            await guest.close()
            raise RelayError("not_found", "The host is not on air. Try again in a moment.")
        if not stage.lists(seat):
            await guest.close()
            raise RelayError("forbidden", "This seat is not yours any longer. Ask the host for a new one.")
        before = stage.guests.pop(seat, None)
        stage.guests[seat] = guest
        guest.muted = stage.is_muted(seat)
        if before is not None:
            await before.close()

    async def left(self, stage: Stage, guest: Guest) -> None:
        """The guest is gone, or another connection took its place before."""
        if stage.guests.get(guest.key.seat) is guest:
            del stage.guests[guest.key.seat]
        await guest.close()

    # ---- watchers ----

    def admit_watcher(self, key: StreamKey, seat: str) -> Stage:
        """The stage on which this key's holder may watch ``seat``.

        Raises
        ------
        RelayError
            ``forbidden`` (the seat of the key is gone, or is the one asked for), ``not_found`` (nobody holds it, or
            no match is on), ``unavailable`` (no room).
        """
        stage = self.of(key.stream_id)
        if key.seat and not stage.lists(key.seat):
            raise RelayError("forbidden", "This seat is not yours any longer. Ask the host for a new one.")
        if seat == MATCH and not stage.rival:
            raise RelayError("not_found", "This broadcast is in no match.")
        if not stage.shows(seat):
            raise RelayError("not_found", "Nobody holds this seat.")
        if seat == (key.seat or HOST):
            raise RelayError("forbidden", "This is your own picture.")
        if sum(len(one.watchers) for one in self._stages.values()) >= self._settings.watchers_max:
            raise RelayError("unavailable", "This relay has no room for another watcher. Try again in a moment.")
        return stage

    def watches(self, stage: Stage, watcher: Watcher) -> None:
        """The watcher is connected; another one of the same key for the same seat makes way.

        One whose stage is over by now is disconnected again.
        """
        if self._stages.get(stage.stream_id) is not stage:
            self.stopped(stage, watcher)
            return
        for other in list(stage.watchers.values()):
            if (other.key.seat, other.watched) == (watcher.key.seat, watcher.watched):
                self.stopped(stage, other)
        stage.watchers[watcher.id] = watcher

    def stopped(self, stage: Stage, watcher: Watcher) -> None:
        """The watcher is gone, or has to go."""
        if stage.watchers.get(watcher.id) is watcher:
            del stage.watchers[watcher.id]
        self._later(watcher.close())

    # ---- a match ----

    def named(self) -> set[str]:
        """Streams that are named for a match, whose items are to be read too."""
        return {stage.named for stage in self._stages.values() if stage.named}

    def meet(self, items: Mapping[str, StreamItem | None]) -> None:
        """Both items of each match, as they were just read; what could not be read is as it was."""
        for stage in self._stages.values():
            if stage.named in items:
                other = items[stage.named]
                agreed = other is not None and other.state == "live" and other.match.stream == stage.stream_id
                stage.rival = stage.named if agreed else ""
                self._dismiss(stage)

    def feed(self, stream_id: str, taker: str) -> Feed:
        """The host's own media for the stream ``taker``; a reader before makes way.

        Raises
        ------
        RelayError
            ``not_found`` (the host is not on air here), ``forbidden`` (the stream's item does not name ``taker``).
        """
        stage = self._stages.get(stream_id)
        if stage is None or stage.composition is None or stage.composition.program.ended:
            raise RelayError("not_found", "The host is not on air here.")
        if not taker or stage.named != taker:
            raise RelayError("forbidden", "This broadcast is in no match with that one.")
        if stage.feed is not None:
            stage.feed.end()
        made = stage.feed = stage.composition.host.feed(taker)
        outlet, tap = stage.outlet(HOST), OpusTap(HOST, made)
        outlet.tracks.add(tap)
        made.on_end = lambda: outlet.tracks.discard(tap)
        return made

    def _match(self, stage: Stage, named: str) -> None:
        stage.named = "" if named == stage.stream_id else named
        if stage.rival != stage.named:
            stage.rival = ""
        if stage.feed is not None and stage.feed.taker != stage.named:
            stage.feed.end()
            stage.feed = None

    # ---- what is told ----

    def obey(self, stream_id: str, told: StageItem, named: str = "") -> None:
        """What the stream's item says now: seats that are gone are closed, muted ones fall silent.

        ``named`` is the other stream of a match.
        """
        stage = self._stages.get(stream_id)
        if stage is None:
            if not told.seats and not named:
                return
            stage = self.of(stream_id)
        stage.told = told
        self._match(stage, named)
        for seat, guest in list(stage.guests.items()):
            if not stage.lists(seat):
                logger.info("seat %s of %s was taken away: disconnecting its guest", seat, stream_id)
                self._later(self.left(stage, guest))
            else:
                guest.muted = stage.is_muted(seat)
        self._dismiss(stage)

    def _dismiss(self, stage: Stage) -> None:
        """Disconnect watchers of whom there is nothing to watch any longer, and those whose own seat is gone."""
        for watcher in list(stage.watchers.values()):
            if not stage.shows(watcher.watched) or (watcher.key.seat and not stage.lists(watcher.key.seat)):
                self.stopped(stage, watcher)

    def host_changed(self, stream_id: str, generation: int) -> None:
        """The host's key has this generation now: who watches by an older one is disconnected."""
        stage = self._stages.get(stream_id)
        for watcher in list(stage.watchers.values()) if stage else []:
            if not watcher.key.seat and watcher.key.generation < generation:
                self.stopped(stage or Stage(stream_id), watcher)

    def watch(self, now: float) -> None:
        """See to it that whose media flows is shown, and disconnect guests that are silent."""
        for stage in list(self._stages.values()):
            if stage.composition is not None:
                layout, seats = stage.told.layout, [one.seat for one in stage.told.seats]
                if stage.rival:
                    # Both hosts stand equal; guests share the half of the other one.
                    layout, seats = "side_by_side", [MATCH, *seats]
                stage.composition.watch(layout, seats, now)
            for guest in list(stage.guests.values()):
                if now - guest.media_at_s > self._settings.silent_publisher_s:
                    logger.info("guest %s of %s is silent: disconnecting", guest.key.seat, stage.stream_id)
                    self._later(self.left(stage, guest))
        for stage in list(self._stages.values()):
            refused = self._refusal(stage, now)
            if refused != stage.refused:
                stage.refused = refused
                self.on_refused(stage.stream_id)
        self._metrics.guests.set(sum(len(stage.guests) for stage in self._stages.values()))
        self._metrics.compositions.set(self.composing())
        composed = [stage.composition for stage in self._stages.values() if stage.composition is not None]
        self._metrics.compositions_refused.set(sum(one.refused for one in composed))
        self._metrics.matches.set(sum(MATCH in one.shown for one in composed))
        self._metrics.watchers.set(sum(len(stage.watchers) for stage in self._stages.values()))

    def forget(self, stream_id: str) -> None:
        """The stream is over, or another task's."""
        stage = self._stages.pop(stream_id, None)
        if stage is not None:
            for guest in list(stage.guests.values()):
                self._later(self.left(stage, guest))
            for watcher in list(stage.watchers.values()):
                self.stopped(stage, watcher)
            if stage.composition is not None:
                stage.composition.host.end_feeds()
                self._later(stage.composition.close())

    async def close(self, deadline_s: float) -> None:
        """Disconnect everyone; returns within ``deadline_s``."""
        for stream_id in list(self._stages):
            self.forget(stream_id)
        if self._closing:
            await asyncio.wait(self._closing, timeout=deadline_s)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _nobody(_stream_id: str) -> None:
    """Tells nobody."""
