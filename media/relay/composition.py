"""What a stream's program shows: the host's media as it comes, or host and others put together by a worker process.

With nobody on screen beside the host nothing is decoded. When media of a guest, or of the host of a match's other
stream, flows, a worker starts, and the program changes to what it makes with its first key frame; when the last one is
gone, or the worker dies, back with the host's next key frame. Each change is a discontinuity of the one playlist;
those who come and go in between are none.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, Protocol

from media.relay.access_unit import AccessUnit
from media.relay.cmaf import VIDEO_TIMESCALE, AudioFormat, AudioSample, VideoFormat
from media.relay.feed import Feed
from media.relay.settings import Settings
from media.relay.wire import Arrange, Configure, Gone, KeyFrame, Message, Picture, Sound
from media.relay.worker import Worker

logger = logging.getLogger(__name__)

HOST: Final = "host"
# The track of the other host in a match (rival.py).
MATCH: Final = "match"
_MODULE: Final = "media.relay.compositor"
# Who reconnects within this is still composed, so that viewers see no two changes.
_GUEST_AWAITED_S: Final = 5.0
# After a worker died, the next one is tried later each time.
_AGAIN_FIRST_S: Final = 1.0
_AGAIN_MAX_S: Final = 60.0
# The step in which a timeline may be moved: a whole AAC frame in both clocks (program.py).
_STEP_TICKS: Final = 1_920


class Fed(Protocol):
    """A program, as something feeds it."""

    ended: bool

    def begin_source(self, request_key_frame: Callable[[], None]) -> None:
        """What follows begins at 0 and continues what was."""
        ...

    def configure(self, video: VideoFormat | None, audio: AudioFormat | None) -> None: ...

    def video(self, unit: AccessUnit) -> None: ...

    def audio(self, sample: AudioSample, wall_s: float) -> None: ...


class Track:
    """What a guest's source, or a match's other stream, feeds: its media goes to the worker, if there is one."""

    def __init__(self, composition: Composition, name: str) -> None:
        self.name = name
        self.media_at_s = 0.0
        self.request_key_frame: Callable[[], None] = _nobody
        self.formats: tuple[VideoFormat | None, AudioFormat | None] | None = None
        self._composition = composition

    def flows(self, now: float, within_s: float) -> bool:
        """Whether media came lately."""
        return now - self.media_at_s < within_s

    def configure(self, video: VideoFormat | None, audio: AudioFormat | None) -> None:
        """Formats of what follows."""
        self.formats = (video, audio)
        self._say(Configure(self.name, video, audio))

    def video(self, unit: AccessUnit) -> None:
        """An access unit."""
        self.media_at_s = time.monotonic()
        self._say(Picture(self.name, unit))

    def audio(self, sample: AudioSample, wall_s: float) -> None:
        """An AAC frame."""
        self.media_at_s = time.monotonic()
        self._say(Sound(self.name, sample, wall_s))

    def _say(self, message: Message) -> None:
        self._composition.tell(message)


class HostTrack(Track):
    """What the host's source feeds: the program itself, while nothing is composed, and who else takes its media."""

    def __init__(self, composition: Composition, program: Fed) -> None:
        super().__init__(composition, HOST)
        self.direct = True
        self._feeds: list[Feed] = []
        self._program = program
        self._origin = 0
        self._rejoin = False

    def begin(self, request_key_frame: Callable[[], None]) -> None:
        """A new publisher: its time starts at 0."""
        self.request_key_frame = request_key_frame
        self.formats = None
        self.direct = self.direct or self._rejoin
        self._origin, self._rejoin = 0, False
        if self.direct:
            self._program.begin_source(request_key_frame)
        self._say(Gone(HOST))

    def feed(self, taker: str) -> Feed:
        """This host's own media for another stream's composition, from the next key frame on."""
        made = Feed(taker, lambda: self.request_key_frame())
        self._feeds.append(made)
        if self.formats is not None:
            made.offer(Configure(HOST, *self.formats))
        return made

    def end_feeds(self) -> None:
        """Nothing of this host follows."""
        for feed in self._feeds:
            feed.end()
        self._feeds.clear()

    def _say(self, message: Message) -> None:
        super()._say(message)
        if self._feeds:
            self._feeds = [feed for feed in self._feeds if not feed.ended]
            for feed in self._feeds:
                feed.offer(message)

    def leave(self) -> None:
        """The publisher is gone: its media counts as lost at once."""
        self.media_at_s = 0.0

    def release(self) -> None:
        """The worker makes the program from here on."""
        self.direct = self._rejoin = False

    def rejoin(self) -> None:
        """The program is to be the host's again, from the next key frame on."""
        if not self.direct and not self._rejoin:
            self._rejoin = True
            if self.formats is None or self.formats[0] is None:
                # No pictures, or nobody who sends any: nothing to wait for.
                self._rejoined(None)
            else:
                self.request_key_frame()

    def configure(self, video: VideoFormat | None, audio: AudioFormat | None) -> None:
        super().configure(video, audio)
        if self.direct:
            self._program.configure(video, audio)

    def video(self, unit: AccessUnit) -> None:
        super().video(unit)
        if self._rejoin and unit.key:
            self._rejoined(unit.dts)
        if self.direct:
            self._program.video(unit.moved(-self._origin))

    def audio(self, sample: AudioSample, wall_s: float) -> None:
        super().audio(sample, wall_s)
        if not self.direct:
            return
        rate = self.formats[1].sample_rate if self.formats and self.formats[1] else 0
        pts = sample.pts - self._origin * rate // VIDEO_TIMESCALE
        if pts >= 0:
            self._program.audio(sample.at(pts), wall_s)

    def _rejoined(self, at: int | None) -> None:
        self.direct, self._rejoin = True, False
        self._origin = 0 if at is None else at // _STEP_TICKS * _STEP_TICKS
        self._program.begin_source(self.request_key_frame)
        if self.formats is not None:
            self._program.configure(*self.formats)


