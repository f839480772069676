"""A viewer of a match: a player that follows one program on one task, judges its playlist, looks and listens."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Sequence
from itertools import pairwise

import av
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from tests.relay import checker
from tests.relay.cluster import Task

_RATE = 48_000
_STEP_S = 0.15
# Of full scale; tones are sent at an eighth of it.
_HEARD = 0.02

Colour = tuple[int, int, int]


class Player(threading.Thread):
    """Follows a program until it is stopped; what is wrong with its playlist is kept in `problem`."""

    def __init__(self, task: Task, stream_id: str) -> None:
        super().__init__(daemon=True)
        self.task = task
        self.stream_id = stream_id
        self.playlist: checker.ReadPlaylist | None = None
        self.problem: BaseException | None = None
        self.part_times_s: list[float] = []
        self._newest: tuple[int, int] = (-1, -1)
        self._stop_wanted = threading.Event()

    def run(self) -> None:
        try:
            while not self._stop_wanted.wait(_STEP_S):
                self._step()
        except (AssertionError, OSError, ValueError) as error:
            self.problem = error

    def _step(self) -> None:
        answer = self.task.live(self.stream_id, "media.m3u8")
        if self.playlist is None and answer.status in (404, 503):
            return
        assert answer.status == 200, answer.text
        before, self.playlist = self.playlist, checker.read(answer.text)
        if before is not None:
            checker.check_succession(before, self.playlist)
        newest = self.playlist.segments[-1]
        at = (newest.msn, len(newest.parts))
        if at != self._newest:
            self._newest = at
            self.part_times_s.append(time.monotonic())

    def stop(self) -> None:
        """End, and fail if anything was wrong."""
        self._stop_wanted.set()
        self.join(20)
        if self.problem is not None:
            raise AssertionError(f"{self.stream_id} on {self.task.name}") from self.problem

    @property
    def changes(self) -> int:
        """Discontinuities so far."""
        playlist = self.playlist
        if playlist is None:
            return 0
        return playlist.discontinuity_sequence + sum(segment.discontinuity for segment in playlist.segments)

    def longest_gap_s(self) -> float:
        """The longest time in which nothing new came."""
        return max(after - before for before, after in pairwise(self.part_times_s))

    # ---- what is seen and heard ----

    def halves(self) -> tuple[Colour, Colour]:
        """The colours in the middle of the left and of the right half, at the end of the newest whole segment."""
        with self._open() as media:
            *_, frame = media.decode(video=0)
        pixels = frame.to_rgb()
        plane = pixels.planes[0]
        row = bytes(plane)[pixels.height // 2 * plane.line_size :]

        def at(share: float) -> Colour:
            x = int(share * pixels.width) * 3
            return row[x], row[x + 1], row[x + 2]

        return at(0.25), at(0.75)

    def shows(self, left: Colour, right: Colour) -> bool:
        """Whether the halves are of these colours, as near as a codec keeps them."""
        seen, wanted = self.halves(), (left, right)
        return all(abs(seen[half][tone] - wanted[half][tone]) < 40 for half in (0, 1) for tone in (0, 1, 2))

    def hears(self, frequencies: Sequence[float]) -> list[bool]:
        """Which of these tones sound in the newest whole segment."""
        samples: list[float] = []
        resampler = AudioResampler(format="flt", layout="mono", rate=_RATE)
        with self._open() as media:
            for frame in media.decode(audio=0):
                frame.pts = None
                for part in resampler.resample(frame):
                    samples += memoryview(bytes(part.planes[0])[: part.samples * 4]).cast("f").tolist()
        return [_strength(samples, hertz) > _HEARD for hertz in frequencies]

    def _open(self) -> InputContainer:
        playlist = self.playlist
        assert playlist is not None and playlist.closed, "nothing to decode yet"
        newest = playlist.closed[-1]
        media = b"".join(self.task.live(self.stream_id, name).body for name in (newest.init, newest.uri))
        return av.open(io.BytesIO(media), "r")


def _strength(samples: Sequence[float], hertz: float) -> float:
    """How much of a frequency there is, as its amplitude."""
    real = sum(value * math.cos(2 * math.pi * hertz * i / _RATE) for i, value in enumerate(samples))
    imaginary = sum(value * math.sin(2 * math.pi * hertz * i / _RATE) for i, value in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / max(1, len(samples))
