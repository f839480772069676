"""The rendition without pictures: the AAC of the parts that are held anyway, put into fragments when someone asks.

Nobody who listens costs nothing: no worker, no second copy, no fragment. Every part can be played by itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from media.relay import playlist
from media.relay.cmaf import AudioFormat, AudioSample, init_segment, sound_fragment
from media.relay.held_segment import HeldSegment, Sound
from media.relay.rendition import BANDWIDTH_MARGIN, Rendition
from media.relay.settings import Settings

NAME: Final = "audio"
# Fragments of 5 kB each, kept for those who ask for the same part at the same moment.
_KEPT_MAX: Final = 64
# What a fragment takes beside its samples, and a sample beside its bytes (cmaf.py).
_FRAGMENT_BYTES: Final = len(sound_fragment(0, [AudioSample(0, 1, b"")], 0, 1))
_SAMPLE_BYTES: Final = 4


class SoundRendition(Rendition):
    """Sound alone.

    Parameters
    ----------
    of : Rendition
        The rendition as sent, whose segments these are.
    format_of : Callable[[int], AudioFormat | None]
        The sound that an init segment of that rendition describes.
    run, settings
        As `Rendition`.
    """

    def __init__(
        self, of: Rendition, format_of: Callable[[int], AudioFormat | None], run: str, settings: Settings
    ) -> None:
        super().__init__(NAME, run, settings, of.next_msn)
        self._of = of
        self.segments = of.segments
        self._format_of = format_of
        self._made: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def told_parts(self, segment: HeldSegment, step: int) -> tuple[playlist.Part, ...]:
        silent = self._format_of(segment.init_number) is None
        return tuple(
            playlist.Part(self.part_name(segment.msn, index, step), part.duration_s, independent=True, gap=silent)
            for index, part in enumerate(segment.told_parts(step))
        )

    def part_body(self, segment: HeldSegment, index: int, step: int) -> bytes | None:
        if index >= segment.part_count(step) or self._format_of(segment.init_number) is None:
            return None
        last = min((index + 1) * step, len(segment.parts))
        return b"".join(segment.events[at] + self._fragment(segment, at) for at in range(index * step, last))

    def segment_body(self, segment: HeldSegment) -> bytes | None:
        return self.part_body(segment, 0, len(segment.parts)) if segment.closed else None

    def init(self, number: int) -> bytes | None:
        told = self._format_of(number)
        return None if told is None else init_segment(None, told)

    def follow(self) -> None:
        """The rendition as sent has changed."""
        self.next_msn, self.breaks_gone, self.ended = self._of.next_msn, self._of.breaks_gone, self._of.ended
        self.notify()

    def variant(self, step: int, sound: AudioFormat) -> playlist.Variant:
        """How the multivariant playlist tells of it."""
        peak, average, _ = self.measured()
        return playlist.Variant(
            uri=self.uri(step),
            bandwidth=int((peak or sound.bit_rate) * BANDWIDTH_MARGIN),
            average_bandwidth=int(average or sound.bit_rate),
            codecs=sound.codec,
            width=0,
            height=0,
            frame_rate=0.0,
        )

    def measured(self) -> tuple[float, float, float]:
        shown = [segment for segment in self.segments if segment.parts][-self._settings.window_segments :]
        made = [(sum(map(_size, segment.sounds)), segment.duration_s) for segment in shown]
        seconds = sum(length for _, length in made)
        if not seconds:
            return 0.0, 0.0, 0.0
        return max(8 * size / length for size, length in made), 8 * sum(size for size, _ in made) / seconds, 0.0

    def _fragment(self, segment: HeldSegment, index: int) -> bytes:
        key = (segment.msn, index)
        made = self._made.get(key)
        if made is None:
            sound, told = segment.sounds[index], self._format_of(segment.init_number)
            assert told is not None
            made = sound_fragment(sound.sequence, list(sound.samples), sound.start, told.sample_rate)
            self._made[key] = made
            while len(self._made) > _KEPT_MAX:
                self._made.popitem(last=False)
        return made


def _size(sound: Sound) -> int:
    return _FRAGMENT_BYTES + sum(len(sample.data) + _SAMPLE_BYTES for sample in sound.samples)