class Composition:
    """One stream's program and its tracks.

    Parameters
    ----------
    program : Fed
        What viewers see.
    settings : Settings
        Size and bit rate of what is composed, and when media counts as lost.
    may_compose : Callable[[], bool]
        Whether the task has a processor left for a worker, or this composition has its own.
    """

    def __init__(self, program: Fed, settings: Settings, may_compose: Callable[[], bool]) -> None:
        self.program = program
        self.host = HostTrack(self, program)
        self.tracks: dict[str, Track] = {}
        self._settings = settings
        self._may_compose = may_compose
        self._worker: Worker | None = None
        self._arranged: Arrange | None = None
        self._again_s = _AGAIN_FIRST_S
        self._not_before_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self.crashes = 0
        # Whether somebody is not shown because the task has no processor left.
        self.refused = False

    @property
    def composing(self) -> bool:
        """Whether a worker runs."""
        return self._worker is not None

    def rests(self, now: float) -> bool:
        """Whether the worker died, and the next one is not tried yet."""
        return self._worker is None and now < self._not_before_s

    @property
    def shown(self) -> tuple[str, ...]:
        """The tracks that are composed."""
        return () if self._arranged is None else self._arranged.tracks

    @property
    def worker_pid(self) -> int | None:
        """The worker's process, if one runs."""
        return self._worker.pid if self._worker is not None else None

    def track(self, seat: str) -> Track:
        """A guest's track, anew: the one before is over."""
        self.tell(Gone(seat))
        made = self.tracks[seat] = Track(self, seat)
        return made

    def remove(self, seat: str) -> None:
        """The guest is gone for good."""
        if self.tracks.pop(seat, None) is not None:
            self.tell(Gone(seat))

    def watch(self, layout: str, seats: Sequence[str], now: float) -> None:
        """Begin, arrange or end composing, by whose media flows; called a few times a second."""
        for seat in [seat for seat in self.tracks if seat not in seats]:
            self.remove(seat)
        present = [self.tracks[seat] for seat in seats if seat in self.tracks]
        shown = [track.name for track in present if track.flows(now, _GUEST_AWAITED_S)]
        flows = self.host.flows(now, self._settings.lost_after_s) and not self.program.ended
        if not shown or not flows:
            self.refused = False
            self.stop()
            return
        if self._worker is None:
            if now < self._not_before_s:
                return
            self._refuse(not self._may_compose(), shown)
            if self.refused:
                return
            self._begin()
        arranged = Arrange(layout, (HOST, *shown))
        if arranged != self._arranged:
            self._arranged = arranged
            self.tell(arranged)

    def tell(self, message: Message) -> None:
        """Hand a message to the worker, if one runs."""
        if self._worker is not None:
            self._worker.send(message)

    def stop(self) -> None:
        """The program is the host's again."""
        worker, self._worker, self._arranged = self._worker, None, None
        if worker is not None:
            self._later(worker.close())
            self.host.rejoin()

    async def close(self) -> None:
        """End the worker for good."""
        self.stop()
        self.host.end_feeds()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _refuse(self, refused: bool, shown: Sequence[str]) -> None:
        if refused and not self.refused:
            logger.warning("no processor to spare to show %s", ", ".join(shown))
        self.refused = refused

    def _begin(self) -> None:
        video = self.host.formats[0] if self.host.formats else None
        short = self._settings.compose_px
        long = short * 16 // 9 // 2 * 2
        upright = video is not None and video.parsed.height > video.parsed.width
        width, height = (short, long) if upright else (long, short)
        options = {
            "width": width,
            "height": height,
            "bit-rate": self._settings.compose_bit_rate,
            "audio-bit-rate": self._settings.audio_bit_rate,
        }
        words = tuple(word for name, value in options.items() for word in (f"--{name}", str(value)))

        def made(message: Message) -> None:
            self._made(worker, message)

        worker = self._worker = Worker(_MODULE, words, made, lambda: self._died(worker), self._ask)
        for track in (self.host, *self.tracks.values()):
            if track.formats is not None:
                worker.send(Configure(track.name, *track.formats))
        # Nothing can be decoded before a key frame.
        for track in (self.host, *self.tracks.values()):
            track.request_key_frame()
        self._later(self._start(worker))

    def _ask(self, name: str) -> None:
        """A browser sends no key frame by itself: what was dropped would stay a still."""
        track = self.host if name == HOST else self.tracks.get(name)
        if track is not None:
            track.request_key_frame()

    async def _start(self, worker: Worker) -> None:
        try:
            await worker.start()
        except OSError:
            logger.exception("a compositor cannot be started")
            self._died(worker)

    def _made(self, worker: Worker, message: Message) -> None:
        if worker is not self._worker:
            return
        match message:
            case Configure():
                if self.host.direct:
                    self.host.release()
                    self.program.begin_source(lambda: self.tell(KeyFrame()))
                    self._again_s = _AGAIN_FIRST_S
                self.program.configure(message.video, message.audio)
            case Picture():
                self.program.video(message.unit)
            case Sound():
                self.program.audio(message.sample, message.wall_s)
            case _:
                logger.warning("a compositor said %r", message)

    def _died(self, worker: Worker) -> None:
        if worker is not self._worker:
            return
        self.crashes += 1
        self._not_before_s = time.monotonic() + self._again_s
        logger.error("a compositor died: the host alone is shown, again with guests in %.0f s", self._again_s)
        self._again_s = min(_AGAIN_MAX_S, self._again_s * 2)
        self._worker = self._arranged = None
        self.host.rejoin()

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _nobody() -> None:
    """Asks nobody for a key frame: there is no publisher."""
